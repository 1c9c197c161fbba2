"""Thermometers that speak MQTT: zigbee2mqtt, Tasmota (DS18B20), Shelly's add-on, or plain text on any topic."""

from __future__ import annotations

import asyncio
import logging
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from homebridge_svc.config.topics import Topic
from homebridge_svc.core.events import SensorReported
from homebridge_svc.errors import ConfigError, WireError
from homebridge_svc.ports import Message, Surroundings
from homebridge_svc.runtime.logs import OncePerKind
from homebridge_svc.runtime.presence import Presence
from homebridge_svc.runtime.registry import adapter
from homebridge_svc.wire.mqtt_sensors import PROFILES

log = logging.getLogger(__name__)


class Options(BaseModel, extra="forbid"):
    """`[sensors.X] driver = "mqtt"`."""

    profile: Literal["zigbee2mqtt", "tasmota", "shelly", "generic"]
    topic: Annotated[Topic, Field(description='like "zigbee2mqtt/return", or Tasmota\'s own topic')]
    field: Annotated[str | None, Field(max_length=200, description='"temperature", "DS18B20-1.Temperature"')] = None


@adapter(
    "mqtt",
    kind="sensor",
    options=Options,
    title="MQTT thermometers: zigbee2mqtt, Tasmota, Shelly add-on, generic",
    tried="against emulators through mosquitto",
    peer="mqtt_sensor",
)
class MqttSensor:
    """One thermometer on the shared MQTT connection: reports what can be a temperature, in °C, and nothing else.

    How old a reading may be is for core to judge; a sensor that fell silent is silent here too.
    """

    def __init__(self, key: str, options: Options, surroundings: Surroundings) -> None:
        if surroundings.link is None:
            raise ConfigError(f"sensors.{key}", "needs a broker", "add [mqtt] with its url")
        self._key = key
        self._home = surroundings
        self._wire = PROFILES[options.profile](options.topic, options.field)
        self._junk = OncePerKind(log)
        self._presence = Presence(key, surroundings, log)
        for topic in self._wire.topics:
            surroundings.link.subscribe(topic, self._heard)

    async def run(self) -> None:
        """Nothing to keep up: the link delivers, until cancelled."""
        await asyncio.Event().wait()

    def _heard(self, message: Message) -> None:
        try:
            reading = self._wire.decode(message.topic, message.payload)
        except WireError as error:
            self._junk(str(error), "%s: %s, on %s", self._key, error, message.topic)
            return
        if reading is None:
            return
        if reading.value is not None:
            now = self._home.clock.now()
            self._home.post(
                SensorReported(self._home.new_id(), now, self._key, reading.value, retained=message.retained)
            )
        if reading.available is not None:
            why = "it says so" if reading.available else "its publisher says it is away"
            self._presence.become(reading.available, why)
