"""What people may see of a projector: the keys of `…/<key>/state`, which publishers and the page rely on."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from homebridge_svc.core.model import DeviceView, Power
from homebridge_svc.core.orders import ChooseInput, LaunchApp

if TYPE_CHECKING:
    from homebridge_svc.core.model import Json, Now, ProjectorSpec
    from homebridge_svc.core.power_table import Belief


def view(belief: Belief, desired: Power | None, waiting: list[str], why: tuple[str, str], now: Now) -> DeviceView:
    """Build the view.

    power: "on" and "off" as a switch shows it: "on" while it comes up because somebody wants it on; None when it is
    not known. phase: model.Power. desired: "on", "off" or None. watts: None unless fresh. plug: its mains, True, False
    or None. channels: name -> "up", "down" or "unknown". waiting: texts of the wishes in line. why, why_zh: what led
    to the present phase. ready_at: while it boots, the UTC time (ISO) by which it is ready; else None.
    inputs, apps, volume_max: what may be chosen, if any channel can carry it.
    """
    phase, facts, spec = belief.phase, belief.facts, belief.spec
    wanted = desired is Power.ON and phase in (Power.WAKING, Power.BOOTING)
    power = "on" if wanted or phase in (Power.ON, Power.LIGHT_OFF) else "off"
    channels: dict[str, Json] = {
        name: {True: "up", False: "down", None: "unknown"}[facts.up.get(name)] for name in spec.channels
    }
    ready_at = None
    if phase is Power.BOOTING:
        left = timedelta(seconds=belief.since + spec.boot_time - now.mono)
        ready_at = (now.utc + left).isoformat(timespec="seconds")
    state: dict[str, Json] = {
        "power": None if phase is Power.UNKNOWN else power,
        "phase": phase.value,
        "desired": desired.value if desired is not None else None,
        "watts": facts.watts if facts.fresh(now.mono) else None,
        "volume": facts.volume,
        "muted": facts.muted,
        "input": facts.input,
        "app": facts.app,
        "plug": facts.plug_on,
        "channels": channels,
        "waiting": list(waiting),
        "why": why[0],
        "why_zh": why[1],
        "ready_at": ready_at,
        "inputs": [*spec.inputs] if _carried(spec, ChooseInput) else [],
        "apps": [*spec.apps] if _carried(spec, LaunchApp) else [],
        "volume_max": spec.volume_max,
    }
    available = phase is not Power.UNKNOWN or bool(facts.plug_up) or any(facts.up.values())
    return DeviceView(spec.key, "projector", spec.name, available, state)


def _carried(spec: ProjectorSpec, action: type[ChooseInput | LaunchApp]) -> bool:
    return any(action in ability.carries for ability in spec.channels.values())
