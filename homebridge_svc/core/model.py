"""Nouns that everybody shares: time, JSON, commands, the devices' static descriptions, and their views.

Units: seconds, watts, degrees Celsius, kelvin (differences), litres per minute. Rule numbers cite semantics.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homebridge_svc.core.orders import Action

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


@dataclass(frozen=True, slots=True)
class Now:
    """One reading of all clocks (rule 1).

    `utc` is for calendars, `mono` (seconds, never steps) for durations and deadlines, `synced` tells whether
    `utc` may be believed. Under `--speed N` both run N times as fast as the wall.
    """

    utc: datetime
    mono: float
    synced: bool = True

    def __post_init__(self) -> None:
        if self.utc.tzinfo is not UTC:
            raise ValueError("Now.utc must be in UTC")


class Power(StrEnum):
    """A projector's power as we believe it (the table is in core/projector.py)."""

    OFF = "off"  # standby: mains present, fresh evidence of sleep
    WAKING = "waking"  # an order to wake has left, no evidence yet
    BOOTING = "booting"  # mains have come, or it draws watts, but takes no orders yet
    ON = "on"
    LIGHT_OFF = "light_off"  # the light engine is off for music; nothing is cut in it (rule 13)
    COOLING = "cooling"  # soft off was confirmed or sent, the fan may still run
    CUT = "cut"  # off, and the plug holds its mains off
    UNKNOWN = "unknown"  # not off! nothing is cut in it (rule 10)


@dataclass(frozen=True, slots=True)
class Ability:
    """What a projector channel can do: data, so that core chooses and `explain` can say why.

    carries: action type -> the power states in which the channel can carry it.
    replies: the peer answers on this layer, so silence within `reply_s` means "try the next channel".
    reply_s: how long such an answer may take, real seconds.
    confirm_s: how long until the effect of a power order must be seen, seconds (rule 5).
    sees_power: the channel's own reports are evidence of power.
    """

    carries: Mapping[type[Action], frozenset[Power]]
    replies: bool
    confirm_s: float
    reply_s: float = 2.0
    sees_power: bool = False


@dataclass(frozen=True, slots=True)
class PlugAbility:
    """What a plug's driver can do. `acts` is False for read-only publishers; `dead_man` means it can arm one."""

    acts: bool
    meters: bool
    dead_man: bool


@dataclass(frozen=True, slots=True)
class PlugSpec:
    """A plug, relay or socket."""

    key: str
    name: str
    ability: PlugAbility


@dataclass(frozen=True, slots=True)
class ProjectorSpec:
    """A projector with its channels in the order of attempts. Channel names: adb udp ir, and plug plug_cycle."""

    key: str
    name: str
    aliases: tuple[str, ...] = ()
    plug: str | None = None
    plug_meters: bool = False
    channels: Mapping[str, Ability] = field(default_factory=dict)  # without plug and plug_cycle
    power_on: tuple[str, ...] = ()
    power_off: tuple[str, ...] = ()
    orders: tuple[str, ...] = ()  # channels for everything else, best first
    cut_after: float | None = None  # seconds of low watts (or after cool-down) until mains are cut; None: never
    on_above: float = 40.0  # watts: above this it is on
    off_below: float = 8.0  # watts: below this it sleeps
    boot_time: float = 60.0  # seconds from mains to "takes orders", at most
    cool_down: float = 180.0  # seconds after a confirmed off until cutting is safe without a meter
    wish_lives: float = 120.0  # seconds a wish may wait for the boot (rule 5)
    unexplained_boot: bool = True  # rule 12: True = soft off and cut
    inputs: Mapping[str, str] = field(default_factory=dict)  # spoken name -> input id
    apps: Mapping[str, str] = field(default_factory=dict)  # spoken name -> package
    volume_max: int = 100


@dataclass(frozen=True, slots=True)
class ScheduleWindow:
    """A timetable line: on days of `days`, every `every` seconds from `start` to `end` (minutes since midnight)."""

    days: str  # "daily" | "workdays" | "days_off" | "mon,tue" …
    start: int
    end: int
    every: float


@dataclass(frozen=True, slots=True)
class PumpSpec:
    """A recirculation pump with its limits (rules 15 to 20)."""

    key: str
    name: str
    plug: str
    aliases: tuple[str, ...] = ()
    plug_meters: bool = False
    dead_man: bool = False  # the driver can arm one
    heater: str | None = None
    max_run: float = 300.0  # seconds, hard limit 600
    min_rest: float = 600.0  # seconds between automatic runs
    max_starts_per_hour: int = 4
    max_per_day: float = 10_800.0  # seconds
    stop_sensor: str | None = None
    stop_at: float = 36.0  # degrees Celsius
    stop_min_rise: float = 5.0  # kelvin
    watts_below: float | None = None  # stop signal: a thermostat has shut the flow
    watts_dry: float = 3.0  # below this with ON confirmed the pump is dead
    purge_time: float | None = None  # seconds, computed from the pipe; None when no pipe is described
    unattended_without_dead_man: bool = False  # the owner's flag of rule 17
    quiet_from: int | None = None  # minutes since midnight, local
    quiet_to: int | None = None
    schedule: tuple[ScheduleWindow, ...] = ()


@dataclass(frozen=True, slots=True)
class SensorSpec:
    """A sensor and what it measures."""

    key: str
    name: str
    unit: str = "°C"
    stale_after: float = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class HomeSpec:
    """Everything core knows about the flat; built by app from configuration and adapters."""

    timezone: str
    projectors: Mapping[str, ProjectorSpec] = field(default_factory=dict)
    pumps: Mapping[str, PumpSpec] = field(default_factory=dict)
    plugs: Mapping[str, PlugSpec] = field(default_factory=dict)
    sensors: Mapping[str, SensorSpec] = field(default_factory=dict)
    phrases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # phrase -> commands ("a.power on")
    dry_run: bool = False

    def owners(self) -> dict[str, str]:
        """Which projector or pump decides about a plug: plug -> owner."""
        owners = {projector.plug: key for key, projector in self.projectors.items() if projector.plug}
        return owners | {pump.plug: key for key, pump in self.pumps.items()}


@dataclass(frozen=True, slots=True)
class DeviceView:
    """What publishers and the page may know of one device: `state` is what `…/<key>/state` carries."""

    key: str
    kind: str  # "projector" | "pump" | "plug" | "sensor"
    name: str
    available: bool
    state: Mapping[str, Json]
