"""Tells MQTT what happened: state diffs, answers, events, announcements, and Home Assistant's discovery.

`told` only notes what is to be said; one task says it, so a slow broker holds nobody up. States are retained and
said again after every connect; answers and events are for now, and are dropped while there is no broker.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Mapping

from homebridge_svc.core.events import CommandHeard, Event
from homebridge_svc.core.model import DeviceView, Json
from homebridge_svc.core.orders import Decision
from homebridge_svc.errors import DeviceError, WireError
from homebridge_svc.ports import Clock, Link, Message
from homebridge_svc.publish.home_assistant import Discovery
from homebridge_svc.wire.payloads import read_json

log = logging.getLogger(__name__)

WAITING = 1000  # sayings kept for a slow broker; the oldest are dropped


class MqttPublisher:
    """An audience on the MQTT link. discovery: None when Home Assistant is not wanted."""

    def __init__(self, link: Link, clock: Clock, *, base: str, discovery: Discovery | None) -> None:
        self._link = link
        self._clock = clock
        self._base = base
        self._discovery = discovery
        self._states: dict[str, str] = {}  # key -> payload as it should stand on the broker
        self._dirty: set[str] = set()
        self._sayings: deque[tuple[str, str]] = deque(maxlen=WAITING)
        self._wake = asyncio.Event()
        self._greet = False
        self._running: dict[str, bool] = {}  # pump -> whether it ran when we last looked

    def listen(self) -> None:
        """Register with the link."""
        self._link.on_connect(self._connected)
        if self._discovery is not None:
            self._link.subscribe(self._discovery.status_topic, self._birth)
            self._link.subscribe(self._discovery.configs, self._config)

    def told(self, event: Event, decision: Decision, views: Mapping[str, DeviceView]) -> None:
        """Note what is to be said."""
        for key, view in views.items():
            payload = _dump({**view.state, "available": view.available})
            if self._states.get(key) != payload:
                self._states[key] = payload
                self._dirty.add(key)
        if isinstance(event, CommandHeard):
            self._event("heard", event.id, event.device, event.text, origin=event.origin)
        for answer in decision.answers:
            said: dict[str, Json] = {"id": answer.command, "result": answer.say.value, "why": answer.why}
            if answer.zh:
                said["zh"] = answer.zh
            if isinstance(event, CommandHeard) and not event.delivery.has_id:
                said["do"] = event.text  # the caller minted no id: the text tells which command is meant
            self._say(f"{self._base}/{answer.device or 'say'}/result", said)
            self._event("answered", answer.command, answer.device, answer.why, result=answer.say.value)
        for told in decision.announcements:
            self._say(
                f"{self._base}/announce", {"device": told.device, "text": told.text, "zh": told.zh, "alarm": told.alarm}
            )
            self._event("announced", event.id, told.device, told.text)
        self._runs(views)
        if self._dirty or self._sayings:
            self._wake.set()

    async def run(self) -> None:
        """Say what was noted, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._speak()
            except DeviceError:
                self._sayings.clear()  # no broker: they would be late; states are said again on connect

    async def _speak(self) -> None:
        if self._greet:
            self._greet = False
            if self._discovery is not None:
                for topic, payload in self._discovery.payloads().items():
                    await self._link.publish(topic, _dump(payload), qos=1, retain=True)
            self._dirty.update(self._states)
        while self._dirty:
            key = self._dirty.pop()
            await self._link.publish(f"{self._base}/{key}/state", self._states[key], retain=True)
        while self._sayings:
            topic, text = self._sayings.popleft()
            await self._link.publish(topic, text, retain=text == "")

    async def _connected(self) -> None:
        self._greet = True
        self._wake.set()

    def _birth(self, message: Message) -> None:
        if message.payload == b"online":
            self._greet = True
            self._wake.set()

    def _config(self, message: Message) -> None:
        """Remove what we once announced and the configuration no longer has."""
        try:
            payload: Json = read_json(message.payload) if message.payload else None
        except WireError:
            return
        if self._discovery is not None and self._discovery.stale(message.topic, payload):
            log.info("%s is no longer configured: taking it out of Home Assistant", message.topic)
            self._sayings.append((message.topic, ""))
            self._wake.set()

    def _runs(self, views: Mapping[str, DeviceView]) -> None:
        for key, view in views.items():
            if view.kind != "pump":
                continue
            running = bool(view.state.get("running"))
            if self._running.get(key) and not running:
                self._say(
                    f"{self._base}/{key}/event",
                    {
                        "event_type": "run_finished",
                        "seconds": view.state.get("last_run_s"),
                        "why": view.state.get("last_stop"),
                    },
                )
            self._running[key] = running

    def _event(self, kind: str, chain: str, device: str | None, text: str, **more: Json) -> None:
        at = self._clock.now().utc.isoformat(timespec="milliseconds")
        said = {"event_type": kind, "id": chain, "device": device, "text": text, "at": at, **more}
        self._say(f"{self._base}/event", said)

    def _say(self, topic: str, payload: Mapping[str, Json]) -> None:
        self._sayings.append((topic, _dump(payload)))


def _dump(payload: Mapping[str, Json]) -> str:
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
