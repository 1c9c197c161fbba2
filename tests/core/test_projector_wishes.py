"""Volume, mute, input, app, keys: which channel, in line while it boots, names, and what is never sent twice."""

from __future__ import annotations

from typing import Any

import pytest
from support.projector_house import ADB, IR, REMOTE, UDP, UP, House, spec

from homebridge_svc.core.intents import (
    PowerWish,
    PressKey,
    ProjectorIntent,
    SelectInput,
    SetMute,
    SetPower,
    SetVolume,
    StartApp,
    StepVolume,
)
from homebridge_svc.core.model import Ability, Power
from homebridge_svc.core.orders import ChooseInput, LaunchApp, PressKeys, PutVolume, Say

ON, OFF = SetPower(PowerWish.ON), SetPower(PowerWish.OFF)


def running(**changes: Any) -> House:  # noqa: ANN401
    house = House(spec(**changes))
    house.body.wake()
    house.advance(60)
    assert house.phase() is Power.ON, house.view
    return house


def booting(**changes: Any) -> House:  # noqa: ANN401
    house = House(spec(**changes), mains=False)
    house.advance(5)
    house.wish(ON)
    house.advance(2)
    assert house.phase() is Power.BOOTING
    return house


def test_an_evening_in_one_breath_waits_for_the_boot_and_comes_in_order() -> None:
    house = booting()
    wishes = [house.wish(SelectInput("电脑")), house.wish(SetVolume(12)), house.wish(StartApp("哔哩哔哩"))]
    assert house.view["waiting"] == ["input 电脑", "volume 12", "app 哔哩哔哩"]
    house.advance(40)
    assert [house.said(wish)[-1] for wish in wishes] == [Say.DONE] * 3
    assert (house.body.input, house.body.volume, house.body.app) == ("hdmi1", 12, "com.bili")
    picture = [type(order.action) for order in house.sent(ChooseInput, LaunchApp)]
    assert picture == [ChooseInput, LaunchApp]


def test_while_it_waits_a_later_wish_of_the_same_kind_supersedes_the_earlier() -> None:
    house = booting()
    first, step, second = house.wish(SetVolume(20)), house.wish(StepVolume(2)), house.wish(SetVolume(8))
    assert house.said(first)[-1] is Say.SUPERSEDED
    house.advance(40)
    assert house.said(step)[-1] is Say.DONE
    assert house.said(second)[-1] is Say.DONE
    assert house.body.volume == 8


def test_two_louder_are_two() -> None:
    house = running()
    before = house.body.volume
    house.wish(StepVolume(1))
    house.wish(StepVolume(1))
    house.advance(5)
    assert house.body.volume == before + 2


def test_what_waits_too_long_expires() -> None:
    house = booting(wish_lives=10.0)
    command = house.wish(SetVolume(4))
    house.advance(40)
    assert house.said(command) == [Say.ACCEPTED, Say.EXPIRED]
    assert not house.sent(PutVolume)


def test_when_it_is_off_a_wish_is_refused_in_both_languages() -> None:
    house = House(spec())
    house.advance(10)
    command = house.wish(SetVolume(4))
    assert house.said(command) == [Say.REFUSED]
    assert house.why(command) == "it is off"
    assert house.answers[-1].zh == "投影仪没有打开"


@pytest.mark.parametrize("fault", ["unreachable", "failed", "unsupported"])
def test_what_certainly_failed_goes_to_the_next_channel(fault: str) -> None:
    house = running()
    before = house.body.volume
    house.faults["adb"] = [fault]
    command = house.wish(StepVolume(-3))
    house.advance(5)
    assert [order.endpoint for order in house.sent(PressKeys)] == ["cinema.adb", "cinema.udp"]
    assert house.said(command)[-1] is Say.DONE
    assert house.body.volume == before - 3


def test_what_may_have_happened_is_not_repeated_when_twice_would_be_wrong() -> None:
    house = running()
    before = house.body.volume
    house.faults["adb"] = ["unknown_done"]
    command = house.wish(StepVolume(1))
    house.advance(10)
    assert house.said(command)[-1] is Say.FAILED
    assert "may have happened" in house.why(command)
    assert house.body.volume == before + 1
    assert len(house.sent(PressKeys)) == 1


def test_what_may_have_happened_is_repeated_when_twice_is_as_good_as_once() -> None:
    other = Ability(carries={PutVolume: UP}, replies=True, confirm_s=1.0)
    house = running(channels={"adb": ADB, "net": other}, orders=("adb", "net"))
    house.faults["adb"] = ["unknown_done"]
    command = house.wish(SetVolume(9))
    house.advance(10)
    assert house.said(command)[-1] is Say.DONE
    assert [order.endpoint for order in house.sent(PutVolume)] == ["cinema.adb", "cinema.net"]


def test_a_frozen_channel_for_the_picture_does_not_hold_up_the_sound() -> None:
    house = running()
    house.faults["adb"] = ["unreachable"]
    app = house.wish(StartApp("com.netflix.ninja"))
    key = house.wish(StepVolume(1))
    house.advance(0.5)
    assert house.said(app) == [Say.ACCEPTED]
    assert house.said(key)[-1] is Say.DONE


def test_a_volume_by_keys_needs_a_known_volume() -> None:
    house = running(orders=("udp",))
    house.faults["adb"] = []
    command = house.wish(SetVolume(18))
    house.advance(5)
    assert house.said(command)[-1] is Say.DONE
    assert house.body.volume == 18
    house.away.add("adb")
    house.advance(200)
    command = house.wish(SetVolume(3))
    house.advance(5)
    assert house.said(command) == [Say.ACCEPTED, Say.FAILED]
    assert "not known" in house.why(command)


def test_mute_by_a_toggling_key_needs_to_know() -> None:
    house = running(orders=("udp",))
    house.wish(SetMute(True))
    house.advance(5)
    assert house.body.muted
    again = house.wish(SetMute(True))
    house.advance(5)
    assert house.body.muted
    assert "already" in house.why(again)


def test_unknown_state_is_looked_into_before_a_wish_is_decided() -> None:
    house = House(spec())
    house.body.wake()
    house.body._state = house.body._state.AWAKE
    command = house.wish(SetVolume(6))
    assert house.said(command) == [Say.ACCEPTED]
    house.advance(10)
    assert house.said(command)[-1] is Say.DONE
    house = House(spec())
    command = house.wish(SetVolume(6))
    house.advance(10)
    assert house.said(command)[-1] is Say.FAILED


def test_where_nobody_can_tell_blind_channels_do_and_others_do_not() -> None:
    house = House(spec(channels={"ir": IR}, plug=None, plug_meters=False, orders=("ir",)))
    key, volume = house.wish(PressKey("ok", 2)), house.wish(SetVolume(6))
    house.advance(10)
    assert house.said(key)[-1] is Say.DONE
    assert "cannot confirm" in house.why(key)
    assert house.said(volume)[-1] is Say.FAILED


@pytest.mark.parametrize(
    ("intent", "part"),
    [
        (StartApp("优酷"), "known: 哔哩哔哩"),
        (StartApp("a b; reboot"), "known: 哔哩哔哩"),
        (SelectInput("hdmi9"), "known: 电脑"),
        (SetVolume(31), "0 to 30"),
        (SetVolume(-1), "0 to 30"),
        (StepVolume(21), "at most 20"),
        (PressKey("self_destruct"), "known: "),
    ],
)
def test_what_can_never_be_done_is_refused_with_what_is_known(intent: ProjectorIntent, part: str) -> None:
    house = running()
    command = house.wish(intent)
    assert house.said(command) == [Say.REFUSED]
    assert part in house.why(command)


def test_an_input_id_and_a_package_name_are_understood() -> None:
    house = running()
    for intent in (SelectInput("hdmi1"), StartApp("com.netflix.ninja")):
        command = house.wish(intent)
        house.advance(2)
        assert house.said(command)[-1] is Say.DONE
    assert (house.view["input"], house.view["app"]) == ("hdmi1", "com.netflix.ninja")


def test_what_no_channel_can_ever_do_is_refused() -> None:
    house = running(channels={"udp": UDP, "ble": REMOTE}, orders=("udp", "ble"))
    command = house.wish(StartApp("com.netflix.ninja"))
    assert house.said(command) == [Say.REFUSED]


def test_going_off_cancels_what_is_not_under_way() -> None:
    house = running()
    house.faults["adb"] = ["unreachable"]
    first, second = house.wish(StepVolume(1)), house.wish(StepVolume(1))
    house.wish(OFF)
    assert house.said(second)[-1] is Say.SUPERSEDED
    house.advance(60)
    assert Say.DONE not in house.said(first) or house.body.keys
    house.check_answers()


def test_the_view_tells_the_channels_and_what_waits() -> None:
    house = running()
    view = house.view
    assert view["channels"] == {"adb": "up", "udp": "up", "ir": "unknown"}
    assert view["power"] == "on"
    assert view["plug"] is True
    assert view["watts"] == 95.0
    assert view["volume"] == 15
