"""The virtual plug satisfies the real python-miio client."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from miio.chuangmi_plug import ChuangmiPlug
from miio.exceptions import DeviceError as MiioRefusal
from miio.exceptions import DeviceException
from miio.miot_device import MiotDevice
from support.udp_things import own_address, until

from homebridge_svc.runtime.clock import SystemClock
from homebridge_svc.virtual_home.miio_plug import MiioPlug
from homebridge_svc.wire import miio

TOKEN = bytes(range(16))


def plug(model: str, *, speed: float = 1.0, watts: float = 0.0) -> MiioPlug:
    clock = SystemClock(speed=speed)
    return MiioPlug(own_address(), TOKEN, model, mono=lambda: clock.now().mono, sleep=clock.sleep, watts=lambda: watts)


def miot(emulator: MiioPlug, token: bytes = TOKEN) -> MiotDevice:
    return MiotDevice(emulator.host, token.hex(), timeout=1, model=emulator.model, mapping={})


@pytest.mark.parametrize("model", ["chuangmi.plug.m1", "chuangmi.plug.v1", "chuangmi.plug.v3"])
async def test_the_older_dialect(model: str) -> None:
    async with plug(model, watts=47.11) as emulator:
        client = ChuangmiPlug(emulator.host, TOKEN.hex(), model=model)
        await asyncio.to_thread(client.on)
        status = await asyncio.to_thread(client.status)
        assert emulator.on
        assert (status.power, status.temperature) == (True, 32)
        assert status.load_power == (pytest.approx(47.11) if model == "chuangmi.plug.v3" else None)
        await asyncio.to_thread(client.off)
        assert not (await asyncio.to_thread(client.status)).power


async def test_the_newer_dialect() -> None:
    moved: list[bool] = []
    async with plug("cuco.plug.cp2", watts=95.5) as emulator:
        emulator.on_change = moved.append
        client = miot(emulator)
        assert (await asyncio.to_thread(client.set_property_by, 2, 1, True))[0]["code"] == 0
        assert (await asyncio.to_thread(client.get_property_by, 2, 1))[0]["value"] is True
        assert (await asyncio.to_thread(client.get_property_by, 3, 2))[0]["value"] == 955
        assert (await asyncio.to_thread(client.get_property_by, 9, 9))[0]["code"] == -4003
        assert (await asyncio.to_thread(client.set_property_by, 3, 2, 1))[0]["code"] == -4002
        emulator.press()
        assert (await asyncio.to_thread(client.get_property_by, 2, 1))[0]["value"] is False
    assert moved == [True, False]


async def test_it_says_who_it_is() -> None:
    async with plug("cuco.plug.v3") as emulator:
        info = await asyncio.to_thread(MiotDevice(emulator.host, TOKEN.hex(), mapping={}).info)
        assert (info.model, info.mac_address) == ("cuco.plug.v3", emulator.mac)


async def test_one_property_per_message() -> None:
    both = [{"did": "a", "siid": 2, "piid": 1}, {"did": "b", "siid": 11, "piid": 2}]
    async with plug("cuco.plug.v3") as emulator:
        client = miot(emulator)
        assert len(await asyncio.to_thread(client.send, "get_properties", both)) == 2
        emulator.several = "first"
        assert [entry["did"] for entry in await asyncio.to_thread(client.send, "get_properties", both)] == ["a"]
        emulator.several = "error"
        with pytest.raises(MiioRefusal):
            await asyncio.to_thread(client.send, "get_properties", both, 0)


async def test_an_unknown_method_is_an_error() -> None:
    async with plug("cuco.plug.v3") as emulator:
        with pytest.raises(MiioRefusal):
            await asyncio.to_thread(miot(emulator).send, "set_power", ["on"], 0)


async def test_a_wrong_token_meets_silence() -> None:
    async with plug("cuco.plug.v3") as emulator:
        client = miot(emulator, bytes(16))
        with pytest.raises(DeviceException):
            await asyncio.to_thread(client.send, "get_properties", [{"siid": 2, "piid": 1}], 0)
        assert (emulator.heard, emulator.silent) == ([], 1)


async def test_a_stale_stamp_meets_silence_until_the_client_says_hello_again() -> None:
    async with plug("cuco.plug.v3") as emulator:
        client = miot(emulator)
        await asyncio.to_thread(client.get_property_by, 2, 1)
        emulator.stamp += 1000
        with pytest.raises(DeviceException):
            await asyncio.to_thread(client.send, "get_properties", [{"siid": 2, "piid": 1}], 0)
        await asyncio.to_thread(client.send_handshake)
        assert await asyncio.to_thread(client.get_property_by, 2, 1)


@pytest.mark.parametrize(
    ("toggles", "early_off", "ends"), [(False, False, False), (False, True, False), (True, True, True)]
)
async def test_the_timer_ends_a_run_and_a_delayed_toggle_betrays_itself(
    toggles: bool, early_off: bool, ends: bool
) -> None:
    def setting(siid: int, piid: int, value: object) -> dict[str, object]:
        return {"did": "x", "siid": siid, "piid": piid, "value": value}

    async with plug("cuco.plug.v2eur", speed=100) as emulator:
        emulator.timer_toggles = toggles
        client = miot(emulator)
        message = [setting(2, 1, True), setting(14, 2, 100), setting(14, 1, True)]
        await asyncio.to_thread(client.send, "set_properties", message)
        left = (await asyncio.to_thread(client.get_property_by, 14, 3))[0]["value"]
        assert emulator.on
        assert 0 < left <= 100
        if early_off:
            await asyncio.to_thread(client.set_property_by, 2, 1, False)
        await until(lambda: emulator._timer_due is None)
        assert emulator.on is ends


@pytest.mark.parametrize(("setting", "ends"), [(0, False), (1, True), (2, True)])
async def test_mains_return_as_the_owner_set_it(setting: int, ends: bool) -> None:
    async with plug("cuco.plug.v2eur") as emulator:
        client = miot(emulator)
        await asyncio.to_thread(client.set_property_by, 2, 2, setting)
        await asyncio.to_thread(client.set_property_by, 2, 1, True)
        emulator.blackout()
        assert emulator.on is ends


@pytest.fixture
def junk() -> Iterator[bytes]:
    return iter([b"", b"!1", miio.HELLO[:-1], b"\xff" * 33, bytes(2000)])


async def test_junk_is_counted(junk: Iterator[bytes]) -> None:
    async with plug("cuco.plug.v3") as emulator:
        for data in junk:
            emulator.hear(data, ("127.0.0.1", 9))
        emulator.hear(
            miio.encode(miio.Packet(1, emulator._clock(), {"method": ["x"], "params": {}}), TOKEN), ("127.0.0.1", 9)
        )
        assert emulator.silent == 5
