"""The last gate: every order passes here, and none is trusted because a careful machine made it.

The gate keeps books of its own from what it lets through and from the facts, never from the machines' state: a
machine with a bug must not be able to keep a pump on, start it without end, or cut a running projector's mains.
It is never stricter than the machines, so a refusal here means that something is wrong upstream (or a dry run).

1. Dry run: nothing that moves passes, an OFF neither.
2. OFF of a pump always passes, a late one too.
3. What has expired does not pass (rule 6).
4. ON of a pump has a limit and a fitting dead-man; at most 10 min in one stretch, 4 starts an hour, 3 h a day.
5. Mains of a projector are cut as rule 10 says, and never on fresh high watts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

from homebridge_svc.core.events import Event, OrderFinished, PlugReported
from homebridge_svc.core.model import HomeSpec, Now, ProjectorSpec, PumpSpec
from homebridge_svc.core.orders import Order, ReadState, Refusal, Result, SwitchOff, SwitchOn
from homebridge_svc.core.timetable import Calendar

HARD_RUN = 600.0  # seconds in one stretch, whatever the configuration says (rule 15)
HARD_STARTS = 4  # an hour
HARD_DAY = 3 * 3600.0  # seconds a local date
HOUR = 3600.0
MARGIN = 60.0  # a dead-man is this much longer than the run's limit (rule 16)
SLACK = 2.0  # seconds a run may be late
FRESH_WATTS = 120.0  # seconds for which a meter's word stands
NEVER_HAPPENED = frozenset(
    {Result.FAILED, Result.UNREACHABLE, Result.EXPIRED, Result.UNSUPPORTED, Result.DISPLACED}
)  # not UNKNOWN, not DONE


@dataclass(slots=True)
class _PumpBooks:
    on_since: float | None = None  # mono: let through, or seen on
    ends: dict[str, float] = field(default_factory=dict)  # order id -> mono when the dead-man that it arms opens
    starts: dict[str, float] = field(default_factory=dict)  # order id -> mono, of the last hour
    day: date | None = None
    seconds: float = 0.0

    def today(self, day: date, now: Now) -> float:
        if day != self.day:
            self.day, self.seconds = day, 0.0
        return self.seconds + self._stretch(now)

    def off(self, now: Now) -> None:
        self.seconds += self._stretch(now)
        self.forget()

    def forget(self) -> None:
        self.on_since = None
        self.ends.clear()

    def _stretch(self, now: Now) -> float:
        """Seconds on: a plug that was silent for hours was off since its dead-man opened it."""
        if self.on_since is None:
            return 0.0
        return min(now.mono, max(self.ends.values(), default=now.mono)) - self.on_since


class Gate:
    """Judges orders with its own books. Feed it every event (`observe`) and ask it about every order (`check`)."""

    def __init__(self, spec: HomeSpec, calendar: Calendar) -> None:
        self._dry_run = spec.dry_run
        self._calendar = calendar
        self._pumps = {pump.plug: pump for pump in spec.pumps.values()}
        self._books = {plug: _PumpBooks() for plug in self._pumps}
        self._projectors = {p.plug: p for p in spec.projectors.values() if p.plug is not None}
        self._watts: dict[str, tuple[float, float]] = {}  # plug -> (watts, mono)

    def observe(self, event: Event) -> None:
        """Take note of what plugs said and of orders that never happened."""
        match event:
            case PlugReported(retained=False):
                if event.watts is not None:
                    self._watts[event.plug] = (event.watts, event.at.mono)
                books = self._books.get(event.plug)
                if books is not None and event.on is False:
                    books.off(event.at)
                elif books is not None and event.on and books.on_since is None:
                    books.on_since = event.at.mono
            case OrderFinished() if event.outcome.result in NEVER_HAPPENED:
                books = self._books.get(event.order.endpoint)
                if books is not None:
                    books.ends.pop(event.order.id, None)
                    if books.starts.pop(event.order.id, None) is not None:
                        books.forget()
            case _:
                pass

    def check(self, order: Order, now: Now, cut_allowed: Callable[[str], str | None]) -> Refusal | None:
        """Let `order` pass (None) or say why not. cut_allowed: why this plug's mains must not be cut, or None."""
        objection = self._objection(order, now, cut_allowed)
        if objection is not None:
            return Refusal(order, *objection)
        books = self._books.get(order.endpoint)
        if books is not None and isinstance(order.action, SwitchOn):
            dead_man = order.action.dead_man
            books.ends[order.id] = math.inf if dead_man is None else now.mono + dead_man
            if books.on_since is None:
                books.on_since = now.mono
                books.starts[order.id] = now.mono
        return None

    def _objection(self, order: Order, now: Now, cut_allowed: Callable[[str], str | None]) -> tuple[str, str] | None:
        pump, projector = self._pumps.get(order.endpoint), self._projectors.get(order.endpoint)
        match order.action:
            case _ if self._dry_run and not isinstance(order.action, ReadState):
                return "dry run", "this is a dry run: nothing is moved"
            case SwitchOff() if pump is not None:
                return None
            case _ if now.mono > order.expires:
                return "semantics 6", f"it came {now.mono - order.expires:.1f} s too late"
            case SwitchOn(dead_man=dead_man) if pump is not None:
                return self._limit(pump, dead_man) or self._allowance(pump, dead_man, now)
            case SwitchOff() if projector is not None:
                return self._cut(projector, order.endpoint, now, cut_allowed)
            case _:
                return None

    @staticmethod
    def _limit(pump: PumpSpec, dead_man: float | None) -> tuple[str, str] | None:
        if not 0 < pump.max_run <= HARD_RUN:
            return "semantics 15", f"a run of {pump.max_run:g} s is no limit: at most {HARD_RUN:g} s"
        if dead_man is None:
            return ("semantics 16", "the plug can arm a dead-man and this ON carries none") if pump.dead_man else None
        if not MARGIN <= dead_man <= pump.max_run + MARGIN:
            return "semantics 16", f"a dead-man of {dead_man:g} s does not fit a run of {pump.max_run:g} s"
        return None

    def _allowance(self, pump: PumpSpec, dead_man: float | None, now: Now) -> tuple[str, str] | None:
        books = self._books[pump.plug]
        books.starts = {key: at for key, at in books.starts.items() if now.mono - at < HOUR}
        on_for = 0.0 if books.on_since is None else now.mono - books.on_since
        if on_for + (dead_man - MARGIN if dead_man is not None else 0.0) > HARD_RUN + SLACK:
            return "semantics 15", f"it would be on for more than {HARD_RUN:g} s in one stretch"
        if books.on_since is None and len(books.starts) >= HARD_STARTS:
            return "semantics 15", f"{len(books.starts)} starts within the hour"
        if books.today(self._calendar.local(now.utc)[0], now) >= HARD_DAY:
            return "semantics 15", "it ran three hours today"
        return None

    def _cut(
        self, projector: ProjectorSpec, plug: str, now: Now, cut_allowed: Callable[[str], str | None]
    ) -> tuple[str, str] | None:
        watts, at = self._watts.get(plug, (0.0, now.mono))
        if watts > projector.on_above and now.mono - at <= FRESH_WATTS:
            return "semantics 10", f"{projector.key} draws {watts:g} W: it runs"
        why = cut_allowed(plug)
        return None if why is None else ("semantics 10", why)
