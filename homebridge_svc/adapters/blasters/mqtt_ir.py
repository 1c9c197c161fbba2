"""Infrared transmitters on MQTT: Tasmota's IRSend, and Tuya blasters behind zigbee2mqtt (ZS06, ZS08, TS1201)."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from homebridge_svc.config.topics import Topic
from homebridge_svc.errors import ConfigError
from homebridge_svc.ports import Surroundings
from homebridge_svc.runtime.registry import adapter
from homebridge_svc.wire import ir_blasters
from homebridge_svc.wire.ir import Signal


class Options(BaseModel, extra="forbid"):
    """`[blasters.X] driver = "mqtt"`."""

    profile: Literal["tasmota", "zigbee2mqtt"]
    topic: Annotated[Topic, Field(description='Tasmota\'s own topic, or "zigbee2mqtt/<name>"')]


@adapter(
    "mqtt",
    kind="blaster",
    options=Options,
    title="MQTT infrared blasters: Tasmota, Tuya behind zigbee2mqtt",
    tried="against emulators through mosquitto",
    peer="ir_receiver",
)
class MqttBlaster:
    """One transmitter on the shared MQTT connection."""

    def __init__(self, key: str, options: Options, surroundings: Surroundings) -> None:
        if surroundings.link is None:
            raise ConfigError(f"blasters.{key}", "needs a broker", "add [mqtt] with its url")
        self._options = options
        self._link = surroundings.link

    async def run(self) -> None:
        """Nothing to keep up: the link publishes, until cancelled."""
        await asyncio.Event().wait()

    async def send(self, signal: Signal, *, repeats: int = 0) -> None:
        """Send one signal; returns when the broker took it. Raises Unreachable, OutcomeUnknown."""
        match self._options.profile:
            case "tasmota":
                topic, payload = f"cmnd/{self._options.topic}/IRSend", ir_blasters.tasmota(signal, repeats)
            case "zigbee2mqtt":
                code = {"ir_code_to_send": ir_blasters.tuya(signal, repeats)}
                topic, payload = f"{self._options.topic}/set", json.dumps(code)
        await self._link.publish(topic, payload, qos=1)
