"""What must hold for everything that registers itself, and for the house as a whole."""

import importlib
import inspect
import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from homebridge_svc import adapters, core, virtual_home
from homebridge_svc.runtime import registry

ENTRIES = [entry for found in registry.load(adapters).values() for entry in found.values()]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.kind}-{entry.driver}")
def test_an_adapter_names_its_emulator_and_how_far_it_was_tried(entry: registry.Entry) -> None:
    importlib.import_module(f"{virtual_home.__name__}.{entry.peer}")
    assert entry.title
    assert entry.tried


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.kind}-{entry.driver}")
def test_an_adapter_has_the_common_shape(entry: registry.Entry) -> None:
    assert issubclass(entry.options, BaseModel)
    assert entry.options.model_config.get("extra") == "forbid"
    assert list(inspect.signature(entry.cls.__init__).parameters)[1:] == ["key", "options", "surroundings"]
    assert inspect.iscoroutinefunction(entry.cls.run)
    if entry.kind in ("plug", "projector"):
        assert inspect.iscoroutinefunction(entry.cls.execute)
        assert isinstance(inspect.getattr_static(entry.cls, "ability"), property)
    if entry.kind == "blaster":
        assert inspect.iscoroutinefunction(entry.cls.send)


def test_one_file_adds_one_device() -> None:
    """No adapter is named anywhere but in its own file (and the documents made from the registry)."""
    modules = {entry.cls.__module__ for entry in ENTRIES}
    assert len(modules) == len(ENTRIES)


def test_rules_that_are_cited_exist() -> None:
    """Code cites the numbered rules of meaning; there are 23 of them."""
    for package in (adapters, core, virtual_home):
        for path in Path(package.__path__[0]).rglob("*.py"):
            for number in re.findall(r"\(rules? (\d+)", path.read_text(encoding="utf-8")):
                assert 1 <= int(number) <= 23, f"{path}: rule {number}"


def test_no_secret_is_needed_to_import_everything() -> None:
    importlib.import_module("homebridge_svc.app")
