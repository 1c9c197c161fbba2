"""Wishes: what a command means, for one device. core/interpret.py makes them, the machines serve them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class PowerWish(StrEnum):
    """What a person may want of a projector's power."""

    ON = "on"
    OFF = "off"
    LIGHT_OFF = "light_off"
    LIGHT_ON = "light_on"


@dataclass(frozen=True, slots=True)
class SetPower:
    """`power on|off|light_off|light_on`."""

    power: PowerWish


@dataclass(frozen=True, slots=True)
class SetVolume:
    """`volume 12`: absolute, 0 … the projector's maximum."""

    level: int


@dataclass(frozen=True, slots=True)
class StepVolume:
    """`volume +3`, `volume up`: relative steps, -20 … 20. Two are two, never merged (rule 7)."""

    steps: int


@dataclass(frozen=True, slots=True)
class SetMute:
    """`mute on|off`."""

    on: bool


@dataclass(frozen=True, slots=True)
class SelectInput:
    """`input hdmi1`."""

    name: str


@dataclass(frozen=True, slots=True)
class StartApp:
    """`app 哔哩哔哩` or a package name."""

    name: str


@dataclass(frozen=True, slots=True)
class PressKey:
    """`key ok 2`: a key of KEYS (core/orders.py), 1 … 20 times. Never merged."""

    key: str
    times: int = 1


@dataclass(frozen=True, slots=True)
class RunPump:
    """`run [3m]`: hot water now; None: until warm, at most the pump's limit."""

    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class StopPump:
    """`stop`."""


@dataclass(frozen=True, slots=True)
class ResetPump:
    """`reset`: a person ends a lock-out."""


@dataclass(frozen=True, slots=True)
class SwitchPlug:
    """`on` / `off` for a plug that belongs to no projector and no pump."""

    on: bool


ProjectorIntent: TypeAlias = SetPower | SetVolume | StepVolume | SetMute | SelectInput | StartApp | PressKey
PumpIntent: TypeAlias = RunPump | StopPump | ResetPump
Intent: TypeAlias = ProjectorIntent | PumpIntent | SwitchPlug
