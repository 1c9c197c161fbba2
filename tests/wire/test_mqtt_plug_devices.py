"""The MQTT plug driver against emulated devices of every profile, through a real mosquitto."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from support.mqtt import Bench, bench, needs_mosquitto, order, publish, until

from homebridge_svc.adapters.plugs.mqtt import ANSWER, MqttPlug, Options
from homebridge_svc.core.events import EndpointChanged, PlugReported
from homebridge_svc.core.model import PlugAbility
from homebridge_svc.core.orders import LightOff, ReadState, Result, SwitchOff, SwitchOn
from homebridge_svc.errors import Unreachable, Unsupported
from homebridge_svc.virtual_home.mqtt_plug import Firmware, PlainPlug, ShellyPlug, ZigbeePlug
from homebridge_svc.virtual_home.mqtt_plug import MqttPlug as Device
from homebridge_svc.virtual_home.mqtt_tasmota import TasmotaPlug

pytestmark = [pytest.mark.peer, needs_mosquitto]

SPEED = 60.0


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(tmp_path, speed=SPEED) as this:
        yield this


def zigbee(home: Bench, firmware: Firmware = Firmware.GOOD) -> tuple[Device, Options]:
    device = ZigbeePlug(home.broker.address, home.clock, "zigbee2mqtt/bath/pump", watts=lambda: 40.0)
    device.firmware = firmware
    return device, Options(profile="zigbee2mqtt", topic="zigbee2mqtt/bath/pump")


def zigbee_gang(home: Bench) -> tuple[Device, Options]:
    device = ZigbeePlug(home.broker.address, home.clock, "zigbee2mqtt/wall", unit="l2", watts=lambda: 40.0)
    return device, Options(profile="zigbee2mqtt", topic="zigbee2mqtt/wall", channel="l2")


def tasmota(home: Bench) -> tuple[Device, Options]:
    device = TasmotaPlug(home.broker.address, home.clock, "pump", watts=lambda: 40.0)
    return device, Options(profile="tasmota", topic="pump")


def tasmota_second(home: Bench) -> tuple[Device, Options]:
    device = TasmotaPlug(home.broker.address, home.clock, "strip", unit="2", watts=lambda: 40.0)
    return device, Options.model_validate({"profile": "tasmota", "topic": "strip", "channel": 2})


def shelly(home: Bench) -> tuple[Device, Options]:
    device = ShellyPlug(home.broker.address, home.clock, "shellyplus1pm-1", watts=lambda: 40.0)
    return device, Options(profile="shelly", topic="shellyplus1pm-1")


def esphome(home: Bench) -> tuple[Device, Options]:
    device = PlainPlug(home.broker.address, home.clock, "node", unit="relay", watts=lambda: 40.0)
    watts = "node/sensor/relay_power/state"
    return device, Options(profile="generic", preset="esphome", topic="node", channel="relay", watts_topic=watts)


def spelled_out(home: Bench) -> tuple[Device, Options]:
    device = PlainPlug(home.broker.address, home.clock, "node", unit="relay", watts=lambda: 40.0)
    return device, Options(
        profile="generic",
        state_topic="node/switch/relay/state",
        command_topic="node/switch/relay/command",
        watts_topic="node/sensor/relay_power/state",
        availability_topic="node/status",
    )


Make = Callable[[Bench], tuple[Device, Options]]
WITH_TIMER: list[Make] = [zigbee, zigbee_gang, tasmota, tasmota_second, shelly]
EVERY: list[Make] = [*WITH_TIMER, esphome, spelled_out]


async def start(home: Bench, made: tuple[Device, Options]) -> tuple[Device, MqttPlug]:
    device, options = made
    plug = MqttPlug("pump_plug", options, home.surroundings)
    await home.start(device)
    home.run(plug.run(), "plug")
    await home.seen(EndpointChanged, lambda event: event.up)
    return device, plug


def says(on: bool) -> Callable[[PlugReported], bool]:
    return lambda event: event.on is on and not event.retained


@pytest.mark.parametrize("make", EVERY)
async def test_orders_move_the_relay_and_its_own_words_are_the_evidence(home: Bench, make: Make) -> None:
    device, plug = await start(home, make(home))
    outcome = await plug.execute(order("pump_plug", SwitchOn()))
    assert outcome.result is Result.DONE
    await home.seen(PlugReported, says(True))
    assert device.relay
    await home.seen(PlugReported, lambda event: event.watts == 40.0)
    home.events.clear()
    await plug.execute(order("pump_plug", SwitchOff()))
    await home.seen(PlugReported, says(False))
    assert not device.relay
    await home.seen(PlugReported, lambda event: event.watts == 0.0)


@pytest.mark.parametrize("make", EVERY)
async def test_a_press_on_the_plugs_own_button_is_reported(home: Bench, make: Make) -> None:
    device, _ = await start(home, make(home))
    home.events.clear()
    device.press()
    await home.seen(PlugReported, says(True))


@pytest.mark.parametrize("make", WITH_TIMER)
async def test_the_state_is_asked_for_after_the_connect_and_when_ordered(home: Bench, make: Make) -> None:
    made = make(home)
    made[0].relay = made[0].contact = True
    _, plug = await start(home, made)
    await home.seen(PlugReported, says(True))
    home.events.clear()
    assert (await plug.execute(order("pump_plug", ReadState()))).result is Result.DONE
    await home.seen(PlugReported, says(True))
    await home.seen(PlugReported, lambda event: event.watts == 40.0)


@pytest.mark.parametrize("make", WITH_TIMER)
async def test_a_read_is_finished_when_the_device_has_told_and_not_when_the_broker_took_it(
    home: Bench, make: Make
) -> None:
    """Whoever asks before a cut judges by what was reported when the read ended."""
    device, plug = await start(home, make(home))
    device.faults.delay = 0.3
    home.events.clear()
    assert (await plug.execute(order("pump_plug", ReadState()))).detail == "it has told"
    told = [event for event in home.events if isinstance(event, PlugReported)]
    assert any(event.on is False for event in told)
    assert any(event.watts == 0.0 for event in told)


async def test_a_read_that_nobody_answers_holds_up_an_off_for_a_second_at_most(home: Bench) -> None:
    device, plug = await start(home, tasmota(home))
    device.faults.dead = True
    began = asyncio.get_running_loop().time()
    assert "did not tell on and watts" in (await plug.execute(order("pump_plug", ReadState()))).detail
    assert asyncio.get_running_loop().time() - began < ANSWER + 0.5


@pytest.mark.parametrize("make", WITH_TIMER)
async def test_the_armed_relay_opens_by_itself_at_the_real_duration(home: Bench, make: Make) -> None:
    device, plug = await start(home, make(home))
    began = home.clock.now().mono
    await plug.execute(order("pump_plug", SwitchOn(dead_man=60)))
    await until(lambda: device.relay)
    await until(lambda: not device.relay)
    assert 59 <= home.clock.now().mono - began < 75
    home.events.clear()
    await plug.execute(order("pump_plug", ReadState()))
    await home.seen(PlugReported, says(False))


@pytest.mark.parametrize("make", WITH_TIMER)
async def test_after_an_early_off_the_relay_stays_open_past_the_timer(home: Bench, make: Make) -> None:
    device, plug = await start(home, make(home))
    await plug.execute(order("pump_plug", SwitchOn(dead_man=30)))
    await until(lambda: device.relay)
    await plug.execute(order("pump_plug", SwitchOff()))
    await until(lambda: not device.relay)
    moved: list[bool] = []
    device._on_change = moved.append
    await home.clock.sleep(60)
    assert moved == []


@pytest.mark.parametrize(
    ("firmware", "on_after"),
    [
        (Firmware.GOOD, {False: 0, True: 0}),
        (Firmware.IGNORES, {False: 1, True: 0}),
        (Firmware.DELAYED_TOGGLE, {False: 0, True: 1}),
    ],
)
async def test_a_proof_both_ways_tells_zigbee_firmwares_apart(
    home: Bench, firmware: Firmware, on_after: dict[bool, int]
) -> None:
    device, plug = await start(home, zigbee(home, firmware))
    for early_off, on in on_after.items():
        await plug.execute(order("pump_plug", SwitchOn(dead_man=30)))
        await until(lambda: device.relay)
        if early_off:
            await plug.execute(order("pump_plug", SwitchOff()))
            await until(lambda: not device.relay)
        await home.clock.sleep(45)
        assert device.relay is bool(on)


async def test_a_zigbee_plug_that_counts_modulo_256_opens_too_early(home: Bench) -> None:
    device, plug = await start(home, zigbee(home, Firmware.MODULO_256))
    await plug.execute(order("pump_plug", SwitchOn(dead_man=256 + 30)))
    await until(lambda: device.relay)
    began = home.clock.now().mono
    await until(lambda: not device.relay)
    assert home.clock.now().mono - began < 60


async def test_tasmota_keeps_its_pulse_time_and_arms_a_hands_on_with_it(home: Bench) -> None:
    device, plug = await start(home, tasmota(home))
    await plug.execute(order("pump_plug", SwitchOn(dead_man=30)))
    await until(lambda: device.relay)
    await plug.execute(order("pump_plug", SwitchOff()))
    await until(lambda: not device.relay)
    assert not device.armed
    device.press()
    assert device.armed


async def test_retained_words_are_marked_as_history(home: Bench) -> None:
    await publish(home.broker, "zigbee2mqtt/bath/pump", '{"state":"ON","power":40}', retain=True)
    _, options = zigbee(home)
    plug = MqttPlug("pump_plug", options, home.surroundings)
    await home.start()
    home.run(plug.run(), "plug")
    replay = await home.seen(PlugReported)
    assert (replay.on, replay.watts, replay.retained) == (True, 40.0, True)
    assert not any(isinstance(event, EndpointChanged) for event in home.events)  # history proves no life


@pytest.mark.parametrize("make", EVERY)
async def test_its_publisher_says_whether_it_is_there(home: Bench, make: Make) -> None:
    device, _ = await start(home, make(home))
    device.unplug()
    await home.seen(EndpointChanged, lambda event: not event.up)
    home.events.clear()
    device.replug()
    await home.seen(EndpointChanged, lambda event: event.up)


async def test_without_a_broker_an_order_fails_at_once_and_afterwards_the_state_is_asked_for(home: Bench) -> None:
    device, plug = await start(home, shelly(home))  # a Shelly says nothing by itself when it connects
    await home.broker.stop()
    await until(lambda: not home.connected.is_set())
    with pytest.raises(Unreachable):
        await plug.execute(order("pump_plug", SwitchOff()))
    device.relay = device.contact = True
    home.events.clear()
    await home.broker.start()
    await until(lambda: device.ready.is_set() and home.connected.is_set())
    await home.seen(PlugReported, says(True))


async def test_a_lost_order_moves_nothing_and_claims_nothing(home: Bench) -> None:
    device, plug = await start(home, tasmota(home))
    device.faults.lose = 1.0
    home.events.clear()
    assert (await plug.execute(order("pump_plug", SwitchOn()))).detail == "the broker took it"
    await home.clock.sleep(5)
    assert not any(isinstance(event, PlugReported) and event.on for event in home.events)


async def test_a_plug_that_ignores_off_says_so_and_a_welded_one_shows_it_by_its_watts(home: Bench) -> None:
    device, plug = await start(home, tasmota(home))
    await plug.execute(order("pump_plug", SwitchOn()))
    await home.seen(PlugReported, says(True))
    device.ignores_off = True
    home.events.clear()
    await plug.execute(order("pump_plug", SwitchOff()))
    await home.seen(PlugReported, says(True))
    device.ignores_off, device.welded = False, True
    home.events.clear()
    await plug.execute(order("pump_plug", SwitchOff()))
    await home.seen(PlugReported, says(False))
    await home.seen(PlugReported, lambda event: event.watts == 40.0)


async def test_junk_is_logged_once_per_kind_and_moves_nothing(home: Bench, caplog: pytest.LogCaptureFixture) -> None:
    device, _ = await start(home, zigbee(home))
    home.events.clear()
    device.faults.dead = True  # so that only junk arrives
    for junk in [b"\xff", b"{", b'{"state":"MAYBE"}', b"[" * 5000, b'{"power":1e999}', b"x" * 50_000] * 3:
        await publish(home.broker, "zigbee2mqtt/bath/pump", junk)
    await publish(home.broker, "zigbee2mqtt/bath/pump", '{"state":"ON"}')
    await home.seen(PlugReported)
    assert [event.on for event in home.events if isinstance(event, PlugReported)] == [True]
    warned = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warned) == 6
    assert all("pump_plug" in record.getMessage() for record in warned)


async def test_a_meter_that_says_nothing_is_told_to_the_owner_once(
    home: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    _, options = zigbee(home)
    plug = MqttPlug("pump_plug", options, home.surroundings)
    await home.start()
    home.run(plug.run(), "plug")
    await publish(home.broker, "zigbee2mqtt/bath/pump", '{"state":"ON","power":null}')
    await home.clock.sleep(240)
    (hint,) = [record.getMessage() for record in caplog.records if "no watts" in record.getMessage()]
    assert hint.startswith("pump_plug: on, but no watts for 60 s; Tasmota: PowerDelta 5 and TelePeriod 10")


async def test_what_it_cannot_do_is_unsupported_and_nothing_is_sent(home: Bench) -> None:
    device, plug = await start(home, esphome(home))
    assert plug.ability == PlugAbility(acts=True, meters=True, dead_man=False)
    for action in (SwitchOn(dead_man=360), ReadState(), LightOff()):
        with pytest.raises(Unsupported):
            await plug.execute(order("pump_plug", action))
    assert not device.relay


async def test_statestream_is_read_and_cannot_act(home: Bench) -> None:
    options = Options(profile="generic", preset="statestream", topic="ha/switch/pump", watts_topic="ha/sensor/w/state")
    assert options.problems_as_actuator() is not None
    plug = MqttPlug("pump_plug", options, home.surroundings)
    assert plug.ability == PlugAbility(acts=False, meters=True, dead_man=False)
    await home.start()
    await publish(home.broker, "ha/switch/pump/state", "on", retain=True)
    await publish(home.broker, "ha/sensor/w/state", "41.5")
    await home.seen(PlugReported, says(True))
    await home.seen(PlugReported, lambda event: event.watts == 41.5)
    with pytest.raises(Unsupported):
        await plug.execute(order("pump_plug", SwitchOn()))
