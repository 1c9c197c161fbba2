"""What goes in and out as JSON: the reading half trusts nothing, the writing half never fails.

A command in:  {"device": "living_room", "do": "power on"} · {"do": "living_room.power on"} · {"say": "看电影"},
each with an optional "id" (the caller's own: a repeated one is a duplicate) and "at" (unix seconds).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from homebridge_svc.core.model import DeviceView, Json
from homebridge_svc.core.orders import Answer, Say
from homebridge_svc.errors import WireError
from homebridge_svc.ports import Row
from homebridge_svc.wire.payloads import LARGEST, read_json, read_object

MAX_BODY = LARGEST  # bytes: a command is a line, not a file
KEY = re.compile(r"[a-z][a-z0-9_]{0,63}")  # rule 22
HINT = 'send {"device": "living_room", "do": "power on"} or {"say": "看电影"}, with "id" and "at" (unix) if you like'
KEYS = frozenset({"device", "do", "say", "id", "at"})
NO = frozenset({Say.REFUSED, Say.EXPIRED, Say.BUSY, Say.FAILED})


@dataclass(frozen=True, slots=True)
class Wanted:
    """A command as the caller wrote it; device None: a phrase."""

    device: str | None
    text: str
    id: str | None
    at: float | None  # unix seconds


def read_command(body: bytes) -> Wanted:
    """Read a command. Raises WireError with a sentence for the caller."""
    found = read_json(body)
    if not isinstance(found, dict):
        raise WireError("the body is not a JSON object")
    data = {name: value for name, value in found.items() if value is not None}
    if unknown := data.keys() - KEYS:
        raise WireError(f"unknown key {min(unknown)[:40]!r}")
    if ("do" in data) == ("say" in data):
        raise WireError('exactly one of "do" and "say" is needed')
    field = "do" if "do" in data else "say"
    payload = read_object(data, field=field)
    device, text = data.get("device"), payload.text
    if field == "say":
        if device is not None:
            raise WireError('"say" names no device')
        return Wanted(None, text, payload.id, payload.at)
    if device is None:
        device, _, text = (part.strip() for part in text.partition("."))
        if not text:
            raise WireError('"do" without "device" reads "device.command"')
    if not isinstance(device, str) or not KEY.fullmatch(device):
        raise WireError(f"{str(device)[:40]!r} is no device key")
    return Wanted(device, text, payload.id, payload.at)


def view_json(view: DeviceView) -> Json:
    """One device for the page."""
    return {
        "key": view.key,
        "kind": view.kind,
        "name": view.name,
        "available": view.available,
        "state": plain(view.state),
    }


def row_json(row: Row) -> Json:
    """One journal row for the page."""
    return {
        "utc": row.utc,
        "chain": row.chain,
        "kind": row.kind,
        "device": row.device,
        "text": row.text,
        "data": plain(row.data),
    }


def answers_json(answers: Iterable[Answer]) -> Json:
    """Answers for a caller."""
    return [{"device": each.device, "say": str(each.say), "why": each.why, "zh": each.zh} for each in answers]


def plain(value: object) -> Json:
    """Anything as JSON that every parser takes: mappings become objects, NaN and infinities null."""
    match value:
        case Mapping():
            return {str(key): plain(each) for key, each in value.items()}
        case list() | tuple():
            return [plain(each) for each in value]
        case float() if not math.isfinite(value):
            return None
        case bool() | int() | float() | str() | None:
            return value
        case _:
            return str(value)
