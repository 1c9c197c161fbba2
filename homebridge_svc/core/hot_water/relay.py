"""The pump's plug as the cycle uses it: one ON, OFF until it is read back, and looking. Knows how, never why.

An off-report proves little by itself: it may be late, or repeated. Off is confirmed by a report that came after an
OFF was carried out, or by a read-back that ended after the OFF was ordered and showed off. OFF is repeated with
back-off as long as that is missing, never while the last one is still under way. The back-off is for silence: a plug
that is heard again and says on is told OFF as soon as 2 s have passed (rule 16). Only one that goes on saying on after
OFFs that it took is told at growing intervals, because a stuck relay is no reason to flood its network.
"""

from __future__ import annotations

import math

from homebridge_svc.core.model import Now
from homebridge_svc.core.orders import Decision, Order, ReadState, Result, SwitchOff, SwitchOn

ON_FRESH = 5.0  # seconds within which an ON must leave
OFF_FRESH = 60.0  # an OFF may leave much later; then it is ordered anew
LOOK_FRESH = 10.0
BACK_OFF = (2.0, 4.0, 8.0, 15.0, 30.0, 60.0)  # seconds between an outcome and the next OFF
NOT_REACHED = frozenset({Result.UNREACHABLE, Result.EXPIRED})
TOGGLE_WINDOW = (-2.0, 15.0)  # seconds around the dead-man's time in which an ON is its own work


class Relay:
    """One plug. `on` is its last live word, `up` whether it is reachable as far as is known."""

    def __init__(self, plug: str, *, arms: bool) -> None:
        self._plug = plug
        self._arms = arms
        self.on: bool | None = None
        self.up = False
        self.tries = 0  # OFF orders of this stop
        self.off_done = False  # one of them was carried out
        self.spoke = False  # it reported since this stop began
        self.off_under_way = False  # the last one has no outcome yet
        self._opened_at = -math.inf  # mono: the last OFF was ordered
        self._reached = False  # … and something took it
        self._heard = False  # the plug was heard since then
        self._defied = 0  # OFFs of this stop that it took and still said on
        self._seen_off = False  # a report said off since this stop began
        self._seen_off_after = False  # … and after an OFF was carried out
        self._on_id: str | None = None
        self._off_ids: set[str] = set()
        self._look_ids: set[str] = set()
        self._fires: list[float] = []  # mono: when this run's dead-men act, or would have acted; one may be lost

    def close(self, dead_man: float, chain: str | None, why: str, now: Now, out: Decision) -> None:
        """Order ON, with the dead-man in the same message where the plug can (rule 16); then look."""
        armed = dead_man if self._arms else None
        order = out.order(
            self._plug,
            SwitchOn(armed),
            command=chain,
            reason=why,
            expires=now.mono + ON_FRESH,
            slot=f"{self._plug}.relay",
            durable=True,
        )
        self._on_id = order.id
        if armed is not None:
            self._fires.append(now.mono + armed)
        self.look(chain, "read back the ON", now, out)

    def begin_close(self) -> None:
        """Forget what was seen and armed: a new run begins."""
        self._fires.clear()
        self._look_ids.clear()

    def begin_open(self) -> None:
        """Forget what was seen: a new stop begins."""
        self.tries, self.off_done, self.spoke, self._defied = 0, False, False, 0
        self._seen_off = self._seen_off_after = False
        self._off_ids.clear()
        self._look_ids.clear()

    def open(self, chain: str | None, why: str, now: Now, out: Decision) -> None:
        """Order OFF, then look."""
        self.tries += 1
        order = out.order(
            self._plug,
            SwitchOff(),
            command=chain,
            reason=why,
            expires=now.mono + OFF_FRESH,
            slot=f"{self._plug}.relay",
            sticky=True,
        )
        self._off_ids.add(order.id)
        self.off_under_way, self._opened_at, self._reached, self._heard = True, now.mono, False, False
        self.look(chain, "read back the OFF", now, out)

    def look(self, chain: str | None, why: str, now: Now, out: Decision) -> None:
        """Order a read-back."""
        slot = f"{self._plug}.look"
        order = out.order(self._plug, ReadState(), command=chain, reason=why, expires=now.mono + LOOK_FRESH, slot=slot)
        self._look_ids.add(order.id)

    def reported(self, on: bool) -> None:
        """Take the plug's live word."""
        self.on, self.up, self.spoke, self._heard = on, True, True, True
        if on and self._reached:  # once for each OFF
            self._defied, self._reached = self._defied + 1, False
        self._seen_off = not on
        self._seen_off_after = not on and self.off_done

    def came_back(self) -> None:
        """Take it that the plug is reachable again: what it defied before may have been lost."""
        self.up, self._heard, self._defied = True, True, 0

    def open_again_at(self) -> float | None:
        """Return when (mono) a plug that was just heard is to be told OFF again; None: an OFF is under way."""
        return None if self.off_under_way else self._opened_at + BACK_OFF[self._step(self._defied)]

    @staticmethod
    def _step(count: int) -> int:
        return min(max(count, 1), len(BACK_OFF)) - 1

    def is_on_order(self, order: Order) -> bool:
        """Tell whether this is the newest ON."""
        return order.id == self._on_id

    def off_finished(self, order: Order, result: Result) -> float | None:
        """Take an OFF's outcome; return seconds until the next one is due, None for an OFF of another stop."""
        if order.id not in self._off_ids:
            return None
        self.off_under_way, self._reached = False, result not in NOT_REACHED
        self.off_done = self.off_done or result is Result.DONE
        heard_since = self._heard and not self._reached  # it left too early, and the plug is there by now
        return BACK_OFF[self._step(1 if heard_since else self.tries)]

    def look_finished(self, order: Order, result: Result) -> bool:
        """Take a read-back's outcome; True when it has ended for this stop or start, so `on` is fresh."""
        if order.id not in self._look_ids:
            return False
        self._look_ids.discard(order.id)
        if result is Result.DONE or (result is Result.UNSUPPORTED and self.off_done):
            self._seen_off_after = self._seen_off
        return result in {Result.DONE, Result.UNSUPPORTED}

    @property
    def confirmed_off(self) -> bool:
        """Off is proven since this stop began."""
        return self._seen_off_after

    def own_toggle(self, now: Now) -> bool:
        """Tell whether a dead-man of the last run was to act just now: an ON then is a delayed toggle (rule 17)."""
        early, late = TOGGLE_WINDOW
        return any(early <= now.mono - at <= late for at in self._fires)
