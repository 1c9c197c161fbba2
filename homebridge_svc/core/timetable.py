"""Local dates, windows, day types and quiet hours; and "a slot once per local date" (rule 2).

The scheduler is an ear: it says that a slot came. What a slot is called, on which days it counts, whether it is
too late and whether it was served already is decided here, by the local date and the local minute alone. That makes
DST harmless: in the spring gap 02:30 does not come, so nothing runs; in the autumn hour it comes twice with the
same local date, so it runs once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from homebridge_svc.core.model import Json, ScheduleWindow

GRACE = timedelta(minutes=5)  # a slot that comes later than this is missed, and missed slots are not made up
EARLY = timedelta(seconds=5)  # timers and clocks may differ by this much
MINUTES = 24 * 60
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SATURDAY = 5


def parse_days(text: str) -> frozenset[int] | None:
    """Weekdays (Monday is 0) of "mon-fri", "sat,sun" or "daily"; None for the day types. Raises ValueError."""
    if text in ("workdays", "days_off"):
        return None
    if text == "daily":
        return frozenset(range(7))
    days: set[int] = set()
    for part in text.split(","):
        first, dash, last = (piece.strip() for piece in part.partition("-"))
        if first not in DAYS or (dash and last not in DAYS):
            raise ValueError(f"{part.strip()!r} is no weekday: use {', '.join(DAYS)}")
        begin, end = DAYS.index(first), DAYS.index(last if dash else first)
        days.update(day % 7 for day in range(begin, end + 1 if end >= begin else end + 8))
    return frozenset(days)


def slots(window: ScheduleWindow) -> list[tuple[str, int]]:
    """Return the window's slots as (id "0640", minute since midnight), both ends included; it may span midnight."""
    span = (window.end - window.start) % MINUTES
    step = max(1, round(window.every / 60))
    minutes = [(window.start + offset) % MINUTES for offset in range(0, span + 1, step)]
    return [(f"{minute // 60:02d}{minute % 60:02d}", minute) for minute in minutes]


def in_quiet_hours(minute: int, begin: int | None, end: int | None) -> bool:
    """Tell whether `minute` lies in [begin, end), which may span midnight; no quiet hours: False."""
    if begin is None or end is None:
        return False
    return (minute - begin) % MINUTES < (end - begin) % MINUTES


def in_time(planned: datetime, now: datetime) -> bool:
    """Tell whether a slot planned for `planned` may still run: at most five minutes late."""
    return -EARLY <= now - planned <= GRACE


class Calendar:
    """Local time of the home. workday: a date's type (holidays, 调休); without it Monday to Friday are workdays."""

    def __init__(self, tz: str, workday: Callable[[date], bool] | None = None) -> None:
        self._zone = ZoneInfo(tz)
        self._workday = workday or (lambda day: day.weekday() < SATURDAY)

    def local(self, utc: datetime) -> tuple[date, int]:
        """Return the local date and minute since midnight."""
        there = utc.astimezone(self._zone)
        return there.date(), there.hour * 60 + there.minute

    def applies(self, days: str, day: date) -> bool:
        """Tell whether `day` is one of `days` ("workdays", "days_off", "daily", "mon-fri", "sat,sun")."""
        weekdays = parse_days(days)
        if weekdays is None:
            return self._workday(day) is (days == "workdays")
        return day.weekday() in weekdays

    def slots_on(self, windows: Iterable[ScheduleWindow], day: date) -> list[tuple[str, int]]:
        """Return all slots of a day by time, each once though several windows name it."""
        return sorted({slot for w in windows if self.applies(w.days, day) for slot in slots(w)}, key=lambda s: s[1])


@dataclass(slots=True)
class Once:
    """Which (slot, local date) pairs were served. Two dates a slot are kept, so that a clock put back repeats none."""

    _served: dict[str, list[str]] = field(default_factory=dict)

    def take(self, slot: str, local_date: str) -> bool:
        """Serve a slot: True the first time, False when this date had it."""
        dates = self._served.setdefault(slot, [])
        if local_date in dates:
            return False
        self._served[slot] = [*dates, local_date][-2:]
        return True

    def save(self) -> Json:
        """Return what `load` understands."""
        return {slot: list(dates) for slot, dates in self._served.items()}

    @classmethod
    def load(cls, record: Json) -> Once:
        """Restore; whatever does not look like a record is forgotten."""
        if not isinstance(record, Mapping):
            return cls()
        return cls(
            {
                slot: [d for d in dates if isinstance(d, str)]
                for slot, dates in record.items()
                if isinstance(dates, list)
            }
        )
