"""What a wish means as an order: names to ids, limits, and keys where no channel sets a value directly.

A "no" is a value (`No`), in both languages, and lists what is known where a name is not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from homebridge_svc.core.channels import carriers, state_of
from homebridge_svc.core.evidence import FRESH
from homebridge_svc.core.intents import (
    PowerWish,
    PressKey,
    ProjectorIntent,
    SelectInput,
    SetMute,
    SetPower,
    SetVolume,
    StartApp,
    StepVolume,
)
from homebridge_svc.core.model import Power
from homebridge_svc.core.orders import (
    KEYS,
    ChooseInput,
    LaunchApp,
    LightOff,
    LightOn,
    PressKeys,
    PutMute,
    PutVolume,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from homebridge_svc.core.evidence import Facts
    from homebridge_svc.core.model import ProjectorSpec
    from homebridge_svc.core.orders import Action

PACKAGE = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)+")  # what an Android package looks like
MAX_STEPS = 20


@dataclass(frozen=True, slots=True)
class No:
    """Why a wish cannot be carried out."""

    why: str
    zh: str


@dataclass(frozen=True, slots=True)
class Already:
    """Nothing is to be done: it is so."""


def text(intent: ProjectorIntent) -> str:  # noqa: PLR0911  one line per kind of wish
    """A wish in a few words."""
    match intent:
        case SetPower(power=power):
            return f"power {power.value}"
        case SetVolume(level=level):
            return f"volume {level}"
        case StepVolume(steps=steps):
            return f"volume {steps:+d}"
        case SetMute(on=on):
            return "mute on" if on else "mute off"
        case SelectInput(name=name):
            return f"input {name}"
        case StartApp(name=name):
            return f"app {name}"
        case PressKey(key=key, times=times):
            return f"key {key} {times}"
        case _:
            assert_never(intent)


def lane(intent: ProjectorIntent) -> str:
    """Wishes of one lane keep their order; sound and picture need not wait for each other."""
    match intent:
        case SetVolume() | StepVolume() | SetMute():
            return "sound"
        case PressKey(key="volume_up" | "volume_down" | "mute"):
            return "sound"
        case _:
            return "picture"


def kind(intent: ProjectorIntent) -> str | None:
    """Wishes of one kind replace each other while they wait; None: they never do (rule 7)."""
    match intent:
        case StepVolume() | PressKey():
            return None
        case _:
            return type(intent).__name__


def refusal(intent: ProjectorIntent, spec: ProjectorSpec) -> No | None:  # noqa: PLR0911  one arm per kind of wish
    """Why this wish can never be carried out here; None when it can."""
    match intent:
        case SetPower(power=power):
            return _lacks(spec, LightOff if power is PowerWish.LIGHT_OFF else LightOn)
        case SetVolume(level=level):
            if not 0 <= level <= spec.volume_max:
                return No(f"the volume goes from 0 to {spec.volume_max}", f"音量范围是 0 到 {spec.volume_max}")
            return _lacks(spec, PutVolume, PressKeys)
        case StepVolume(steps=steps):
            return _too_many(abs(steps)) or _lacks(spec, PressKeys)
        case SetMute():
            return _lacks(spec, PutMute, PressKeys)
        case SelectInput(name=name):
            found = _input(name, spec)
            return found if isinstance(found, No) else _lacks(spec, ChooseInput)
        case StartApp(name=name):
            found = _package(name, spec)
            return found if isinstance(found, No) else _lacks(spec, LaunchApp)
        case PressKey(key=key, times=times):
            if key not in KEYS:
                return No(f"unknown key {key!r}; known: {_listed(KEYS)}", f"没有这个按键，可选:{_listed(KEYS)}")
            return _too_many(times) or _lacks(spec, PressKeys)
        case _:
            assert_never(intent)


def action(  # noqa: PLR0911  one line per kind of wish
    intent: ProjectorIntent, spec: ProjectorSpec, facts: Facts, phase: Power, mono: float
) -> Action | Already | No:
    """The order for a wish in this phase."""
    match intent:
        case SetPower(power=PowerWish.LIGHT_OFF):
            return Already() if phase is Power.LIGHT_OFF else LightOff()
        case SetPower():
            return Already() if phase is Power.ON else LightOn()
        case SetVolume(level=level):
            return _volume(level, spec, facts, phase, mono)
        case StepVolume(steps=steps):
            return _keys("volume_up" if steps > 0 else "volume_down", abs(steps))
        case SetMute(on=on):
            return _mute(on, spec, facts, phase, mono)
        case SelectInput(name=name):
            found = _input(name, spec)
            return found if isinstance(found, No) else ChooseInput(found)
        case StartApp(name=name):
            found = _package(name, spec)
            return found if isinstance(found, No) else LaunchApp(found)
        case PressKey(key=key, times=times):
            return _keys(key, times)
        case _:
            assert_never(intent)


def _volume(level: int, spec: ProjectorSpec, facts: Facts, phase: Power, mono: float) -> Action | Already | No:
    """Absolute where a channel can; else by keys from a volume that is known afresh."""
    if carriers(spec, spec.orders, PutVolume, state_of(phase)):
        return PutVolume(level)
    if facts.volume is None or mono - facts.volume_at > FRESH:
        return No("no channel can set a volume now, and the present one is not known", "不知道当前音量，无法设定")
    return _keys("volume_up" if level > facts.volume else "volume_down", abs(level - facts.volume))


def _mute(on: bool, spec: ProjectorSpec, facts: Facts, phase: Power, mono: float) -> Action | Already | No:
    """Absolute where a channel can; the key toggles, so it needs fresh knowledge."""
    if carriers(spec, spec.orders, PutMute, state_of(phase)):
        return PutMute(on)
    if facts.muted is None or mono - facts.muted_at > FRESH:
        return No("the mute key toggles, and whether it is muted is not known", "不知道是否已静音，无法设定")
    return _keys("mute", int(facts.muted is not on))


def _input(name: str, spec: ProjectorSpec) -> str | No:
    if name in spec.inputs:
        return spec.inputs[name]
    if name in spec.inputs.values():
        return name
    known = _listed(spec.inputs)
    return No(f"unknown input {name!r}; known: {known}", f"没有这个信号源，可选:{known}")


def _package(name: str, spec: ProjectorSpec) -> str | No:
    if name in spec.apps:
        return spec.apps[name]
    if PACKAGE.fullmatch(name):
        return name
    known = _listed(spec.apps)
    return No(f"unknown app {name!r}; known: {known}", f"没有这个应用，可选:{known}")


def _lacks(spec: ProjectorSpec, *actions: type[Action]) -> No | None:
    if any(carriers(spec, spec.orders, one) for one in actions):
        return None
    return No("no channel of this projector can do that", "这台投影仪不支持该操作")


def _too_many(times: int) -> No | None:
    if times <= MAX_STEPS:
        return None
    return No(f"at most {MAX_STEPS} at once", f"一次最多 {MAX_STEPS} 下")


def _keys(key: str, times: int) -> PressKeys | Already:
    return PressKeys((key,) * times) if times > 0 else Already()


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
