"""What is wrong with the owner's file: findings with key path and hint, and how pydantic's errors become sentences.

Validators raise `wrong(…)`. Every table translates what its own validation found (`translate`), so that one pass over
the file gives all findings, each as a sentence that a household can act on. A finding never quotes a value that may
be a secret: it names the key and says what the value should look like.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic_core import ErrorDetails, PydanticCustomError

from homebridge_svc.errors import ConfigError

_OURS = "homebridge_svc"  # the type of errors that are already sentences
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_TYPES = {
    "string": "text in quotes",
    "bool": "true or false (without quotes)",
    "int": "a whole number (without quotes)",
    "float": "a number (without quotes)",
    "decimal": "a number (without quotes)",
    "list": "a list in [ ]",
    "tuple": "a list in [ ]",
    "set": "a list in [ ]",
    "dict": "a table",
    "model": "a table",
    "path": "a file name in quotes",
}
_BOUNDS = {
    "greater_than": ("gt", "must be more than {}"),
    "greater_than_equal": ("ge", "must be at least {}"),
    "less_than": ("lt", "must be less than {}"),
    "less_than_equal": ("le", "must be at most {}"),
}


class Problem(ConfigError):  # noqa: N818  one finding among many; only ConfigErrors is raised
    """One finding. path: key path in the file; hint: how to mend it; zh: the same for the household, or empty."""

    def __init__(self, path: str, problem: str, hint: str = "", zh: str = "") -> None:
        super().__init__(path, problem, hint)
        self.zh = zh


class ConfigErrors(ConfigError):  # noqa: N818  errors, and several
    """All findings of one file."""

    def __init__(self, file: Path, errors: Sequence[Problem]) -> None:
        count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
        super().__init__(str(file), count)
        self.file = file
        self.errors = tuple(errors)

    def __str__(self) -> str:
        return "\n  ".join([f"{self.file}: {self.problem}", *map(str, self.errors)])


def wrong(problem: str, hint: str = "", zh: str = "") -> PydanticCustomError:
    """Make what a validator raises: a sentence, a hint, and the hint in Chinese."""
    return PydanticCustomError(_OURS, "{problem}", {"problem": problem, "hint": hint, "zh": zh})


def translate(error: ErrorDetails, known: Iterable[str] = ()) -> PydanticCustomError:  # noqa: PLR0911  one per kind
    """Turn one of pydantic's errors into a sentence; one of ours passes. known: the keys where one was unknown."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == _OURS:
        return wrong(context["problem"], context["hint"], context["zh"])
    if kind == "extra_forbidden":
        return unknown(str(error["loc"][-1]), known)
    if kind == "missing":
        return wrong("is missing", "add this key", "缺少这一项")
    if kind == "literal_error":
        return one_of(error["input"], re.findall(r"'([^']*)'", context["expected"]) or [context["expected"]])
    if kind in _BOUNDS:
        name, sentence = _BOUNDS[kind]
        return wrong(sentence.format(context[name]))
    if kind == "value_error":
        return wrong(str(context["error"]))
    if kind == "string_too_short":
        return wrong("must not be empty", zh="不能为空")
    if kind == "string_pattern_mismatch":
        return wrong("is not written as it must be", f"it must match {context['pattern']}")
    expected = _TYPES.get(kind.partition("_")[0])
    if expected is not None and kind.endswith(("_type", "_parsing", "_parsing_size", "_from_float")):
        return wrong(f"must be {expected}, not {kind_of(error['input'])}")
    return wrong(error["msg"][:1].lower() + error["msg"][1:])


def unknown(key: str, known: Iterable[str]) -> PydanticCustomError:
    """Say that a key is unknown here, and which one was probably meant."""
    known = sorted(known)
    close = get_close_matches(key, known, n=1)
    if close:
        return wrong("is not a key here", f"did you mean {close[0]!r}?", f"是不是想写 {close[0]}？")
    return wrong("is not a key here", f"keys here: {', '.join(known)}" if known else "", "没有这一项")


def one_of(value: object, known: Iterable[str]) -> PydanticCustomError:
    """Say that a word is none of the known ones, and which one was probably meant."""
    known = list(known)
    if not isinstance(value, str):
        return wrong(f"must be {' or '.join(known)}, not {kind_of(value)}")
    close = get_close_matches(value.casefold(), known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"one of: {', '.join(known)}"
    return wrong(f"{quoted(value)} is not known here", hint, f"可选：{'、'.join(known)}")


def quoted(value: object) -> str:
    """A value as the file has it, in quotes and at most 40 characters long."""
    text = str(value)
    return '"' + (text if len(text) <= 40 else text[:40] + "…") + '"'  # noqa: PLR2004  a glance


def kind_of(value: object) -> str:  # noqa: PLR0911  one per kind
    """What TOML calls this value, with its article."""
    match value:
        case bool():
            return "true/false"
        case int():
            return "a number"
        case float():
            return "a number with a point"
        case str():
            return "text"
        case list() | tuple():
            return "a list"
        case dict():
            return "a table"
        case datetime() | date() | time():
            return "a date or time without quotes"
        case _:
            return "this"


def key_path(location: Iterable[Any]) -> str:
    """Write ("voice", 0, "phrases", "看电影") as `voice[0].phrases."看电影"`."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part != "[key]":  # pydantic's mark for "the key itself"; the key stands before it
            name = part if _BARE.fullmatch(part) else '"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"'
            path += f".{name}" if path else name
    return path
