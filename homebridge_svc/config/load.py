"""From the file to a `Config`, or to all that is wrong with it at once.

Theory of operation.

    1. bytes → text → TOML          a syntax error ends here: with line, column and the line itself
    2. TOML → Config                one pass of pydantic finds everything that is wrong in single tables
    3. what fits together           cross.py looks at the tables that are right in themselves

When step 2 finds something, what is wrong is cut out and the rest is validated again, so that step 3 sees it: a typing
mistake in a plug does not hide a phrase that names no device. Of a device with a wrong key step 3 judges only what it
refers to: whether its own values fit together is told once they are right. Nothing is connected to, nothing written.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from pydantic import SecretStr, ValidationError

from homebridge_svc.config import cross
from homebridge_svc.config.context import Context, Drivers
from homebridge_svc.config.model import EMBEDDED, KEYED, Config, VoiceTable
from homebridge_svc.config.problems import ConfigErrors, Problem, key_path

LONGEST = 1_048_576  # bytes; no flat needs more
ROUNDS = 8  # validations at most: cutting out an inner table may leave the next outer one incomplete
EXAMPLE = "homebridge.example.toml shows how every key is written"
_BOM = b"\xef\xbb\xbf"
_SECRET = re.compile(r"""(?i)^(.*(?:token|pass|secret|key|psk|code|url)[^=]*=).*$""")
_WHERE = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$")
_STAND_INS: Mapping[str, object] = {"version": 1, "timezone": "UTC", "mqtt": {"url": EMBEDDED}}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A good file. secrets: every secret value that it led to, for the redaction of logs."""

    config: Config
    file: Path
    secrets: tuple[SecretStr, ...] = field(repr=False)

    @property
    def base(self) -> Path:
        """What relative paths are relative to."""
        return self.file.parent


def load(path: Path, drivers: Drivers, environ: Mapping[str, str] = os.environ) -> Loaded:
    """Read, validate and check the file; `drivers` is {kind: {driver: Options}}. Raises ConfigErrors with all."""
    path = path.absolute()
    return build(_parse(path, _text(path)), path, drivers, environ)


def build(raw: dict[str, object], file: Path, drivers: Drivers, environ: Mapping[str, str]) -> Loaded:
    """Validate what TOML gave. Raises ConfigErrors with all that is wrong."""
    problems: list[Problem] = []
    rest, wounded = raw, frozenset[tuple[int | str, ...]]()
    for _ in range(ROUNDS):
        context = Context(file.parent, drivers, environ)
        try:
            config = Config.model_validate(rest, context=context)
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)
        else:
            problems += cross.check(config, _declared(raw), wounded)
            break
        if not problems:
            problems = [_problem(line["loc"], line["ctx"]) for line in found]
            wounded = frozenset(line["loc"][:2] for line in found)
        for line in found:
            rest = _without(rest, line["loc"])
    if problems:
        raise ConfigErrors(file, problems)
    return Loaded(config, file, tuple(context.secrets))


def _text(path: Path) -> str:
    hint = "name the file with -c; config/homebridge.example.toml is one to begin with"
    try:
        if path.exists() and not path.is_file():
            raise _end(path, "is not a file", hint)
        with path.open("rb") as file:
            data = file.read(LONGEST + 1)
    except FileNotFoundError:
        raise _end(path, "there is no such file", hint, "找不到配置文件") from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _end(path, f"cannot be read: {why}", f"ls -l {path}; it must be readable by this user") from None
    if len(data) > LONGEST:
        raise _end(path, "is larger than 1 MiB", "this is no configuration")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _end(path, "is saved as UTF-16", "save it as UTF-8", "请把文件另存为 UTF-8 编码")
    data = data.removeprefix(_BOM)  # editors on Windows add it to UTF-8
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        hint = "save it as UTF-8 (in vi: set fileencoding=utf-8)"
        raise _end(path, f"is not UTF-8: a byte in line {line}", hint, "请把文件另存为 UTF-8 编码") from None


def _parse(path: Path, text: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise _end(path, "is nested too deeply", "this is no configuration") from None
    except ValueError as error:  # TOMLDecodeError, and integers that Python refuses to read
        sentence = str(error)
    found = _WHERE.search(sentence)
    sentence = _WHERE.sub("", sentence)
    lines = text.splitlines()
    number, column = (int(found[1]), int(found[2])) if found and found[1] else (len(lines), 0)
    line = lines[number - 1] if 0 < number <= len(lines) else ""
    hidden = _SECRET.sub(r"\1 …", line)
    shown = f"\n    {hidden}" + (f"\n    {' ' * (column - 1)}^" if column and hidden == line else "")
    where = f"line {number}, column {column}" if column else f"line {number}" if found else "TOML"
    raise _end(
        path, f"{where}: {sentence}{shown}", "text stands in quotes, true and numbers do not", "TOML 语法错误"
    ) from None


def _end(path: Path, problem: str, hint: str, zh: str = "") -> ConfigErrors:
    return ConfigErrors(path, [Problem(path.name, problem, hint, zh)])


def _problem(location: tuple[int | str, ...], context: Mapping[str, str]) -> Problem:
    return Problem(key_path(location) or "(file)", context["problem"], context["hint"] or EXAMPLE, context["zh"])


def _declared(raw: Mapping[str, object]) -> dict[str, list[str]]:
    return {section: list(tables) for section in KEYED if isinstance(tables := raw.get(section), dict)}


def _without(raw: dict[str, object], wrong: tuple[int | str, ...]) -> dict[str, object]:
    """Give the file without what is wrong at this place; what cannot be missing gets a stand-in."""
    match wrong:
        case ("projectors" | "pumps", *_):
            return cast("dict[str, object]", _cut(raw, wrong) or {})
        case ("plugs" | "blasters" | "sensors" | "heaters", key, *_):
            return cast("dict[str, object]", _cut(raw, (wrong[0], key, None)) or {})
        case ("voice", int(place), *_) if isinstance(voices := raw.get("voice"), list):
            silent = VoiceTable.model_construct(driver="")  # keeps the numbers of the others
            return raw | {"voice": [*voices[:place], silent, *voices[place + 1 :]]}
    section = str(wrong[0]) if wrong else ""
    return {key: value for key, value in raw.items() if key != section} | (
        {section: _STAND_INS[section]} if section in _STAND_INS else {}
    )


def _cut(value: object, path: Sequence[int | str | None]) -> object:
    """Give `value` without what `path` leads to, or None when that is all of it: a list, or a key that is missing."""
    if not path or not isinstance(value, dict) or (path[0] not in value and len(path) == 1):
        return None
    if path[0] not in value:
        return value  # it was cut out already
    inner = _cut(value[path[0]], path[1:])
    return {
        key: inner if key == path[0] else item for key, item in value.items() if key != path[0] or inner is not None
    }


__all__ = ["ConfigErrors", "Loaded", "Problem", "build", "load"]
