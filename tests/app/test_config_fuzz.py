"""Whatever stands in the file: a Config, or ConfigErrors that say where; never anything else, and never a secret."""

import copy
import tomllib
from datetime import date, datetime, time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.example_home import DRIVERS, ENVIRON, HOME, SECRETS, furnish

from homebridge_svc.config.effective import effective
from homebridge_svc.config.load import ConfigErrors, build, load

WORDS = ["driver", "token", "file", "env", "mqtt", "5m", "36 °C", "06:40", "embedded:", "[::1]:1", "a.b", "-", ""]
SCALARS = (
    st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.sampled_from(WORDS)
    | st.dates(date(1, 1, 1))
    | st.datetimes(datetime(1, 1, 1))  # noqa: DTZ001  TOML has local times
    | st.times(time(0))
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=5), inner),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("home")
    furnish(place)
    return place


def places(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    match value:
        case dict():
            below = [place for key, item in value.items() for place in places(item, (*path, key))]
        case list():
            below = [place for index, item in enumerate(value) for place in places(item, (*path, index))]
        case _:
            below = []
    return ([path] if path else []) + below


RAW = tomllib.loads(HOME)
PLACES = places(RAW)


def read_or_refuse(raw: dict[str, object], directory: Path) -> None:
    try:
        loaded = build(raw, directory / "home.toml", DRIVERS, ENVIRON)
    except ConfigErrors as errors:
        assert errors.errors
        text = f"{errors} {errors!r}"
        assert all(error.path and error.problem and error.hint for error in errors.errors)
    else:
        text = effective(loaded.config)
        tomllib.loads(text)
    assert not [secret for secret in SECRETS if secret in text]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.sampled_from(PLACES), VALUES), min_size=1, max_size=3))
def test_any_value_at_any_place(directory: Path, changes: list[tuple[tuple[str | int, ...], object]]) -> None:
    raw = copy.deepcopy(RAW)
    for path, value in changes:
        inner: object = raw
        for step in path[:-1]:
            inner = inner[step] if isinstance(inner, dict) and step in inner else None
        if isinstance(inner, dict):
            inner[path[-1]] = value
    read_or_refuse(raw, directory)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.dictionaries(st.sampled_from(sorted(RAW)) | st.text(max_size=5), VALUES, max_size=4))
def test_any_tables_at_all(directory: Path, raw: dict[str, object]) -> None:
    read_or_refuse(raw, directory)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200), at=st.integers(0, len(HOME)))
def test_any_bytes(directory: Path, data: bytes, at: int) -> None:
    file = directory / "bytes.toml"
    file.write_bytes(HOME.encode()[:at] + data)
    try:
        load(file, DRIVERS, ENVIRON)
    except ConfigErrors as errors:
        assert errors.errors
