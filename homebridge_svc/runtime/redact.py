"""The one redaction table: logs, journal and diagnostics all pass through the same `Redactor`.

Two nets. Known secrets (everything that configuration loaded from a file, a credential or the environment) are replaced
wherever they turn up. Beyond them, what looks like a secret is: values under telling names, bearer tokens, and the
user part of an URL. Too much hidden is a nuisance, too little is a leak: in doubt it is hidden.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from urllib.parse import quote

from homebridge_svc.core.model import Json

HIDDEN = "***"
SHORTEST_SECRET = 4  # characters: a shorter "secret" would riddle every text with holes

_WORDS = r"token|password|passwd|secret|payload|psk|authorization|cookie|credential"
_NAME = rf"(?:[\w-]*(?:{_WORDS})|(?:[\w-]*[_-])?(?:api)?key)"  # "key" stands alone or last: a monkey is no key
_TELLING_NAME = re.compile(rf"(?:.*[.\s])?{_NAME}", re.IGNORECASE | re.DOTALL)
_PATTERNS = (
    re.compile(r"(?P<keep>\bbearer\s+)[\w.~+/=-]{4,}", re.IGNORECASE),
    re.compile(r"(?P<keep>\b[a-z][a-z0-9+.-]*://)[^\s/@]+(?=@)", re.IGNORECASE),
    re.compile(
        rf"(?P<keep>\b{_NAME}[\"']?\s*[=:]\s*)(?!bearer\b)(?:b?\"[^\"]*\"|b?'[^']*'|[^\s,;&\"')}}\]]+)",
        re.IGNORECASE,
    ),
)
_SUSPECT = re.compile(rf"://|bearer|key|{_WORDS}", re.IGNORECASE)


class Redactor:
    """Replaces secrets by `***`. One per process, filled while configuration is read."""

    def __init__(self) -> None:
        self._known: list[str] = []

    def add(self, secret: str) -> None:
        """Hide this value from now on, each line of it, also as it stands in an URL or in JSON."""
        for line in secret.splitlines():
            if len(line.strip()) < SHORTEST_SECRET:
                continue
            for shape in (line.strip(), quote(line.strip(), safe=""), json.dumps(line.strip())[1:-1]):
                if shape not in self._known:
                    self._known.append(shape)
        self._known.sort(key=len, reverse=True)  # a secret may hold another one: the longer goes first

    def text(self, text: str) -> str:
        """Return `text` without secrets."""
        for secret in self._known:
            if secret in text:
                text = text.replace(secret, HIDDEN)
        if _SUSPECT.search(text):
            for pattern in _PATTERNS:
                text = pattern.sub(rf"\g<keep>{HIDDEN}", text)
        return text

    def json(self, value: Json) -> Json:
        """Return a copy of `value` without secrets; what stands under a telling name is hidden whatever it is."""
        match value:
            case str():
                return self.text(value)
            case list():
                return [self.json(item) for item in value]
            case dict():
                return self.mapping(value)
            case _:
                return value

    def mapping(self, values: Mapping[str, Json]) -> dict[str, Json]:
        """`json` for an object."""
        return {
            self.text(name): HIDDEN
            if _TELLING_NAME.fullmatch(name) and value not in (None, "", True, False)
            else self.json(value)
            for name, value in values.items()
        }


class RedactingFormatter(logging.Formatter):
    """Redacts the finished line, so that arguments and tracebacks are covered too."""

    def __init__(self, redactor: Redactor, pattern: str) -> None:
        super().__init__(pattern)
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """Format, then hide."""
        return self._redactor.text(super().format(record))
