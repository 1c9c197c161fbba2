"""What must never happen, whatever people, wires and the daemon's own end do: a hypothesis machine.

Violent cuts, two final answers, two power orders in flight, toggles in UNKNOWN and deadlines in the past are asserted
inside `House`, at each order and answer. Here: nobody is left without an answer, and when faults and hands have
stopped, the projector is what was wanted last.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.projector_house import ADB, IR, IR_TOGGLE, PLUG, UDP, UDP_IN_STANDBY, House, spec

from homebridge_svc.core.intents import PowerWish, PressKey, ProjectorIntent, SetPower, SetVolume, StartApp, StepVolume
from homebridge_svc.core.model import Power, ProjectorSpec
from homebridge_svc.core.orders import Say, Sleep, SwitchOn, Wake
from homebridge_svc.virtual_home.projector_body import Body

ON, OFF = SetPower(PowerWish.ON), SetPower(PowerWish.OFF)
WISHES: list[ProjectorIntent] = [
    ON,
    OFF,
    ON,
    OFF,
    SetPower(PowerWish.LIGHT_OFF),
    SetPower(PowerWish.LIGHT_ON),
    SetVolume(7),
    StepVolume(2),
    PressKey("ok"),
    StartApp("com.bili"),
]
FAULTS = ["lost", "unreachable", "failed", "unknown", "unknown_done", "unsupported", "late"]
HOMES: dict[str, ProjectorSpec] = {
    "everything": spec(),
    "toggles": spec(channels={"adb": ADB, "ir": IR_TOGGLE}, power_off=("adb", "ir"), power_on=("plug", "ir", "adb")),
    "infrared and watts": spec(
        channels={"ir": IR}, power_on=("plug", "ir", "plug_cycle"), power_off=("ir",), orders=("ir",), cut_after=20.0
    ),
    "no meter": spec(plug_meters=False, cut_after=30.0),
    "udp, no meter": spec(plug_meters=False, channels={"udp": UDP}, power_off=("udp",), orders=("udp",), cut_after=1.0),
    "standby": spec(channels={"adb": ADB, "udp": UDP_IN_STANDBY}, power_on=("adb", "plug_cycle"), cut_after=20.0),
    "standby, no meter": spec(channels={"adb": ADB, "udp": UDP_IN_STANDBY}, plug_meters=False, cut_after=1.0),
    "no plug": spec(plug=None, plug_meters=False, power_on=("adb", "ir"), cut_after=None),
    "blind": spec(plug=None, plug_meters=False, channels={"ir": IR}, power_on=("ir",), power_off=("ir",)),
    "cut at once": spec(cut_after=0.0, power_on=("ir", "plug_cycle")),
}


SURE = [HOMES[name] for name in ("everything", "infrared and watts", "cut at once")]


class Evening(RuleBasedStateMachine):
    """Everything that can happen to a projector."""

    house: House

    @initialize(
        home=st.sampled_from(sorted(HOMES)),
        mains=st.booleans(),
        network=st.booleans(),
        auto_boot=st.booleans(),
    )
    def begin(self, home: str, mains: bool, network: bool, auto_boot: bool) -> None:
        projector = HOMES[home]
        self.house = House(
            projector, mains=mains or projector.plug is None, asleep_network=network, auto_boot=auto_boot
        )

    @rule(intent=st.sampled_from(WISHES))
    def somebody_wishes(self, intent: ProjectorIntent) -> None:
        self.house.wish(intent)

    @rule(seconds=st.sampled_from([0.05, 1.0, 3.0, 11.0, 26.0, 70.0, 320.0]))
    def time_passes(self, seconds: float) -> None:
        self.house.advance(seconds)

    @rule(on=st.booleans())
    def a_hand_presses_the_remote(self, on: bool) -> None:
        self.house.remote(on=on)

    @precondition(lambda self: self.house.spec.plug is not None)
    @rule(on=st.booleans())
    def a_hand_presses_the_plug(self, on: bool) -> None:
        self.house.button(on=on)

    @rule(endpoint=st.sampled_from(["adb", "udp", "ir"]), faults=st.lists(st.sampled_from(FAULTS), max_size=3))
    def a_channel_will_fail(self, endpoint: str, faults: list[str]) -> None:
        ability = self.house.spec.channels.get(endpoint)
        lies = {"lost"} if ability is not None and endpoint == "adb" else set()  # adb's own answer is true
        self.house.faults[endpoint] = [fault for fault in faults if fault not in lies]

    @rule(faults=st.lists(st.sampled_from(["unreachable", "failed", "unknown", "unknown_done", "late"]), max_size=3))
    def the_plug_will_fail(self, faults: list[str]) -> None:
        self.house.faults[PLUG] = faults

    @rule(endpoint=st.sampled_from(["adb", "udp", PLUG]), away=st.booleans())
    def an_endpoint_goes_or_comes(self, endpoint: str, away: bool) -> None:
        (self.house.away.add if away else self.house.away.discard)(endpoint)

    @rule(lost=st.booleans())
    def reports_are_lost(self, lost: bool) -> None:
        self.house.lose_reports = lost

    @rule(noise=st.sampled_from([-0.4, 0.0, 3.0, 5.0]))
    def the_meter_is_noisy(self, noise: float) -> None:
        self.house.noise = noise

    @rule()
    def a_retained_report_comes(self) -> None:
        self.house.plug_reports(retained=True)

    @rule(rebooted=st.booleans())
    def the_daemon_restarts(self, rebooted: bool) -> None:
        self.house.restart(rebooted=rebooted)

    @invariant()
    def nothing_was_cut_violently(self) -> None:
        house = getattr(self, "house", None)
        assert house is None or house.body.violent_cuts == 0

    def teardown(self) -> None:
        house = getattr(self, "house", None)
        if house is None:
            return
        house.faults.clear()
        house.away.clear()
        house.lose_reports, house.noise = False, 0.0
        house.advance(600)
        house.check_answers()
        for intent, states in ((ON, (Body.AWAKE, Body.LIGHT_OFF)), (OFF, (Body.ASLEEP, Body.DARK))):
            command = house.wish(intent)
            house.advance(600)
            house.check_answers()
            if house.spec in SURE:
                assert house.said(command)[-1] is Say.DONE, house.why(command)
            if house.said(command)[-1] is Say.DONE and not house.machine._facts.blind:
                assert house.body.state in states, (house.body.state, house.why(command), house.view)
        if house.spec.plug_meters:
            assert house.phase() in (Power.OFF, Power.CUT)
            self.hands_are_obeyed()

    def hands_are_obeyed(self) -> None:
        """Whatever came before, a person with the remote in a calm house gets what they want."""
        house = self.house
        before = len(house.sent())
        for on in (True, False, True):
            if on and house.body.state is Body.DARK:
                house.button(on=True)
            house.remote(on=on)
            house.advance(120)
            assert house.body.awake is on
            assert house.view["power"] == ("on" if on else "off")
            assert house.view["desired"] == ("on" if on else "off")
        assert not [order for order in house.sent()[before:] if isinstance(order.action, Sleep | Wake | SwitchOn)]


TestEvening = Evening.TestCase
TestEvening.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
