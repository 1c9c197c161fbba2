"""The family's side of MQTT: says scenes, sends commands, and remembers what the world was told.

A scenario checks against what it heard; it is a client like any automation in the flat.
"""

from __future__ import annotations

import json
from collections import deque
from typing import Any

from homebridge_svc.virtual_home.mqtt_peer import Broker, MqttPeer, PolicyClock

KEPT = 500  # messages remembered per kind


class Hand(MqttPeer):
    """base: the daemon's base topic. states: by device; discovered: Home Assistant's configuration topics."""

    def __init__(self, broker: Broker, clock: PolicyClock, *, base: str) -> None:
        super().__init__(broker, clock, "hand")
        self._base = base
        self.states: dict[str, dict[str, Any]] = {}
        self.results: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self.announcements: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self.discovered: set[str] = set()

    def filters(self) -> tuple[str, ...]:
        """All that the daemon tells."""
        told = (f"{self._base}/{part}" for part in ("+/state", "+/result", "announce"))
        return (*told, "homeassistant/#")

    def command(self, device: str, do: str) -> None:
        """Send one command to `<base>/<device>/set`."""
        self.say(f"{self._base}/{device}/set", do)

    def heard(self, topic: str, payload: bytes) -> None:
        """Remember one message."""
        if topic.startswith("homeassistant/"):
            self.discovered.add(topic)
            return
        try:
            said = json.loads(payload)
        except ValueError:
            return
        if topic == f"{self._base}/announce":
            self.announcements.append(said)
        elif topic.endswith("/state"):
            self.states[topic.split("/")[-2]] = said
        elif topic.endswith("/result"):
            self.results.append(said)
