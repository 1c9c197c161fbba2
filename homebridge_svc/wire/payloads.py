"""Command payloads from outside: plain text, or a JSON object with the text, an id and a time (rule 4).

    power on
    {"do": "power on", "id": "a1b2", "at": 1792000000.5, "by": "home_assistant"}

Anything may arrive here, so everything is bounded and nothing but WireError is raised.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any

from homebridge_svc.errors import WireError

LARGEST = 16_384  # bytes
LONGEST = 200  # characters of text
_ID = re.compile(r"[A-Za-z0-9_:-]{1,64}")  # no dot: a phrase's steps are <id>.1, <id>.2 …
_BY = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_SPACE = re.compile(r"[\u00a0\u2000-\u200a\u202f\u205f\u3000]")  # typed for a space, the full-width one above all


@dataclass(frozen=True, slots=True)
class Payload:
    """text: what to do or what was said. id, at (unix seconds) and by are the caller's, None where not given."""

    text: str
    id: str | None = None
    at: float | None = None
    by: str | None = None


class BadPayload(WireError):  # noqa: N818  it is the payload that is bad
    """It means nothing; `id` is the caller's where one could be read, so that it can be answered."""

    def __init__(self, problem: str, id_: str | None = None) -> None:
        super().__init__(problem)
        self.id = id_


def read_json(raw: bytes | str, *, finite: bool = True) -> Any:  # noqa: ANN401  whatever JSON there is
    """Parse JSON from outside. Raises WireError for what is no JSON, too large, too deep, or (if asked) not finite."""
    if len(raw) > LARGEST:
        raise WireError(f"larger than {LARGEST} bytes")
    try:
        return json.loads(raw, parse_constant=_not_finite if finite else None)
    except UnicodeDecodeError:
        raise WireError("not UTF-8") from None
    except RecursionError:
        raise WireError("nested too deeply") from None
    except json.JSONDecodeError as why:  # its place is left out: one kind in the log, wherever the fault stands
        raise WireError(f"not JSON: {why.msg}") from None
    except ValueError:  # what _not_finite raises, and numbers with thousands of digits
        raise WireError("not JSON: a number that is none, or too long") from None


def read(raw: bytes, *, field: str) -> Payload:
    """Read a payload; `field` names the JSON member that holds the text. Raises BadPayload."""
    if len(raw) > LARGEST:
        raise BadPayload(f"larger than {LARGEST} bytes")
    if not raw.lstrip().startswith(b"{"):
        try:
            return Payload(_text(raw.decode(), None))
        except UnicodeDecodeError:
            raise BadPayload("not UTF-8") from None
    try:
        found = read_json(raw, finite=False)  # a NaN is objected to below, where the id is known
    except WireError as why:
        raise BadPayload(str(why)) from None
    return read_object(found, field=field)


def read_object(found: Any, *, field: str) -> Payload:  # noqa: ANN401  whatever JSON there is
    """Read a payload from parsed JSON. Raises BadPayload."""
    if not isinstance(found, dict):
        raise BadPayload("not a JSON object")
    id_ = found.get("id")
    if id_ is not None and not (isinstance(id_, str) and _ID.fullmatch(id_)):
        raise BadPayload("id must be 1 to 64 letters, digits or _:-")
    at = found.get("at")
    if at is not None:
        if isinstance(at, bool) or not isinstance(at, int | float) or not _finite(at):
            raise BadPayload("at must be a unix time in seconds", id_)
        at = float(at)
    by = found.get("by")
    if by is not None and not (isinstance(by, str) and _BY.fullmatch(by)):
        raise BadPayload("by must be 1 to 64 letters, digits or _.:-", id_)
    text = found.get(field)
    if not isinstance(text, str):
        raise BadPayload(f"{field!r} must be a text", id_)
    return Payload(_text(text, id_), id_, at, by)


def _text(text: str, id_: str | None) -> str:
    text = _SPACE.sub(" ", text).strip()
    if not text:
        raise BadPayload("empty", id_)
    if len(text) > LONGEST:
        raise BadPayload(f"longer than {LONGEST} characters", id_)
    if not text.isprintable():  # control characters and halves of surrogate pairs
        raise BadPayload("has characters that cannot be printed", id_)
    return text


def _finite(number: float) -> bool:
    try:
        return math.isfinite(number) and abs(number) < 1e12  # noqa: PLR2004  the year 33658 is far enough
    except OverflowError:
        return False


def _not_finite(token: str) -> float:
    raise ValueError(f"{token} is not a number")
