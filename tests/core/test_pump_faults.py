"""What can go wrong with a pump, row by row, and what is done about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from support.pump_rig import Rig

from homebridge_svc.core.events import OrderFinished, PlugReported
from homebridge_svc.core.intents import ResetPump, RunPump, StopPump
from homebridge_svc.core.model import Json, PumpSpec, ScheduleWindow
from homebridge_svc.core.orders import Outcome, Result, SwitchOff, SwitchOn

BARE = PumpSpec("bathroom", "热水", "pump_plug", dead_man=True, schedule=(ScheduleWindow("daily", 0, 1439, 60.0),))
METERED = replace(BARE, plug_meters=True)
SENSING = replace(METERED, stop_sensor="return", purge_time=60.0)


def ready(spec: PumpSpec = BARE) -> Rig:
    rig = Rig(spec)
    rig.advance(60)
    return rig


def stored(rig: Rig) -> Mapping[str, Json]:
    record = rig.memory["pump.bathroom"]
    assert isinstance(record, dict)
    return record


# The daemon dies


@pytest.mark.parametrize("ran", [0.0, 0.05, 0.3, 2.0, 100.0])
def test_killed_at_any_step_of_a_run_the_first_thing_is_off(ran: float) -> None:
    rig = ready()
    rig.ask()
    rig.advance(ran)
    rig.crash(20)
    first = rig.orders[-2][1]
    assert isinstance(first.action, SwitchOff)
    assert first.sticky
    rig.advance(3)
    assert not rig.relay.on
    assert rig.count(SwitchOn) == 1  # the wish does not survive


def test_killed_and_never_restarted_the_dead_man_ends_the_run() -> None:
    rig = ready()
    rig.ask(RunPump(100))
    rig.advance(5)
    rig.crash(400)
    assert rig.relay.off_since - rig.relay.on_since == pytest.approx(160, abs=1)


def test_limits_survive_the_restart() -> None:
    rig = ready()
    for _ in range(4):
        rig.ask(RunPump(20))
        rig.advance(100)
        rig.crash(1)
        rig.advance(5)
    assert rig.said(rig.ask()) == ["refused"]
    assert 75 <= int(str(rig.state["run_seconds_today"])) <= 200


def test_a_run_that_was_on_when_the_daemon_died_is_charged() -> None:
    rig = ready(replace(BARE, max_per_day=400.0))
    rig.ask()
    rig.advance(10)
    rig.crash(200)
    rig.advance(10)
    assert 205 <= int(str(rig.state["run_seconds_today"])) <= 300


def test_a_served_slot_stays_served_after_the_restart() -> None:
    rig = ready()
    assert rig.slot()
    rig.advance(30)
    rig.crash(700)
    rig.advance(700)
    assert not rig.slot()


@pytest.mark.parametrize(
    "record", [None, 7, "x", [], {"starts": "x", "lock": 3, "day": 4, "seconds": "many", "slots": 1}]
)
def test_a_damaged_record_is_forgotten(record: Json) -> None:
    rig = Rig(BARE, memory={"pump.bathroom": record, "proof.bathroom": True})
    rig.advance(10)
    assert rig.phase == "idle"


# The plug


def test_an_on_that_reached_nobody_is_said_and_counts_for_nothing() -> None:
    rig = ready()
    rig.link(False)
    command = rig.ask()
    rig.advance(60)
    assert rig.said(command) == ["accepted", "failed"]
    assert "no route" in rig.why(command)
    assert rig.state["starts_last_hour"] == 0
    rig.link(True)
    rig.advance(5)
    assert rig.phase == "idle"


def test_an_on_that_nobody_confirms_counts_as_on_and_is_switched_off() -> None:
    rig = ready()
    rig.mute = 2
    command = rig.ask()
    rig.advance(4)
    assert rig.relay.on
    rig.advance(5)
    assert not rig.relay.on
    assert rig.said(command) == ["accepted", "failed"]


def test_unreachable_after_the_on_off_is_repeated_until_confirmed_and_the_dead_man_covers() -> None:
    rig = ready()
    rig.ask(RunPump(60))
    rig.advance(10)
    rig.link(False)
    rig.advance(300)
    assert rig.relay.off_since - rig.relay.on_since == pytest.approx(120, abs=1)
    assert rig.phase == "stopping"
    assert not rig.state["running"]
    assert rig.announcements[-1].alarm
    assert "不" in rig.announcements[-1].zh or "没有" in rig.announcements[-1].zh
    assert 6 <= rig.count(SwitchOff) <= 12  # with back-off
    rig.link(True)
    rig.advance(1)
    assert rig.phase in ("resting", "idle")


def test_a_plug_that_comes_back_is_told_off_at_once() -> None:
    rig = ready(replace(BARE, dead_man=False))
    rig.ask(RunPump(60))
    rig.advance(10)
    rig.link(False)
    rig.advance(600)
    assert rig.relay.on
    rig.link(True)
    rig.advance(1)
    assert not rig.relay.on


@pytest.mark.parametrize("away", range(900, 960, 5))
def test_a_plug_that_is_heard_again_is_told_off_within_two_seconds(away: int) -> None:
    rig = ready(replace(BARE, dead_man=False))
    rig.ask()
    rig.advance(10)
    rig.link_up = False  # nobody says so
    rig.advance(away)
    rig.link_up = True
    rig.report()
    rig.advance(2.5)
    assert not rig.relay.on


def test_a_chatty_plug_that_stays_on_is_not_flooded_with_offs() -> None:
    rig = ready(METERED)
    rig.ask(RunPump(30))
    rig.advance(20)
    rig.relay.deaf = True
    rig.advance(11)
    before = rig.count(SwitchOff)
    for _ in range(600):
        rig.report()
        rig.advance(1)
    assert rig.count(SwitchOff) - before <= 20
    moments = [at for at, order in rig.orders if isinstance(order.action, SwitchOff)]
    assert all(later - at >= 2 for at, later in pairwise(moments[1:]))


def test_the_daemons_end_and_a_stop_do_not_wait_for_the_back_off() -> None:
    rig = ready()
    rig.ask()
    rig.advance(10)
    rig.link(False)
    rig.advance(500)
    for step in (rig.halt, lambda: rig.ask(StopPump())):
        rig.advance(5)
        before = rig.count(SwitchOff)
        step()
        assert rig.count(SwitchOff) == before + 1
        step()
        assert rig.count(SwitchOff) == before + 1  # one is under way


def test_hours_of_silence_after_the_dead_mans_end_cost_the_day_nothing() -> None:
    rig = ready()
    rig.ask()
    rig.advance(5)
    rig.link(False)
    rig.advance(3.2 * 3600)
    rig.link(True)
    rig.advance(1200)
    assert rig.said(rig.ask()) == ["accepted"]
    rig.advance(5)
    assert rig.phase == "running"


def test_a_longer_run_that_the_plug_did_not_take_keeps_its_old_end_and_says_so() -> None:
    rig = ready()
    first = rig.ask(RunPump(30))
    rig.advance(5)
    rig.link_up = False
    second = rig.ask(RunPump(280))
    rig.advance(2)
    rig.link_up = True
    assert 20 <= int(str(rig.state["remaining_s"])) <= 25
    rig.advance(25)
    assert not rig.relay.on
    assert rig.said(first) == ["accepted", "done"]
    assert rig.said(second) == ["accepted", "failed"]
    assert "did not take the longer time" in rig.why(second)
    assert int(str(rig.state["run_seconds_today"])) <= 32


def test_a_longer_run_that_may_not_have_arrived_keeps_the_shorter_end() -> None:
    rig = ready()
    rig.ask(RunPump(30))
    rig.advance(5)
    rig.link_up = False
    second = rig.ask(RunPump(280))
    order = next(o for _, o in reversed(rig.orders) if isinstance(o.action, SwitchOn))
    rig.link_up = True
    rig.hear(OrderFinished("u", rig.now, order, Outcome(Result.UNKNOWN)))
    rig.advance(27)
    assert not rig.relay.on
    assert rig.said(second) == ["accepted", "failed"]


def test_a_longer_wish_after_one_that_was_lost_is_served() -> None:
    rig = ready()
    rig.ask(RunPump(30))
    rig.advance(5)
    rig.link_up = False
    second = rig.ask(RunPump(280))
    rig.advance(2)
    rig.link_up = True
    third = rig.ask(RunPump(60))
    rig.advance(55)
    assert rig.relay.on
    rig.advance(10)
    assert not rig.relay.on
    assert rig.said(second) == rig.said(third) == ["accepted", "done"]


def test_the_plugs_own_timer_is_not_taken_for_a_hand() -> None:
    rig = ready()
    rig.ask(RunPump(30))
    rig.advance(5)
    rig.lose = 2
    second = rig.ask(RunPump(280))  # taken by the network, never arrived
    rig.advance(90)
    assert not rig.relay.on
    assert "own timer" in rig.why(second)


def test_a_lost_off_is_repeated_within_seconds() -> None:
    rig = ready()
    rig.ask(RunPump(60))
    rig.advance(59)
    rig.lose = 2
    rig.advance(5)
    assert not rig.relay.on


def test_a_late_off_report_does_not_pass_for_the_end_of_a_lost_off() -> None:
    rig = ready()
    rig.ask(RunPump(60))
    rig.advance(59.9)
    rig.lose, rig.mute = 2, 0
    rig.report(on=False, after=0.15)  # late, and wrong
    rig.advance(0.26)
    assert rig.phase == "stopping"  # the OFF has not even left
    rig.advance(30)
    assert not rig.relay.on
    assert rig.phase == "resting"


def test_a_stop_that_is_not_confirmed_is_answered_in_the_end() -> None:
    rig = ready()
    rig.ask()
    rig.advance(10)
    rig.link(False)
    stop = rig.ask(StopPump())
    rig.advance(31)
    assert rig.said(stop) == ["accepted", "failed"]
    second = rig.ask(StopPump())
    rig.advance(31)
    assert rig.said(second) == ["accepted", "failed"]
    rig.link(True)
    rig.advance(400)
    assert rig.said(stop) == ["accepted", "failed"]


def test_a_relay_that_is_stuck_on_is_told_three_times_then_alarmed_and_latched() -> None:
    rig = ready(METERED)
    rig.ask(RunPump(30))
    rig.advance(20)
    rig.relay.deaf = True
    rig.advance(40)
    assert rig.announcements[-1].alarm
    assert "继电器" in rig.announcements[-1].zh
    assert "stays on" in str(rig.state["locked"])
    assert rig.said(rig.ask()) == ["refused"]
    assert rig.said(rig.ask(ResetPump())) == ["refused"]  # it is still on
    rig.relay.deaf = False
    rig.advance(120)
    assert not rig.relay.on
    assert rig.phase == "locked_out"
    assert sum(a.alarm for a in rig.announcements) == 1


def test_the_latch_survives_a_restart_holds_automatic_runs_only_and_ends_by_reset() -> None:
    rig = ready(METERED)
    rig.ask(RunPump(30))
    rig.advance(20)
    rig.relay.deaf = True
    rig.advance(60)
    rig.relay.deaf = False
    rig.crash(3600)
    rig.advance(3600)
    assert rig.phase == "locked_out"
    assert not rig.slot("1800")
    person = rig.ask(RunPump(30))
    assert rig.said(person) == ["accepted"]
    rig.advance(60)
    assert rig.phase == "locked_out"
    reset = rig.ask(ResetPump())
    assert rig.said(reset) == ["done"]
    assert rig.state["locked"] is None
    rig.advance(700)
    assert rig.phase == "idle"
    assert rig.slot("1830")


def test_a_relay_that_says_off_and_lets_watts_through_is_stuck_too() -> None:
    rig = ready(METERED)
    rig.ask(RunPump(30))
    rig.advance(60)
    assert rig.phase == "resting"
    rig.metering = False

    def welded() -> None:
        rig.hear(PlugReported("w", rig.now, "pump_plug", on=False, watts=39.0))

    for _ in range(25):
        welded()
        rig.advance(1)
    assert rig.phase == "stopping"
    assert "stays on" in str(rig.state["locked"])


def test_a_delayed_toggle_is_no_hand_and_ends_unattended_runs() -> None:
    rig = ready()
    rig.relay.toggles = True
    rig.ask(RunPump(60))
    rig.advance(100)
    assert not rig.relay.on
    rig.advance(30)  # its timer has fired and switched it on
    assert not rig.relay.on
    assert "by itself" in str(rig.state["locked"])
    rig.advance(1000)
    assert not rig.slot("1630")
    assert rig.said(rig.ask()) == ["accepted"]


# The pump, the heater, the sensor


def test_a_dead_pump_is_switched_off_and_left_alone_for_half_an_hour() -> None:
    rig = ready(METERED)
    rig.relay.watts = 0.4
    command = rig.ask()
    rig.advance(8)
    assert not rig.relay.on
    assert rig.said(command) == ["accepted", "failed"]
    assert "0.4 W" in rig.why(command)
    assert rig.phase == "locked_out"
    assert rig.said(rig.ask()) == ["refused"]
    rig.relay.watts = 40.0
    rig.advance(1800)
    assert rig.phase == "idle"
    assert rig.said(rig.ask()) == ["accepted"]


def test_a_reset_ends_the_half_hour_at_once_and_a_restart_does_not() -> None:
    rig = ready(METERED)
    rig.relay.watts = 0.0
    rig.ask()
    rig.advance(100)
    rig.crash(60)
    rig.advance(5)
    assert rig.phase == "locked_out"
    rig.ask(ResetPump())
    assert rig.said(rig.ask()) == ["accepted"]


def test_a_meter_that_answers_late_is_no_dead_pump() -> None:
    rig = ready(METERED)
    rig.metering = False  # no watts with the first reports
    rig.ask()
    rig.advance(20)
    assert rig.phase == "running"
    rig.metering = True
    rig.report()
    rig.advance(20)
    assert rig.phase == "running"


def test_a_heater_that_does_not_light_is_said_aloud_and_locks_persons_out_of_nothing() -> None:
    rig = ready(SENSING)
    rig.temperature = lambda mono: 20.0 + 0.06 * (mono % 3)
    command = rig.ask()
    rig.advance(123)
    assert not rig.relay.on
    assert rig.said(command) == ["accepted", "failed"]
    assert any(a.zh.endswith("热水器没有点火") for a in rig.announcements)
    assert rig.state["locked"] is None
    rig.advance(700)
    assert not rig.slot("1620")
    assert "light" in str(rig.state["unattended"])
    rig.temperature = lambda mono: 20.0 + (min(22.0, mono - rig.relay.on_since) if rig.relay.on else 0.0)
    assert rig.said(rig.ask()) == ["accepted"]
    rig.advance(200)
    assert rig.state["unattended"] == "ok"


@pytest.mark.parametrize("lie", ["silent", "jumping", "frozen"])
def test_a_sensor_that_lies_leaves_the_run_to_its_time(lie: str) -> None:
    rig = ready(replace(SENSING, purge_time=None))
    if lie == "frozen":
        rig.temperature = lambda _mono: 30.0
    elif lie == "jumping":
        rig.temperature = lambda mono: 85.0 if mono % 2 < 1 else -20.0
    rig.advance(20)
    command = rig.ask()
    rig.advance(290)
    assert rig.relay.on
    rig.advance(12)
    assert not rig.relay.on
    assert rig.said(command) == ["accepted", "done"]
    if lie != "jumping":
        assert "temperature" in rig.why(command)


def test_readings_faster_than_water_are_refused_and_noted() -> None:
    rig = ready(SENSING)
    rig.sense(20.0)
    rig.advance(1)
    rig.sense(85.0)
    assert rig.state["temperature"] == 20.0
    assert any("refused" in note.text for note in rig.notes)
    rig.sense(float("nan"))
    rig.sense(20.5)
    assert rig.state["temperature"] == 20.5
    rig.advance(61)
    assert rig.state["temperature"] is None


def test_a_retained_reading_is_no_reading() -> None:
    rig = ready(SENSING)
    rig.sense(50.0, retained=True)
    assert rig.state["temperature"] is None


# The clock


def test_a_clock_put_back_gives_no_new_allowance_and_locks_for_a_day_at_most() -> None:
    rig = ready(replace(BARE, max_per_day=200.0))
    rig.ask()
    rig.advance(300)
    rig.utc_error = -timedelta(days=2)
    assert rig.said(rig.ask()) == ["refused"]
    rig.crash(1)
    rig.advance(5)
    assert rig.said(rig.ask()) == ["refused"]
    rig.advance(24 * 3600)
    assert rig.said(rig.ask()) == ["accepted"]


def test_a_clock_that_was_years_ahead_does_not_lock_the_pump_for_years() -> None:
    rig = Rig(replace(BARE, max_per_day=200.0), utc_error=timedelta(days=4000))
    rig.advance(60)
    rig.ask()
    rig.advance(300)
    rig.utc_error = timedelta(0)
    assert rig.said(rig.ask()) == ["refused"]
    rig.advance(24 * 3600)
    assert rig.said(rig.ask()) == ["accepted"]


def test_without_a_set_clock_a_restart_gives_no_starts_back_and_takes_an_hour_at_most() -> None:
    rig = ready()
    for _ in range(4):
        rig.ask(RunPump(10))
        rig.advance(100)
    rig.synced, rig.utc_error = False, -timedelta(days=20_000)
    rig.crash(5)
    rig.advance(10)
    assert rig.said(rig.ask()) == ["refused"]
    rig.advance(3600)
    assert rig.said(rig.ask()) == ["accepted"]


def test_starts_are_old_again_once_the_clock_is_set() -> None:
    rig = ready()
    for _ in range(4):
        rig.ask(RunPump(10))
        rig.advance(100)
    rig.synced = False
    rig.crash(3600)
    rig.advance(10)
    assert rig.said(rig.ask()) == ["refused"]
    rig.synced = True
    assert rig.said(rig.ask()) == ["accepted"]


def test_a_clock_step_during_a_run_changes_nothing_of_its_length() -> None:
    rig = ready()
    rig.ask(RunPump(60))
    rig.advance(10)
    rig.utc_error = timedelta(hours=5)
    rig.advance(45)
    assert rig.relay.on
    rig.advance(6)
    assert not rig.relay.on
    assert stored(rig)["on_since"] is False
