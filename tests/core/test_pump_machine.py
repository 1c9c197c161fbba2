"""Anything may happen to a pump, in any order: what holds all the same.

The rig's relay knows the truth. `unclean` is when link or daemon last failed; promises that need an OFF to reach the
relay are strict as long as both were sound, and allow one back-off after they were not.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.pump_rig import Rig

from homebridge_svc.core.hot_water.table import OFF, Phase
from homebridge_svc.core.intents import ResetPump, RunPump, StopPump
from homebridge_svc.core.model import PumpSpec, ScheduleWindow
from homebridge_svc.core.orders import Decision, Say, SwitchOff, SwitchOn

SPEC = PumpSpec(
    "bathroom",
    "热水",
    "pump_plug",
    max_run=120.0,
    min_rest=300.0,
    max_per_day=900.0,
    schedule=(ScheduleWindow("daily", 0, 1439, 60.0),),
    unattended_without_dead_man=True,
)
SLACK = 2.0  # seconds that a run may be late (rule 16)
BACK_OFF = 64.0  # seconds until the next OFF when the ones before were lost
SECONDS = st.sampled_from([0.05, 0.15, 0.5, 1.0, 4.0, 6.0, 11.0, 30.0, 61.0, 119.9, 121.0, 310.0, 1801.0, 3601.0])


class PumpMachine(RuleBasedStateMachine):
    """Wishes, hands, faults, restarts and clocks, in any order."""

    @initialize(dead_man=st.booleans(), meter=st.booleans(), sensor=st.booleans(), toggles=st.booleans())
    def begin(self, dead_man: bool, meter: bool, sensor: bool, toggles: bool) -> None:
        spec = replace(SPEC, dead_man=dead_man, plug_meters=meter)
        if sensor:
            spec = replace(spec, stop_sensor="return", purge_time=40.0)
        self.rig = Rig(spec)
        self.rig.relay.toggles = toggles and dead_man
        self.rig.watch = self.watch
        self.rig.relay.ended = self.a_run_ends
        self.commands: set[str] = set()
        self.disturbed = -1e9  # mono of the last hand
        self.rig.advance(1)

    # What may happen

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: float) -> None:
        self.rig.advance(seconds)

    @rule(seconds=st.sampled_from([None, 5.0, 40.0, 120.0, 500.0]))
    def somebody_asks(self, seconds: float | None) -> None:
        self.commands.add(self.rig.ask(RunPump(seconds)))

    @rule(seconds=st.sampled_from([5.0, 20.0]), rest=st.sampled_from([61.0, 90.0, 301.0]), times=st.integers(1, 3))
    def somebody_asks_again_and_again(self, seconds: float, rest: float, times: int) -> None:
        for _ in range(times):
            self.somebody_asks(seconds)
            self.rig.advance(seconds + rest)

    @rule()
    def automation_asks(self) -> None:
        self.automatic(lambda: self.commands.add(self.rig.ask(person=False)))

    @rule()
    def a_slot_comes(self) -> None:
        minute = self.rig.now.utc.astimezone().strftime("%H%M")
        self.automatic(lambda: self.rig.slot(minute))

    @rule()
    def somebody_says_stop(self) -> None:
        self.commands.add(self.rig.ask(StopPump()))

    @rule()
    def somebody_resets(self) -> None:
        self.commands.add(self.rig.ask(ResetPump()))

    @precondition(lambda self: self.rig.link_up)
    @rule(on=st.booleans())
    def a_hand(self, on: bool) -> None:
        self.disturbed = self.rig.mono
        self.rig.press(on)

    @rule(up=st.booleans())
    def link(self, up: bool) -> None:
        self.rig.link(up)

    @rule(orders=st.integers(0, 14), reports=st.integers(0, 4))
    def messages_get_lost(self, orders: int, reports: int) -> None:
        self.rig.lose, self.rig.mute = orders, reports
        self.rig.fault()

    @rule(on=st.booleans(), after=st.sampled_from([0.0, 0.15, 3.0, 12.0]), retained=st.booleans())
    def a_late_or_repeated_report(self, on: bool, after: float, retained: bool) -> None:
        self.rig.fault(after)
        self.rig.report(on=on, after=after, retained=retained)

    @rule(value=st.sampled_from([20.0, 22.0, 26.0, 31.0, 36.5, 41.0, 85.0, -127.0, float("nan")]))
    def the_sensor_says(self, value: float) -> None:
        self.rig.sense(value)

    @rule(watts=st.sampled_from([0.0, 2.0, 8.0, 40.0]))
    def the_motor_changes(self, watts: float) -> None:
        self.rig.relay.watts = watts

    @rule(deaf=st.booleans())
    def the_relay_sticks(self, deaf: bool) -> None:
        self.rig.relay.deaf = deaf
        self.rig.fault()

    @rule(seconds=st.sampled_from([0.0, 0.3, 5.0, 200.0, 4000.0]))
    def the_daemon_dies(self, seconds: float) -> None:
        self.commands.clear()  # nobody answers for the dead
        self.rig.crash(seconds)

    @rule(hours=st.sampled_from([-30, -1, 1, 30]))
    def the_clock_steps(self, hours: int) -> None:
        """A clock that is not synchronised shows anything; a synchronised one shows the truth."""
        self.rig.synced, self.rig.utc_error = False, self.rig.utc_error + timedelta(hours=hours)

    @rule()
    def the_clock_is_set(self) -> None:
        self.rig.synced, self.rig.utc_error = True, timedelta(0)

    # What holds

    def watch(self, out: Decision, before: Phase) -> None:
        """Look at each decision as it is made."""
        ons = [order for order in out.orders if isinstance(order.action, SwitchOn)]
        assert len(ons) <= 1, "two ONs at once"
        for order in ons:
            assert order.durable
            assert order.slot
            record = self.rig.memory["pump.bathroom"]
            assert isinstance(record, dict)
            assert record["on_since"] is not False, "the ON leaves before on since is stored"
            armed = order.action.dead_man if isinstance(order.action, SwitchOn) else None
            assert (armed is not None) is self.rig.spec.dead_man
            if armed is not None:
                assert armed <= self.rig.spec.max_run + 60
            if before in OFF:
                assert not (self.rig.relay.on and self.sound(30)), "a double start"
        for order in out.orders:
            if isinstance(order.action, SwitchOff):
                assert order.sticky

    def sound(self, seconds: float) -> bool:
        """Link, daemon and hands have done nothing odd for so long."""
        return self.rig.link_up and self.rig.mono - max(self.rig.unclean, self.disturbed) > seconds

    def automatic(self, step: object) -> None:
        starts, rest = self.rig.count(SwitchOn), self.rig.mono - self.rig.relay.off_since
        running = self.rig.phase in ("starting", "running")
        assert callable(step)
        step()
        if self.rig.count(SwitchOn) > starts and not running:
            assert self.rig.synced, "an automatic run before the clock is set"
            assert rest >= self.rig.spec.min_rest or not self.sound(1000), "an automatic run without rest"

    def a_run_ends(self) -> None:
        """The relay opens: was it in time?"""
        rig = self.rig
        on_since = rig.relay.on_since
        sound = rig.link_up and not rig.relay.deaf and max(rig.unclean, self.disturbed) < on_since
        if sound and rig.closures and rig.closures[-1] == on_since:
            assert rig.mono <= rig.ends_by + SLACK, "it ended late"
        self.never_on_long_after_a_fault()

    @invariant()
    def never_on_long_after_a_fault(self) -> None:
        rig = self.rig
        if not rig.relay.on or rig.relay.deaf or not rig.link_up or rig.lose or rig.mute:
            return
        since = max(rig.relay.on_since, rig.unclean)
        back_off = BACK_OFF if rig.unclean > rig.relay.on_since else 0.0  # and it may have been adopted after that
        assert rig.mono - since <= back_off + rig.spec.max_run + SLACK, "on long after the fault"

    @invariant()
    def never_more_than_four_starts_an_hour(self) -> None:
        assert sum(self.rig.mono - at < 3600 for at in self.rig.closures) <= 4

    @invariant()
    def every_lock_has_a_reason(self) -> None:
        state = self.rig.state
        if state["phase"] == "locked_out":
            assert state["locked"]
            assert state["locked_zh"]
            assert state["unattended"] != "ok"

    @invariant()
    def no_command_gets_two_final_answers(self) -> None:
        final = Counter(answer.command for answer in self.rig.answers if answer.say.final)
        assert not [command for command, times in final.items() if times > 1]
        assert all(answer.why and answer.zh for answer in self.rig.answers if answer.say is not Say.ACCEPTED)

    @invariant()
    def the_gate_agrees_with_the_machine(self) -> None:
        assert not self.rig.refusals, self.rig.refusals[-1].why

    def teardown(self) -> None:
        """When everything is well again, everybody has an answer and the pump is off."""
        if not hasattr(self, "rig"):
            return
        rig = self.rig
        rig.lose = rig.mute = 0
        rig.relay.deaf = rig.relay.toggles = False
        rig.link(True)
        rig.advance(700)
        note(rig.phase)
        assert not rig.relay.on
        assert rig.phase in ("idle", "resting", "locked_out")
        final = {answer.command for answer in rig.answers if answer.say.final}
        assert self.commands <= final, "a command without an answer"


TestPumpMachine = PumpMachine.TestCase
TestPumpMachine.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
