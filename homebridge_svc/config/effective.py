"""Every value in force, defaults too, as TOML text; secrets as "***"."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from pydantic import SecretStr

from homebridge_svc.config.model import Config
from homebridge_svc.config.problems import key_path
from homebridge_svc.config.secrets import SHOWN
from homebridge_svc.core.model import Json

Plain: TypeAlias = dict[str, Json]


def effective(config: Config) -> str:
    """Write all values as TOML; what is not set stands as a comment."""
    return "\n".join(_table((), values(config))).strip() + "\n"


def values(config: Config) -> Plain:
    """Give all values as data; quantities as the file writes them, None where nothing is set."""
    everything = config.model_dump(by_alias=True)
    for key, projector in config.projectors.items():
        everything["projectors"][key] |= {"power_on": projector.ways_on, "power_off": projector.ways_off}
    for section in ("plugs", "sensors", "projectors", "pumps"):
        for key, table in everything[section].items():
            table["name"] = table["name"] or key
    return {key: _json(value) for key, value in everything.items()}


def _json(value: object) -> Json:
    match value:
        case None | bool() | int() | float():
            return value
        case SecretStr():
            return SHOWN
        case str() | Path():
            return str(value)
        case Mapping():
            return {str(key): _json(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_json(item) for item in value]
        case _:
            return str(value)


def _table(path: tuple[str | int, ...], table: Plain) -> Iterator[str]:
    for key, value in table.items():
        if value is None:
            yield f"# {key_path((key,))} is not set"
        elif not _is_table(value):
            yield f"{key_path((key,))} = {_inline(value)}"
    for key, value in table.items():
        if isinstance(value, dict):
            if not value or not all(map(_is_table, value.values())):
                yield f"\n[{key_path((*path, key))}]"
            yield from _table((*path, key), value)
        elif isinstance(value, list) and _is_table(value):
            for item in value:
                yield f"\n[[{key_path((*path, key))}]]"
                yield from _table((*path, key), item if isinstance(item, dict) else {})


def _is_table(value: Json) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))


def _inline(value: Json) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key_path((key,))} = {_inline(item)}" for key, item in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
