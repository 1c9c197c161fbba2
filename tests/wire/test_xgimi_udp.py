"""The UDP channel against the virtual projector, on real sockets."""

from __future__ import annotations

import asyncio
import socket

import pytest
from pydantic import ValidationError
from support.udp_things import Desk, lag, own_address, running, stalled, until

from homebridge_svc.adapters.projectors.xgimi_udp import Options, XgimiUdp
from homebridge_svc.core.events import EndpointChanged, ProjectorReported
from homebridge_svc.core.model import Power
from homebridge_svc.core.orders import (
    KEYS,
    Action,
    LaunchApp,
    LightOff,
    LightOn,
    PressKeys,
    PutMute,
    PutVolume,
    ReadState,
    Result,
    Sleep,
    Wake,
)
from homebridge_svc.errors import Expired, Unreachable, Unsupported
from homebridge_svc.runtime.clock import SystemClock
from homebridge_svc.runtime.workers import Worker
from homebridge_svc.virtual_home.projector_body import Body, ProjectorBody
from homebridge_svc.virtual_home.xgimi_udp import XgimiUdp as Emulator
from homebridge_svc.wire import xgimi


def awake() -> ProjectorBody:
    return ProjectorBody(mono=lambda: 0.0, _state=Body.AWAKE)


def channel(desk: Desk, host: str, local: str, **options: object) -> XgimiUdp:
    return XgimiUdp("cinema", Options.model_validate({"host": host, "local": local, **options}), desk.surroundings)


async def test_an_answer_is_evidence_that_the_system_is_up() -> None:
    desk = Desk()
    async with Emulator(own_address(), awake()) as projector, running(channel(desk, projector.host, own_address())):
        await until(lambda: desk.of(ProjectorReported))
    report = desk.of(ProjectorReported)[0]
    assert (report.projector, report.channel, report.power) == ("cinema", "udp", Power.ON)
    assert report.identity == "00:88:14:00:00:01"
    assert [(event.endpoint, event.up) for event in desk.of(EndpointChanged)] == [("cinema.udp", True)]


async def test_with_network_standby_an_answer_tells_nothing_about_power() -> None:
    desk = Desk()
    asleep = ProjectorBody(mono=lambda: 0.0, asleep_network=True)
    async with Emulator(own_address(), asleep) as projector:
        udp = channel(desk, projector.host, own_address(), network_standby=True, power_off_key=116)
        async with running(udp):
            await until(lambda: desk.of(ProjectorReported))
    assert desk.of(ProjectorReported)[0].power is None
    assert not udp.ability.sees_power
    assert Power.UNKNOWN not in udp.ability.carries[Sleep], "116 would wake a sleeping machine"


async def test_silence_is_a_silent_endpoint_and_nothing_else() -> None:
    desk = Desk(SystemClock(speed=20, trusted=True))
    body = awake()
    async with Emulator(own_address(), body) as projector, running(channel(desk, projector.host, own_address())):
        await until(lambda: desk.ups == [True])
        body.sleep()
        await until(lambda: desk.ups == [True, False])
        reports = len(desk.of(ProjectorReported))
        body.wake()
        body.boot_time = 0.0
        await until(lambda: desk.ups == [True, False, True])
        await until(lambda: len(desk.of(ProjectorReported)) > reports)
    assert all(report.power is Power.ON for report in desk.of(ProjectorReported))


@pytest.mark.parametrize(
    ("action", "state"),
    [(Sleep(), Body.COOLING), (LightOff(), Body.LIGHT_OFF), (LightOn(), Body.AWAKE)],
)
async def test_orders_move_the_projector(action: Action, state: Body) -> None:
    desk, body = Desk(), awake()
    async with Emulator(own_address(), body) as projector:
        udp = channel(desk, projector.host, own_address())
        async with running(udp):
            await until(lambda: desk.ups == [True])
            outcome = await udp.execute(desk.order("cinema.udp", action))
            await until(lambda: body.state is state)
    assert outcome.result is Result.DONE


async def test_keys_arrive_one_after_the_other_and_all_of_them() -> None:
    desk, body = Desk(), awake()
    async with Emulator(own_address(), body) as projector:
        udp = channel(desk, projector.host, own_address())
        async with running(udp):
            await until(lambda: desk.ups == [True])
            await udp.execute(desk.order("cinema.udp", PressKeys(("volume_up", "volume_up", "mute", "ok"))))
            await until(lambda: len(body.keys) == 4)
    assert body.keys == ["volume_up", "volume_up", "mute", "ok"]
    assert (body.volume, body.muted) == (17, True)


async def test_every_key_with_a_code_takes_effect_and_the_others_are_unsupported() -> None:
    desk, body = Desk(), awake()
    async with Emulator(own_address(), body) as projector:
        udp = channel(desk, projector.host, own_address())
        async with running(udp):
            await until(lambda: desk.ups == [True])
            for key in sorted(KEYS - set(xgimi.KEY_CODES)):
                with pytest.raises(Unsupported):
                    await udp.execute(desk.order("cinema.udp", PressKeys(("ok", key))))
            await udp.execute(desk.order("cinema.udp", PressKeys(tuple(sorted(xgimi.KEY_CODES)))))
            await until(lambda: len(body.keys) == len(xgimi.KEY_CODES))
    assert body.keys == sorted(xgimi.KEY_CODES)


class KeyPort(asyncio.DatagramProtocol):
    """Writes down key lines as they come."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        del addr
        self.lines.append(data)


async def test_focus_is_held_and_let_go_even_when_the_order_is_cut_short() -> None:
    desk, host, local = Desk(), own_address(), own_address()
    udp = channel(desk, host, local)
    loop = asyncio.get_running_loop()
    port, keys = await loop.create_datagram_endpoint(KeyPort, local_addr=(host, xgimi.KEY_PORT))
    async with running(udp):
        await until(lambda: udp.address)
        udp._heard_at = loop.time()
        await udp.execute(desk.order("cinema.udp", PressKeys(("focus_in", "ok"))))
        await until(lambda: len(keys.lines) == 3)
        cut = asyncio.create_task(udp.execute(desk.order("cinema.udp", PressKeys(("focus_out", "ok")))))
        await until(lambda: len(keys.lines) == 4)
        cut.cancel()
        await until(lambda: len(keys.lines) == 5)
    port.close()
    assert keys.lines == [
        b"KEYSSTATUS:253+1", b"KEYSSTATUS:253+0", b"KEYPRESSES:49", b"KEYSSTATUS:254+1", b"KEYSSTATUS:254+0",
    ]  # fmt: skip


@pytest.mark.parametrize("action", [Wake(), PutVolume(3), PutMute(True), LaunchApp("a.b"), PressKeys(())])
async def test_what_the_protocol_cannot_do_is_unsupported(action: Action) -> None:
    desk = Desk()
    udp = channel(desk, own_address(), own_address())
    with pytest.raises(Unsupported):
        await udp.execute(desk.order("cinema.udp", action))


async def test_key_116_may_ask_first_and_key_30_does_not() -> None:
    desk, body = Desk(), awake()
    async with Emulator(own_address(), body, power_key_asks=True) as projector:
        udp = channel(desk, projector.host, own_address(), power_off_key=116)
        async with running(udp):
            await until(lambda: desk.ups == [True])
            await udp.execute(desk.order("cinema.udp", Sleep()))
            await asyncio.sleep(0.1)
            assert body.awake, "the question is shown"
            await udp.execute(desk.order("cinema.udp", Sleep()))
            await until(lambda: body.state is Body.COOLING)


async def test_reading_the_state_is_a_round_trip() -> None:
    desk = Desk()
    async with Emulator(own_address(), awake()) as projector:
        udp = channel(desk, projector.host, own_address())
        async with running(udp):
            await until(lambda: desk.ups == [True])
            before = len(desk.of(ProjectorReported))
            assert (await udp.execute(desk.order("cinema.udp", ReadState()))).result is Result.DONE
            assert len(desk.of(ProjectorReported)) == before + 1
            projector.body.sleep()
            with pytest.raises(Unreachable):
                await udp.execute(desk.order("cinema.udp", ReadState()))


async def test_a_sleeping_projector_is_unreachable_within_two_seconds() -> None:
    desk, asleep = Desk(), ProjectorBody(mono=lambda: 0.0)
    async with Emulator(own_address(), asleep) as projector:
        udp = channel(desk, projector.host, own_address())
        async with running(udp), lag() as late:
            began = asyncio.get_running_loop().time()
            with pytest.raises(Unreachable):
                await udp.execute(desk.order("cinema.udp", Sleep()))
            assert asyncio.get_running_loop().time() - began < 2.0
    assert asleep.keys == []
    assert not stalled(late)


async def test_a_probe_cut_short_by_the_orders_own_time_is_unreachable_for_the_worker_too() -> None:
    desk, outcomes = Desk(), []
    async with Emulator(own_address(), ProjectorBody(mono=lambda: 0.0)) as projector:
        udp = channel(desk, projector.host, own_address())
        worker = Worker("cinema.udp", udp, desk.clock, lambda _order, outcome: outcomes.append(outcome.result))
        async with running(udp, worker):
            worker.submit(desk.order("cinema.udp", Sleep(), within=0.5))
            await until(lambda: outcomes)
    assert outcomes == [Result.UNREACHABLE]


async def test_a_late_order_is_not_sent_even_when_the_probe_made_it_late() -> None:
    desk, body = Desk(), awake()
    async with Emulator(own_address(), body) as projector:
        udp = channel(desk, projector.host, own_address())
        async with running(udp):
            await until(lambda: desk.ups == [True])
            with pytest.raises(Expired):
                await udp.execute(desk.order("cinema.udp", PressKeys(("ok",)), lives=-0.1))
            udp._heard_at = None
            projector.faults.delay = 0.6
            with pytest.raises((Expired, Unreachable)):
                await udp.execute(desk.order("cinema.udp", PressKeys(("ok",)), lives=0.01))
            await asyncio.sleep(0.2)
    assert body.keys == []


async def test_answers_from_a_wrong_address_count_for_nothing(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(SystemClock(speed=20, trusted=True))
    async with Emulator(own_address(), awake(), answers_from=own_address()) as projector:
        udp = channel(desk, projector.host, own_address())
        async with running(udp):
            await until(lambda: desk.ups == [False])
            with pytest.raises(Unreachable):
                await udp.execute(desk.order("cinema.udp", PressKeys(("ok",))))
            assert [record for record in caplog.records if "no projector of ours" in record.message]
            projector.answers_from = None
            await until(lambda: desk.ups == [False, True])
    assert len([record for record in caplog.records if record.message.endswith("but answers us")]) == 1


async def test_two_projectors_share_the_port_and_each_hears_its_own() -> None:
    local = own_address()
    desks = Desk(), Desk()
    async with (
        Emulator(own_address(), awake(), mac="00:88:14:00:00:0a") as first,
        Emulator(own_address(), awake(), mac="00:88:14:00:00:0b") as second,
    ):
        channels = [channel(desk, host.host, local) for desk, host in zip(desks, (first, second), strict=True)]
        async with running(*channels):
            await until(lambda: all(desk.of(ProjectorReported) for desk in desks))
            await channels[1].execute(desks[1].order("cinema.udp", PressKeys(("ok",))))
            await until(lambda: second.body.keys == ["ok"])
    assert first.body.keys == []
    assert {report.identity for report in desks[0].of(ProjectorReported)} == {"00:88:14:00:00:0a"}
    assert {report.identity for report in desks[1].of(ProjectorReported)} == {"00:88:14:00:00:0b"}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind((local, xgimi.REPLY_PORT))  # the last one closed it


async def test_a_taken_port_is_said_and_healed() -> None:
    desk, local = Desk(SystemClock(speed=20, trusted=True)), own_address()
    async with Emulator(own_address(), awake()) as projector:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind((local, xgimi.REPLY_PORT))
            udp = channel(desk, projector.host, local)
            tasks = running(udp)
            await tasks.__aenter__()
            await until(lambda: desk.ups == [False])
        await until(lambda: desk.ups == [False, True])
        await tasks.__aexit__(None, None, None)
    assert "16751" in desk.of(EndpointChanged)[0].why


@pytest.mark.parametrize("host", ["a..b", "x" * 300, "no-such-host.invalid"])
async def test_a_host_that_cannot_be_is_silent_and_nothing_worse(host: str) -> None:
    desk = Desk()
    async with running(channel(desk, host, own_address())):
        await until(lambda: desk.ups == [False])


async def test_another_projector_at_the_address_gets_no_orders() -> None:
    desk, body = Desk(), awake()
    async with Emulator(own_address(), body) as projector:
        udp = channel(desk, projector.host, own_address(), mac="00-88-14-FF-FF-FF")
        async with running(udp):
            await until(lambda: desk.ups == [False])
            with pytest.raises(Unreachable, match="another projector"):
                await udp.execute(desk.order("cinema.udp", Sleep()))
    assert body.state is Body.AWAKE
    assert desk.of(ProjectorReported) == []


async def test_junk_from_the_projectors_address_is_counted_and_changes_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk, local = Desk(), own_address()
    async with Emulator(own_address(), awake()) as projector, running(channel(desk, projector.host, local)):
        await until(lambda: desk.ups == [True])
        before = len(desk.events)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as liar:
            liar.bind((projector.host, 0))
            for junk in (b"", b"\xff\x00", b"{", b"[" * 9000, b'{"action":10001,"msgid":"999","deviceInfo":{}}'):
                liar.sendto(junk, (local, xgimi.REPLY_PORT))
        await asyncio.sleep(0.1)
        assert len(desk.events) == before
    said = [record.message for record in caplog.records if "not understood" in record.message]
    assert len(said) == len(set(said)) == 2, "once per kind: not JSON, too long"


async def test_loss_garbling_doubles_and_delay_do_not_bring_it_down() -> None:
    desk = Desk(SystemClock(speed=20, trusted=True))
    async with Emulator(own_address(), awake()) as projector:
        projector.faults.lose, projector.faults.garble = 0.3, 0.2
        projector.faults.duplicate, projector.faults.delay, projector.faults.reorder = 0.3, 0.1, 0.3
        async with running(channel(desk, projector.host, own_address())):
            await until(lambda: len(desk.of(ProjectorReported)) >= 4, within=20)
    assert desk.ups[0] is True


def test_a_wrong_mac_is_told_by_example() -> None:
    with pytest.raises(ValidationError, match="MAC"):
        Options.model_validate({"host": "192.168.1.20", "mac": "nonsense"})
