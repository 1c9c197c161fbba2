"""The guards of rules 6 and 7, and what phrases mean."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from homebridge_svc.core.events import CommandHeard, Delivery
from homebridge_svc.core.intents import PowerWish, RunPump, SelectInput, SetPower
from homebridge_svc.core.interpret import Interpreter, Objection, normalise
from homebridge_svc.core.model import HomeSpec, Now
from homebridge_svc.core.orders import Say

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SPEC = HomeSpec(
    "Asia/Shanghai",
    phrases={"看电影": ("living_room.power on", "living_room.input hdmi1"), "我要洗澡": ("bathroom.run",)},
)


def at(seconds: float) -> Now:
    return Now(START + timedelta(seconds=seconds), 1000.0 + seconds)


def heard(
    seconds: float = 0.0,
    *,
    text: str = "power on",
    id_: str = "a",
    origin: str = "mqtt",
    device: str | None = "tv",
    **delivery: object,
) -> CommandHeard:
    return CommandHeard(id_, at(seconds), origin, text, device, Delivery(**delivery))  # type: ignore[arg-type]


def say(objection: Objection | None) -> Say | None:
    return objection.say if objection else None


def test_a_retained_message_never_acts() -> None:
    assert say(Interpreter(SPEC).guard(heard(retained=True), at(0))) is Say.REFUSED


def test_a_repeated_id_acts_once_even_from_another_way() -> None:
    interpreter = Interpreter(SPEC)
    assert interpreter.guard(heard(has_id=True), at(0)) is None
    assert say(interpreter.guard(heard(5, has_id=True, origin="web"), at(5))) is Say.DUPLICATE


def test_dup_alone_is_no_duplicate_but_a_redelivered_packet_is() -> None:
    interpreter = Interpreter(SPEC)
    packet = ("t/set", 7, "digest")
    assert interpreter.guard(heard(dup_flag=True, packet=packet), at(0)) is None
    assert say(interpreter.guard(heard(1, dup_flag=True, packet=packet, id_="b"), at(1))) is Say.DUPLICATE
    # a broker may use the packet id again at once: without DUP it is a new message
    assert interpreter.guard(heard(2, packet=packet, id_="c"), at(2)) is None


def test_a_packet_id_of_a_session_that_has_ended_means_nothing() -> None:
    interpreter = Interpreter(SPEC)
    packet = ("t/set", 7, "digest")
    assert interpreter.guard(heard(packet=packet), at(0)) is None
    assert interpreter.guard(heard(86_400, dup_flag=True, packet=packet, id_="b"), at(86_400)) is None


def test_what_was_seen_survives_a_restart() -> None:
    before = Interpreter(SPEC)
    before.guard(heard(has_id=True), at(0))
    after = Interpreter(SPEC)
    after.restore(before.seen, at(1))
    assert say(after.guard(heard(3, has_id=True), at(3))) is Say.DUPLICATE


@pytest.mark.parametrize("junk", [None, 7, {"a": 1}, [1, None, {"x": []}]])
def test_a_damaged_memory_is_ignored(junk: object) -> None:
    interpreter = Interpreter(SPEC)
    interpreter.restore(junk, at(0))  # type: ignore[arg-type]
    assert interpreter.guard(heard(has_id=True), at(0)) is None


def test_older_than_fifteen_seconds_never_acts() -> None:
    interpreter = Interpreter(SPEC)
    assert interpreter.guard(heard(age_bound=15.0), at(0)) is None
    assert say(interpreter.guard(heard(age_bound=15.1), at(0))) is Say.EXPIRED


def test_waiting_in_our_own_inbox_counts() -> None:
    assert say(Interpreter(SPEC).guard(heard(0), at(16))) is Say.EXPIRED


def test_a_wrong_clock_never_locks_the_family_out() -> None:
    """The caller's clock is an hour slow: only what comes on top of the usual delay makes a message old."""
    interpreter = Interpreter(SPEC)
    slow = START.timestamp() - 3600
    assert interpreter.guard(heard(0, id_="a", sent_at=slow, caller="ha"), at(0)) is None
    assert interpreter.guard(heard(60, id_="b", sent_at=slow + 59, caller="ha"), at(60)) is None
    assert say(interpreter.guard(heard(120, id_="c", sent_at=slow + 100, caller="ha"), at(120))) is Say.EXPIRED


def ages(*heard_at: tuple[float, float]) -> list[Say | None]:
    """Commands of one caller: (seconds, how far its clock is ahead at that moment)."""
    interpreter = Interpreter(SPEC)
    return [
        say(interpreter.guard(heard(t, id_=f"a{t}", sent_at=START.timestamp() + t + ahead, caller="ha"), at(t)))
        for t, ahead in heard_at
    ]


def test_a_step_of_our_own_clock_makes_no_message_old() -> None:
    """A Pi without battery is an hour behind until NTP comes."""
    interpreter = Interpreter(SPEC)
    sent, behind = START.timestamp(), timedelta(hours=-1)
    first = Now(START + behind, 1000.0, synced=False)
    event = CommandHeard("a", first, "mqtt", "power on", "tv", Delivery(sent_at=sent, caller="ha"))
    assert interpreter.guard(event, first) is None
    assert interpreter.guard(heard(60, id_="b", sent_at=sent + 60, caller="ha"), at(60)) is None


def test_a_clock_that_is_put_right_costs_one_command() -> None:
    assert ages((0, 100), (60, 0), (65, 0), (90, 0), (4000, 0)) == [None, Say.EXPIRED, Say.EXPIRED, None, None]


def test_one_message_in_milliseconds_does_not_make_all_others_old_for_ever() -> None:
    assert ages((0, 1.8e12), (60, 0), (120, 0), (180, 0)) == [None, Say.EXPIRED, None, None]


def test_a_clock_that_drifts_costs_a_command_now_and_then() -> None:
    """50 ppm, two commands a day, for a month."""
    said = ages(*((hours * 3600.0, -hours * 0.18) for hours in range(0, 720, 12)))
    assert said.count(Say.EXPIRED) <= 8
    assert all(None in pair for pair in pairwise(said))


def test_two_clocks_under_one_name_are_both_heard() -> None:
    right, ahead = 0.0, 3600.0
    said = ages((0, right), (20, ahead), (40, right), (60, right), (80, ahead), (100, right), (120, ahead))
    assert said == [None, None, Say.EXPIRED, None, None, None, None]


def test_a_queue_that_lets_go_all_at_once_acts_on_nothing() -> None:
    assert ages((0, 0), (100, -40), (100.5, -40.2), (101, -39.9), (102, -30)) == [None, *[Say.EXPIRED] * 4]


def test_at_can_only_make_a_message_older() -> None:
    interpreter = Interpreter(SPEC)
    future = START.timestamp() + 9999
    assert say(interpreter.guard(heard(age_bound=20.0, sent_at=future, caller="ha"), at(0))) is Say.EXPIRED


def test_two_sources_that_hear_one_sentence_act_once() -> None:
    interpreter = Interpreter(SPEC)
    first, second = heard(0, origin="scene:a"), heard(1, origin="scene:b")
    assert interpreter.twin(first, interpreter.meaning(first), at(0)) is None
    assert say(interpreter.twin(second, interpreter.meaning(second), at(1))) is Say.DUPLICATE


def test_one_source_that_says_it_twice_means_it_twice() -> None:
    interpreter = Interpreter(SPEC)
    for seconds in (0, 1):
        event = heard(seconds)
        assert interpreter.twin(event, interpreter.meaning(event), at(seconds)) is None


def test_what_was_said_in_between_makes_the_same_words_a_new_wish() -> None:
    interpreter = Interpreter(SPEC)
    for seconds, origin, text in (
        (0.0, "scene:a", "power on"),
        (1.0, "scene:a", "power off"),
        (2.0, "scene:b", "power on"),
    ):
        event = heard(seconds, text=text, origin=origin)
        assert interpreter.twin(event, interpreter.meaning(event), at(seconds)) is None


def test_two_real_louders_are_two() -> None:
    interpreter = Interpreter(SPEC)
    for seconds, origin in ((0, "scene:a"), (1, "scene:b")):
        event = heard(seconds, text="volume +1", origin=origin)
        assert interpreter.twin(event, interpreter.meaning(event), at(seconds)) is None


def test_a_phrase_has_its_steps_in_order() -> None:
    steps = Interpreter(SPEC).meaning(heard(text="看电影!", device=None))
    assert [(step.id, step.device, step.intent) for step in steps] == [
        ("a.1", "living_room", SetPower(PowerWish.ON)),
        ("a.2", "living_room", SelectInput("hdmi1")),
    ]


def test_a_phrase_of_one_step_keeps_the_id() -> None:
    (step,) = Interpreter(SPEC).meaning(heard(text=" 我要洗澡。", device=None))
    assert (step.id, step.device, step.intent) == ("a", "bathroom", RunPump(None))


def test_an_unknown_phrase_says_what_is_known() -> None:
    with pytest.raises(ValueError, match="看电影"):
        Interpreter(SPEC).meaning(heard(text="打开窗户", device=None))


def test_phrases_are_compared_without_width_case_and_punctuation() -> None:
    assert normalise("Ｍovie 看 电影！") == normalise("movie看电影")


def test_a_flood_of_ids_keeps_memory_bounded() -> None:
    interpreter = Interpreter(SPEC)
    for n in range(5000):
        interpreter.guard(heard(id_=f"x{n}", has_id=True, caller=f"c{n}", sent_at=1.0), at(0))
    assert len(interpreter.seen) <= 32
    assert len(interpreter._seen) <= 1024
    assert len(interpreter._callers) <= 64
