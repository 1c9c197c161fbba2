"""What to say to a Mi plug, and what its answers mean: calls and results of both dialects, for any model of the table.

Everything is read singly, because many plugs serve one property per message; only a timer is armed in one message with
the ON (rule 16), by plugs that have one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, assert_never, cast

from homebridge_svc.errors import OutcomeUnknown, Refused, Unsupported
from homebridge_svc.wire.miio_models import Delay, Legacy, Miot, Model, Prop

MOST_WATTS: Final = 4000.0  # 16 A at 250 V: more is a wrong scale
TAKEN: Final = (0, 1)  # codes of a set: done; taken, carried out a little later


@dataclass(frozen=True, slots=True)
class Call:
    """One message to the plug."""

    method: str
    params: tuple[object, ...]


def ask_on(model: Model) -> Call:
    """Ask whether the relay is closed; `said_on` reads the answer."""
    match model:
        case Legacy():
            return Call("get_prop", (model.prop,))
        case Miot():
            return ask(model.on)
        case _:
            assert_never(model)


def ask_watts(model: Model) -> Call | None:
    """Ask for the power drawn; `said_watts` reads the answer. None: this plug does not meter."""
    match model:
        case Legacy():
            return Call("get_power", ()) if model.watts_scale is not None else None
        case Miot():
            return ask(model.watts) if model.watts is not None else None
        case _:
            assert_never(model)


def ask(prop: Prop) -> Call:
    """Ask for one MIoT property."""
    return Call("get_properties", (_named(prop),))


def switch(model: Model, on: bool, dead_man: float | None = None) -> Call:
    """Switch; dead_man in seconds arms the plug's timer in the same message. Raises Unsupported."""
    if dead_man is not None:
        return _on_with_timer(model, math.ceil(dead_man))
    match model:
        case Legacy():
            word = "on" if on else "off"
            return Call("set_power", (word,)) if model.set_power else Call(f"set_{word}", ())
        case Miot():
            return Call("set_properties", (_named(model.on, on),))
        case _:
            assert_never(model)


def disarm(delay: Delay) -> Call:
    """Forget an armed timer."""
    return Call("set_properties", (_named(delay.armed, False),))


def said_on(result: object) -> bool:
    """Read the answer about a switch or a timer. Raises Refused: then it is probably another model."""
    value = _value(result)
    if value in (True, "on"):  # 1 == True: some firmware says 0 and 1
        return True
    if value in (False, "off"):
        return False
    raise Refused("the plug says neither on nor off: is the model right?")


def said_watts(model: Model, result: object) -> float:
    """Read the answer about power, watts. Raises Refused for what is no plausible number."""
    raw = _value(result)
    scale = model.watts_scale if isinstance(model, Legacy) else model.watts.scale if model.watts else None
    if scale is None or isinstance(raw, bool) or not isinstance(raw, int | float):
        raise Refused("its watts are not a number")
    if not 0 <= raw <= MOST_WATTS / scale:  # NaN is not either
        raise Refused("its watts are implausible and not believed: set watts = {siid, piid, scale}")
    return float(raw) * scale


def check_taken(call: Call, result: object) -> None:
    """Judge the answer to a write. Raises Refused when all of it was refused, OutcomeUnknown when only a part."""
    entries = result if isinstance(result, list) else []
    codes = [entry.get("code", 0) for entry in entries if isinstance(entry, dict)]
    refused = [code for code in codes if code not in TAKEN]
    if refused and len(refused) == len(codes):
        raise Refused(f"the plug answered {call.method} with {refused[0]}")
    if refused or (codes and len(codes) < len(call.params)):
        raise OutcomeUnknown("the plug took only a part of the message")


def _on_with_timer(model: Model, seconds: int) -> Call:
    delay = model.delay if isinstance(model, Miot) else None
    if delay is None or not isinstance(model, Miot):
        raise Unsupported("this plug has no timer that could switch it off by itself")
    if not 1 <= seconds <= delay.limit:
        raise Unsupported(f"its timer takes 1 … {delay.limit} s")
    return Call("set_properties", (_named(model.on, True), _named(delay.seconds, seconds), _named(delay.armed, True)))


def _named(prop: Prop, value: bool | int | None = None) -> dict[str, object]:
    named: dict[str, object] = {"did": f"{prop.siid}-{prop.piid}", "siid": prop.siid, "piid": prop.piid}
    return named if value is None else {**named, "value": value}


def _value(result: object) -> object:
    if not isinstance(result, list) or not result:
        raise Refused("the plug's answer is empty: is the model right?")
    first = cast("object", result[0])
    if not isinstance(first, dict):
        return first
    if first.get("code", 0) != 0 or "value" not in first:
        asked = f"{first.get('siid')}/{first.get('piid')}"
        raise Refused(f"the plug does not know its property {asked}: is the model right?")
    return cast("object", first["value"])
