"""Cutting a projector's mains when it has gone off, so that it can boot when they return.

`cut_after` after it went off (with a meter: after its watts became low for good) every fact is read once more, and
what was just seen decides: `why_not_cut` (rules 10 and 13). A cut that was not allowed, or did not happen, is
considered again a minute later. This runs on belief alone: a restart in the middle only starts the wait again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from homebridge_svc.core.evidence import NEVER
from homebridge_svc.core.model import Power
from homebridge_svc.core.orders import SwitchOff
from homebridge_svc.core.power_table import CUT_FRESH

if TYPE_CHECKING:
    from homebridge_svc.core.model import Now
    from homebridge_svc.core.orders import Decision
    from homebridge_svc.core.power_drive import PowerDrive

CUT_RETRY = 60.0  # s


@dataclass(slots=True)
class Mains:
    """The cut of one projector; orders go through the drive's lock."""

    drive: PowerDrive
    tried_at: float = NEVER

    def due(self, mono: float) -> float | None:
        """When the mains may be cut if nothing changes; None: not as things stand."""
        drive, belief = self.drive, self.drive.belief
        facts, spec = belief.facts, belief.spec
        idle = drive.errand is None and drive.flight is None and belief.phase is Power.OFF
        if not idle or spec.plug is None or spec.cut_after is None or facts.plug_up is False:
            return None
        low_since = belief.since
        if facts.band(mono) is not None:
            low_since = max(low_since, facts.band_since)
        return max(low_since + spec.cut_after, self.tried_at + CUT_RETRY)

    def cut(self, now: Now, out: Decision) -> None:
        """Look when it is time, and cut when the look is complete and allows it."""
        due, probes = self.due(now.mono), self.drive.probes
        if due is None or now.mono < due:
            return
        if probes.begun < max(due, now.mono - CUT_FRESH):
            probes.begin(now, out, "look before cutting the mains", None)
        if not probes.looked_since(due):
            return
        self.tried_at = now.mono
        why_not = self.drive.why_not_cut(now.mono)
        if why_not is None:
            why = "it is off, its mains may go"
            self.drive.switch(SwitchOff(), now, out, channel="cut", command=None, why=why)
        else:
            out.note(None, self.drive.spec.key, "semantics 10", f"mains stay on: {why_not}")
