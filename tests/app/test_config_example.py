"""The example files are right with the drivers that exist, and say something about every key that can be set."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel
from support.example_home import secret_file

from homebridge_svc import adapters
from homebridge_svc.adapters.projectors.ir import load_codes
from homebridge_svc.config.context import Drivers
from homebridge_svc.config.effective import effective
from homebridge_svc.config.load import ConfigErrors, load
from homebridge_svc.config.model import Config
from homebridge_svc.runtime import registry

FILES = Path(__file__).parents[2] / "config"
TEXT = (FILES / "homebridge.example.toml").read_text()


@pytest.fixture(scope="module")
def drivers() -> Drivers:
    found = registry.load(adapters)
    return {kind: {name: entry.options for name, entry in entries.items()} for kind, entries in found.items()}


@pytest.fixture
def example(tmp_path: Path) -> Path:
    shutil.copytree(FILES, tmp_path, dirs_exist_ok=True)
    for name in ("mqtt_password", "web_token", "phone_token", "cinema_plug_token"):
        secret_file(tmp_path / name, "0123456789abcdef0123456789abcdef")
    return tmp_path / "homebridge.example.toml"


def test_the_example_is_right(example: Path, drivers: Drivers) -> None:
    config = load(example, drivers, {}).config
    assert config.projectors["living_room"].channels.keys() == {"udp", "adb", "ir"}
    assert config.phrases["我要洗澡"] == ("bathroom.run",)


def test_what_others_can_reach_needs_tokens_that_cannot_be_guessed(example: Path, drivers: Drivers) -> None:
    secret_file(example.parent / "phone_token", "1234")
    with pytest.raises(ConfigErrors) as caught:
        load(example, drivers, {})
    assert [(error.path, error.problem) for error in caught.value.errors] == [
        ("voice[1].token", "is shorter than 16 characters")
    ]
    text = example.read_text().replace('listen = "0.0.0.0:8377"', 'listen = "127.0.0.1:8377"')
    example.write_text(text)
    load(example, drivers, {})


def test_codes_are_checked_with_the_file_that_names_them(example: Path, drivers: Drivers) -> None:
    (example.parent / "ir" / "living_room.toml").write_text("ok = { nec = { address = 4, command = 256 } }")
    with pytest.raises(ConfigErrors) as caught:
        load(example, drivers, {})
    (error,) = caught.value.errors
    assert error.path == "projectors.living_room.ir.codes"
    assert "living_room.toml: ok a NEC address is" in error.problem


def test_a_default_that_the_example_shows_is_the_default(example: Path, drivers: Drivers) -> None:
    """Whoever takes the # away from a default changes nothing."""
    before = effective(load(example, drivers, {}).config)
    shown = [re.sub(r"^# (?=[a-z_]+ = )", "", line) if "example ·" not in line else line for line in TEXT.splitlines()]
    example.write_text("\n".join(shown))
    assert effective(load(example, drivers, {}).config) == before


def models(annotation: object) -> Iterator[type[BaseModel]]:
    """Every model below this annotation, the driver's options aside."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from models(field.annotation)
    for inner in get_args(annotation):
        yield from models(inner)


def test_every_key_is_explained(drivers: Drivers) -> None:
    tables = {
        *models(Config),
        *(inner for found in drivers.values() for options in found.values() for inner in models(options)),
    }
    keys = {field.alias or name for table in tables for name, field in table.model_fields.items()}
    missing = {key for key in keys if not re.search(rf"(^|[{{,#\s.[]){key}(\s*=|[].])", TEXT, re.MULTILINE)}
    assert not missing


def test_every_line_with_a_key_says_what_it_is_for() -> None:
    silent = {"host", "port", "driver", "name", "from", "to", "every", "aliases", "heater"}  # they say it themselves
    bare = [
        line
        for line in TEXT.splitlines()
        if (found := re.match(r"(?:# )?([a-z_]+) = [^#]*$", line)) and found[1] not in silent
    ]
    assert [line for line in bare if not line.startswith(('profile = "', "topic = "))] == []


def test_the_example_codes_are_right() -> None:
    assert {"power_off", "ok", "volume_up"} <= load_codes(FILES / "ir" / "living_room.toml").keys()
