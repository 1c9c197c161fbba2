"""The timetable as an ear: it says once that a slot came, through DST nights and steps of the clock."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from support.clocks import LeapingClock

from homebridge_svc.adapters.schedule import Timetable
from homebridge_svc.core.events import Event, ScheduleDue
from homebridge_svc.core.model import PumpSpec, ScheduleWindow
from homebridge_svc.ports import Surroundings

BERLIN = ZoneInfo("Europe/Berlin")
SHANGHAI = ZoneInfo("Asia/Shanghai")


def pump(*windows: ScheduleWindow) -> dict[str, PumpSpec]:
    return {"bathroom": PumpSpec("bathroom", "热水", "plug", schedule=windows)}


async def heard(
    clock: LeapingClock, zone: ZoneInfo, *windows: ScheduleWindow, stepped: Iterator[float] | None = None
) -> list[ScheduleDue]:
    due: list[ScheduleDue] = []

    def post(event: Event) -> bool:
        assert isinstance(event, ScheduleDue)
        due.append(event)
        if stepped is not None:
            clock.step(next(stepped, 0.0))
        return True

    ear = Timetable(pump(*windows), zone.key, Surroundings(post, clock, lambda: f"e{len(due)}", Path("unused")))
    task = asyncio.create_task(ear.run())
    await asyncio.wait_for(clock.over.wait(), 30)
    task.cancel()
    return due


async def test_every_slot_of_a_window_comes_once_a_day() -> None:
    start = datetime(2026, 11, 20, 0, 0, tzinfo=SHANGHAI)
    due = await heard(
        LeapingClock(start, start + timedelta(days=3)),
        SHANGHAI,
        ScheduleWindow("daily", 6 * 60 + 40, 7 * 60 + 30, 1200),
    )
    assert Counter((event.slot, event.local_date) for event in due) == Counter(
        (slot, day) for day in ("2026-11-20", "2026-11-21", "2026-11-22") for slot in ("0640", "0700", "0720")
    )
    assert all(timedelta() <= event.at.utc - event.planned_at < timedelta(minutes=1) for event in due)


@pytest.mark.parametrize("night", [datetime(2027, 3, 27, 12, tzinfo=BERLIN), datetime(2026, 10, 24, 12, tzinfo=BERLIN)])
async def test_a_dst_night_gives_a_slot_at_most_once_per_local_date(night: datetime) -> None:
    """Core lets a (slot, date) act once; the ear may say it twice in the autumn hour, never on another date."""
    clock = LeapingClock(night, night + timedelta(days=2))
    due = await heard(clock, BERLIN, ScheduleWindow("daily", 2 * 60 + 30, 2 * 60 + 30, 1200))
    assert len({(event.slot, event.local_date) for event in due}) in (1, 2)
    assert all(event.planned_at.astimezone(BERLIN).date().isoformat() == event.local_date for event in due)


async def test_a_step_forward_does_not_bring_the_slots_of_years() -> None:
    """A Pi without clock wakes up in the past, then NTP comes: what was missed is not made up."""
    start = datetime(2020, 1, 1, 6, 30, tzinfo=SHANGHAI)
    ahead = datetime(2026, 11, 20, 12, 0, tzinfo=SHANGHAI) - datetime(2020, 1, 1, 6, 40, tzinfo=SHANGHAI)
    clock = LeapingClock(start, datetime(2026, 11, 21, 12, 0, tzinfo=SHANGHAI))
    due = await heard(clock, SHANGHAI, ScheduleWindow("daily", 400, 400, 1200), stepped=iter([ahead.total_seconds()]))
    assert [event.local_date for event in due] == ["2020-01-01", "2026-11-21"]


async def test_a_step_back_says_the_same_slot_of_the_same_date_again() -> None:
    """…and core, which remembers (slot, date), does not act on it (test_timetable.py)."""
    start = datetime(2026, 11, 20, 6, 30, tzinfo=SHANGHAI)
    clock = LeapingClock(start, start + timedelta(hours=2))
    due = await heard(clock, SHANGHAI, ScheduleWindow("daily", 400, 400, 1200), stepped=iter([-900.0]))
    assert {(event.slot, event.local_date) for event in due} == {("0640", "2026-11-20")}


async def test_no_windows_is_a_quiet_ear() -> None:
    start = datetime(2026, 11, 20, tzinfo=UTC)
    assert await heard(LeapingClock(start, start + timedelta(days=30)), SHANGHAI) == []
