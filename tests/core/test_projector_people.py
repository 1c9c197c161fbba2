"""People and mains: the stock remote, a hand on the plug, restarts, power cuts (rules 11 and 12)."""

from __future__ import annotations

from typing import Any

from support.projector_house import ADB, IR, PLUG, House, spec

from homebridge_svc.core.intents import PowerWish, SetPower, SetVolume
from homebridge_svc.core.model import Json, Power
from homebridge_svc.core.orders import Say, Sleep, SwitchOff
from homebridge_svc.virtual_home.projector_body import Body

ON, OFF = SetPower(PowerWish.ON), SetPower(PowerWish.OFF)


def asleep(**changes: Any) -> House:  # noqa: ANN401
    house = House(spec(**changes))
    house.advance(15)
    assert house.phase() is Power.OFF
    return house


def cut(**changes: Any) -> House:  # noqa: ANN401
    house = House(spec(**changes), mains=False)
    house.advance(15)
    assert house.phase() is Power.CUT
    return house


def test_the_stock_remote_switches_on_and_nothing_cuts_it() -> None:
    house = asleep()
    house.remote(on=True)
    house.advance(3600)
    assert house.phase() is Power.ON
    assert house.view["desired"] == "on"
    assert not house.sent()
    assert any(note.rule == "semantics 11" for note in house.notes)


def test_the_stock_remote_switches_off_and_the_mains_go_as_usual() -> None:
    house = asleep()
    house.remote(on=True)
    house.advance(60)
    house.remote(on=False)
    house.advance(60)
    assert house.phase() is Power.OFF
    assert house.view["desired"] == "off"
    house.advance(330)
    assert house.phase() is Power.CUT
    assert house.body.violent_cuts == 0


def test_the_remote_just_before_the_cut_keeps_the_mains() -> None:
    house = asleep(cut_after=60.0)
    house.advance(40)
    house.remote(on=True)
    house.advance(600)
    assert house.phase() is Power.ON
    assert not house.sent()


def test_a_plug_switched_on_by_a_hand_counts_as_on() -> None:
    house = cut()
    house.button(on=True)
    house.advance(60)
    assert house.phase() is Power.ON
    assert house.view["desired"] == "on"
    assert not house.sent(Sleep, SwitchOff)


def test_a_plug_switched_off_by_a_hand_is_believed_at_once_and_cancels_what_waits() -> None:
    house = cut()
    command = house.wish(ON)
    volume = house.wish(SetVolume(3))
    house.advance(5)
    house.button(on=False)
    assert house.phase() is Power.CUT
    assert house.said(command)[-1] is Say.SUPERSEDED
    assert house.said(volume)[-1] is Say.SUPERSEDED
    house.advance(600)
    assert house.phase() is Power.CUT
    assert house.view["desired"] == "off"


def test_the_remote_during_the_soft_off_of_a_command_wins() -> None:
    house = asleep()
    house.remote(on=True)
    house.advance(60)
    house.wish(OFF)
    house.advance(5)
    assert house.phase() is Power.COOLING
    house.remote(on=True)
    house.advance(3600)
    assert house.phase() is Power.ON
    assert house.view["desired"] == "on"
    assert not house.sent(SwitchOff)


def mains_return(house: House) -> None:
    """The whole flat was without mains; the plug comes back on."""
    house.away.add(PLUG)
    house.advance(30)
    house.body.set_mains(False)
    house.body.set_mains(True)
    house.advance(8)
    house.away.discard(PLUG)


def test_mains_that_return_at_night_end_in_soft_off_and_cut() -> None:
    for house in (cut(), asleep(cut_after=900.0)):
        mains_return(house)
        house.advance(120)
        assert len(house.announced) == 1
        assert house.body.state is Body.ASLEEP
        house.advance(900)
        assert house.phase() is Power.CUT
        assert house.body.violent_cuts == 0
        house.check_answers()


def test_the_owner_may_want_it_otherwise() -> None:
    house = cut(unexplained_boot=False)
    mains_return(house)
    house.advance(120)
    assert house.phase() is Power.ON
    assert house.view["desired"] == "on"


def test_mains_that_return_during_a_film_leave_it_on() -> None:
    house = asleep()
    house.remote(on=True)
    house.advance(60)
    mains_return(house)
    house.advance(300)
    assert house.phase() is Power.ON
    assert not house.sent()


def test_a_person_may_want_it_on_after_mains_returned() -> None:
    house = cut()
    mains_return(house)
    house.advance(8)
    command = house.wish(ON)
    house.advance(120)
    assert house.said(command)[-1] is Say.DONE
    assert house.body.state is Body.AWAKE


def test_a_plug_that_was_only_unreachable_changes_nothing() -> None:
    house = asleep(cut_after=None)
    house.away.add(PLUG)
    house.advance(30)
    house.away.discard(PLUG)
    house.advance(30)
    house.remote(on=True)
    house.advance(120)
    assert house.phase() is Power.ON
    assert house.view["desired"] == "on"
    assert not house.sent()


def test_a_restart_alone_adopts_what_it_finds() -> None:
    house = cut()
    house.body.set_mains(True)
    house.advance(0)
    house.restart()
    house.advance(120)
    assert house.phase() is Power.ON
    assert house.view["desired"] == "on"
    assert not house.sent(Sleep)


def test_a_machine_that_rebooted_with_the_projector_knows_that_mains_were_away() -> None:
    house = cut()
    house.body.set_mains(True)
    house.restart(rebooted=True)
    house.advance(200)
    assert house.body.state is Body.ASLEEP
    assert house.view["desired"] == "off"
    assert house.announced


def test_a_remote_pressed_without_a_meter_is_seen_by_the_network() -> None:
    house = House(spec(plug_meters=False, channels={"adb": ADB, "ir": IR}), asleep_network=True)
    house.advance(10)
    house.remote(on=True)
    house.advance(120)
    assert house.phase() is Power.ON
    assert house.view["desired"] == "on"


def test_little_is_remembered_and_only_when_it_changed() -> None:
    house = asleep()
    assert house.memory["projector.cinema"] == {"desired": "off", "phase": "off"}
    house.wish(ON)
    assert house.memory["projector.cinema"] == {"desired": "on", "phase": "off"}


def test_what_was_remembered_may_be_anything() -> None:
    junks: list[Json] = [None, 7, "x", [], {"desired": 3, "phase": "warm"}, {"desired": None}]
    for junk in junks:
        house = House(spec(), memory={"projector.cinema": junk})
        house.advance(5)
        assert house.phase() is Power.OFF
