"""Quantities: what is understood, what is refused and how it is said, and that writing reads back."""

import math
from pathlib import Path
from typing import Annotated, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BeforeValidator, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from homebridge_svc.config import units
from homebridge_svc.config.context import Context
from homebridge_svc.config.units import Unit

FROM_A_FILE = Context(Path("/etc/homebridge_svc"), {}, {})
UNITS = [
    units.SECONDS, units.CELSIUS, units.KELVIN, units.WATTS, units.LITRES_PER_MINUTE, units.METRES,
]  # fmt: skip


def read(kind: object, value: object) -> object:
    adapter: TypeAdapter[object] = TypeAdapter(cast("Any", kind))
    return adapter.validate_python(value, context=FROM_A_FILE)


def refusal(kind: object, value: object) -> tuple[str, str]:
    with pytest.raises(ValidationError) as caught:
        read(kind, value)
    error: ErrorDetails = caught.value.errors()[0]
    return error["ctx"]["problem"], error["ctx"]["hint"]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (units.Seconds, "30m", 1800),
        (units.Seconds, "5 s", 5),
        (units.Seconds, "1h30m", 5400),
        (units.Seconds, "1h 30 min", 5400),
        (units.Seconds, "500ms", 0.5),
        (units.Seconds, "2d", 172_800),
        (units.Seconds, "０．５ｈ", 1800),
        (units.Celsius, "36 °C", 36),
        (units.Celsius, "36C", 36),
        (units.Celsius, "36.5℃", 36.5),
        (units.Celsius, "-5 °C", -5),
        (units.Kelvin, "5 K", 5),
        (units.Watts, "40 W", 40),
        (units.Watts, "1.2 kW", 1200),
        (units.LitresPerMinute, "5 L/min", 5),
        (units.LitresPerMinute, "0.1 l/s", 6),
        (units.Metres, "20 m", 20),
        (units.Metres, "9 mm", 0.009),
        (units.ClockTime, "06:40", 400),
        (units.ClockTime, "6:40", 400),
        (units.ClockTime, "24:00", 1440),
        (units.SecondsOrNever, "never", None),
        (units.SecondsOrNever, "30m", 1800),
    ],
)
def test_quantities_become_base_units(kind: object, text: str, value: float | None) -> None:
    assert read(kind, text) == pytest.approx(value)


@pytest.mark.parametrize(
    ("kind", "value", "problem"),
    [
        (units.Seconds, 30, "30 has no unit"),
        (units.Seconds, "30", '"30" has no unit'),
        (units.Seconds, math.nan, "has no unit"),
        (units.Seconds, math.inf, "has no unit"),
        (units.Seconds, 10**400, "has no unit"),
        (units.Seconds, "nan s", '"nan s" is not a duration'),
        (units.Seconds, "inf", '"inf" is not a duration'),
        (units.Seconds, "9" * 400 + "s", '"' + "9" * 40 + '…" is not a duration'),
        (units.Seconds, True, "must be a duration in quotes, not true/false"),
        (units.Seconds, ["5m"], "must be a duration in quotes, not a list"),
        (units.Seconds, "30m1h", '"30m1h" is not a duration'),
        (units.Seconds, "1h1h", '"1h1h" is not a duration'),
        (units.Seconds, "5 parsecs", '"5 parsecs" is not a duration'),
        (units.Seconds, "1,5h", '"1,5h" is not a duration'),
        (units.Seconds, "", '"" is not a duration'),
        (units.Seconds, "-5m", "-5m is too little"),
        (units.Seconds, "900d", "900d is too much"),
        (units.Celsius, "36 K", '"36 K" is not a temperature'),
        (units.Celsius, "1000 °C", "1000 °C is too much"),
        (units.Kelvin, "5 °C", '"5 °C" is not a temperature difference in kelvin'),
        (units.Watts, "40 kg", '"40 kg" is not a power'),
        (units.Watts, "40W 1kW", '"40W 1kW" is not a power'),
        (units.Watts, "-1 W", "-1 W is too little"),
        (units.LitresPerMinute, "5 L", '"5 L" is not a flow'),
        (units.Metres, "20 min", '"20 min" is not a length'),
        (units.ClockTime, "24:01", '"24:01" is not a time of day'),
        (units.ClockTime, "06:60", '"06:60" is not a time of day'),
        (units.ClockTime, 640, "must be a time of day in quotes, not a number"),
        (units.SecondsOrNever, "ever", '"ever" is not a duration'),
    ],
)
def test_a_wrong_quantity_says_what_is_wrong_and_how_to_write_it(kind: object, value: object, problem: str) -> None:
    said, hint = refusal(kind, value)
    assert said == problem
    assert hint


def test_a_bare_number_is_answered_with_an_example() -> None:
    assert refusal(units.Watts, 40)[1] == 'write it with its unit and in quotes, like "40 W" or "1.2 kW"'


def test_options_built_in_code_may_give_plain_numbers() -> None:
    assert TypeAdapter(units.Seconds).validate_python(0.2) == 0.2
    assert TypeAdapter(units.ClockTime).validate_python(400) == 400


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.what)
@given(data=st.data())
def test_what_is_written_reads_back(unit: Unit, data: st.DataObject) -> None:
    value = data.draw(st.integers(math.ceil(unit.least * 1000), math.floor(min(unit.most, 1e6) * 1000))) / 1000
    assert unit.read(unit.show(value)) == pytest.approx(value, abs=1e-9)


@given(minutes=st.integers(0, 1440))
def test_clock_times_read_back(minutes: int) -> None:
    assert units.read_clock_time(units.show_clock_time(minutes)) == minutes


@given(value=st.floats() | st.text() | st.integers() | st.binary() | st.none())
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.what)
def test_any_value_is_read_or_refused_with_a_sentence(unit: Unit, value: object) -> None:
    try:
        number = read(Annotated[float, BeforeValidator(unit.read)], value)
        assert isinstance(number, float)
        assert unit.least <= number <= unit.most
    except ValidationError as error:
        assert error.errors()[0]["ctx"]["problem"]


def test_paths_are_relative_to_the_file() -> None:
    assert read(units.ConfigPath, "ir/tv.toml") == Path("/etc/homebridge_svc/ir/tv.toml")
    assert read(units.ConfigPath, "/srv/tv.toml") == Path("/srv/tv.toml")
    assert refusal(units.ConfigPath, "a\0b")[0] == "must be a file name"
    assert refusal(units.ConfigFile, "ir/tv.toml")[0] == "there is no file /etc/homebridge_svc/ir/tv.toml"
