"""What infrared transmitters on MQTT want to hear, and how to read it back: Tasmota's IRSend, zigbee2mqtt's ir_code.

* Tasmota: `IRSend {"Protocol":"NEC","Bits":32,"Data":"0x20DF10EF","Repeat":0}`. The trap: Data holds the bits in the
  order of sending, and NEC sends each byte's least significant bit first, so address 0x04 stands as 0x20.
  Other signals go raw: `38000,9000,4500,…` with durations of 16 bits.
* zigbee2mqtt (ZS06, ZS08, TS1201, UFO-R11): `{"ir_code_to_send":"<base64>"}` of durations, 16 bits little-endian µs,
  packed in FastLZ blocks. Blocks of literals alone are valid, so that is what is written; learned codes come with
  back-references, so both are read. The carrier is the device's own (38 kHz).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import struct
from collections.abc import Iterable

from homebridge_svc.errors import WireError
from homebridge_svc.wire.ir import CARRIER, LONGEST, Signal, decode_nec, nec, nec_bytes, raw
from homebridge_svc.wire.payloads import read_json

CLIP = 0xFFFF  # µs, both transmitters count in 16 bits
_LITERALS = 32  # bytes in one literal block
_NEC_BITS = 32
_DATA = re.compile(r"(0[xX])?[0-9A-Fa-f]{1,8}")
_DURATION = re.compile(r"[0-9]{1,7}")
_LONG = 7  # a match length of 7 is followed by a byte that adds to it


def tasmota(signal: Signal, repeats: int = 0) -> str:
    """The payload of `cmnd/<topic>/IRSend`: by protocol where the signal is exactly NEC, else raw."""
    found = decode_nec(signal.durations)
    if found is not None and signal == nec(found.address, found.command):
        data = f"0x{_sent_bits(nec_bytes(found.address, found.command)):08X}"
        return json.dumps({"Protocol": "NEC", "Bits": _NEC_BITS, "Data": data, "Repeat": repeats})
    return ",".join(map(str, (signal.carrier, *_clipped(signal.train(repeats)))))


def read_tasmota(payload: str) -> Signal:
    """The signal that an IRSend payload makes, its repeats strung together. Raises WireError."""
    if payload.lstrip().startswith("{"):
        match read_json(payload):
            case {"Protocol": "NEC", "Bits": 32, "Data": str(data), **rest}:
                repeats = rest.get("Repeat", 0)
                if not isinstance(repeats, int) or not 0 <= repeats <= 100:  # noqa: PLR2004  ten seconds of a held key
                    raise WireError("Repeat is not a small number")
                signal = _nec_of(data)
                return Signal(signal.carrier, signal.train(repeats))
            case _:
                raise WireError("not an IRSend of 32 bits NEC")
    carrier, *durations = _numbers(payload)
    return raw(durations, carrier or CARRIER)


def tuya(signal: Signal, repeats: int = 0) -> str:
    """The base64 text of `ir_code_to_send`, in literal blocks alone; durations beyond 65535 µs are clipped."""
    train = _clipped(signal.train(repeats))
    packed = struct.pack(f"<{len(train)}H", *train)
    blocks = (packed[at : at + _LITERALS] for at in range(0, len(packed), _LITERALS))
    return base64.b64encode(b"".join(bytes((len(block) - 1,)) + block for block in blocks)).decode()


def read_tuya(text: str) -> Signal:
    """The signal of an `ir_code`, learned ones with back-references included. Raises WireError."""
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise WireError("the infrared code is not base64") from None
    packed = _unpack(data)
    if len(packed) % 2 or not packed:
        raise WireError("the infrared code is not made of 16-bit durations")
    durations = struct.unpack(f"<{len(packed) // 2}H", packed)
    return raw(durations)


def _unpack(data: bytes) -> bytes:
    """Undo the FastLZ packing: literal blocks, and matches of (length, distance) that may overlap themselves."""
    out = bytearray()
    rest = iter(data)
    try:
        for head in rest:
            length, low = head >> 5, head & 0x1F
            if length == 0:
                out.extend(next(rest) for _ in range(low + 1))
                continue
            if length == _LONG:
                length += next(rest)
            distance = (low << 8 | next(rest)) + 1
            if distance > len(out):
                raise WireError("the infrared code refers to before its beginning")
            for _ in range(length + 2):
                out.append(out[-distance])
            if len(out) > 2 * LONGEST:
                raise WireError(f"the infrared code is longer than {LONGEST} durations")
    except (StopIteration, RuntimeError):  # a generator turns the former into the latter
        raise WireError("the infrared code ends in the middle of a block") from None
    return bytes(out)


def _sent_bits(frame: bytes) -> int:
    return int("".join(f"{byte:08b}"[::-1] for byte in frame), 2)


def _nec_of(data: str) -> Signal:
    if not _DATA.fullmatch(data):
        raise WireError("Data is not a hexadecimal number of 32 bits")
    bits = f"{int(data, 16):032b}"
    low, high, command, complement = (int(bits[at : at + 8][::-1], 2) for at in range(0, _NEC_BITS, 8))
    if command ^ complement != 0xFF:  # noqa: PLR2004  a byte
        raise WireError("the command and its complement do not agree")
    return nec(low if low ^ high == 0xFF else low | high << 8, command)  # noqa: PLR2004


def _numbers(payload: str) -> list[int]:
    words = payload.split(",")
    if len(words) > LONGEST or not all(_DURATION.fullmatch(word.strip()) for word in words):
        raise WireError("not a list of durations")
    return [int(word) for word in words]


def _clipped(train: Iterable[int]) -> list[int]:
    return [min(duration, CLIP) for duration in train]
