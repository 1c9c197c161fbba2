"""ADB peers that close, reset, freeze, refuse or talk nonsense: the loop turns on, nothing happens late or twice."""

from __future__ import annotations

import asyncio
import contextlib
import os

import pytest
from support.adb import Home, home, key_file, longest_stall, running, until

from homebridge_svc.adapters.projectors.adb import IDLE_S, SIGN_S, SLACK_S
from homebridge_svc.core.orders import PressKeys, ReadState, Result, Sleep
from homebridge_svc.errors import DeviceError, OutcomeUnknown, Unreachable
from homebridge_svc.runtime.adb_session import Peer, connect, load_signer
from homebridge_svc.wire import android

STALL = 0.05  # real seconds the loop may not turn
GIVE_UP = 2.0  # real seconds until the next channel's turn


async def failing(here: Home) -> tuple[float, float, BaseException | None]:
    """Order sleep; (how long it took, longest stall, what was raised)."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    stall, problem = await longest_stall(here.channel.execute(here.order(Sleep(), lives=60.0)))
    return loop.time() - begun, stall, problem


async def test_a_clean_close_in_the_middle_of_a_command_stalls_nobody() -> None:
    async with home() as here:
        here.android.input_takes = 1.0

        async def close_soon() -> None:
            await until(lambda: here.inputs)
            await asyncio.sleep(0.05)
            here.daemon.drop()

        closer = asyncio.create_task(close_soon())
        took, stall, problem = await failing(here)
        await closer
        assert isinstance(problem, OutcomeUnknown)
        assert "had begun" in str(problem)
        assert stall < STALL
        assert took < 1.0


async def test_a_reset_in_the_middle_of_a_command_stalls_nobody() -> None:
    async with home() as here:
        here.android.input_takes = 1.0

        async def reset_soon() -> None:
            await until(lambda: here.inputs)
            here.daemon.drop(reset=True)

        resetter = asyncio.create_task(reset_soon())
        _, stall, problem = await failing(here)
        await resetter
        assert isinstance(problem, OutcomeUnknown)
        assert stall < STALL


async def test_a_frozen_peer_fails_in_time_and_refuses_the_order_after_its_thaw() -> None:
    async with home() as here:
        await here.channel.execute(here.order(ReadState()))  # a connection that has just proven itself
        here.daemon.freeze()
        took, stall, problem = await failing(here)
        assert isinstance(problem, OutcomeUnknown)
        assert took < GIVE_UP
        assert stall < STALL
        here.daemon.thaw()
        await until(lambda: any("keyevent 223" in service for _, service in here.daemon.opened))  # it did arrive
        await asyncio.sleep(0.2)
        assert here.inputs == []
        assert here.android.body.awake


async def test_without_the_deadline_a_frozen_peer_would_act_late() -> None:
    """The emulator is as bad as the real thing: this is what the deadline is for."""
    async with home() as here:
        peer = Peer(here.daemon.host, here.daemon.port, await load_signer(key_file()), lambda: 0.0)
        session = await connect(peer, within=2.0)
        here.daemon.freeze()
        with pytest.raises(OutcomeUnknown):
            await session.say("input keyevent 223", sign=0.3, within=0.3)
        here.daemon.thaw()
        await until(lambda: here.inputs == ["input keyevent 223"])


async def test_a_frozen_peer_on_an_idle_line_is_found_by_a_probe_and_nothing_is_sent() -> None:
    async with home() as here:
        await here.channel.execute(here.order(ReadState()))
        session = here.channel._session
        assert session is not None
        session.last_heard -= IDLE_S
        here.daemon.freeze()
        took, _, problem = await failing(here)
        assert isinstance(problem, Unreachable)
        assert took < GIVE_UP
        here.daemon.thaw()
        await asyncio.sleep(0.2)
        assert not any("223" in service for _, service in here.daemon.opened)


async def test_what_came_too_late_for_our_patience_only_is_left_to_another_channel() -> None:
    async with home() as here:
        await here.channel.execute(here.order(ReadState()))
        session = here.channel._session
        assert session is not None
        session.last_heard -= IDLE_S
        here.daemon.freeze()
        asyncio.get_running_loop().call_later(SIGN_S - SLACK_S + 0.02, here.daemon.thaw)  # the new line is just in time
        took, _, problem = await failing(here)
        assert isinstance(problem, Unreachable)
        assert took < GIVE_UP
        assert here.inputs == []


async def test_an_order_that_expires_while_the_device_sleeps_is_told_so_by_the_device() -> None:
    async with home() as here:
        await here.channel.execute(here.order(ReadState()))
        session = here.channel._session
        assert session is not None
        line_deadline = session.deadline(here.clock.now().mono + 0.1)
        here.daemon.freeze()
        asyncio.get_running_loop().call_later(0.4, here.daemon.thaw)
        output = await session.say(android.guarded("input keyevent 223", line_deadline), sign=2.0, within=2.0)
        assert android.verdict(output).status == android.EXPIRED_STATUS
        assert here.inputs == []


async def test_where_uptime_cannot_be_read_the_wall_clock_guards() -> None:
    async with home() as here:
        here.android.hides_uptime = True
        assert (await here.channel.execute(here.order(PressKeys(("ok",))))).result is Result.DONE
        here.daemon.freeze()
        _, _, problem = await failing(here)
        assert isinstance(problem, OutcomeUnknown)
        here.daemon.thaw()
        await until(lambda: any("keyevent 223" in service for _, service in here.daemon.opened))
        await asyncio.sleep(0.1)
        assert here.inputs == ["input keyevent 23"]


async def test_the_devices_clock_is_read_again_at_every_look() -> None:
    async with home() as here:
        await here.channel.execute(here.order(ReadState()))
        session = here.channel._session
        assert session is not None
        session._offset -= 3.0  # as if the first answer had come late: every order would be refused
        await here.channel.execute(here.order(ReadState()))
        assert (await here.channel.execute(here.order(PressKeys(("ok",))))).result is Result.DONE
        session._offset += 3600.0  # and as if the device's clock had been set back
        await here.channel.execute(here.order(ReadState()))
        assert session.deadline(here.clock.now().mono).at == pytest.approx(here.android.uptime, abs=0.2)


@pytest.mark.parametrize("reset", [False, True])
async def test_a_connection_closed_between_commands_loses_nothing_and_doubles_nothing(reset: bool) -> None:
    async with home() as here:
        for _ in range(5):
            outcome = await here.channel.execute(here.order(PressKeys(("volume_up",))))
            assert outcome.result is Result.DONE
            here.daemon.drop(reset=reset)
            await asyncio.sleep(0.02)  # it has arrived
        assert here.android.body.volume == 20
        assert len(here.inputs) == 5


@pytest.mark.parametrize("fault", ["half_open", "dead"])
async def test_a_half_open_peer_fails_in_time(fault: str) -> None:
    async with home() as here:
        setattr(here.daemon.faults, fault, True)
        took, stall, problem = await failing(here)
        assert isinstance(problem, Unreachable)
        assert took < GIVE_UP
        assert stall < STALL
        assert here.changes == [False]


async def test_a_line_that_goes_half_open_fails_in_time() -> None:
    async with home() as here:
        await here.channel.execute(here.order(ReadState()))
        here.daemon.faults.half_open = True
        took, stall, problem = await failing(here)
        assert isinstance(problem, DeviceError)
        assert took < GIVE_UP
        assert stall < STALL


@pytest.mark.parametrize("how", ["refuse", "hang_up", "closed"])
async def test_a_peer_that_turns_us_down_fails_at_once(how: str) -> None:
    async with home() as here:
        match how:
            case "refuse":
                here.daemon.faults.refuse = True
            case "hang_up":
                here.daemon.hang_up = True
            case _:
                await here.daemon.stop()
        took, stall, problem = await failing(here)
        assert isinstance(problem, Unreachable)
        assert took < 1.0
        assert stall < STALL


async def test_an_order_goes_before_a_look_that_hangs() -> None:
    async with home() as here:
        here.daemon.faults.half_open = True
        async with running(here.channel):
            await until(lambda: here.daemon.connections == 1)
            took, _, problem = await failing(here)
        assert isinstance(problem, Unreachable)
        assert took < GIVE_UP


async def test_a_projector_that_fell_asleep_comes_back_after_its_boot() -> None:
    async with home(speed=20.0) as here, running(here.channel):
        await until(lambda: here.reports)
        here.android.body.cool_time = 1.0
        here.android.body.sleep()
        await until(lambda: here.changes == [True, False])
        await here.clock.sleep(2.0)
        here.android.body.wake()
        await until(lambda: here.changes == [True, False, True])
        await here.channel.execute(here.order(PressKeys(("ok",)), lives=600.0))
        assert here.android.body.keys == ["ok"]


async def test_being_away_is_told_once() -> None:
    async with home(speed=50.0) as here, running(here.channel):
        await here.daemon.stop()
        await until(lambda: False in here.changes)
        with contextlib.suppress(TimeoutError):
            await until(lambda: len(here.changes) > 2, within=0.5)
        assert here.changes.count(False) == 1


@pytest.mark.parametrize("noise", [b"HTTP/1.1 400 Bad Request\r\n\r\n" * 8, os.urandom(400), b"\0" * 4096])
async def test_a_peer_that_is_no_adb_daemon_does_no_harm(noise: bytes) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(noise)
        with contextlib.suppress(ConnectionError):
            await reader.read(10_000)
        writer.close()  # else Python 3.12.1's server waits for ever at its end

    async with home() as here:
        server = await asyncio.start_server(babble, "127.77.1.1", 0)
        async with server:
            here.channel._options.port = server.sockets[0].getsockname()[1]
            here.channel._options.host = "127.77.1.1"
            took, stall, problem = await failing(here)
        assert isinstance(problem, Unreachable)
        assert took < GIVE_UP
        assert stall < STALL


async def test_garbled_answers_are_never_taken_for_success() -> None:
    async with home() as here:
        await here.channel.execute(here.order(ReadState()))
        here.daemon.faults.garble = 1.0
        _, stall, problem = await failing(here)
        assert isinstance(problem, DeviceError)
        assert stall < STALL


async def test_a_slow_network_is_no_fault() -> None:
    async with home() as here:
        here.daemon.faults.delay = 0.05
        outcome = await here.channel.execute(here.order(PressKeys(("ok",))))
        assert outcome.result is Result.DONE


async def test_cancelling_an_order_leaves_the_line_usable() -> None:
    async with home() as here:
        here.android.input_takes = 0.5
        order = asyncio.create_task(here.channel.execute(here.order(PressKeys(("ok",)))))
        await until(lambda: here.inputs)
        order.cancel()
        with pytest.raises(asyncio.CancelledError):
            await order
        here.android.input_takes = 0.0
        assert (await here.channel.execute(here.order(PressKeys(("ok",))))).result is Result.DONE
