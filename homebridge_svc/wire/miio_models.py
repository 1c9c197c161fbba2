"""Mi smart plugs by model: where each keeps its switch, its watts and its timer. Data, open to the owner's override.

Two dialects. *Legacy* (chuangmi.plug.*): named properties, `get_prop`, `set_power`. *MIoT*: numbered services and
properties (siid/piid), `get_properties`, `set_properties`. Units of the watts differ by 10 or 100 between models;
scales marked `?` were never seen confirmed by a maker's page.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, TypeAlias


@dataclass(frozen=True, slots=True)
class Prop:
    """A MIoT property; what is read is multiplied by scale."""

    siid: int
    piid: int
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Delay:
    """A timer in the plug: armed (bool), seconds (0 … limit), and what remains of it."""

    armed: Prop
    seconds: Prop
    remaining: Prop
    limit: int = 86_400


@dataclass(frozen=True, slots=True)
class Miot:
    """A plug that speaks MIoT. power_on_state: what it does when mains return."""

    on: Prop
    watts: Prop | None = None
    energy: Prop | None = None  # kWh
    temperature: Prop | None = None  # degrees Celsius
    fault: Prop | None = None
    delay: Delay | None = None
    power_on_state: Prop | None = None


@dataclass(frozen=True, slots=True)
class Legacy:
    """A plug of the older dialect. prop: "power" says on/off, "on" says true/false.

    set_power: False means the pair `set_on` / `set_off`. watts_scale: of `get_power`; None: it does not meter.
    """

    prop: str = "power"
    set_power: bool = True
    watts_scale: float | None = None


Model: TypeAlias = Miot | Legacy

MODELS: Final[dict[str, Model]] = {
    "chuangmi.plug.m1": Legacy(),
    "chuangmi.plug.m3": Legacy(),
    "chuangmi.plug.v2": Legacy(),
    "chuangmi.plug.hmi205": Legacy(),
    "chuangmi.plug.hmi206": Legacy(),
    "chuangmi.plug.v1": Legacy(prop="on", set_power=False),
    "chuangmi.plug.v3": Legacy(prop="on", watts_scale=0.01),
    "chuangmi.plug.212a01": Miot(Prop(2, 1), watts=Prop(5, 6, 0.01), energy=Prop(5, 1)),  # scale ?
    "cuco.plug.v3": Miot(
        Prop(2, 1),
        watts=Prop(11, 2),  # ?
        energy=Prop(11, 1, 0.01),
        temperature=Prop(12, 2),  # ?
        fault=Prop(2, 3),
    ),
    "cuco.plug.cp1": Miot(Prop(2, 1)),
    "cuco.plug.cp1d": Miot(Prop(2, 1)),
    "cuco.plug.cp1md": Miot(Prop(2, 1), watts=Prop(4, 2)),
    "cuco.plug.cp2": Miot(Prop(2, 1), watts=Prop(3, 2, 0.1)),
    "cuco.plug.v2eur": Miot(
        Prop(2, 1),
        watts=Prop(11, 2),
        fault=Prop(2, 3),
        delay=Delay(armed=Prop(14, 1), seconds=Prop(14, 2), remaining=Prop(14, 3)),
        power_on_state=Prop(2, 2),
    ),
}


def find(model: str, *, on: Prop | None = None, watts: Prop | None = None) -> Model:
    """The model's entry with the owner's overrides laid over it; any other MIoT plug needs `on`.

    Raises: ValueError with a sentence for the owner.
    """
    known = MODELS.get(model)
    if known is None:
        if on is None:
            raise ValueError(f"unknown model; give on = {{siid, piid}}, or one of {', '.join(sorted(MODELS))}")
        return Miot(on, watts=watts)
    if isinstance(known, Legacy):
        if on is not None or watts is not None:
            raise ValueError("this model speaks the older dialect: it has no siid and piid")
        return known
    return replace(known, on=on or known.on, watts=watts or known.watts)
