"""Adapters register themselves beside their class: `@adapter("miio", kind="plug")`. One file adds a device."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal, TypeVar

from pydantic import BaseModel

Kind = Literal["voice", "plug", "projector", "blaster", "sensor"]
C = TypeVar("C", bound=type)


@dataclass(frozen=True, slots=True)
class Entry:
    """One supported thing. tried: how far it was tried (README's table). peer: its emulator in virtual_home."""

    kind: Kind
    driver: str
    cls: type[Any]
    options: type[BaseModel]
    title: str
    tried: str
    peer: str


_entries: dict[tuple[Kind, str], Entry] = {}


def adapter(
    driver: str, *, kind: Kind, options: type[BaseModel], title: str, tried: str, peer: str
) -> Callable[[C], C]:
    """Register a class under (kind, driver); constructor: `(key: str, options, surroundings: Surroundings)`."""

    def register(cls: C) -> C:
        if (kind, driver) in _entries and _entries[kind, driver].cls.__qualname__ != cls.__qualname__:
            raise ValueError(f"two adapters call themselves {kind} {driver!r}")
        _entries[kind, driver] = Entry(kind, driver, cls, options, title, tried, peer)
        return cls

    return register


def load(package: ModuleType) -> dict[Kind, dict[str, Entry]]:
    """Import every module below `package` and return {kind: {driver: entry}}."""
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
    found: dict[Kind, dict[str, Entry]] = {}
    for entry in sorted(_entries.values(), key=lambda entry: (entry.kind, entry.driver)):
        found.setdefault(entry.kind, {})[entry.driver] = entry
    return found
