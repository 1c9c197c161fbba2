"""Values out of MQTT payloads: plain text or JSON, at a path, as a number or a word.

Everything here is given bytes from outside. It raises WireError and nothing else, and its messages hold no bytes of
the peer's choosing beyond a short excerpt, so that "logged once per kind" stays bounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from homebridge_svc.errors import WireError
from homebridge_svc.wire.payloads import LARGEST, read_json

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
_NUMBER = re.compile(r"[+-]?[0-9]{1,12}(\.[0-9]{1,12})?")
_INDEX = re.compile(r"[0-9]{1,3}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: a topic, and dotted keys into its JSON ("" = the payload's own text)."""

    topic: str
    path: str = ""


class Payload:
    """One payload, parsed when somebody asks. Raises WireError: too long, not UTF-8, not JSON, too deep."""

    def __init__(self, raw: bytes) -> None:
        if len(raw) > LARGEST:
            raise WireError(f"the payload is longer than {LARGEST} bytes")
        try:
            self.text = raw.decode()
        except UnicodeDecodeError:
            raise WireError("the payload is not UTF-8") from None
        self._document: Json = None
        self._parsed = False

    def at(self, path: str) -> Json:
        """The value at `path`; None where there is none, or null. A number as a step indexes a list."""
        if not path:
            return self.text
        value = self._json()
        for step in path.split("."):
            match value:
                case dict():
                    value = value.get(step)
                case list() if _INDEX.fullmatch(step) and int(step) < len(value):
                    value = value[int(step)]
                case _:
                    return None
        return value

    def at_or_text(self, path: str) -> Json:
        """The same where the payload is a JSON object, else its text: publishers changed from one to the other."""
        return self.at(path) if self.text.lstrip().startswith("{") else self.text

    def _json(self) -> Json:
        if not self._parsed:
            self._document = read_json(self.text)
            self._parsed = True
        return self._document


def number(value: Json, low: float, high: float) -> float:
    """A finite number within [low, high]; text only in plain decimal notation. Raises WireError."""
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value.strip()):
            raise WireError("the text is not a number")
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise WireError(f"a {type(value).__name__} stands where a number should")
    if not low <= value <= high:  # also refuses NaN and infinities
        raise WireError(f"the number is outside {low:g} … {high:g}")
    return float(value)


def word(value: Json) -> str:
    """A value as one lower-case word: "ON" -> "on", true -> "true", 1 -> "1". Raises WireError."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return value.strip().lower()
        case int() if value in (0, 1):
            return str(value)
        case _:
            raise WireError(f"a {type(value).__name__} stands where a word should")


def excerpt(text: str) -> str:
    """A peer's text for a log line: printable, at most 60 characters."""
    return ascii(text[:60])
