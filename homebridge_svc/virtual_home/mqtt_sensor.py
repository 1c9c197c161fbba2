"""An emulated thermometer: a DS18B20 on a Tasmota, a Zigbee sensor, Shelly's add-on, or plain text on a topic."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

from homebridge_svc.virtual_home.faults import Faults
from homebridge_svc.virtual_home.mqtt_peer import Broker, MqttPeer, PolicyClock
from homebridge_svc.wire.mqtt_values import Json

STEP = 1.0  # policy seconds between two measurements
DELTA = 0.3  # kelvin of change that is reported at once


class MqttSensor(MqttPeer):
    """Publishes `temperature()` (°C) every `interval` policy seconds, and at once when it moved by DELTA.

    lie: published in its place (85.0: the power-on value). frozen: it keeps to its last value. mute: it says nothing,
    though it is there.
    """

    def __init__(
        self,
        broker: Broker,
        clock: PolicyClock,
        topic: str,
        *,
        profile: Literal["tasmota", "zigbee2mqtt", "shelly", "generic"],
        temperature: Callable[[], float],
        interval: float = 10.0,
        faults: Faults | None = None,
    ) -> None:
        super().__init__(broker, clock, topic, faults=faults)
        self.lie: float | None = None
        self.frozen = False
        self.mute = False
        self._profile = profile
        self._temperature = temperature
        self._interval = interval
        self._value = 0.0

    def will(self) -> tuple[str, str, str] | None:
        """As its publisher does."""
        match self._profile:
            case "tasmota":
                return f"tele/{self._topic}/LWT", "Online", "Offline"
            case "zigbee2mqtt":
                return f"{self._topic}/availability", '{"state":"online"}', '{"state":"offline"}'
            case "shelly":
                return f"{self._topic}/online", "true", "false"
            case "generic":
                return None

    async def run(self) -> None:
        """Be a thermometer until cancelled."""
        measuring = asyncio.create_task(self._measure(), name=f"{self._topic}: measure")
        try:
            await super().run()
        finally:
            measuring.cancel()

    def born(self) -> None:
        """Say what it measures now."""
        self._look()
        self.publish()

    def publish(self) -> None:
        """Say it, or the lie."""
        if self.mute:
            return
        value = self._value if self.lie is None else self.lie
        match self._profile:
            case "tasmota":
                sensor: Json = {"Id": "01131B123456", "Temperature": value}
                time = self._clock.now().utc.strftime("%Y-%m-%dT%H:%M:%S")
                self.say(f"tele/{self._topic}/SENSOR", {"Time": time, "DS18B20": sensor, "TempUnit": "C"})
            case "zigbee2mqtt":
                self.say(self._topic, {"battery": 97, "linkquality": 110, "temperature": value})
            case "shelly":
                delta: Json = {"id": 100, "tC": value, "tF": round(value * 1.8 + 32, 1)}
                said: dict[str, Json] = {"src": self._topic, "dst": f"{self._topic}/events", "method": "NotifyStatus"}
                self.say(f"{self._topic}/events/rpc", {**said, "params": {"temperature:100": delta}})
            case "generic":
                self.say(self._topic, f"{value:.2f}", retain=True)

    def _look(self) -> None:
        if not self.frozen:
            self._value = round(self._temperature(), 1)

    async def _measure(self) -> None:
        said, at = self._value, self._clock.now().mono
        while True:
            await self._clock.sleep(STEP)
            self._look()
            now = self._clock.now().mono
            if abs(self._value - said) >= DELTA or now - at >= self._interval:
                said, at = self._value, now
                self.publish()
