"""The command language."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebridge_svc.core.commands import parse, parse_duration, parse_line
from homebridge_svc.core.intents import (
    PowerWish,
    PressKey,
    ResetPump,
    RunPump,
    SelectInput,
    SetMute,
    SetPower,
    SetVolume,
    StartApp,
    StepVolume,
    StopPump,
    SwitchPlug,
)


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("power on", SetPower(PowerWish.ON)),
        ("POWER light_off", SetPower(PowerWish.LIGHT_OFF)),
        ("volume 12", SetVolume(12)),
        ("volume +2", StepVolume(2)),
        ("volume -20", StepVolume(-20)),
        ("mute on", SetMute(on=True)),
        ("input hdmi1", SelectInput("hdmi1")),
        ("app 哔哩哔哩", StartApp("哔哩哔哩")),
        ("key ok", PressKey("ok", 1)),
        ("key left 3", PressKey("left", 3)),
        ("run", RunPump(None)),
        ("run 3m", RunPump(180.0)),
        ("run 5分钟", RunPump(300.0)),
        ("stop", StopPump()),
        ("reset", ResetPump()),
        ("off", SwitchPlug(on=False)),
    ],
)
def test_commands_mean_wishes(text: str, intent: object) -> None:
    assert parse(text) == intent


@pytest.mark.parametrize(
    "text", ["", "dance", "power", "power maybe", "volume loud", "volume 1234", "volume +99", "key f13", "key ok 99",
             "run soon", "run 0s", "stop now", "input", "app", "on fire", "volume 12; reboot", "x" * 600],
)  # fmt: skip
def test_anything_else_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(text)


def test_a_line_names_its_device() -> None:
    assert parse_line("living_room.power on") == ("living_room", SetPower(PowerWish.ON))
    for line in ("power on", "Living.power on", ".power on", "../x.power on"):
        with pytest.raises(ValueError, match=r"names no device"):
            parse_line(line)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("3m", 180), ("1h30m", 5400), ("1m30s", 90), ("2分钟", 120), ("半小时", None)]
)
def test_durations(text: str, seconds: float | None) -> None:
    if seconds is None:
        with pytest.raises(ValueError, match="not a duration"):
            parse_duration(text)
    else:
        assert parse_duration(text) == seconds


@given(st.text(max_size=600))
def test_no_text_does_more_than_raise_value_error(text: str) -> None:
    for read in (parse, parse_line, parse_duration):
        try:
            read(text)
        except ValueError as why:
            assert len(str(why)) < 500
