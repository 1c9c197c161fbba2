"""The MQTT thermometer driver against emulated ones, through a real mosquitto."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import pytest
from support.mqtt import Bench, bench, needs_mosquitto, publish

from homebridge_svc.adapters.sensors.mqtt import MqttSensor, Options
from homebridge_svc.core.events import EndpointChanged, SensorReported
from homebridge_svc.virtual_home.mqtt_sensor import MqttSensor as Device

pytestmark = [pytest.mark.peer, needs_mosquitto]

Profile = Literal["tasmota", "zigbee2mqtt", "shelly", "generic"]


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(tmp_path, speed=60) as this:
        yield this


class Water:
    def __init__(self) -> None:
        self.temperature = 20.0


async def start(home: Bench, profile: Profile, water: Water) -> Device:
    device = Device(home.broker.address, home.clock, "pipe", profile=profile, temperature=lambda: water.temperature)
    MqttSensor("return_temperature", Options(profile=profile, topic="pipe"), home.surroundings)
    await home.start(device)
    return device


@pytest.mark.parametrize("profile", ["tasmota", "zigbee2mqtt", "shelly", "generic"])
async def test_temperatures_are_reported_when_they_change(home: Bench, profile: Profile) -> None:
    water = Water()
    await start(home, profile, water)
    await home.seen(SensorReported, lambda event: event.value == 20.0)
    water.temperature = 36.5
    report = await home.seen(SensorReported, lambda event: event.value == 36.5)
    assert (report.sensor, report.retained) == ("return_temperature", False)


async def test_a_sensor_that_lies_is_not_reported(home: Bench) -> None:
    water = Water()
    device = await start(home, "tasmota", water)
    await home.seen(SensorReported)
    device.lie = 85.0
    home.events.clear()
    for _ in range(3):
        device.publish()
    await publish(home.broker, "tele/pipe/SENSOR", '{"DS18B20":{"Temperature":31.0}}')
    await home.seen(SensorReported, lambda event: event.value == 31.0)
    assert all(event.value < 85 for event in home.events if isinstance(event, SensorReported))


async def test_a_mute_sensor_is_silent_and_a_frozen_one_repeats_itself(home: Bench) -> None:
    water = Water()
    device = await start(home, "zigbee2mqtt", water)
    await home.seen(SensorReported)
    device.frozen = True
    water.temperature = 50.0
    home.events.clear()
    await home.seen(SensorReported, lambda event: event.value == 20.0)
    device.mute = True
    await home.clock.sleep(5)
    home.events.clear()
    await home.clock.sleep(30)
    assert not home.events


async def test_a_retained_temperature_is_marked_as_history(home: Bench) -> None:
    await publish(home.broker, "pipe", "33.00", retain=True)
    MqttSensor("return_temperature", Options(profile="generic", topic="pipe"), home.surroundings)
    await home.start()
    report = await home.seen(SensorReported)
    assert (report.value, report.retained) == (33.0, True)


async def test_its_publisher_says_whether_it_is_there(home: Bench) -> None:
    device = await start(home, "tasmota", Water())
    await home.seen(EndpointChanged, lambda event: event.up)
    device.unplug()
    await home.seen(EndpointChanged, lambda event: not event.up)
