"""One way of a projector to ON or OFF: what it waits for and what was tried (the rules: core/power_drive.py)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from homebridge_svc.core.evidence import NEVER
from homebridge_svc.core.orders import Result

if TYPE_CHECKING:
    from homebridge_svc.core.model import Power

CYCLE_DARK = 10.0  # s without mains until a boot on AC is sure
PLUG_CONFIRM = 15.0  # s until the plug must have said that it switched
PLUG_TRIES = 3
PLUG_PAUSE = 2.0  # s between two tries of the plug
ROUNDS = 2
LOST = 60.0  # s after its expiry that an order without an outcome counts as lost
HAPPENED = frozenset({Result.DONE, Result.UNKNOWN})  # it did, or may have


@dataclass(slots=True)
class Errand:
    """One way to ON or OFF. window: until when the last order's effect is waited for; sent: something has left."""

    goal: Power
    commands: list[str]
    begun: float
    plan: list[str]
    round: int = 1
    tried: list[str] = field(default_factory=list)
    window: float = NEVER
    last_power: float = NEVER  # when the last power order ended
    sent: bool = False
    retry: bool = False  # something may go better in the next round
    plug_tries: int = 0
    cycle_at: float | None = None  # when the dark time of a plug cycle is over

    @property
    def command(self) -> str | None:
        """The command whose chain this belongs to."""
        return self.commands[0] if self.commands else None


@dataclass(frozen=True, slots=True)
class Ended:
    """An errand has ended."""

    goal: Power
    good: bool
