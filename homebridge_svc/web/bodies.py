"""What goes in and out as JSON: the reading half trusts nothing, the writing half never fails.

A command in:  {"device": "living_room", "do": "power on"} · {"do": "living_room.power on"} · {"say": "看电影"},
each with an optional "id" (the caller's own: a repeated one is a duplicate) and "at" (unix seconds).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from homebridge_svc.core.model import DeviceView, Json
from homebridge_svc.core.orders import Answer, Say
from homebridge_svc.errors import WireError
from homebridge_svc.ports import Row

MAX_BODY = 16 * 1024  # bytes: a command is a line, not a file
MAX_TEXT = 200  # characters of a command or phrase
KEY = re.compile(r"[a-z][a-z0-9_]*")  # rule 22
ID = re.compile(r"[A-Za-z0-9_:-]{1,64}")
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
    data = _read_object(body)
    if unknown := data.keys() - KEYS:
        raise WireError(f"unknown key {min(unknown)[:40]!r}")
    device, do, say = _text(data, "device"), _text(data, "do"), _text(data, "say")
    if (do is None) == (say is None):
        raise WireError('exactly one of "do" and "say" is needed')
    if say is not None:
        if device is not None:
            raise WireError('"say" names no device')
        return Wanted(None, say, _id(data), _at(data))
    assert do is not None  # noqa: S101  one of the two is there, and it was not `say`
    if device is None:
        device, _, do = (part.strip() for part in do.partition("."))
        if not do:
            raise WireError('"do" without "device" reads "device.command"')
    if not KEY.fullmatch(device):
        raise WireError(f"{device!r} is no device key")
    return Wanted(device, do, _id(data), _at(data))


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


def _read_object(body: bytes) -> dict[str, object]:
    try:
        data = json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise WireError("the body is not UTF-8") from None
    except RecursionError:
        raise WireError("the body is nested too deeply") from None
    except ValueError:  # not JSON, or a number of thousands of digits
        raise WireError("the body is not JSON") from None
    if not isinstance(data, dict):
        raise WireError("the body is not a JSON object")
    return data


def _no_constant(name: str) -> NoReturn:
    raise WireError(f"{name} is not JSON")


def _text(data: Mapping[str, object], key: str) -> str | None:
    value = data.get(key)
    if value is None:
        return None
    text = " ".join(value.split()) if isinstance(value, str) else ""
    if not text:
        raise WireError(f"{key!r} is not a text")
    if len(text) > MAX_TEXT:
        raise WireError(f"{key!r} is longer than {MAX_TEXT} characters")
    if not text.isprintable():  # control characters and halves of surrogate pairs
        raise WireError(f"{key!r} holds characters that cannot be printed")
    return text


def _id(data: Mapping[str, object]) -> str | None:
    value = data.get("id")
    if value is not None and not (isinstance(value, str) and ID.fullmatch(value)):
        raise WireError('"id" is 1 to 64 of letters, digits and _ : -')
    return value


def _at(data: Mapping[str, object]) -> float | None:
    value = data.get("at")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e11:  # noqa: PLR2004  the year 5138
        raise WireError('"at" is a time in unix seconds')
    return float(value)
