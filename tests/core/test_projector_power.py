"""Power: on, off, light, and the way from channel to channel. One test per rule."""

from __future__ import annotations

from typing import Any

import pytest
from support.projector_house import ADB, IR, IR_TOGGLE, PLUG, REMOTE, UDP, House, spec

from homebridge_svc.core.intents import PowerWish, SetPower, SetVolume
from homebridge_svc.core.model import Power
from homebridge_svc.core.orders import Say, Sleep, SwitchOff, SwitchOn, Wake
from homebridge_svc.core.power_table import TABLE, diagram
from homebridge_svc.virtual_home.projector_body import Body

ON, OFF = SetPower(PowerWish.ON), SetPower(PowerWish.OFF)


def asleep(**changes: Any) -> House:  # noqa: ANN401
    house = House(spec(**changes))
    house.advance(15)
    return house


def running(**changes: Any) -> House:  # noqa: ANN401
    house = House(spec(**changes))
    house.body.wake()
    house.advance(60)
    assert house.phase() is Power.ON, house.view
    return house


def test_the_belief_begins_unknown_and_settles_on_evidence() -> None:
    house = House(spec())
    assert house.phase() is Power.UNKNOWN
    assert house.view["power"] is None
    house.advance(2)
    assert house.phase() is Power.OFF


def test_the_plug_is_tried_again_when_the_network_lost_the_order() -> None:
    house = House(spec(), mains=False)
    house.advance(5)
    house.faults[PLUG] = ["unreachable"]
    command = house.wish(ON)
    house.advance(60)
    assert house.said(command)[-1] is Say.DONE


def test_a_plug_that_nobody_reaches_fails_with_a_sentence() -> None:
    house = House(spec(), mains=False)
    house.advance(5)
    house.always[PLUG] = "failed"
    command = house.wish(ON)
    house.advance(30)
    assert house.said(command)[-1] is Say.FAILED
    assert "plug: failed" in house.why(command)


def test_on_when_it_is_on_is_done_at_once() -> None:
    house = running()
    command = house.wish(ON)
    assert house.said(command) == [Say.ACCEPTED, Say.DONE]
    assert "already" in house.why(command)
    assert not house.sent()


def test_a_channel_that_fails_is_followed_by_the_next_within_two_seconds() -> None:
    house = asleep(power_on=("adb", "ir"))
    house.live["cinema.adb"] = True
    house.machine._facts.up["adb"] = True  # it looked reachable a moment ago
    begun = house.mono
    command = house.wish(ON)
    house.advance(2.5)
    first, second = house.sent(Wake)
    assert (first.endpoint, second.endpoint) == ("cinema.adb", "cinema.ir")
    assert first.within <= 2.0
    assert house.mono - begun < 3.0
    house.advance(60)
    assert house.said(command)[-1] is Say.DONE


def test_a_channel_known_to_be_unreachable_is_passed_over_and_the_reason_written_down() -> None:
    house = asleep(power_on=("adb", "ir"))
    house.wish(ON)
    assert [order.endpoint for order in house.sent()] == ["cinema.ir"]
    assert any("passed over adb: it is not reachable" in note.text for note in house.notes)


def test_an_order_without_effect_gives_way_after_its_confirm_time() -> None:
    house = asleep(power_on=("ir", "plug_cycle"))
    house.faults["ir"] = ["lost"]
    command = house.wish(ON)
    house.advance(100)
    assert house.said(command)[-1] is Say.DONE
    assert [type(order.action) for order in house.sent()] == [Wake, SwitchOff, SwitchOn]
    off, on = house.sent(SwitchOff, SwitchOn)
    assert on.expires - off.expires >= 10
    assert house.body.violent_cuts == 0


def test_when_everything_is_exhausted_it_fails_and_lists_what_was_tried() -> None:
    house = asleep(power_on=("plug", "ir", "adb"))
    house.always["ir"] = "failed"
    command = house.wish(ON)
    volume = house.wish(SetVolume(5))
    house.advance(60)
    assert house.said(command)[-1] is Say.FAILED
    for part in ("plug: its mains are on already", "ir: failed", "adb: unreachable"):
        assert part in house.why(command)
    assert house.said(volume) == [Say.ACCEPTED, Say.FAILED]
    assert house.view["desired"] == "off"


def test_a_second_on_joins_the_first_and_both_are_answered() -> None:
    house = House(spec(), mains=False)
    house.advance(5)
    first = house.wish(ON)
    second = house.wish(ON)
    house.advance(60)
    assert house.said(first) == house.said(second) == [Say.ACCEPTED, Say.DONE]
    assert len(house.sent(SwitchOn)) == 1


def test_no_auto_boot_falls_through_to_a_channel_that_wakes() -> None:
    house = House(spec(power_on=("plug", "ir")), mains=False, auto_boot=False)
    house.advance(5)
    command = house.wish(ON)
    house.advance(120)
    assert house.said(command)[-1] is Say.DONE
    assert [type(order.action) for order in house.sent()] == [SwitchOn, Wake]


def test_off_during_boot_cancels_what_waits_and_is_done_when_it_is_up() -> None:
    house = House(spec(), mains=False)
    house.advance(5)
    on = house.wish(ON)
    volume = house.wish(SetVolume(12))
    house.advance(5)
    off = house.wish(OFF)
    assert house.said(on)[-1] is Say.SUPERSEDED
    assert house.said(volume) == [Say.ACCEPTED, Say.SUPERSEDED]
    assert house.said(off) == [Say.ACCEPTED]
    assert not house.sent(Sleep)
    house.advance(60)
    assert house.said(off)[-1] is Say.DONE
    assert house.body.state in (Body.COOLING, Body.ASLEEP)


def test_on_during_cooling_waits_for_the_fan_and_wakes_it_again() -> None:
    house = running()
    house.wish(OFF)
    house.advance(3)
    assert house.phase() is Power.COOLING
    command = house.wish(ON)
    house.advance(120)
    assert house.said(command)[-1] is Say.DONE
    assert house.body.state is Body.AWAKE


def test_on_right_after_off_was_sent_does_not_believe_the_old_on() -> None:
    house = running()
    off = house.wish(OFF)
    on = house.wish(ON)
    assert house.said(off)[-1] is Say.SUPERSEDED
    assert house.said(on) == [Say.ACCEPTED]
    house.advance(120)
    assert house.said(on)[-1] is Say.DONE
    assert house.body.state is Body.AWAKE


def test_a_toggle_is_sent_only_on_evidence_younger_than_the_last_power_order() -> None:
    house = running(channels={"adb": ADB, "ir": IR_TOGGLE}, power_off=("adb", "ir"))
    house.faults["adb"] = ["unknown_done"]
    command = house.wish(OFF)
    house.advance(60)
    assert house.said(command)[-1] is Say.DONE
    assert not house.sent(Sleep, to="ir")


def test_a_toggle_is_used_when_it_still_says_on_after_the_first_channel_had_its_time() -> None:
    house = running(channels={"adb": ADB, "ir": IR_TOGGLE}, power_off=("adb", "ir"))
    house.faults["adb"] = ["lost"]
    command = house.wish(OFF)
    house.advance(60)
    assert house.said(command)[-1] is Say.DONE
    assert len(house.sent(Sleep, to="ir")) == 1


def test_a_set_up_with_plug_watts_and_infrared_only_makes_an_evening() -> None:
    house = House(spec(channels={"ir": IR}, power_on=("plug", "ir"), power_off=("ir",), orders=("ir",)), mains=False)
    house.advance(5)
    on = house.wish(ON)
    house.advance(70)
    assert house.said(on)[-1] is Say.DONE
    off = house.wish(OFF)
    house.advance(40)
    assert house.said(off)[-1] is Say.DONE
    house.advance(400)
    assert house.phase() is Power.CUT


def test_off_from_light_off_needs_more_than_the_same_dim_watts() -> None:
    house = running(channels={"ir": IR}, power_off=("ir",), power_on=("ir",))
    house.body.light(False)
    house.advance(30)
    house.machine._belief.phase = Power.LIGHT_OFF
    command = house.wish(OFF)
    house.advance(10)
    assert house.said(command) == [Say.ACCEPTED]
    house.advance(60)
    assert house.said(command)[-1] is Say.DONE


@pytest.mark.parametrize("fault", ["unreachable", "failed", "unknown", "unsupported", "late"])
def test_every_way_of_failing_ends_in_an_answer(fault: str) -> None:
    house = running(channels={"adb": ADB, "udp": UDP, "ble": REMOTE})
    for name in ("adb", "udp", "ble"):
        house.always[name] = fault
    command = house.wish(OFF)
    house.advance(200)
    assert house.said(command)[-1] is Say.FAILED
    assert house.phase() is Power.ON
    house.check_answers()


def test_the_table_is_data_from_which_a_diagram_is_drawn() -> None:
    drawn = diagram()
    assert drawn.startswith("stateDiagram-v2")
    assert [row.number for row in TABLE] == list(range(1, len(TABLE) + 1))
    for phase in Power:
        assert f" {phase.value} -->" in drawn
        assert f"--> {phase.value}:" in drawn


def test_on_after_an_off_whose_effect_nobody_saw_yet_waits_until_that_is_clear() -> None:
    house = running(channels={"ir": IR}, power_off=("ir",), power_on=("ir",))
    house.lose_reports = True
    house.wish(OFF)
    house.advance(1)
    command = house.wish(ON)
    assert house.said(command) == [Say.ACCEPTED]
    house.lose_reports = False
    house.advance(120)
    assert house.said(command)[-1] is Say.DONE
    assert house.body.state is Body.AWAKE


def test_a_toggle_does_not_trust_a_meter_that_lags_behind_an_order_of_unknown_outcome() -> None:
    house = running(channels={"adb": ADB, "ir": IR_TOGGLE}, power_off=("adb", "ir"))
    house.faults["adb"] = ["unknown_done"]
    house.noise = 81.0
    command = house.wish(OFF)
    house.advance(6)
    house.noise = 0.0
    house.advance(60)
    assert house.said(command)[-1] is Say.DONE
    assert not house.sent(Sleep, to="ir")


def test_off_while_nothing_is_known_yet_is_what_is_desired_when_it_is_found_on() -> None:
    house = House(spec())
    house.body._state = Body.AWAKE
    command = house.wish(OFF)
    house.advance(60)
    assert house.said(command)[-1] is Say.DONE
    assert house.view["desired"] == "off"
