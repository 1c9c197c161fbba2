"""Projectors, heaters and pumps as the file describes them. Units: those of core/model.py."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    SerializeAsAny,
    StrictBool,
    StrictInt,
    ValidationInfo,
    model_validator,
)
from pydantic_core import PydanticCustomError

from homebridge_svc.config.context import context_of
from homebridge_svc.config.problems import one_of, quoted, wrong
from homebridge_svc.config.table import Name, Table, at, compose
from homebridge_svc.config.units import (
    CELSIUS,
    KELVIN,
    LITRES_PER_MINUTE,
    METRES,
    SECONDS,
    WATTS,
    Celsius,
    ClockTime,
    Kelvin,
    LitresPerMinute,
    Metres,
    Seconds,
    SecondsOrNever,
    Watts,
    between,
    show_clock_time,
)
from homebridge_svc.core.hot_water.loop import KINDS

PLUG_WAYS = ("plug", "plug_cycle")  # ways to power that the projector's plug gives
WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_TYPES = ("daily", "workdays", "days_off")


@dataclass(frozen=True, slots=True)
class Attempts:
    """Default orders of attempts; what is not configured is left out."""

    on: tuple[str, ...]
    off: tuple[str, ...]
    rest: tuple[str, ...]


FAMILIES: Mapping[str, Attempts] = {
    # China firmware takes the app's UDP protocol, quick but it cannot wake; ADB answers, so it is first for the rest
    "gmui": Attempts(("plug", "adb", "ir", "plug_cycle"), ("udp", "adb", "ir"), ("adb", "udp", "ir")),
    # international firmware ignores the UDP protocol
    "google_tv": Attempts(("plug", "adb", "ir", "plug_cycle"), ("adb", "ir", "udp"), ("adb", "ir", "udp")),
}


class ChannelTable(Table):
    """`[projectors.X.<driver>]`: the driver's options and nothing else."""


@dataclass(frozen=True, slots=True)
class _Channel:
    """A channel's table on its way to the validator that knows its driver."""

    driver: str
    table: object


def _channel(value: object, info: ValidationInfo) -> ChannelTable:
    if not isinstance(value, _Channel):
        raise PydanticCustomError("extra_forbidden", "no such key")  # as pydantic would, were these not the extras
    return compose("projector", value.driver, ChannelTable, value.table, info)


def _package(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z]\w*(\.[A-Za-z]\w*)+", text, re.ASCII) or len(text) > 200:  # noqa: PLR2004  Android's own
        raise wrong(f"{quoted(text)} is not an Android package", 'like "com.xiaodianshi.tv.yst"')
    return text


def _input(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_]{1,32}", text):
        raise wrong(f"{quoted(text)} is not an input", 'like "hdmi1"')
    return text


class Projector(Table):
    """`[projectors.X]`: a projector, its plug, and its channels as sub-tables named by their driver."""

    model_config = ConfigDict(extra="allow")  # the sub-tables; everything else is refused by `_channel`
    __pydantic_extra__: dict[str, Annotated[SerializeAsAny[ChannelTable], PlainValidator(_channel)]] = Field(init=False)

    name: Name | None = None
    aliases: tuple[Name, ...] = ()
    family: Literal["gmui", "google_tv"] = "gmui"
    plug: str | None = None
    power_on: tuple[str, ...] | None = None
    power_off: tuple[str, ...] | None = None
    cut_after: Annotated[SecondsOrNever, Field(description="seconds of low watts until the mains are cut")] = None
    on_above: Annotated[Watts, between(WATTS, 1, 2_000)] = 40.0
    off_below: Annotated[Watts, between(WATTS, 0, 2_000)] = 8.0
    boot_time: Annotated[Seconds, between(SECONDS, 5, 300)] = 60.0
    cool_down: Annotated[Seconds, between(SECONDS, 10, 1_800)] = 180.0
    unexplained_boot: Literal["off", "leave"] = "off"
    inputs: dict[Name, Annotated[str, AfterValidator(_input)]] = Field(
        default_factory=lambda: {"HDMI 1": "hdmi1", "HDMI 2": "hdmi2"}
    )
    apps: dict[Name, Annotated[str, AfterValidator(_package)]] = Field(default_factory=dict)
    volume_max: Annotated[StrictInt, Field(ge=1, le=1_000)] = 100

    @classmethod
    def keys(cls, info: ValidationInfo) -> list[str]:
        """Give the keys of a projector, and its channels."""
        context = context_of(info)
        return [*super().keys(info), *(context.drivers.get("projector", {}) if context is not None else {})]

    @model_validator(mode="before")
    @classmethod
    def _mark_channels(cls, data: object, info: ValidationInfo) -> object:
        context = context_of(info)
        if context is None or not isinstance(data, dict):
            return data
        drivers = context.drivers.get("projector", {})
        return {key: _Channel(key, value) if key in drivers else value for key, value in data.items()}

    @property
    def channels(self) -> dict[str, ChannelTable]:
        """The channels that are configured, by driver; each is an instance of its driver's Options too."""
        return self.__pydantic_extra__

    @property
    def ways_on(self) -> tuple[str, ...]:
        """How to switch it on, best first: as the file says, else the family's order of what is there."""
        return self.power_on if self.power_on is not None else self._there(FAMILIES[self.family].on)

    @property
    def ways_off(self) -> tuple[str, ...]:
        """How to switch it off softly, best first."""
        return self.power_off if self.power_off is not None else self._there(FAMILIES[self.family].off)

    @property
    def ways_rest(self) -> tuple[str, ...]:
        """Channels for everything else, best first."""
        return self._there(FAMILIES[self.family].rest)

    def _there(self, ways: tuple[str, ...]) -> tuple[str, ...]:
        there = {*self.channels, *(PLUG_WAYS if self.plug else ())}
        return tuple(way for way in ways if way in there)


class Heater(Table):
    """`[heaters.X]`: what makes the water hot."""

    kind: Literal["tank", "tankless_gas", "tankless_electric"]
    outlet: Annotated[Celsius, between(CELSIUS, 30, 75)] = 45.0
    ignition_flow: Annotated[LitresPerMinute, between(LITRES_PER_MINUTE, 0.5, 10)] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.kind == "tank" and self.ignition_flow is not None:
            raise at("ignition_flow", wrong("a tank needs no flow to be hot", "leave it out"))
        return self


class StopTemperature(Table):
    """`stop.temperature`: warm is `at`, and at least `min_rise` more than at the start (rule 20)."""

    sensor: str
    at: Annotated[Celsius, between(CELSIUS, 20, 60)] = 36.0
    min_rise: Annotated[Kelvin, between(KELVIN, 1, 30)] = 5.0


class Stop(Table):
    """`[pumps.X.stop]`: signals that end a run before its time."""

    temperature: StopTemperature | None = None
    watts_below: Annotated[Watts, between(WATTS, 0.5, 500)] | None = None


def _pipe_kind(kind: str) -> str:
    if kind not in KINDS:
        raise one_of(kind, KINDS)
    return kind


class Run(Table):
    """A run of pipe: its length, what it is made of, how thick its foam is ("0 mm" = bare)."""

    length: Annotated[Metres, between(METRES, 0.5, 200)]
    kind: Annotated[str, AfterValidator(_pipe_kind)] = "ppr20"
    insulation: Annotated[Metres, between(METRES, 0, 0.1)] = 0.0


class Pipe(Table):
    """`[pumps.X.pipe]`: from it comes how long a purge takes."""

    supply: Run
    back: Annotated[Run | None, Field(alias="return")] = None
    flow: Annotated[LitresPerMinute, between(LITRES_PER_MINUTE, 0.5, 50)] = 5.0


def _days(value: object) -> object:
    """One of DAY_TYPES, or the days in the week's order, joined by commas."""
    hint = 'daily, workdays, days_off, "mon-fri", or a list like ["sat", "sun"]'
    if isinstance(value, str):
        if value in DAY_TYPES:
            return value
        first, dash, last = value.partition("-")
        if dash and first in WEEK and last in WEEK and WEEK.index(first) < WEEK.index(last):
            return ",".join(WEEK[WEEK.index(first) : WEEK.index(last) + 1])
        value = value.split(",")
    if not isinstance(value, list) or not value or not all(day in WEEK for day in value):
        raise wrong("are not days", hint, f"可以写：{hint}")
    return ",".join(day for day in WEEK if day in value)


class Window(Table):
    """`[[pumps.X.schedule]]`: on these days, from … to, every so often."""

    days: Annotated[str, BeforeValidator(_days)] = "daily"
    start: Annotated[ClockTime, Field(alias="from", description='when it begins: from = "06:40"')]
    end: Annotated[ClockTime, Field(alias="to", description='when it ends: to = "07:30"')]
    every: Annotated[Seconds, between(SECONDS, 300, 86_400)] = 1_200.0

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.start >= self.end:
            raise at(
                "to",
                wrong(
                    f"{show_clock_time(self.end)} is not after from ({show_clock_time(self.start)})",
                    "a window over midnight is written as two",
                    "结束时间必须晚于开始时间；跨零点请写成两段",
                ),
            )
        return self


class Quiet(Table):
    """`quiet`: hours in which nothing starts by itself; may span midnight."""

    start: Annotated[ClockTime, Field(alias="from", description='when they begin: from = "22:30"')]
    end: Annotated[ClockTime, Field(alias="to", description='when they end: to = "06:00"')]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.start == self.end:
            raise at("to", wrong("is when they begin", "leave quiet out if there are no quiet hours"))
        return self


class Pump(Table):
    """`[pumps.X]`: a recirculation pump behind a plug, with its limits (rules 15 to 20)."""

    name: Name | None = None
    aliases: tuple[Name, ...] = ()
    topology: Literal["return_pipe", "return_pipe_valve"] = "return_pipe"
    plug: Annotated[str, Field(description="the key of the plug that the pump hangs on")]
    heater: str | None = None
    max_run: Annotated[Seconds, between(SECONDS, 10, 600)] = 300.0
    rest: Annotated[Seconds, between(SECONDS, 60, 86_400)] = 600.0
    stop: Stop = Stop()
    pipe: Pipe | None = None
    schedule: tuple[Window, ...] = ()
    quiet: Quiet | None = None
    unattended_without_dead_man: StrictBool = False
