"""What the ADB channel of a projector does for an order, on a real socket."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from pydantic import ValidationError
from support.adb import home, running, until

from homebridge_svc.adapters.projectors.adb import AdbProjector, Options
from homebridge_svc.core.model import Power
from homebridge_svc.core.orders import (
    Action,
    ChooseInput,
    LaunchApp,
    LightOff,
    Outcome,
    PressKeys,
    PutMute,
    PutVolume,
    ReadState,
    Result,
    Sleep,
    Wake,
)
from homebridge_svc.errors import Expired, Refused, Unsupported
from homebridge_svc.ports import Surroundings
from homebridge_svc.virtual_home.projector_body import Body

DONE = Outcome(Result.DONE)


async def test_it_connects_with_a_known_key_and_reports_what_it_sees() -> None:
    async with home() as here, running(here.channel):
        await until(lambda: here.reports)
        report = here.reports[0]
        assert (report.power, report.app, report.volume, report.muted) == (Power.ON, "com.xgimi.home", 15, False)
        assert (report.identity, report.channel, report.projector) == ("XGIMI0012345", "adb", "cinema")
        assert here.changes == [True]


async def test_a_key_that_is_not_known_is_refused_and_asks_nobody() -> None:
    async with home(trusted=False) as here:
        here.daemon.accept_new_keys = True  # had it asked, it would have been let in
        with pytest.raises(Refused, match="pair adb"):
            await here.channel.execute(here.order(Sleep()))
        assert here.daemon.keys == []
        assert here.changes == [False]


async def test_a_good_key_that_is_turned_down_once_after_waking_is_tried_once_more() -> None:
    async with home() as here:
        keys, here.daemon.keys = here.daemon.keys, []

        async def remember() -> None:
            await until(lambda: here.daemon.connections == 1)
            await asyncio.sleep(0.1)
            here.daemon.keys = keys

        waking = asyncio.create_task(remember())
        assert await here.channel.execute(here.order(Sleep())) == DONE
        await waking
        assert here.daemon.connections == 2


async def test_without_a_key_it_says_how_to_make_one(tmp_path: Path) -> None:
    async with home() as here:
        options = Options(host=here.daemon.host, port=here.daemon.port)
        channel = AdbProjector("cinema", options, Surroundings(lambda _: True, here.clock, lambda: "x", tmp_path))
        with pytest.raises(Refused, match="pair adb"):
            await channel.execute(here.order(Sleep()))


@pytest.mark.parametrize(
    ("action", "executed"),
    [
        (Wake(), "input keyevent 224"),
        (Sleep(), "input keyevent 223"),
        (PressKeys(("up", "up", "ok")), "input keyevent 19 19 23"),
        (PutVolume(7), "media volume --show --stream 3 --set 7"),
        (PutMute(True), "input keyevent 164"),
        (ChooseInput("hdmi2"), "input keyevent 244"),
        (ChooseInput("film box"), "am start -n com.example.phoneapp/.Box"),
    ],
)
async def test_each_order_is_one_command(action: Action, executed: str) -> None:
    inputs = {"film box": ["-n", "com.example.phoneapp/.Box"]}
    async with home(options={"inputs": inputs}) as here:
        assert await here.channel.execute(here.order(action)) == DONE
        assert executed in [command for _, command in here.android.executed]


async def test_orders_reach_the_machine() -> None:
    async with home() as here:
        for action in (PutVolume(12), PutMute(True), ChooseInput("hdmi1"), LaunchApp("com.xiaodianshi.tv.yst")):
            assert await here.channel.execute(here.order(action)) == DONE
        body = here.android.body
        assert (body.volume, body.muted, body.input, body.app) == (12, True, "hdmi1", "com.xiaodianshi.tv.yst")
        assert await here.channel.execute(here.order(Sleep())) == DONE
        assert body.state is Body.COOLING


async def test_android_11_takes_its_own_volume_command() -> None:
    async with home() as here:
        here.android.sdk = 30
        assert await here.channel.execute(here.order(PutVolume(9))) == DONE
        assert here.android.body.volume == 9


async def test_a_volume_above_the_maximum_is_refused() -> None:
    async with home() as here:
        with pytest.raises(Refused):
            await here.channel.execute(here.order(PutVolume(31)))
        await here.channel.execute(here.order(ReadState()))
        before = len(here.daemon.opened)
        with pytest.raises(Refused):
            await here.channel.execute(here.order(PutVolume(31)))
        assert len(here.daemon.opened) == before  # by now it knows the maximum
        assert here.android.body.volume == 15


async def test_mute_is_pressed_only_when_a_fresh_look_says_so() -> None:
    async with home() as here:
        here.android.body.muted = True  # by the stock remote
        assert (await here.channel.execute(here.order(PutMute(True)))).result is Result.DONE
        assert here.inputs == []
        await here.channel.execute(here.order(PutMute(False)))
        assert here.inputs == ["input keyevent 164"]
        assert here.android.body.muted is False


async def test_many_keys_are_one_round_trip() -> None:
    async with home() as here:
        await here.channel.execute(here.order(ReadState()))
        before = len(here.daemon.opened)
        await here.channel.execute(here.order(PressKeys(("volume_up",) * 5)))
        assert len(here.daemon.opened) == before + 1
        assert here.inputs == ["input keyevent 24 24 24 24 24"]
        assert here.android.body.volume == 20


async def test_an_app_without_tv_entry_starts_by_its_ordinary_one_and_an_unknown_one_is_refused() -> None:
    async with home() as here:
        assert await here.channel.execute(here.order(LaunchApp("com.example.phoneapp"))) == DONE
        assert here.android.body.app == "com.example.phoneapp"
        with pytest.raises(Refused):
            await here.channel.execute(here.order(LaunchApp("com.example.nothing")))


@pytest.mark.parametrize("name", ["a;reboot", "$(reboot)", "a b", "a\nreboot", "", "`x`", "a'b", "a&&b", "包"])
async def test_a_package_name_never_becomes_shell(name: str) -> None:
    async with home() as here:
        with pytest.raises(Refused):
            await here.channel.execute(here.order(LaunchApp(name)))
        assert not [service for _, service in here.daemon.opened if "monkey" in service]


@pytest.mark.parametrize("word", ["a b", "$(reboot)x y", "a;b", "`x`", "a'b", 'a"b', "", "a\n", "a|b"])
def test_input_arguments_are_checked_when_the_configuration_is_read(word: str) -> None:
    with pytest.raises(ValidationError):
        Options(host="127.0.0.1", inputs={"hdmi1": [word]})


@pytest.mark.parametrize("action", [LightOff(), PressKeys(("autofocus",)), PressKeys(()), ChooseInput("usb")])
async def test_what_adb_cannot_do_it_says(action: Action) -> None:
    async with home() as here:
        with pytest.raises(Unsupported):
            await here.channel.execute(here.order(action))


async def test_an_expired_order_is_not_sent() -> None:
    async with home() as here:
        with pytest.raises(Expired):
            await here.channel.execute(here.order(Sleep(), lives=-0.1))
        assert here.inputs == []


async def test_two_orders_at_once_are_carried_out_one_after_the_other() -> None:
    async with home() as here:
        here.android.input_takes = 0.2
        orders = [here.order(PressKeys((key,))) for key in ("up", "down")]
        assert await asyncio.gather(*map(here.channel.execute, orders)) == [DONE, DONE]
        (first, _), (second, _) = [entry for entry in here.android.executed if entry[1].startswith("input")]
        assert second - first >= 0.2


async def test_a_slow_command_gets_the_time_of_its_order() -> None:
    async with home() as here:
        here.android.input_takes = 2.3  # longer than the wait for a first sign of life
        assert await here.channel.execute(here.order(PressKeys(("ok",)))) == DONE


async def test_another_device_at_the_address_is_refused() -> None:
    async with home(options={"serial": "SOMEBODY-ELSE"}) as here:
        with pytest.raises(Refused, match="XGIMI0012345"):
            await here.channel.execute(here.order(Sleep()))
        assert here.inputs == []


async def test_after_an_order_it_looks_at_once() -> None:
    async with home(options={"poll": 600.0}, speed=10.0) as here, running(here.channel):
        await until(lambda: here.reports)
        await here.channel.execute(here.order(PutVolume(3)))
        await until(lambda: here.reports[-1].volume == 3)


async def test_a_projector_asleep_with_its_network_up_is_off_and_can_be_woken() -> None:
    async with home() as here:
        here.android.body.asleep_network = True
        here.android.body.cool_time = 0.0
        await here.channel.execute(here.order(Sleep()))
        await here.channel.execute(here.order(ReadState()))
        assert here.reports[-1].power is Power.OFF
        await here.channel.execute(here.order(Wake()))
        assert here.android.body.state is Body.AWAKE


async def test_at_sixty_times_the_speed_deadlines_hold_in_policy_time() -> None:
    async with home(speed=60.0) as here:
        for level in range(5):
            assert await here.channel.execute(here.order(PutVolume(level), lives=600.0)) == DONE
            await here.clock.sleep(6.0)
