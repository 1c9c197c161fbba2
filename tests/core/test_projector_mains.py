"""Proof of off: when mains are cut, when they are not, and what old or late news may change."""

from __future__ import annotations

from typing import Any

from support.projector_house import ADB, IR, PLUG, UDP, UDP_IN_STANDBY, House, spec

from homebridge_svc.core.events import ProjectorReported
from homebridge_svc.core.evidence import Sign
from homebridge_svc.core.intents import PowerWish, SetPower
from homebridge_svc.core.model import Power
from homebridge_svc.core.orders import Say, SwitchOff, SwitchOn
from homebridge_svc.core.power_table import TABLE
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


def test_on_from_cut_mains_goes_by_the_plug_whatever_the_order_says() -> None:
    house = House(spec(power_on=("adb", "ir")), mains=False)
    house.advance(5)
    assert house.phase() is Power.CUT
    command = house.wish(ON)
    assert house.said(command) == [Say.ACCEPTED]
    house.advance(1)
    assert house.phase() is Power.BOOTING
    assert house.view["power"] == "on"
    house.advance(40)
    assert house.said(command) == [Say.ACCEPTED, Say.DONE]
    assert house.body.state is Body.AWAKE
    assert [type(order.action) for order in house.sent()] == [SwitchOn]


def test_off_is_confirmed_cooled_and_then_cut() -> None:
    house = running()
    command = house.wish(OFF)
    house.advance(3)
    assert house.said(command) == [Say.ACCEPTED, Say.DONE]
    assert house.phase() is Power.COOLING
    assert house.machine.cut_allowed(house.now()) is not None
    house.until(Power.OFF, 40)
    house.advance(290)
    assert not house.sent(SwitchOff)
    house.advance(30)
    assert house.phase() is Power.CUT
    assert len(house.sent(SwitchOff)) == 1
    assert house.body.violent_cuts == 0
    assert house.view["power"] == "off"


def test_never_means_never() -> None:
    house = running(cut_after=None)
    house.wish(OFF)
    house.advance(3600)
    assert house.phase() is Power.OFF
    assert not house.sent(SwitchOff)


def test_the_cut_looks_first_and_decides_on_what_it_sees() -> None:
    house = asleep(cut_after=300.0)
    house.advance(270)
    house.lose_reports = True
    house.advance(20)
    house.remote(on=True)  # nobody told us
    house.lose_reports = False
    house.advance(300)
    assert not house.sent(SwitchOff)
    assert house.phase() is Power.ON
    assert house.view["desired"] == "on"


def test_a_cut_rests_on_what_the_plug_told_when_it_was_asked_not_a_moment_before() -> None:
    house = House(spec(cut_after=10.0))
    house.advance(8)
    house.lose_reports = True  # the plug's answers to reads as well
    house.button(on=False)
    house.button(on=True)
    house.advance(60)
    assert not house.sent(SwitchOff)
    assert any("did not tell its watts" in note.text for note in house.notes)


def test_a_restart_in_the_middle_of_cooling_cuts_later_and_never_violently() -> None:
    house = running()
    house.wish(OFF)
    house.advance(5)
    house.restart()
    assert house.phase() is Power.UNKNOWN or house.phase() is Power.COOLING
    house.advance(400)
    assert house.phase() is Power.CUT
    assert house.body.violent_cuts == 0


def test_light_off_is_a_state_of_its_own_and_nothing_is_cut_in_it() -> None:
    house = running()
    command = house.wish(SetPower(PowerWish.LIGHT_OFF))
    house.advance(1)
    assert house.said(command) == [Say.ACCEPTED, Say.DONE]
    assert house.phase() is Power.LIGHT_OFF
    house.advance(3600)
    assert house.phase() is Power.LIGHT_OFF
    assert not house.sent(SwitchOff)
    command = house.wish(ON)
    house.advance(1)
    assert house.said(command)[-1] is Say.DONE
    assert house.body.state is Body.AWAKE


def test_a_blind_set_up_says_that_it_cannot_confirm_and_is_never_cut() -> None:
    house = House(spec(channels={"ir": IR}, plug_meters=False, power_on=("ir", "plug_cycle"), power_off=("ir",)))
    house.advance(20)
    on = house.wish(ON)
    house.advance(100)
    assert house.said(on)[-1] is Say.DONE
    assert "cannot confirm" in house.why(on)
    off = house.wish(OFF)
    house.advance(30)
    assert house.said(off)[-1] is Say.DONE
    assert "cannot confirm" in house.why(off)
    house.advance(3600)
    assert house.phase() is Power.UNKNOWN
    assert "not known" in str(house.machine.cut_allowed(house.now()))
    assert not house.sent(SwitchOff)


def test_without_a_meter_its_own_word_and_the_cool_down_allow_the_cut() -> None:
    house = House(
        spec(plug_meters=False, channels={"adb": ADB}, power_off=("adb",), power_on=("plug",)), asleep_network=True
    )
    house.body.wake()
    house.advance(60)
    house.wish(OFF)
    house.advance(30)
    assert house.phase() is Power.COOLING
    assert not house.sent(SwitchOff)
    house.advance(600)
    assert house.phase() is Power.CUT
    assert house.body.violent_cuts == 0


def test_without_a_meter_silence_alone_is_never_enough_to_cut() -> None:
    house = House(spec(plug_meters=False, channels={"udp": UDP}, power_off=("udp",), power_on=("plug", "plug_cycle")))
    house.body.wake()
    house.advance(60)
    command = house.wish(OFF)
    house.advance(15)
    assert house.said(command)[-1] is Say.DONE
    house.advance(3600)
    assert house.phase() is Power.OFF
    assert not house.sent(SwitchOff)
    command = house.wish(ON)
    house.advance(60)
    assert house.said(command)[-1] is Say.FAILED
    assert "plug_cycle: no meter" in house.why(command)


def test_a_silent_network_is_no_evidence_of_off() -> None:
    house = running()
    house.away |= {"adb", "udp"}
    house.advance(600)
    assert house.phase() is Power.ON
    house.away |= {PLUG}
    house.advance(600)
    assert house.phase() is Power.UNKNOWN
    assert house.view["desired"] == "on"
    assert "not known" in str(house.machine.cut_allowed(house.now()))
    assert not house.sent(SwitchOff)


def test_retained_and_old_watts_prove_nothing() -> None:
    house = House(spec(channels={"ir": IR}))
    house.lose_reports = True
    house.plug_reports(retained=True)
    assert house.phase() is Power.UNKNOWN


def test_what_still_answers_is_cut_only_after_our_own_soft_off() -> None:
    for by_hand in (False, True):
        house = House(spec(channels={"udp": UDP_IN_STANDBY}, power_off=("udp",)), asleep_network=True)
        house.body.wake()
        house.advance(60)
        if by_hand:
            house.remote(on=False)
        else:
            house.wish(OFF)
        house.advance(600)
        assert house.phase() is (Power.OFF if by_hand else Power.CUT)
        assert bool(house.sent(SwitchOff)) is not by_hand
        if by_hand:
            assert house.machine.cut_allowed(house.now()) is not None
            assert any("mains stay on: it still answers over udp" in note.text for note in house.notes)


def test_a_glitch_of_the_meter_right_after_a_lost_soft_off_cuts_nothing() -> None:
    house = running(channels={"ir": IR}, power_off=("ir",), cut_after=0.0)
    house.faults["ir"] = ["lost"]
    house.wish(OFF)
    house.advance(1)
    house.noise = -95.0
    house.advance(8)
    house.noise = 0.0
    house.advance(120)
    assert house.body.violent_cuts == 0


def test_an_answer_from_before_the_boot_does_not_end_it() -> None:
    house = House(spec(channels={"udp": UDP_IN_STANDBY}, plug_meters=False, power_on=("plug",)), mains=True)
    house.body.wake()
    house.advance(60)
    assert house.phase() is Power.ON
    house.button(on=False)
    command = house.wish(ON)
    house.advance(2)
    assert house.phase() is Power.BOOTING
    house.advance(60)
    assert house.said(command)[-1] is Say.DONE


def test_a_channel_that_answered_all_along_does_not_say_that_it_woke() -> None:
    channels = {"adb": ADB, "udp": UDP_IN_STANDBY}
    house = House(spec(channels=channels, plug_meters=False, power_off=("adb",)), asleep_network=True)
    house.body.wake()
    house.advance(60)
    house.body._state = Body.ASLEEP  # by the remote, with its network up all the time
    house.advance(6)
    house.away.add("adb")  # it has told, and leaves
    house.advance(60)
    assert house.phase() is not Power.ON
    assert house.view["desired"] == "off"


def test_a_late_report_from_before_it_went_off_changes_nothing() -> None:
    house = running(cut_after=None)
    house.wish(OFF)
    house.until(Power.OFF, 60)
    house.advance(1)
    event = ProjectorReported("late", house.now(), "cinema", "udp", Power.ON)
    house._call(lambda now, out: house.machine.report(event, now, out))
    house.advance(60)
    assert house.phase() is Power.OFF
    assert house.view["desired"] == "off"


def test_an_on_that_comes_after_its_channel_went_away_does_not_hold_up_the_off() -> None:
    house = running()
    house.wish(OFF)
    house.advance(10)
    assert house.phase() is Power.COOLING
    event = ProjectorReported("late", house.now(), "cinema", "udp", Power.ON)
    house._call(lambda now, out: house.machine.report(event, now, out))
    house.advance(60)
    assert house.phase() is Power.OFF


def test_no_row_leads_from_doubt_or_light_off_to_a_cut() -> None:
    """Only the plug's own word makes CUT, and OFF needs the projector's word, its watts, or its silence after us."""
    for row in TABLE:
        if row.to is Power.CUT:
            assert row.sign is Sign.MAINS_OFF
        if row.to is Power.OFF:
            assert row.sign in (Sign.FAINT, Sign.FAINT_AFTER_SLEEP, Sign.TOLD_OFF, Sign.LIKELY_OFF)


def test_a_channel_that_only_seems_to_be_up_does_not_hold_up_the_cut() -> None:
    house = running(cut_after=20.0)
    house.wish(OFF)
    house.until(Power.OFF, 60)
    house.machine._facts.up["udp"] = True  # its adapter has not noticed yet
    event = ProjectorReported("late", house.now(), "cinema", "udp", Power.ON)
    house._call(lambda now, out: house.machine.report(event, now, out))
    house.advance(10)
    house.advance(120)
    assert house.phase() is Power.CUT
    assert house.view["desired"] == "off"


def test_a_plug_that_lies_about_watts_does_not_overrule_the_projector() -> None:
    house = running(cut_after=0.0)
    house.noise = -95.0
    house.advance(600)
    assert house.phase() is Power.ON
    assert house.view["desired"] == "on"
    assert not house.sent(SwitchOff)
