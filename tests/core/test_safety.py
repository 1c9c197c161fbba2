"""The last gate refuses what a machine with a bug would send, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from homebridge_svc.core.events import OrderFinished, PlugReported
from homebridge_svc.core.model import HomeSpec, Now, ProjectorSpec, PumpSpec
from homebridge_svc.core.orders import Action, Order, Outcome, ReadState, Refusal, Result, SwitchOff, SwitchOn, Wake
from homebridge_svc.core.safety import Gate
from homebridge_svc.core.timetable import Calendar

PUMP = PumpSpec("bathroom", "热水", "pump_plug", dead_man=True)
HOME = HomeSpec(
    "Asia/Shanghai",
    projectors={"living_room": ProjectorSpec("living_room", "客厅投影", plug="cinema_plug")},
    pumps={"bathroom": PUMP},
)
ON = SwitchOn(360.0)


class Bench:
    """A gate and a clock."""

    def __init__(self, pump: PumpSpec = PUMP, *, dry_run: bool = False) -> None:
        home = replace(HOME, pumps={"bathroom": pump}, dry_run=dry_run)
        self.gate = Gate(home, Calendar("Asia/Shanghai"))
        self.mono = 0.0
        self.cut: str | None = None
        self.serial = 0

    @property
    def now(self) -> Now:
        return Now(datetime(2026, 3, 2, tzinfo=UTC) + timedelta(seconds=self.mono), self.mono)

    def order(self, action: Action, plug: str = "pump_plug", *, fresh: float = 5.0) -> Order:
        self.serial += 1
        return Order(f"o{self.serial}", plug, action, None, "a bug", self.mono + fresh)

    def check(self, action: Action, plug: str = "pump_plug", *, fresh: float = 5.0) -> Refusal | None:
        return self.gate.check(self.order(action, plug, fresh=fresh), self.now, lambda _plug: self.cut)

    def report(self, *, on: bool | None = None, watts: float | None = None, plug: str = "pump_plug") -> None:
        self.gate.observe(PlugReported("e", self.now, plug, on, watts))


def why(refusal: Refusal | None) -> str:
    assert refusal is not None
    return f"{refusal.rule}: {refusal.why}"


def test_an_ordinary_run_passes() -> None:
    bench = Bench()
    assert bench.check(ON) is None
    assert bench.check(ReadState()) is None
    bench.mono = 300
    assert bench.check(SwitchOff()) is None


def test_off_of_a_pump_passes_always_even_late() -> None:
    bench = Bench()
    bench.cut = "no"
    for _ in range(20):
        assert bench.check(SwitchOff(), fresh=-100) is None


def test_what_has_expired_does_not_pass() -> None:
    assert "too late" in why(Bench().check(ON, fresh=-0.1))
    assert "too late" in why(Bench().check(Wake(), "living_room.adb", fresh=-3))


def test_a_dry_run_moves_nothing_not_even_off() -> None:
    bench = Bench(dry_run=True)
    for action in (ON, SwitchOff(), Wake()):
        assert "dry run" in why(bench.check(action))
    assert bench.check(ReadState()) is None


def test_an_on_without_the_dead_man_that_the_plug_could_arm_does_not_pass() -> None:
    assert "semantics 16" in why(Bench().check(SwitchOn(None)))
    assert Bench(replace(PUMP, dead_man=False)).check(SwitchOn(None)) is None


@pytest.mark.parametrize("dead_man", [0.0, -1.0, 59.0, 361.0, 86_400.0, float("inf"), float("nan")])
def test_a_dead_man_that_fits_no_run_does_not_pass(dead_man: float) -> None:
    assert "dead-man" in why(Bench().check(SwitchOn(dead_man)))


@pytest.mark.parametrize("max_run", [0.0, -5.0, 601.0, float("inf"), float("nan")])
def test_a_pump_without_a_limit_is_not_started(max_run: float) -> None:
    assert "no limit" in why(Bench(replace(PUMP, max_run=max_run)).check(SwitchOn(120.0)))


def test_a_keep_alive_does_not_stretch_a_run_past_ten_minutes() -> None:
    bench = Bench()
    assert bench.check(ON) is None
    bench.mono = 280
    assert bench.check(ON) is None
    bench.mono = 310
    assert "one stretch" in why(bench.check(ON))
    assert bench.check(SwitchOn(180.0)) is None


def test_a_keep_alive_without_a_dead_man_ends_after_ten_minutes_too() -> None:
    bench = Bench(replace(PUMP, dead_man=False))
    for minute in range(11):
        bench.mono = minute * 60.0
        assert bench.check(SwitchOn(None)) is None
    bench.mono = 603.0
    assert "one stretch" in why(bench.check(SwitchOn(None)))


def test_the_stretch_counts_from_the_plugs_word_when_a_hand_began_it() -> None:
    bench = Bench()
    bench.report(on=True)
    bench.mono = 400
    assert "one stretch" in why(bench.check(ON))


def test_a_fifth_start_within_the_hour_does_not_pass() -> None:
    bench = Bench()
    for start in range(4):
        bench.mono = start * 100.0
        assert bench.check(ON) is None
        bench.mono += 20
        bench.report(on=False)
    bench.mono = 1000
    assert "starts" in why(bench.check(ON))
    bench.mono = 3601
    assert bench.check(ON) is None


def test_a_start_that_never_happened_is_not_counted() -> None:
    bench = Bench()
    for _ in range(10):
        order = bench.order(ON)
        assert bench.gate.check(order, bench.now, lambda _plug: None) is None
        bench.gate.observe(OrderFinished("e", bench.now, order, Outcome(Result.UNREACHABLE)))


def test_after_three_hours_of_a_day_it_does_not_pass_and_the_next_day_it_does() -> None:
    bench = Bench()
    for _ in range(30):  # six minutes on, a quarter of an hour off
        assert bench.check(ON) is None
        bench.mono += 360
        bench.report(on=False)
        bench.mono += 900
    assert "three hours" in why(bench.check(ON))
    bench.mono = 17 * 3600.0  # past midnight in Shanghai
    assert bench.check(ON) is None


def test_a_silent_plug_is_charged_until_its_dead_man_and_one_without_for_all_the_silence() -> None:
    for pump, refused in ((PUMP, False), (replace(PUMP, dead_man=False), True)):
        bench = Bench(pump)
        on = ON if pump.dead_man else SwitchOn(None)
        assert bench.check(on) is None
        bench.mono = 3.2 * 3600
        bench.report(on=False)
        bench.mono += 1200
        assert (bench.check(on) is not None) is refused


def test_a_dead_man_that_was_never_armed_bounds_nothing() -> None:
    bench = Bench()
    bench.report(on=True)  # by hand
    order = bench.order(ON)
    assert bench.gate.check(order, bench.now, lambda _plug: None) is None
    bench.gate.observe(OrderFinished("e", bench.now, order, Outcome(Result.UNREACHABLE)))
    bench.mono = 3.2 * 3600
    bench.report(on=False)
    assert "three hours" in why(bench.check(ON))


def test_mains_of_a_projector_are_cut_only_when_its_machine_can_say_why_not() -> None:
    bench = Bench()
    assert bench.check(SwitchOff(), "cinema_plug") is None
    bench.cut = "unknown is not off"
    assert why(bench.check(SwitchOff(), "cinema_plug")) == "semantics 10: unknown is not off"


def test_mains_of_a_projector_that_draws_watts_are_not_cut_whatever_its_machine_says() -> None:
    bench = Bench()
    bench.report(on=True, watts=120.0, plug="cinema_plug")
    bench.mono = 60
    assert "120 W" in why(bench.check(SwitchOff(), "cinema_plug"))
    bench.report(watts=1.2, plug="cinema_plug")
    assert bench.check(SwitchOff(), "cinema_plug") is None


def test_plugs_of_nobody_and_channels_are_not_its_business() -> None:
    bench = Bench()
    bench.cut = "no"
    assert bench.check(SwitchOff(), "lamp") is None
    assert bench.check(SwitchOn(None), "lamp") is None
    assert bench.check(SwitchOn(None), "cinema_plug") is None
    assert bench.check(Wake(), "living_room.udp") is None
