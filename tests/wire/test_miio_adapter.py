"""The miIO plug adapter against the virtual plug, on real sockets, faults included."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError
from support.udp_things import Desk, lag, own_address, running, stalled, until

from homebridge_svc.adapters.plugs import miio as adapter
from homebridge_svc.adapters.plugs.miio import MiioPlug, Options
from homebridge_svc.core.events import EndpointChanged, PlugReported
from homebridge_svc.core.model import PlugAbility
from homebridge_svc.core.orders import Action, Outcome, ReadState, Result, SwitchOff, SwitchOn, Wake
from homebridge_svc.errors import Expired, OutcomeUnknown, Refused, Unreachable, Unsupported
from homebridge_svc.runtime.clock import SystemClock
from homebridge_svc.runtime.workers import Worker
from homebridge_svc.virtual_home.miio_plug import MiioPlug as Emulator

TOKEN = bytes(range(16))
BOTH = ["chuangmi.plug.m1", "chuangmi.plug.v1", "chuangmi.plug.v3", "cuco.plug.v3", "cuco.plug.cp2", "cuco.plug.v2eur"]


def emulator(model: str, desk: Desk, *, watts: Callable[[], float] = float) -> Emulator:
    clock = desk.clock
    return Emulator(own_address(), TOKEN, model, mono=lambda: clock.now().mono, sleep=clock.sleep, watts=watts)


def plug(desk: Desk, peer: Emulator, **options: object) -> MiioPlug:
    given = {"host": peer.host, "token": TOKEN.hex(), "model": peer.model, **options}
    return MiioPlug("cinema_plug", Options.model_validate(given), desk.surroundings)


async def ordered(desk: Desk, driver: MiioPlug, action: Action, *, lives: float = 10, within: float = 5) -> Outcome:
    return await driver.execute(desk.order("cinema_plug", action, lives=lives, within=within))


@pytest.mark.parametrize("model", BOTH)
async def test_every_dialect_switches_reads_back_and_reports(model: str) -> None:
    desk = Desk()
    async with emulator(model, desk, watts=lambda: 95.0) as peer:
        driver = plug(desk, peer)
        assert (await ordered(desk, driver, SwitchOn())).result is Result.DONE
        assert peer.on
        assert (await ordered(desk, driver, SwitchOff())).result is Result.DONE
        assert not peer.on
        assert (await ordered(desk, driver, ReadState())).result is Result.DONE
        driver._worker.stop()
    reports = desk.of(PlugReported)
    assert [report.on for report in reports] == [True, False, False]
    assert {report.plug for report in reports} == {"cinema_plug"}
    assert [report.watts for report in reports] == ([95.0, 0.0, 0.0] if driver.ability.meters else [None] * 3)


@pytest.mark.parametrize(
    ("model", "ability"),
    [
        ("chuangmi.plug.m1", PlugAbility(acts=True, meters=False, dead_man=False)),
        ("chuangmi.plug.v3", PlugAbility(acts=True, meters=True, dead_man=False)),
        ("cuco.plug.cp1", PlugAbility(acts=True, meters=False, dead_man=False)),
        ("cuco.plug.v3", PlugAbility(acts=True, meters=True, dead_man=False)),
        ("cuco.plug.v2eur", PlugAbility(acts=True, meters=True, dead_man=True)),
    ],
)
def test_a_model_says_what_it_can_do(model: str, ability: PlugAbility) -> None:
    desk = Desk()
    assert plug(desk, emulator(model, desk)).ability == ability


async def test_polls_report_a_hand_on_the_button_and_the_watts() -> None:
    desk, load = Desk(SystemClock(speed=20)), [40.0]
    async with emulator("cuco.plug.cp2", desk, watts=lambda: load[0]) as peer, running(plug(desk, peer)):
        await until(lambda: desk.of(PlugReported))
        peer.press()
        await until(lambda: desk.of(PlugReported)[-1].on)
        load[0] = 3.5
        await until(lambda: desk.of(PlugReported)[-1].watts == 3.5)
    assert desk.of(PlugReported)[0].on is False
    assert desk.ups == [True]


@pytest.mark.parametrize("several", ["first", "error"])
async def test_one_property_per_message_is_enough_to_read_and_switch(several: str) -> None:
    desk = Desk()
    async with emulator("cuco.plug.v3", desk, watts=lambda: 5.0) as peer:
        peer.several = "first" if several == "first" else "error"
        driver = plug(desk, peer)
        await ordered(desk, driver, SwitchOn())
        driver._worker.stop()
    assert desk.of(PlugReported)[-1].on is True
    assert desk.of(PlugReported)[-1].watts == 5.0


async def test_the_dead_man_is_armed_with_the_on_and_ends_the_run() -> None:
    desk = Desk(SystemClock(speed=50))
    async with emulator("cuco.plug.v2eur", desk) as peer:
        driver = plug(desk, peer)
        outcome = await ordered(desk, driver, SwitchOn(dead_man=60.0), lives=1000)
        assert (outcome.result, peer.on) == (Result.DONE, True)
        assert [
            len(params) for method, params in peer.heard if method == "set_properties" and isinstance(params, list)
        ] == [3]
        await until(lambda: not peer.on)
        driver._worker.stop()


async def test_an_off_disarms_the_timer_so_that_even_a_toggling_one_stays_off() -> None:
    desk = Desk(SystemClock(speed=50))
    async with emulator("cuco.plug.v2eur", desk) as peer:
        peer.timer_toggles = True
        driver = plug(desk, peer)
        await ordered(desk, driver, SwitchOn(dead_man=60.0), lives=1000)
        await ordered(desk, driver, SwitchOff(), lives=1000)
        assert not peer.on
        assert peer._timer_due is None
        await asyncio.sleep(1.4)
        assert not peer.on
        driver._worker.stop()


async def test_a_plug_that_takes_only_the_on_leaves_an_unknown_outcome() -> None:
    desk = Desk()
    async with emulator("cuco.plug.v2eur", desk) as peer:
        peer.several = "first"
        driver = plug(desk, peer)
        with pytest.raises(OutcomeUnknown):
            await ordered(desk, driver, SwitchOn(dead_man=60.0))
        await ordered(desk, driver, SwitchOff())
        assert not peer.on
        driver._worker.stop()


async def test_a_plug_without_a_timer_does_not_pretend() -> None:
    desk = Desk()
    async with emulator("cuco.plug.v3", desk) as peer:
        driver = plug(desk, peer)
        with pytest.raises(Unsupported):
            await ordered(desk, driver, SwitchOn(dead_man=60.0))
        with pytest.raises(Unsupported):
            await ordered(desk, driver, Wake())
        assert not peer.on
        driver._worker.stop()


async def test_a_late_order_never_leaves() -> None:
    desk = Desk()
    async with emulator("cuco.plug.v3", desk) as peer:
        driver = plug(desk, peer)
        with pytest.raises(Expired):
            await ordered(desk, driver, SwitchOn(), lives=-0.1)
        assert [method for method, _ in peer.heard if method == "set_properties"] == []
        driver._worker.stop()


async def test_an_order_given_up_while_the_hello_hung_is_not_sent_afterwards() -> None:
    desk = Desk()
    async with emulator("cuco.plug.v3", desk) as peer:
        driver = plug(desk, peer)
        await ordered(desk, driver, ReadState())
        driver._wire._greeted = False
        peer.faults.delay = 1.0
        with pytest.raises(Unreachable):
            await ordered(desk, driver, SwitchOn(), within=0.05)
        peer.faults.delay = 0.0
        await asyncio.sleep(2.5)
        assert not peer.on
        assert (await ordered(desk, driver, SwitchOn())).result is Result.DONE
        driver._worker.stop()


async def test_a_lost_answer_to_a_write_is_an_unknown_outcome_and_the_next_read_tells() -> None:
    desk = Desk()
    async with emulator("cuco.plug.v3", desk) as peer:
        driver = plug(desk, peer)
        await ordered(desk, driver, ReadState())
        peer.on_change = lambda _on: setattr(peer.faults, "dead", True)
        with pytest.raises(OutcomeUnknown):
            await ordered(desk, driver, SwitchOn())
        assert peer.on, "it happened, and we were right not to say it failed"
        assert len([method for method, _ in peer.heard if method == "set_properties"]) == 1, "never repeated"
        peer.faults.dead = False
        await ordered(desk, driver, ReadState())
        assert desk.of(PlugReported)[-1].on is True
        driver._worker.stop()


async def test_an_order_to_an_absent_plug_is_unreachable_and_only_its_own_worker_waits() -> None:
    desk = Desk()
    async with emulator("cuco.plug.v3", desk) as alive:
        absent = plug(desk, emulator("cuco.plug.v3", desk))
        present = plug(desk, alive)
        await ordered(desk, present, ReadState())  # the library is imported by now
        async with running(absent, present), lag() as late:
            waiting = asyncio.create_task(ordered(desk, absent, SwitchOn()))
            loop = asyncio.get_running_loop()
            for action in (SwitchOn(), SwitchOff()) * 5:
                began = loop.time()
                await ordered(desk, present, action)
                assert loop.time() - began < 0.5
            with pytest.raises(Unreachable):
                await waiting
    assert not stalled(late)


async def test_what_did_not_leave_in_time_is_unreachable_for_the_worker_too() -> None:
    desk, outcomes = Desk(), []
    absent = plug(desk, emulator("cuco.plug.v3", desk))
    worker = Worker("cinema_plug", absent, desk.clock, lambda _order, outcome: outcomes.append(outcome.result))
    async with running(absent, worker):
        worker.submit(desk.order("cinema_plug", SwitchOn(), within=0.5))
        await until(lambda: outcomes)
    assert outcomes == [Result.UNREACHABLE]


async def test_gone_and_back_is_said_once_each() -> None:
    desk = Desk(SystemClock(speed=20))
    async with emulator("cuco.plug.v3", desk) as peer, running(plug(desk, peer)):
        await until(lambda: desk.ups == [True])
        peer.faults.dead = True
        await until(lambda: desk.ups == [True, False], within=10)
        await asyncio.sleep(3)
        peer.faults.dead = False
        await until(lambda: desk.ups == [True, False, True], within=10)


async def test_one_lost_datagram_is_no_news() -> None:
    desk = Desk(SystemClock(speed=20))
    async with emulator("cuco.plug.v3", desk) as peer, running(plug(desk, peer)):
        await until(lambda: desk.ups == [True])
        silent, peer.faults.dead = len(peer.heard), True
        await asyncio.sleep(0.3)
        peer.faults.dead = False
        await until(lambda: len(peer.heard) > silent + 3, within=10)
    assert desk.ups == [True]


async def test_loss_garbling_doubles_and_reordering_end_in_true_reports_or_none() -> None:
    desk = Desk(SystemClock(speed=20))
    async with emulator("cuco.plug.cp2", desk, watts=lambda: 12.5) as peer:
        peer.on = True
        peer.faults.lose, peer.faults.garble, peer.faults.duplicate = 0.1, 0.15, 0.3
        peer.faults.delay, peer.faults.reorder = 0.05, 0.2
        async with running(plug(desk, peer)):
            await until(lambda: len(desk.of(PlugReported)) >= 5, within=40)
    assert {report.on for report in desk.of(PlugReported)} == {True}
    assert {report.watts for report in desk.of(PlugReported)} <= {12.5, None}


@pytest.mark.parametrize("host", ["a..b", "x" * 300, "no-such-host.invalid"])
async def test_a_host_that_cannot_be_is_gone_and_nothing_worse(host: str) -> None:
    desk = Desk()
    async with running(plug(desk, emulator("cuco.plug.v3", desk), host=host)):
        await until(lambda: desk.ups == [False])


async def test_a_wrong_token_is_said_as_a_guess(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    desk, token = Desk(), "f0" * 16
    async with emulator("cuco.plug.v3", desk) as peer, running(plug(desk, peer, token=token)):
        await until(lambda: desk.ups == [False])
        assert peer.silent > 0
    assert "token" in desk.of(EndpointChanged)[0].why
    assert token not in caplog.text


async def test_a_wrong_model_is_said_as_a_guess() -> None:
    desk = Desk()
    async with emulator("chuangmi.plug.m1", desk) as peer:
        driver = plug(desk, peer, model="cuco.plug.v3")
        with pytest.raises(Refused):
            await ordered(desk, driver, SwitchOn())
        async with running(driver):
            await until(lambda: desk.ups == [False])


async def test_a_refusing_plug_is_refused_not_unknown() -> None:
    desk = Desk()
    async with emulator("cuco.plug.v3", desk) as peer:
        peer.faults.refuse = True
        driver = plug(desk, peer)
        with pytest.raises(Refused):
            await ordered(desk, driver, SwitchOn())
        driver._worker.stop()


async def test_another_device_at_the_address_gets_no_orders() -> None:
    desk = Desk()
    async with emulator("cuco.plug.v3", desk) as peer:
        driver = plug(desk, peer, did=peer.device_id + 1)
        with pytest.raises(Unreachable, match="another device"):
            await ordered(desk, driver, SwitchOn())
        assert peer.heard == []
        right = plug(desk, peer, did=peer.device_id)
        await ordered(desk, right, SwitchOn())
        assert peer.on
        driver._worker.stop()
        right._worker.stop()


async def test_a_restarted_plug_is_greeted_again() -> None:
    desk = Desk(SystemClock(speed=20))
    async with emulator("cuco.plug.v3", desk) as peer, running(plug(desk, peer)):
        await until(lambda: desk.ups == [True])
        peer.stamp += 10_000
        reports = len(desk.of(PlugReported))
        await until(lambda: len(desk.of(PlugReported)) > reports + 2, within=10)
    assert desk.ups == [True]


async def test_implausible_watts_are_not_believed_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(SystemClock(speed=20))
    async with emulator("cuco.plug.v3", desk, watts=lambda: 9550.0) as peer, running(plug(desk, peer)):
        peer.on = True
        await until(lambda: len(desk.of(PlugReported)) >= 4)
    assert {report.watts for report in desk.of(PlugReported)[1:]} == {None}
    assert len([record for record in caplog.records if "implausible" in record.message]) == 1


async def test_the_owner_may_say_where_the_watts_are() -> None:
    desk = Desk()
    async with emulator("cuco.plug.v3", desk, watts=lambda: 95.0) as peer:
        peer.on = True
        driver = plug(desk, peer, watts={"siid": 11, "piid": 2, "scale": 0.1})
        await ordered(desk, driver, ReadState())
        driver._worker.stop()
    assert desk.of(PlugReported)[0].watts == pytest.approx(9.5)


async def test_cancelling_leaves_no_thread_behind_that_holds_up_the_end() -> None:
    desk = Desk()
    absent = plug(desk, emulator("cuco.plug.v3", desk))
    async with running(absent):
        await until(lambda: any(thread.name == "cinema_plug miio" for thread in threading.enumerate()))
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 0.2
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "cinema_plug miio")


def test_the_library_is_imported_by_the_first_call_only() -> None:
    code = f"import sys, {adapter.__name__}; sys.exit('miio' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    assert subprocess.run([sys.executable, "-c", code], env=environment, timeout=60, check=False).returncode == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"token": "0123456789abcdef-secret"},
        {"model": "new.plug.x"},
        {"model": "chuangmi.plug.m1", "watts": {"siid": 1, "piid": 1}},
        {"watts": {"siid": 0, "piid": 1}},
        {"watts": {"siid": 1, "piid": 1, "scale": 0}},
        {"did": -1},
        {"poll": 0.1},
        {"surprise": 1},
    ],
)
def test_wrong_options_are_told_without_showing_the_token(wrong: dict[str, object]) -> None:
    good = {"host": "192.168.1.31", "token": TOKEN.hex(), "model": "cuco.plug.v3"}
    Options.model_validate(good)
    with pytest.raises(ValidationError) as caught:
        Options.model_validate({**good, **wrong})
    assert "secret" not in str(caught.value)
    assert TOKEN.hex() not in str(caught.value)


def test_an_unknown_model_works_when_the_owner_says_where_its_switch_is() -> None:
    Options.model_validate({"host": "h", "token": TOKEN.hex(), "model": "new.plug.x", "on": {"siid": 2, "piid": 1}})
