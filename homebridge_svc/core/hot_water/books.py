"""What a pump has used up: starts of the hour, seconds of the day, rest, locks, slots; and how that survives restarts.

Durations are counted on the monotonic clock, which does not survive the process, and stored as UTC, which may be
wrong. A `Stamp` joins both: within a process only `mono` counts; a restored stamp is at least as old as the restart,
and older only if the clock was synchronised when it was written and is now. So a clock that jumps back, or is not
set yet, makes rests longer but never gives an allowance back, and nothing is locked for longer than its own time
after a restart.

The day's account belongs to a local date. A later date opens a new one (if synchronised). An earlier date does not:
a clock put back must not give three more hours. An account that is 24 h old on the monotonic clock is closed though
the date cannot be believed or lies before it: a clock that once was years ahead must not lock the pump for years.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from homebridge_svc.core.hot_water.words import Said, span
from homebridge_svc.core.model import Json, Now, PumpSpec
from homebridge_svc.core.timetable import Calendar, Once

HOUR = 3600.0
DAY = 24 * HOUR
SHORTEST = 10.0  # seconds: less than this is not worth a start


@dataclass(frozen=True, slots=True)
class Stamp:
    """A moment: not later than `mono`; at `utc` (unix) too, if that was read from a synchronised clock."""

    mono: float
    utc: float | None = None

    def age(self, now: Now) -> float:
        """Seconds since then, as far as can be believed: never too much."""
        by_utc = now.utc.timestamp() - self.utc if self.utc is not None and now.synced else 0.0
        return max(now.mono - self.mono, by_utc)

    def save(self, now: Now) -> Json:
        """Return UTC, or None when it cannot be told."""
        return now.utc.timestamp() - self.age(now) if now.synced else self.utc

    @classmethod
    def load(cls, record: Json, now: Now) -> Stamp:
        """Restore: at the latest now."""
        return cls(now.mono, number(record))


@dataclass(frozen=True, slots=True)
class Lock:
    """Why automatic runs are refused. hold: seconds, None until a person resets; people: it binds persons too."""

    kind: str
    why: Said
    since: Stamp
    hold: float | None = None
    people: bool = False

    def left(self, now: Now) -> float:
        """Seconds that it still holds; infinite for a latch."""
        return math.inf if self.hold is None else self.hold - self.since.age(now)

    def save(self, now: Now) -> Json:
        """Return what `load` understands."""
        since = self.since.save(now)
        return {
            "kind": self.kind,
            "en": self.why.en,
            "zh": self.why.zh,
            "since": since,
            "hold": self.hold,
            "people": self.people,
        }

    @classmethod
    def load(cls, record: Json, now: Now) -> Lock | None:
        """Restore, or None."""
        if not isinstance(record, Mapping):
            return None
        why = Said(str(record.get("en", "")), str(record.get("zh", "")))
        since = Stamp.load(record.get("since"), now)
        return cls(str(record.get("kind", "")), why, since, number(record.get("hold")), record.get("people") is True)


def number(value: Json) -> float | None:
    """Return a finite number, or None for anything else the store may hold."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


@dataclass(slots=True)
class Books:
    """One pump's books. All times in seconds."""

    spec: PumpSpec
    calendar: Calendar
    starts: list[Stamp] = field(default_factory=list)
    ended: Stamp | None = None
    on_since: Stamp | None = None
    on_at_most: float = math.inf  # the armed dead-man bounds what an unseen run can have taken
    limit: float = 0.0  # of the run that is on
    lock: Lock | None = None
    unlit: bool = False  # the heater did not light: tried again on demand only
    normal_watts: float | None = None
    slots: Once = field(default_factory=Once)
    day: str = ""
    opened: Stamp | None = None
    seconds: float = 0.0

    def begin(self, now: Now, limit: float, at_most: float) -> None:
        """Write down a start."""
        self.starts = [*(s for s in self.starts if s.age(now) < HOUR), Stamp(now.mono)]
        self.on_since, self.limit, self.on_at_most = Stamp(now.mono), limit, at_most

    def undo(self) -> None:
        """Take back a start that certainly did not happen."""
        self.starts = self.starts[:-1]
        self.on_since = None

    def finish(self, now: Now) -> float:
        """Close the run, if one is open, at a confirmed off; return its seconds."""
        if self.on_since is None:
            return 0.0
        ran = min(self.on_since.age(now), self.on_at_most)
        self._roll(now)
        self.seconds += ran
        self.on_since, self.ended = None, Stamp(now.mono)
        return ran

    def starts_last_hour(self, now: Now) -> int:
        """Count starts younger than an hour."""
        return sum(stamp.age(now) < HOUR for stamp in self.starts)

    def seconds_today(self, now: Now) -> float:
        """Seconds that it ran this local date, the present run included."""
        self._roll(now)
        return self.seconds + (min(self.on_since.age(now), self.on_at_most) if self.on_since else 0.0)

    def seconds_left(self, now: Now) -> float:
        """Seconds that it may still run this local date."""
        return self.spec.max_per_day - self.seconds_today(now)

    def since_run(self, now: Now) -> float:
        """Seconds since the last run ended; infinite when none is known."""
        return math.inf if self.ended is None else self.ended.age(now)

    def used_up(self, now: Now) -> Said | None:
        """Say which limit binds everybody, persons too (rule 15), or None."""
        if self.seconds_left(now) < SHORTEST:
            most = span(self.spec.max_per_day)
            return Said(f"it has run {most.en} today, that is the limit", f"今天已经运行{most.zh}，到上限了")
        recent = [stamp.age(now) for stamp in self.starts if stamp.age(now) < HOUR]
        if len(recent) >= self.spec.max_starts_per_hour:
            wait = span(HOUR - sorted(recent)[self.spec.max_starts_per_hour - 1])
            return Said(
                f"it started {len(recent)} times within the hour, the next start is possible in {wait.en}",
                f"一小时内已经启动{len(recent)}次，{wait.zh}后才能再启动",
            )
        return None

    def save(self, now: Now) -> dict[str, Json]:
        """Return what `load` understands: stored before each ON, after each confirmed off, and with each lock."""
        self._roll(now)
        return {
            "starts": [stamp.save(now) for stamp in self.starts if stamp.age(now) < HOUR],
            "ended": self.ended.save(now) if self.ended else False,
            "on_since": self.on_since.save(now) if self.on_since else False,
            "on_at_most": self.on_at_most if math.isfinite(self.on_at_most) else None,
            "limit": self.limit,
            "lock": self.lock.save(now) if self.lock else None,
            "unlit": self.unlit,
            "normal_watts": self.normal_watts,
            "slots": self.slots.save(),
            "day": self.day,
            "opened": self.opened.save(now) if self.opened else None,
            "seconds": round(self.seconds, 1),
        }

    def load(self, record: Json, now: Now) -> None:
        """Restore; nonsense is forgotten. A run that was on is charged with its limit at least."""
        if not isinstance(record, Mapping):
            return
        starts, ended, on_since = record.get("starts"), record.get("ended", False), record.get("on_since", False)
        self.starts = [Stamp.load(s, now) for s in starts] if isinstance(starts, list) else []
        self.ended = None if ended is False else Stamp.load(ended, now)
        self.limit = number(record.get("limit")) or 0.0
        at_most = number(record.get("on_at_most"))
        self.on_at_most = math.inf if at_most is None else at_most
        if on_since is not False:
            self.on_since = Stamp(now.mono - min(self.limit, self.spec.max_run), number(on_since))
        self.lock = Lock.load(record.get("lock"), now)
        self.unlit = record.get("unlit") is True
        self.normal_watts = number(record.get("normal_watts"))
        self.slots = Once.load(record.get("slots"))
        day = record.get("day")
        self.day = day if isinstance(day, str) else ""
        self.opened = Stamp.load(record.get("opened"), now)
        self.seconds = max(0.0, number(record.get("seconds")) or 0.0)

    def _roll(self, now: Now) -> None:
        """Open the account of a new local date when it is time; see the top of this file."""
        today = self.calendar.local(now.utc)[0].isoformat() if now.synced else ""
        if self.opened is None:
            self.opened = Stamp(now.mono)
        if today and not self.day:  # the clock was not set when the account was opened
            self.day = today
        if today > self.day or (today != self.day and self.opened.age(now) >= DAY):
            self.day, self.opened, self.seconds = today, Stamp(now.mono), 0.0
