"""The flat as a whole: who is asked, what is answered, and that the last gate stands behind everything."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from homebridge_svc.core.events import (
    CommandHeard,
    Delivery,
    EndpointChanged,
    Event,
    NonsenseHeard,
    OrderFinished,
    PlugReported,
    SensorReported,
    Started,
    Stopping,
    TimeReached,
)
from homebridge_svc.core.home import Home
from homebridge_svc.core.model import HomeSpec, Now, PlugAbility, PlugSpec, ProjectorSpec, PumpSpec, SensorSpec
from homebridge_svc.core.orders import Decision, Outcome, ReadState, Result, Say, SwitchOff, SwitchOn
from homebridge_svc.core.timetable import Calendar

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ABILITY = PlugAbility(acts=True, meters=True, dead_man=True)
SPEC = HomeSpec(
    "Asia/Shanghai",
    projectors={"tv": ProjectorSpec("tv", "投影", plug="tv_plug", plug_meters=True, power_on=("plug",), cut_after=60)},
    pumps={"bathroom": PumpSpec("bathroom", "热水", "pump_plug", plug_meters=True, dead_man=True)},
    plugs={key: PlugSpec(key, key, ABILITY) for key in ("tv_plug", "pump_plug", "lamp")},
    sensors={"return": SensorSpec("return", "回水")},
    phrases={"一起": ("bathroom.run", "lamp.on"), "灯": ("lamp.on",)},
)


class Flat:
    def __init__(self, spec: HomeSpec = SPEC) -> None:
        self.home = Home(spec, Calendar(spec.timezone))
        self.seconds = 0.0
        self._number = 0
        out = self.tell(Started("start", self.now, {}))
        for order in out.orders:
            self.tell(OrderFinished(f"f{order.id}", self.now, order, Outcome(Result.DONE)))
        for refusal in out.refusals:
            self.tell(OrderFinished(f"f{refusal.order.id}", self.now, refusal.order, Outcome(Result.FAILED, "no")))
        self.tell(PlugReported("p", self.now, "pump_plug", on=False, watts=0.0))

    @property
    def now(self) -> Now:
        return Now(START + timedelta(seconds=self.seconds), 1000 + self.seconds)

    def tell(self, event: Event) -> Decision:
        return self.home.handle(event, self.now)

    def say(self, text: str, device: str | None = None, origin: str = "mqtt") -> Decision:
        self._number += 1
        return self.tell(CommandHeard(f"c{self._number}", self.now, origin, text, device))

    def pass_time(self, seconds: float) -> Decision:
        self.seconds += seconds
        self._number += 1
        return self.tell(TimeReached(f"t{self._number}", self.now))


def says(decision: Decision) -> list[Say]:
    return [answer.say for answer in decision.answers]


def test_the_first_thing_after_a_start_is_off() -> None:
    home = Home(SPEC, Calendar(SPEC.timezone))
    out = home.handle(Started("s", Now(START, 0.0), {}), Now(START, 0.0))
    assert next(type(order.action) for order in out.orders if order.endpoint == "pump_plug") is SwitchOff
    assert not [order for order in out.orders if isinstance(order.action, SwitchOn)]


def test_nobody_of_that_name_and_the_wrong_kind_are_answered_with_what_is_known() -> None:
    flat = Flat()
    (unknown,) = flat.say("power on", "kitchen").answers
    (misfit,) = flat.say("run", "tv").answers
    (owned,) = flat.say("on", "pump_plug").answers
    assert unknown.say is misfit.say is owned.say is Say.REFUSED
    assert "bathroom" in unknown.why
    assert "power" in misfit.why
    assert "bathroom" in owned.why


def test_a_free_plug_is_switched_and_believed_when_it_says_so() -> None:
    flat = Flat()
    out = flat.say("on", "lamp")
    assert says(out) == [Say.ACCEPTED]
    assert [order.action for order in out.orders] == [SwitchOn()]
    assert says(flat.tell(PlugReported("x", flat.now, "lamp", on=True))) == [Say.DONE]
    assert flat.home.views(flat.now)["lamp"].state["on"] is True


def test_a_free_plug_that_says_nothing_fails_after_its_time() -> None:
    flat = Flat()
    flat.say("on", "lamp")
    assert says(flat.pass_time(4.9)) == []
    assert says(flat.pass_time(0.2)) == [Say.FAILED]


def test_a_newer_wish_for_a_plug_supersedes() -> None:
    flat = Flat()
    flat.say("on", "lamp")
    assert says(flat.say("off", "lamp")) == [Say.SUPERSEDED, Say.ACCEPTED]


def test_an_order_that_never_left_fails_its_wish_at_once() -> None:
    flat = Flat()
    (order,) = flat.say("on", "lamp").orders
    out = flat.tell(OrderFinished("f", flat.now, order, Outcome(Result.UNREACHABLE, "the broker is away")))
    assert says(out) == [Say.FAILED]
    assert "broker" in out.answers[0].why


def test_a_scene_is_done_when_all_its_steps_are() -> None:
    flat = Flat()
    out = flat.say("一起", origin="scene:x")
    assert says(out)[0] is Say.ACCEPTED
    assert {answer.command for answer in out.answers} == {"c1", "c1.1", "c1.2"}
    finals = [a for a in flat.tell(PlugReported("x", flat.now, "lamp", on=True)).answers if a.say.final]
    assert [(a.command, a.say) for a in finals] == [("c1.2", Say.DONE)]
    flat.tell(PlugReported("y", flat.now, "pump_plug", on=True, watts=40.0))
    answers = flat.say("stop", "bathroom").answers
    flat.seconds += 1
    answers += flat.tell(PlugReported("z", flat.now, "pump_plug", on=False, watts=0.0)).answers
    (scene,) = [answer for answer in answers if answer.command == "c1"]
    assert scene.say in (Say.DONE, Say.FAILED)  # as the pump calls a run that a person stopped
    assert scene.device is None


def test_a_spoken_wish_that_fails_is_said_aloud_and_a_clicked_one_is_not() -> None:
    flat = Flat()
    assert flat.say("跳舞", origin="scene:x").announcements
    assert not flat.say("power on", "kitchen", origin="web").announcements
    flat.say("灯", origin="scene:x")
    assert flat.pass_time(6).announcements
    assert not flat.home._spoken


def test_nonsense_with_an_id_is_answered_and_without_one_is_not() -> None:
    flat = Flat()
    assert says(flat.tell(NonsenseHeard("n", flat.now, "mqtt", "tv", "not UTF-8", has_id=True))) == [Say.REFUSED]
    assert says(flat.tell(NonsenseHeard("m", flat.now, "mqtt", "tv", "not UTF-8"))) == []


def test_after_stopping_nothing_new_begins() -> None:
    flat = Flat()
    flat.tell(Stopping("s", flat.now))
    assert says(flat.say("run", "bathroom")) == [Say.REFUSED]


def test_dry_run_reads_and_moves_nothing() -> None:
    flat = Flat(replace(SPEC, dry_run=True))
    told = [flat.say("run", "bathroom"), flat.say("on", "lamp"), *(flat.pass_time(5) for _ in range(20))]
    assert all(isinstance(order.action, ReadState) for out in told for order in out.orders)
    refusals = [refusal for out in told for refusal in out.refusals]
    assert {refusal.order.endpoint for refusal in refusals} >= {"pump_plug", "lamp"}
    assert all("dry run" in refusal.why for refusal in refusals)
    assert {answer.say for out in told for answer in out.answers} == {Say.ACCEPTED, Say.FAILED}


def test_pumps_that_share_a_heater_take_turns() -> None:
    kitchen = PumpSpec("kitchen", "厨房", "kitchen_plug", heater="gas")
    pumps = {"bathroom": replace(SPEC.pumps["bathroom"], heater="gas"), "kitchen": kitchen}
    flat = Flat(replace(SPEC, pumps=pumps, plugs={**SPEC.plugs, "kitchen_plug": PlugSpec("k", "k", ABILITY)}))
    flat.tell(PlugReported("k", flat.now, "kitchen_plug", on=False))
    assert Say.ACCEPTED in says(flat.say("run", "bathroom"))
    (refused,) = flat.say("run", "kitchen").answers
    assert refused.say is Say.REFUSED
    assert "same heater" in refused.why


def test_facts_about_strangers_are_ignored() -> None:
    flat = Flat()
    for event in (
        PlugReported("a", flat.now, "nobody", on=True),
        SensorReported("b", flat.now, "nobody", 99.0),
        EndpointChanged("c", flat.now, "nobody.adb", up=True),
    ):
        assert flat.tell(event).orders == []


def test_a_sensor_that_fell_silent_is_not_available() -> None:
    flat = Flat()
    flat.tell(SensorReported("s", flat.now, "return", 30.0))
    assert flat.home.views(flat.now)["return"].available
    flat.pass_time(61)
    assert not flat.home.views(flat.now)["return"].available


def test_a_duplicate_does_not_silence_what_becomes_of_the_original() -> None:
    flat = Flat()
    said = CommandHeard("twice", flat.now, "scene:xiaoai/scene", "灯", None, Delivery(has_id=True))
    assert says(flat.tell(said)) == [Say.ACCEPTED]
    assert says(flat.tell(said)) == [Say.DUPLICATE]
    assert [each.zh for each in flat.pass_time(6).announcements] == ["插座没有回应"]


def test_a_retained_reading_is_shown_and_is_no_reading_of_now() -> None:
    flat = Flat()
    flat.tell(SensorReported("s", flat.now, "return", 45.0, retained=True))
    view = flat.home.views(flat.now)["return"]
    assert view.state["value"] == 45.0
    assert not view.available
