"""miIO packets over UDP 54321, both directions: a 32-byte header and AES-128-CBC over JSON.

    0  magic 0x2131 · length of all, 2 bytes · unknown, 4 · device id, 4 · stamp in seconds, 4 · checksum, 16

A *hello* is 32 bytes of which all after the length are 0xFF; the device answers it with its id and stamp, by which
later packets must be stamped. Everything else is encrypted: key = md5(token), iv = md5(key + token), PKCS#7; the
checksum is md5 over header, token and cipher text. md5 and a fixed iv are the protocol's choice, not ours: whoever
knows the token owns the plug, and a packet can be replayed until its stamp is stale.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from homebridge_svc.errors import WireError

if TYPE_CHECKING:
    from collections.abc import Mapping

PORT: Final = 54321
HELLO: Final = bytes.fromhex("21310020") + b"\xff" * 28
TOKEN_LENGTH: Final = 16  # bytes

_MAGIC = 0x2131
_HEADER = struct.Struct(">HHIII")  # magic, length, unknown, device id, stamp; the checksum follows
_HEADER_LENGTH = 32
_BLOCK = 16


@dataclass(frozen=True, slots=True)
class HelloReply:
    """A device's answer to a hello."""

    device_id: int
    stamp: int


@dataclass(frozen=True, slots=True)
class Packet:
    """One encrypted packet. stamp: seconds of the device's own clock."""

    device_id: int
    stamp: int
    body: Mapping[str, object]


def encode_hello_reply(reply: HelloReply) -> bytes:
    """Write a hello's answer; newer firmware hides the token in the checksum field, by all ones."""
    return _HEADER.pack(_MAGIC, _HEADER_LENGTH, 0, reply.device_id, reply.stamp) + b"\xff" * 16


def decode_hello_reply(data: bytes) -> HelloReply:
    """Read a hello's answer. Raises WireError."""
    if len(data) != _HEADER_LENGTH or data == HELLO:
        raise WireError("not a hello's answer")
    magic, length, _, device_id, stamp = _HEADER.unpack_from(data)
    if magic != _MAGIC or length != _HEADER_LENGTH:
        raise WireError("not a miIO packet")
    return HelloReply(device_id, stamp)


def encode(packet: Packet, token: bytes) -> bytes:
    """Encrypt and sign one packet; its JSON ends in a zero byte, as devices and apps write it."""
    cipher_text = _encrypt(json.dumps(packet.body).encode() + b"\0", token)
    header = _HEADER.pack(_MAGIC, _HEADER_LENGTH + len(cipher_text), 0, packet.device_id, packet.stamp)
    return header + _checksum(header, token, cipher_text) + cipher_text


def decode(data: bytes, token: bytes) -> Packet:
    """Check and decrypt one packet. Raises WireError; its message never carries content."""
    if len(data) <= _HEADER_LENGTH:
        raise WireError("too short for a miIO packet")
    magic, length, _, device_id, stamp = _HEADER.unpack_from(data)
    if magic != _MAGIC or length != len(data):
        raise WireError("not a miIO packet")
    checksum, cipher_text = data[_HEADER.size : _HEADER_LENGTH], data[_HEADER_LENGTH:]
    if not hmac.compare_digest(checksum, _checksum(data[: _HEADER.size], token, cipher_text)):
        raise WireError("the checksum does not match: another token, or damaged on its way")
    plain = _decrypt(cipher_text, token).rstrip(b"\0")
    try:
        body = cast("object", json.loads(plain.decode()))
    except (ValueError, RecursionError) as error:
        raise WireError("not JSON inside") from error
    if not isinstance(body, dict):
        raise WireError("not a JSON object inside")
    return Packet(device_id, stamp, cast("dict[str, object]", body))


def _checksum(header: bytes, token: bytes, cipher_text: bytes) -> bytes:
    return hashlib.md5(header + token + cipher_text, usedforsecurity=False).digest()


def _cipher(token: bytes) -> Cipher[modes.CBC]:
    key = hashlib.md5(token, usedforsecurity=False).digest()
    iv = hashlib.md5(key + token, usedforsecurity=False).digest()
    return Cipher(algorithms.AES(key), modes.CBC(iv))


def _encrypt(plain: bytes, token: bytes) -> bytes:
    padding = _BLOCK - len(plain) % _BLOCK
    encryptor = _cipher(token).encryptor()
    return encryptor.update(plain + bytes([padding]) * padding) + encryptor.finalize()


def _decrypt(cipher_text: bytes, token: bytes) -> bytes:
    if len(cipher_text) % _BLOCK:
        raise WireError("not whole cipher blocks")
    decryptor = _cipher(token).decryptor()
    padded = decryptor.update(cipher_text) + decryptor.finalize()
    padding = padded[-1]
    if not 1 <= padding <= _BLOCK or padded[-padding:] != bytes([padding]) * padding:
        raise WireError("bad padding")
    return padded[:-padding]
