"""A pump's run: asked for, confirmed, ended by the first stop signal, answered once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.pump_rig import SHANGHAI, Rig

from homebridge_svc.core.hot_water.table import OFF, RULES, TABLE, Cue, Phase
from homebridge_svc.core.intents import ResetPump, RunPump, StopPump
from homebridge_svc.core.model import HomeSpec, PumpSpec, ScheduleWindow
from homebridge_svc.core.orders import ReadState, SwitchOff, SwitchOn
from homebridge_svc.core.safety import Gate

BARE = PumpSpec("bathroom", "热水", "pump_plug", dead_man=True, schedule=(ScheduleWindow("daily", 960, 960, 1200.0),))
METERED = replace(BARE, plug_meters=True)
SENSING = replace(METERED, stop_sensor="return", purge_time=60.0)


def ready(spec: PumpSpec = BARE) -> Rig:
    """A daemon that has been up for a minute."""
    rig = Rig(spec)
    rig.advance(60)
    return rig


def warming(rig: Rig, *, start: float = 20.0, delay: float = 50.0, rate: float = 1.0, top: float = 42.0) -> None:
    """The return pipe gets warm `delay` seconds after the pump began, and cools slowly when it stands."""
    best = start

    def temperature(mono: float) -> float:
        nonlocal best
        if rig.relay.on:
            best = max(best, min(top, start + rate * (mono - rig.relay.on_since - delay)))
        return best + 0.01 * (mono % 2)

    rig.temperature = temperature


# The start of the daemon


def test_the_daemon_begins_with_off_and_reads_back() -> None:
    rig = Rig(BARE)
    rig.relay.switch(True, rig.mono)
    assert [type(order.action) for _, order in rig.orders] == [SwitchOff, ReadState]
    assert rig.phase == "stopping"
    rig.advance(1)
    assert not rig.relay.on
    assert rig.phase == "idle"


def test_a_wish_during_the_first_off_waits_for_it() -> None:
    rig = Rig(BARE)
    command = rig.ask()
    assert rig.phase == "stopping"
    rig.advance(2)
    assert rig.phase == "running"
    rig.advance(400)
    assert rig.said(command) == ["accepted", "done"]


def test_a_wish_does_not_wait_longer_than_it_is_fresh() -> None:
    rig = Rig(BARE)
    rig.link(False)
    rig.advance(1)
    command = rig.ask()
    rig.advance(20)
    assert rig.said(command) == ["accepted", "failed"]
    rig.link(True)
    rig.advance(60)
    assert rig.count(SwitchOn) == 0


# A run


def test_a_run_ends_at_its_limit_and_is_answered_once() -> None:
    rig = ready()
    command = rig.ask(RunPump(90))
    rig.advance(3)
    assert rig.phase == "running"
    assert rig.relay.on
    assert 85 <= int(str(rig.state["remaining_s"])) <= 90
    rig.advance(88)
    assert not rig.relay.on
    assert rig.said(command) == ["accepted", "done"]
    assert "90 s" in rig.why(command) or "1 min 30 s" in rig.why(command)
    assert rig.state["last_run_s"] == pytest.approx(90, abs=2)


def test_the_dead_man_is_the_runs_limit_and_a_minute_in_the_same_message() -> None:
    rig = ready()
    rig.ask(RunPump(120))
    ((_, order),) = [entry for entry in rig.orders if isinstance(entry[1].action, SwitchOn)]
    assert order.action == SwitchOn(180.0)
    assert order.durable
    assert order.slot == "pump_plug.relay"
    record = rig.memory["pump.bathroom"]
    assert isinstance(record, dict)
    assert record["on_since"] == rig.now.utc.timestamp()


def test_a_plug_without_dead_man_is_not_asked_for_one() -> None:
    rig = ready(replace(BARE, dead_man=False))
    rig.ask()
    assert [o.action for _, o in rig.orders if isinstance(o.action, SwitchOn)] == [SwitchOn(None)]


@pytest.mark.parametrize("wanted", [3600.0, float("inf"), float("nan"), 601.0])
def test_more_than_the_owners_limit_is_cut_to_it(wanted: float) -> None:
    rig = ready()
    rig.ask(RunPump(wanted))
    rig.advance(301)
    assert not rig.relay.on


def test_hot_water_ends_the_run() -> None:
    rig = ready(SENSING)
    warming(rig)
    rig.advance(30)
    command = rig.ask()
    assert "about 1 min" in rig.why(command)
    assert "大约1分钟好" in rig.answers[-1].zh
    rig.advance(100)
    assert not rig.relay.on
    assert rig.said(command) == ["accepted", "done"]
    assert "36" in rig.why(command)
    assert 66 <= int(str(rig.state["last_run_s"])) <= 70


def test_a_warm_room_does_not_end_the_run_with_cold_water_in_the_supply() -> None:
    rig = ready(SENSING)
    warming(rig, start=37.0, delay=1e9)
    rig.advance(30)
    rig.ask()
    rig.advance(58)
    assert rig.relay.on
    rig.advance(5)
    assert not rig.relay.on  # the purge time has passed, that is proof enough


def test_a_thermostat_that_opens_ends_the_run() -> None:
    rig = ready(replace(METERED, watts_below=10.0))
    command = rig.ask()
    rig.advance(20)
    rig.relay.watts = 4.0
    rig.report()
    rig.advance(1)
    assert not rig.relay.on
    assert rig.said(command) == ["accepted", "done"]
    assert "thermostat" in rig.why(command)


def test_low_watts_right_after_a_thermostat_had_opened_are_warm_water_and_no_fault() -> None:
    rig = ready(replace(METERED, watts_below=10.0))
    rig.ask()
    rig.advance(20)
    rig.relay.watts = 0.0
    rig.report()
    rig.advance(120)
    again = rig.ask()
    rig.advance(20)
    assert rig.said(again) == ["accepted", "done"]
    assert rig.state["locked"] is None


def test_asking_again_while_it_runs_is_heard_and_both_are_answered() -> None:
    rig = ready()
    first = rig.ask(RunPump(60))
    rig.advance(30)
    second = rig.ask()
    rig.advance(40)
    assert not rig.relay.on
    assert rig.said(first) == rig.said(second) == ["accepted", "done"]
    assert rig.count(SwitchOn) == 1


def test_a_longer_wish_moves_the_end_and_arms_a_new_dead_man_but_never_past_the_limit() -> None:
    rig = ready()
    rig.ask(RunPump(60))
    rig.advance(50)
    rig.ask(RunPump(3600))
    rig.advance(245)
    assert rig.relay.on
    arms = [o.action.dead_man for _, o in rig.orders if isinstance(o.action, SwitchOn)]
    assert arms == [120.0, pytest.approx(310.0, abs=1)]
    rig.advance(8)
    assert not rig.relay.on


def test_stop_ends_the_run_supersedes_its_command_and_is_done_when_off_is_seen() -> None:
    rig = ready()
    run = rig.ask()
    rig.advance(20)
    stop = rig.ask(StopPump())
    assert rig.said(run) == ["accepted", "superseded"]
    assert rig.said(stop) == ["accepted"]
    rig.advance(1)
    assert rig.said(stop) == ["accepted", "done"]
    assert not rig.relay.on


def test_stop_sends_an_off_though_the_pump_is_believed_off() -> None:
    rig = ready()
    rig.relay.switch(True, rig.mono)  # and nobody told us
    stop = rig.ask(StopPump())
    rig.advance(1)
    assert not rig.relay.on
    assert rig.said(stop) == ["accepted", "done"]
    assert rig.state["starts_last_hour"] == 0


def test_the_daemons_end_leaves_the_pump_off_and_starts_nothing_more() -> None:
    rig = ready()
    run = rig.ask()
    rig.advance(10)
    rig.halt()
    rig.advance(1)
    assert not rig.relay.on
    assert rig.said(run) == ["accepted", "failed"]
    assert rig.said(rig.ask()) == ["refused"]


def test_a_dry_run_moves_nothing_and_says_so() -> None:
    rig = Rig(BARE, dry_run=True)
    rig.advance(60)
    assert rig.phase == "idle"
    command = rig.ask()
    rig.advance(5)
    assert rig.said(command) == ["accepted", "failed"]
    assert "dry run" in rig.why(command)
    assert {type(order.action) for _, order in rig.orders} == {ReadState}


# Persons and automatic runs


def test_a_person_waits_a_minute_between_runs_and_not_ten() -> None:
    rig = ready()
    rig.ask(RunPump(30))
    rig.advance(40)
    assert rig.said(rig.ask()) == ["refused"]
    assert "刚刚停下" in rig.answers[-1].zh
    rig.advance(55)
    assert rig.said(rig.ask()) == ["accepted"]


def test_the_fifth_start_of_an_hour_is_refused_to_persons_too() -> None:
    rig = ready()
    for _ in range(4):
        assert rig.said(rig.ask(RunPump(20))) == ["accepted"]
        rig.advance(120)
    refused = rig.ask()
    assert rig.said(refused) == ["refused"]
    assert "4 times" in rig.why(refused)
    rig.advance(3600)
    assert rig.said(rig.ask()) == ["accepted"]


def test_the_days_hours_bind_persons_and_a_new_day_opens_a_new_account() -> None:
    rig = ready(replace(BARE, max_per_day=400.0))
    rig.ask()
    rig.advance(500)
    rig.ask()  # only what is left of the day
    rig.advance(105)
    assert not rig.relay.on
    rig.advance(100)
    refused = rig.ask()
    assert rig.said(refused) == ["refused"]
    assert "今天" in rig.answers[-1].zh
    rig.advance(9 * 3600)
    assert rig.said(rig.ask()) == ["accepted"]


def test_a_slot_runs_once_per_local_date() -> None:
    rig = ready()
    assert rig.slot()
    rig.advance(3600)
    assert not rig.slot()
    rig.advance(23 * 3600)
    assert rig.slot()


def test_a_slot_of_another_kind_of_day_does_not_run() -> None:
    rig = ready(replace(BARE, schedule=(ScheduleWindow("days_off", 960, 960, 1200.0),)))
    assert not rig.slot()
    assert not rig.slot("0300")


def test_a_missed_slot_is_not_made_up() -> None:
    assert not ready().slot(late=301)
    assert ready().slot(late=299)


def test_automatic_runs_wait_for_a_synchronised_clock_and_persons_do_not() -> None:
    rig = Rig(BARE, synced=False)
    rig.advance(60)
    assert not rig.slot()
    assert rig.state["unattended"] == "the clock is not synchronised yet"
    assert rig.said(rig.ask(person=False)) == ["refused"]
    assert rig.said(rig.ask()) == ["accepted"]


def test_without_a_proven_dead_man_nothing_runs_unattended_unless_the_owner_says_so() -> None:
    rig = Rig(BARE, memory={})
    rig.advance(60)
    assert not rig.slot()
    assert "not proven" in str(rig.state["unattended"])
    rig = Rig(replace(BARE, unattended_without_dead_man=True), memory={})
    rig.advance(60)
    assert rig.slot()


def test_automatic_runs_rest_ten_minutes() -> None:
    spec = replace(BARE, schedule=(ScheduleWindow("daily", 0, 1439, 60.0),))
    rig = ready(spec)
    assert rig.slot("1600")
    rig.advance(300 + 595)
    assert not rig.slot("1601")
    rig.advance(20)
    assert rig.slot("1602")


def test_quiet_hours_bind_automatic_runs_only() -> None:
    rig = ready(replace(BARE, quiet_from=15 * 60, quiet_to=17 * 60))
    assert not rig.slot()
    assert rig.said(rig.ask()) == ["accepted"]


def test_no_automatic_start_while_somebody_draws() -> None:
    rig = ready(SENSING)
    rig.temperature = lambda mono: 34.0 - 0.1 * (mono - 1060.0)
    rig.advance(40)
    assert not rig.slot()
    assert any("drawing" in note.text for note in rig.notes)


def test_a_warm_pipe_is_left_alone_by_slots_and_purged_for_persons() -> None:
    rig = ready(SENSING)
    warming(rig)
    rig.ask()
    rig.advance(1500)  # it ran a while ago and is still at 36
    assert not rig.slot()
    assert rig.said(rig.ask()) == ["accepted"]


def test_a_sensor_that_says_hot_for_ever_stops_no_slot_for_more_than_a_day() -> None:
    rig = ready(SENSING)
    rig.temperature = lambda mono: 40.0 + 0.01 * (mono % 2)
    rig.ask()
    rig.advance(3600)
    assert not rig.slot()
    rig.advance(23.9 * 3600)
    rig.temperature = lambda _mono: 40.0
    assert rig.slot()


def test_a_rest_that_ends_a_rounding_error_too_late_is_over() -> None:
    rig = ready(replace(BARE, min_rest=300.1, max_starts_per_hour=10_000, max_per_day=1e9))
    rig.gate = Gate(HomeSpec("Asia/Shanghai"), SHANGHAI)  # the machine alone
    for step in range(150):
        rig.ask(RunPump(5.0 + step * 0.0137))
        rig.advance(400.0 + step * 0.0071)  # the rig fails when a deadline does not move on
        assert rig.phase == "idle"


# Hands


def test_a_pump_started_by_hand_is_a_run_under_the_same_limits() -> None:
    rig = ready()
    rig.press(True)
    rig.advance(2)
    assert rig.phase == "running"
    assert rig.relay.fires is not None  # its dead-man was armed
    assert rig.state["starts_last_hour"] == 1
    rig.advance(299)
    assert not rig.relay.on


def test_a_late_on_report_starts_nothing() -> None:
    rig = ready()
    rig.report(on=True)
    rig.advance(30)
    assert rig.count(SwitchOn) == 0
    assert not rig.relay.on
    assert rig.state["starts_last_hour"] == 0


def test_a_retained_on_report_makes_us_look_and_nothing_else() -> None:
    rig = ready()
    orders = len(rig.orders)
    rig.report(on=True, retained=True)
    assert [type(order.action) for _, order in rig.orders[orders:]] == [ReadState]
    assert rig.phase == "idle"


def test_a_retained_on_report_that_is_true_is_adopted_after_the_look() -> None:
    rig = ready()
    rig.relay.switch(True, rig.mono)
    rig.report(retained=True)
    rig.advance(2)
    assert rig.phase == "running"


def test_switched_off_by_hand_the_run_ends_and_is_not_started_again() -> None:
    rig = ready()
    command = rig.ask()
    rig.advance(30)
    rig.press(False)
    rig.advance(60)
    assert rig.said(command) == ["accepted", "done"]
    assert "by hand" in rig.why(command)
    assert not rig.relay.on
    assert rig.count(SwitchOn) == 1


def test_by_hand_beyond_the_days_hours_it_is_switched_off_and_said() -> None:
    rig = ready(replace(BARE, max_per_day=200.0))
    rig.ask()
    rig.advance(400)
    rig.press(True)
    rig.advance(2)
    assert not rig.relay.on
    assert "limit" in rig.announcements[-1].text


# The table


def test_the_table_is_deterministic_and_every_phase_can_be_left() -> None:
    assert len(TABLE) == sum(len(rule.phases) for rule in RULES)
    assert [rule.number for rule in RULES] == list(range(1, len(RULES) + 1))
    for phase in Phase:
        assert any(rule.to is not phase for (at, _), rule in TABLE.items() if at is phase)


def test_on_is_reached_through_starting_and_off_through_stopping_only() -> None:
    assert {rule.cue for rule in RULES if rule.to is Phase.RUNNING} == {Cue.ON_SEEN}
    into_off = [rule for rule in RULES if rule.to in OFF and not rule.phases <= OFF]
    assert {rule.cue for rule in into_off} == {Cue.OFF_SEEN, Cue.OFF_SEEN_LOCKED}


def test_a_reset_without_a_lock_is_done_and_automation_may_not_reset() -> None:
    rig = ready()
    assert rig.said(rig.ask(ResetPump())) == ["done"]
    assert rig.said(rig.ask(ResetPump(), person=False)) == ["refused"]
