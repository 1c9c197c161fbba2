"""Thermometers that speak MQTT: where each publisher puts the temperature, and which readings are the driver's errors.

A DS18B20 says 85.0 when it was asked before it had measured (power-on value) and -127 when it is not there; some
drivers give 127.9 for a broken line. None of these is a temperature, whoever forwards it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from homebridge_svc.errors import WireError
from homebridge_svc.wire.mqtt_plugs import OFFLINE, ONLINE, UNTOLD
from homebridge_svc.wire.mqtt_values import Payload, Place, number, word

ERROR_CODES = frozenset({85.0, -127.0, 127.9, 127.94, 127.9375})  # °C; the last is the register's 0x07FF
COLDEST, HOTTEST = -55.0, 125.0  # °C, what a DS18B20 can measure; pipes are well within


@dataclass(frozen=True, slots=True)
class SensorReading:
    """What one message told. None: it did not say."""

    value: float | None = None
    available: bool | None = None


@dataclass(frozen=True, slots=True)
class SensorWire:
    """One thermometer on the wire. unit_path: where the payload says "F" or "C", relative to the topic's JSON."""

    values: tuple[Place, ...]
    availability: tuple[Place, ...] = ()
    unit_path: str = ""

    @property
    def topics(self) -> tuple[str, ...]:
        """What to subscribe to, each once."""
        return tuple(dict.fromkeys(place.topic for place in (*self.values, *self.availability)))

    def decode(self, topic: str, payload: bytes) -> SensorReading | None:
        """Degrees Celsius and availability; None when the message says neither. Raises WireError on junk."""
        if not payload:  # a retained message was cleared
            return None
        body = Payload(payload)
        for place in self.availability:
            if place.topic == topic:
                return _availability(body.at_or_text(place.path) if place.path else body.text)
        for place in self.values:
            if place.topic == topic and (value := body.at(place.path)) is not None:
                if not place.path and word(value) in UNTOLD:
                    return None
                return SensorReading(value=self._celsius(value, body, by_path=bool(place.path)))
        return None

    def _celsius(self, value: object, body: Payload, *, by_path: bool) -> float:
        if by_path and isinstance(value, str):
            raise WireError("a str stands where a temperature should")
        fahrenheit = bool(self.unit_path) and body.at(self.unit_path) == "F"
        degrees = number(value, -1_000.0, 1_000.0)  # type: ignore[arg-type]  # JSON came in, JSON is checked there
        degrees = (degrees - 32) / 1.8 if fahrenheit else degrees
        if round(degrees, 4) in ERROR_CODES:
            raise WireError(f"{degrees:g} °C is the sensor's error code, not a temperature")
        return number(degrees, COLDEST, HOTTEST)


def zigbee2mqtt(topic: str, field: str | None) -> SensorWire:
    """`<topic>` is "zigbee2mqtt/<name>"."""
    return SensorWire(
        values=(Place(topic, field or "temperature"),), availability=(Place(f"{topic}/availability", "state"),)
    )


def tasmota(topic: str, field: str | None) -> SensorWire:
    """`<topic>` is the device's own; field is inside SENSOR: "DS18B20-1.Temperature" where there are more than one."""
    field = field or "DS18B20.Temperature"
    return SensorWire(
        values=(Place(f"tele/{topic}/SENSOR", field),),
        availability=(Place(f"tele/{topic}/LWT"),),
        unit_path="TempUnit",
    )


def shelly(topic: str, field: str | None) -> SensorWire:
    """Gen 2 and later with the add-on, whose first thermometer is temperature:100."""
    return SensorWire(
        values=(Place(f"{topic}/events/rpc", f"params.{field or 'temperature:100.tC'}"),),
        availability=(Place(f"{topic}/online"),),
    )


def generic(topic: str, field: str | None) -> SensorWire:
    """Plain text on a topic, or JSON with a path: ESPHome, Home Assistant's statestream, anything."""
    return SensorWire(values=(Place(topic, field or ""),))


PROFILES: dict[str, Callable[[str, str | None], SensorWire]] = {
    "zigbee2mqtt": zigbee2mqtt,
    "tasmota": tasmota,
    "shelly": shelly,
    "generic": generic,
}


def _availability(value: object) -> SensorReading | None:
    said = word(value) if isinstance(value, (str, bool)) else ""
    if said not in ONLINE | OFFLINE:
        raise WireError("the availability is neither online nor offline")
    return SensorReading(available=said in ONLINE)
