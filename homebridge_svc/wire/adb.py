"""ADB's packets and its public-key format, both directions; no sockets.

A packet is a 24-byte header of six little-endian words (command, arg0, arg1, length, checksum, magic) and `length`
bytes of data. The checksum is the plain sum of the data's bytes, the magic is the command with its bits flipped.

How a connection is opened:  CNXN → AUTH(token) → AUTH(signature) → CNXN, or, where the key is not known yet,
AUTH(token) again → AUTH(public key), a person accepts on the screen, → CNXN.
How a service runs:  OPEN(local id) → OKAY → WRTE, each answered by OKAY → CLSE from both.
"""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass
from enum import IntEnum

from homebridge_svc.errors import WireError

VERSION = 0x0100_0000  # the one whose checksums are always computed
MAX_DATA = 1 << 20  # bytes; no peer may announce more in one packet
HEADER_SIZE = 24
TOKEN_SIZE = 20  # bytes; signed as if it were a SHA-1 digest

AUTH_TOKEN = 1
AUTH_SIGNATURE = 2
AUTH_PUBLIC_KEY = 3

_HEADER = struct.Struct("<6I")
_KEY_WORDS = 64  # a 2048-bit modulus in 32-bit words
_KEY = struct.Struct("<II256s256sI")  # words, -1/n mod 2^32, n, R^2 mod n, exponent


class Command(IntEnum):
    """The first word of a packet: four letters."""

    CNXN = 0x4E58_4E43
    AUTH = 0x4854_5541
    OPEN = 0x4E45_504F
    OKAY = 0x5941_4B4F
    WRTE = 0x4554_5257
    CLSE = 0x4553_4C43


@dataclass(frozen=True, slots=True)
class Packet:
    """One ADB packet; what arg0 and arg1 mean depends on the command."""

    command: Command
    arg0: int = 0
    arg1: int = 0
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Header:
    """What the first 24 bytes announce."""

    command: Command
    arg0: int
    arg1: int
    length: int  # bytes of data that follow, at most MAX_DATA
    checksum: int


def encode(packet: Packet) -> bytes:
    """Header and data as they go over the wire."""
    command, data = packet.command, packet.data
    header = (command, packet.arg0, packet.arg1, len(data), sum(data) & 0xFFFF_FFFF, command ^ 0xFFFF_FFFF)
    return _HEADER.pack(*header) + data


def decode_header(raw: bytes) -> Header:
    """Read exactly HEADER_SIZE bytes. Raises WireError: wrong size, unknown command, wrong magic, too much data."""
    if len(raw) != HEADER_SIZE:
        raise WireError(f"an ADB header has {HEADER_SIZE} bytes, not {len(raw)}")
    word, arg0, arg1, length, checksum, magic = _HEADER.unpack(raw)
    if magic != word ^ 0xFFFF_FFFF:
        raise WireError("the magic of an ADB header does not fit its command")
    try:
        command = Command(word)
    except ValueError:
        raise WireError(f"unknown ADB command {word:#010x}") from None
    if length > MAX_DATA:
        raise WireError(f"an ADB packet announces {length} bytes")
    return Header(command, arg0, arg1, length, checksum)


def decode_data(header: Header, data: bytes) -> Packet:
    """Join a header and its data. Raises WireError: wrong length or checksum."""
    if len(data) != header.length:
        raise WireError(f"an ADB packet has {len(data)} bytes of data instead of {header.length}")
    if sum(data) & 0xFFFF_FFFF != header.checksum:
        raise WireError("the checksum of an ADB packet is wrong")
    return Packet(header.command, header.arg0, header.arg1, data)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An RSA key of 2048 bits as Android keeps it, with the comment (`user@host`) that the dialog shows."""

    modulus: int
    exponent: int
    comment: str = ""


def encode_public_key(key: PublicKey) -> bytes:
    """Android's RSAPublicKey in base64, a blank and the comment: the content of `adbkey.pub`."""
    word = 1 << 32
    n0inv = word - pow(key.modulus, -1, word)
    rr = pow(2, 2 * 2048, key.modulus)
    raw = _KEY.pack(_KEY_WORDS, n0inv, key.modulus.to_bytes(256, "little"), rr.to_bytes(256, "little"), key.exponent)
    return base64.b64encode(raw) + b" " + key.comment.encode()


def decode_public_key(raw: bytes) -> PublicKey:
    """Read `adbkey.pub` or the data of AUTH(public key). Raises WireError."""
    encoded, _, comment = raw.rstrip(b"\0\r\n ").partition(b" ")
    try:
        words, _, modulus, _, exponent = _KEY.unpack(base64.b64decode(encoded, validate=True))
    except (binascii.Error, struct.error, ValueError) as problem:
        raise WireError("not an Android public key") from problem
    if words != _KEY_WORDS:
        raise WireError("an Android public key has 2048 bits")
    return PublicKey(int.from_bytes(modulus, "little"), exponent, comment.decode("utf-8", "replace"))
