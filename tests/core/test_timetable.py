"""Local dates, windows and "a slot once per local date", also on the nights when the clock changes."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebridge_svc.core.model import ScheduleWindow
from homebridge_svc.core.timetable import Calendar, Once, in_quiet_hours, in_time, parse_days, slots

MORNING = ScheduleWindow("workdays", 6 * 60 + 40, 7 * 60 + 30, 1200.0)
BERLIN = Calendar("Europe/Berlin")


def test_a_window_becomes_slots_named_by_their_time() -> None:
    assert slots(MORNING) == [("0640", 400), ("0700", 420), ("0720", 440)]


def test_a_window_may_span_midnight_and_may_be_one_moment() -> None:
    assert [name for name, _ in slots(ScheduleWindow("daily", 23 * 60 + 30, 30, 1800.0))] == ["2330", "0000", "0030"]
    assert slots(ScheduleWindow("daily", 420, 420, 1200.0)) == [("0700", 420)]


def test_a_step_shorter_than_a_minute_is_a_minute() -> None:
    assert len(slots(ScheduleWindow("daily", 0, 5, 1.0))) == 6


@pytest.mark.parametrize(
    ("text", "days"),
    [("daily", set(range(7))), ("mon-fri", set(range(5))), ("sat,sun", {5, 6}), ("sat-mon", {5, 6, 0}), ("wed", {2})],
)
def test_weekdays_are_read(text: str, days: set[int]) -> None:
    assert set(parse_days(text) or ()) == days


@pytest.mark.parametrize("text", ["", "someday", "mon-", "mon;tue", "mon,,tue"])
def test_what_is_no_weekday_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no weekday"):
        parse_days(text)


def test_without_a_holiday_calendar_monday_to_friday_are_workdays() -> None:
    calendar = Calendar("Asia/Shanghai")
    assert calendar.applies("workdays", date(2026, 3, 6))
    assert calendar.applies("days_off", date(2026, 3, 7))


def test_a_holiday_calendar_moves_a_workday_to_a_saturday() -> None:
    calendar = Calendar("Asia/Shanghai", workday=lambda day: day == date(2026, 2, 14))  # 调休
    assert calendar.applies("workdays", date(2026, 2, 14))
    assert calendar.applies("days_off", date(2026, 2, 16))
    assert calendar.slots_on([MORNING], date(2026, 2, 14)) == slots(MORNING)
    assert calendar.slots_on([MORNING], date(2026, 2, 16)) == []


def test_a_slot_that_two_windows_name_is_one_slot() -> None:
    twice = [MORNING, ScheduleWindow("fri", 420, 420, 60.0)]
    assert BERLIN.slots_on(twice, date(2026, 3, 6)) == [("0640", 400), ("0700", 420), ("0720", 440)]


def test_local_time_is_the_homes() -> None:
    assert Calendar("Asia/Shanghai").local(datetime(2026, 3, 1, 22, 40, tzinfo=UTC)) == (date(2026, 3, 2), 400)


@pytest.mark.parametrize(("minute", "quiet"), [(22 * 60, True), (0, True), (359, True), (360, False), (1319, False)])
def test_quiet_hours_span_midnight(minute: int, quiet: bool) -> None:
    assert in_quiet_hours(minute, 22 * 60, 6 * 60) is quiet


def test_no_quiet_hours_means_never_quiet() -> None:
    assert not any(in_quiet_hours(minute, None, None) for minute in range(1440))


def test_five_minutes_late_is_in_time_and_more_is_missed() -> None:
    planned = datetime(2026, 3, 1, 6, tzinfo=UTC)
    assert in_time(planned, planned)
    assert in_time(planned, planned + timedelta(minutes=5))
    assert not in_time(planned, planned + timedelta(minutes=5, seconds=1))
    assert not in_time(planned, planned - timedelta(minutes=1))


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Shanghai", "America/New_York", "Australia/Lord_Howe"])
def test_in_a_whole_year_each_slot_is_served_at_most_once_per_local_date(zone: str) -> None:
    calendar, once, served = Calendar(zone), Once(), Counter[tuple[str, date]]()
    wanted = {150: "0230", 400: "0640", 1439: "2359", 0: "0000"}
    utc = datetime(2026, 1, 1, tzinfo=UTC)
    for _ in range(365 * 24 * 2):  # every half hour, and a minute before it
        for moment in (utc + timedelta(minutes=29), utc + timedelta(minutes=30), utc + timedelta(minutes=40)):
            day, minute = calendar.local(moment)
            if minute in wanted and once.take(wanted[minute], day.isoformat()):
                served[wanted[minute], day] += 1
        utc += timedelta(minutes=30)
    assert set(served.values()) == {1}
    assert len(served) >= 3 * 365


def test_the_autumn_hour_serves_its_slot_once_and_the_spring_gap_never() -> None:
    def runs(day: datetime) -> int:
        once = Once()
        moments = [BERLIN.local(day + timedelta(minutes=m)) for m in range(1440)]
        return sum(once.take("0230", d.isoformat()) for d, minute in moments if minute == 150)

    assert runs(datetime(2026, 10, 24, 22, tzinfo=UTC)) == 1  # the night of two 02:30
    assert runs(datetime(2026, 3, 28, 23, tzinfo=UTC)) == 0  # the night without


def test_a_clock_put_back_over_midnight_repeats_no_slot() -> None:
    once = Once()
    assert [once.take("0000", d) for d in ("2026-03-01", "2026-03-02", "2026-03-01", "2026-03-02")] == [1, 1, 0, 0]


@given(st.lists(st.tuples(st.sampled_from(["0640", "0700"]), st.dates()), max_size=20))
def test_served_slots_survive_a_restart(taken: list[tuple[str, date]]) -> None:
    once = Once()
    for slot, day in taken:
        once.take(slot, day.isoformat())
    again = Once.load(once.save())
    assert all(not again.take(slot, dates[-1]) for slot, dates in again._served.copy().items())
    assert again.save() == once.save()


@pytest.mark.parametrize("record", [None, 3, "x", [1], {"0640": 5}, {"0640": [1, None]}])
def test_a_record_that_is_nonsense_is_forgotten(record: object) -> None:
    assert Once.load(record).take("0640", "2026-03-01")  # type: ignore[arg-type]  # the store may hold anything
