"""Scenes and phrases on any MQTT topic: a Home Assistant automation, Node-RED, a button, a bridge of Mi Home."""

from __future__ import annotations

import asyncio
from typing import Annotated

from pydantic import BaseModel, Field

from homebridge_svc.errors import ConfigError
from homebridge_svc.ports import Message, Surroundings
from homebridge_svc.runtime.hearing import Hearing
from homebridge_svc.runtime.registry import adapter


class Options(BaseModel, extra="forbid"):
    """`[[voice]] driver = "mqtt"`."""

    topic: Annotated[str, Field(min_length=1, max_length=200, description="where the phrase is published")]
    field: Annotated[str, Field(description="the JSON member that holds the phrase; plain text needs none")] = "phrase"


@adapter(
    "mqtt",
    kind="voice",
    options=Options,
    title="scenes from any MQTT publisher",
    tried="against mosquitto",
    peer="hand",
)
class MqttScenes:
    """An ear on one topic or filter: the payload is a phrase, or JSON with `field`, `id` and `at`."""

    def __init__(self, key: str, options: Options, surroundings: Surroundings) -> None:
        if surroundings.link is None:
            raise ConfigError(key, "needs a broker", "add [mqtt] with its url")
        self._field = options.field
        self._hearing = Hearing(__name__, surroundings)
        # QoS 1: a phrase that was said while we were briefly away still comes
        surroundings.link.subscribe(options.topic, self._heard, qos=1)

    async def run(self) -> None:
        """Nothing to keep up: the link delivers, until cancelled."""
        await asyncio.Event().wait()

    def _heard(self, message: Message) -> None:
        self._hearing.hear(message, field=self._field, origin=f"scene:{message.topic}")
