"""XGIMI's app protocol for China firmware (GMUI), both directions: key lines and small JSON messages over UDP.

Three ports. Key lines go to 16735 and are never answered. JSON goes to 16750; what the projector says in return it
sends to port 16751 of whoever asked, not to the port the question came from. Nothing is authenticated: whoever
receives checks the sender's address himself.

Whether an answer repeats the question's msgid is not known for every model, so `DeviceInfo.msgid` may be None.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final, TypeAlias, cast

from homebridge_svc.errors import WireError

KEY_PORT: Final = 16735  # key lines, to the projector
JSON_PORT: Final = 16750  # JSON, to the projector
REPLY_PORT: Final = 16751  # JSON, from the projector, at the asker's address
SEEK_PORT: Final = 16752  # broadcast discovery, to the projector

LONGEST: Final = 8192  # bytes of JSON that are looked at; a real answer stays below 1 kB

KEY_CODES: Final[dict[str, int]] = {  # neutral key name -> the projector's code; what is missing has no code
    "ok": 49,
    "back": 48,
    "home": 35,
    "menu": 139,
    "settings": 251,
    "up": 36,
    "down": 38,
    "left": 50,
    "right": 37,
    "volume_up": 115,
    "volume_down": 114,
    "mute": 113,
    "source": 2102,
    "autofocus": 2099,
    "focus_in": 253,
    "focus_out": 254,
}
HELD_KEYS: Final = frozenset({"focus_in", "focus_out"})  # a motor moves while they are down
POWER_OFF: Final = 30  # goes to standby at once
POWER_KEY: Final = 116  # as the remote's: on some models it shows a question first, in standby it wakes
HIBERNATE: Final = 2106

POWER_MODE: Final = 6  # controlCmd mode of everything below
POWER_DOWN: Final = 0
LIGHT_ENGINE_OFF: Final = 2
LIGHT_ENGINE_ON: Final = 4


@dataclass(frozen=True, slots=True)
class KeyPress:
    """A click (down None), or one half of a held key."""

    code: int
    down: bool | None = None


@dataclass(frozen=True, slots=True)
class AskDevice:
    """Action 10000: who are you? The best test of life."""

    msgid: str


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """Action 10001, the answer. mac: lower case with colons, "" when it was not said."""

    msgid: str | None
    device: str
    mac: str


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Action 10002: the app sends one every 2 s."""

    msgid: str


@dataclass(frozen=True, slots=True)
class Seek:
    """Action 9998, broadcast: is there a projector?"""

    msgid: str


@dataclass(frozen=True, slots=True)
class Found:
    """Action 9999: here is one."""

    address: str
    name: str


@dataclass(frozen=True, slots=True)
class Control:
    """Action 20000: mode and type select what is done; see POWER_MODE."""

    msgid: str
    mode: int
    type: int
    data: str = ""


JsonMessage: TypeAlias = AskDevice | DeviceInfo | Heartbeat | Seek | Found | Control

_KEY_LINE = re.compile(rb"KEY(?:PRESSES:(\d{1,5})|SSTATUS:(\d{1,5})\+([01]))")  # the double S is right


def encode_key(key: KeyPress) -> bytes:
    """One key line: ASCII, no newline."""
    if key.down is None:
        return b"KEYPRESSES:%d" % key.code
    return b"KEYSSTATUS:%d+%d" % (key.code, key.down)


def decode_key(data: bytes) -> KeyPress:
    """Read a key line. Raises WireError."""
    match = _KEY_LINE.fullmatch(data)
    if match is None:
        raise WireError("not a key line")
    click, held, down = match.groups()
    return KeyPress(int(click)) if click is not None else KeyPress(int(held), down == b"1")


def encode(message: JsonMessage) -> bytes:
    """Write a JSON message; appid repeats msgid, as the app does."""
    body: dict[str, object]
    match message:
        case AskDevice(msgid):
            body = {"action": 10000, "msgid": msgid, "appid": msgid}
        case Heartbeat(msgid):
            body = {"action": 10002, "msgid": msgid, "appid": msgid}
        case Seek(msgid):
            body = {"action": 9998, "msgid": msgid, "appid": msgid}
        case Found(address, name):
            body = {"action": 9999, "deviceip": address, "devicename": name}
        case DeviceInfo(msgid, device, mac):
            body = {"action": 10001, "deviceInfo": {"device": device, "mac": mac.replace(":", "-")}}
            if msgid is not None:
                body["msgid"] = msgid
        case Control(msgid, mode, kind, data):
            command = {"mode": mode, "type": kind, "time": 0, "delayTime": 0, "data": data}
            body = {"action": 20000, "msgid": msgid, "controlCmd": command}
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def decode(data: bytes) -> JsonMessage:
    """Read a JSON message. Raises WireError for all that is not one of ours."""
    body = _object(_load(data))
    msgid = _text(body, "msgid")
    match body.get("action"):
        case 10000:
            return AskDevice(msgid)
        case 10001:
            info = _object(body.get("deviceInfo"))
            return DeviceInfo(msgid if "msgid" in body else None, _text(info, "device"), plain_mac(_text(info, "mac")))
        case 10002:
            return Heartbeat(msgid)
        case 9998:
            return Seek(msgid)
        case 9999:
            return Found(_text(body, "deviceip"), _text(body, "devicename"))
        case 20000:
            command = _object(body.get("controlCmd"))
            return Control(msgid, _whole(command, "mode"), _whole(command, "type"), _text(command, "data"))
        case _:
            raise WireError("an action that is not known here")


def plain_mac(text: str) -> str:
    """A MAC address in any notation as `aa:bb:cc:dd:ee:ff`; "" for anything else."""
    digits = re.sub(r"[-:.]", "", text).lower()
    if re.fullmatch(r"[0-9a-f]{12}", digits) is None:
        return ""
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


def _load(data: bytes) -> object:
    if len(data) > LONGEST:
        raise WireError("too long to be an answer")
    try:
        return cast("object", json.loads(data.decode()))
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise WireError("not JSON") from error


def _object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise WireError("not a JSON object where one belongs")
    return cast("dict[str, object]", value)


def _text(body: dict[str, object], name: str) -> str:
    """A text, or a number as text (apps differ); "" when absent."""
    value = body.get(name, "")
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise WireError(f"{name} is not a text")
    return str(value)


def _whole(body: dict[str, object], name: str) -> int:
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise WireError(f"{name} is not a whole number")
    return value
