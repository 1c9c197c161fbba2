"""Tells MQTT what happened: states, answers, events, announcements, and Home Assistant's discovery.

`told` only notes what is to be said; one task says it, so a slow or absent broker holds nobody up. Two kinds:

1. What *stands* (states, discovery) is retained. It is said when it changed, and all of it again after every connect
   and after Home Assistant's birth; if it could not be said it stays due. So the broker ends up with what is true.
2. What is *said* (answers, events, announcements) is for now. While there is no broker it is dropped: it would be late.

States go before discovery and before answers: who hears "done", or finds a new device, finds the state in place.
Everything leaves at QoS 1, for brokers drop QoS 0 under load.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from homebridge_svc.core.events import CommandHeard, Event
from homebridge_svc.core.model import DeviceView, Json
from homebridge_svc.core.orders import Answer, Decision, Say
from homebridge_svc.errors import DeviceError
from homebridge_svc.ports import Clock, Link, Message
from homebridge_svc.publish.home_assistant import RUN_FINISHED, Discovery

log = logging.getLogger(__name__)

WAITING: Final = 1000  # sayings kept for a slow broker; the oldest are dropped
OPEN: Final = 256  # commands whose last answer is still to come, as many as may wait (rule 8)
_LEVEL = re.compile(r"[^/+#\x00-\x1f\ud800-\udfff]{1,64}")  # what may be one level of a topic


@dataclass(frozen=True, slots=True)
class _Open:
    """A command that is not answered for good. text: to be echoed where its caller knows no id (rule 4)."""

    text: str | None
    phrase: bool


class MqttPublisher:
    """An audience on the MQTT link. discovery: None when Home Assistant is not wanted."""

    def __init__(self, link: Link, clock: Clock, *, base: str, discovery: Discovery | None) -> None:
        self._link = link
        self._clock = clock
        self._base = base
        self._discovery = discovery
        self._views: dict[str, DeviceView] = {}  # as last told
        self._standing: dict[str, bytes] = {}  # topic -> what should stand there
        self._due: dict[str, None] = {}  # topics of it that are still to be said, in order
        self._sayings: deque[tuple[str, bytes]] = deque(maxlen=WAITING)
        self._open: OrderedDict[str, _Open] = OrderedDict()
        self._pumping: set[str] = set()  # pumps that were seen running and not yet off
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()  # nothing is left to be said

    def listen(self) -> None:
        """Register with the link."""
        self._link.on_connect(self._connected)
        if self._discovery is not None:
            self._link.subscribe(self._discovery.birth_topic, self._birth)
            self._link.subscribe(self._discovery.configs, self._config)

    def told(self, event: Event, decision: Decision, views: Mapping[str, DeviceView]) -> None:
        """Note what is to be said."""
        for key, view in views.items():
            if self._views.get(key) != view:
                self._views[key] = view
                self._stand(f"{self._base}/{key}/state", _dump({**view.state, "available": view.available}))
        if isinstance(event, CommandHeard):
            text = None if event.delivery.has_id else event.text
            self._open.setdefault(event.id, _Open(text, event.device is None))
            if len(self._open) > OPEN:
                self._open.popitem(last=False)
            self._event("heard", event.id, event.device, event.text, origin=event.origin)
        for answer in decision.answers:
            self._answer(answer)
        for told in decision.announcements:
            said: dict[str, Json] = {"device": told.device, "text": told.text, "zh": told.zh, "alarm": told.alarm}
            self._say("announce", said)
            self._event("announced", event.id, told.device, told.text, zh=told.zh, alarm=told.alarm)
        self._runs(decision.cause, views)
        if self._due or self._sayings:
            self._idle.clear()
            self._wake.set()

    async def settle(self) -> None:
        """Wait until all that was noted is said; while there is no broker, for ever."""
        await self._idle.wait()

    async def run(self) -> None:
        """Say what was noted, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._speak()
                self._idle.set()
            except DeviceError:
                self._sayings.clear()  # what stands is tried again when the broker is back, or with the next news

    async def _speak(self) -> None:
        while self._due or self._sayings:
            if self._due:
                topic = next(iter(self._due))
                payload = self._standing[topic]
                await self._link.publish(topic, payload, qos=1, retain=True)
                if self._standing[topic] == payload:  # nothing newer came meanwhile
                    self._due.pop(topic, None)
                    if not payload:
                        del self._standing[topic]
            else:
                await self._link.publish(*self._sayings.popleft(), qos=1)

    async def _connected(self) -> None:
        self._greet()

    def _birth(self, message: Message) -> None:
        if message.payload == b"online" and not message.retained:
            self._greet()

    def _greet(self) -> None:
        """Everything is due again, states first."""
        configs = self._discovery.payloads if self._discovery is not None else {}
        for topic, payload in configs.items():
            self._standing.setdefault(topic, _dump(payload))
        self._due = dict.fromkeys(sorted(self._standing, key=lambda topic: topic in configs))
        self._wake.set()

    def _config(self, message: Message) -> None:
        """Take away what we once announced and the configuration no longer has."""
        if self._discovery is None or not message.payload:
            return
        try:
            payload: Json = json.loads(message.payload)
        except (ValueError, RecursionError):  # somebody else's: ours are JSON
            return
        departed = self._discovery.departed(message.topic, payload)
        without = self._discovery.without(message.topic, payload)
        if departed is not None:
            log.info("%s: no longer configured, taken out of Home Assistant", departed)
            self._stand(message.topic, b"")
            self._stand(f"{self._base}/{departed}/state", b"")
        elif without is not None:
            log.info("%s: has parts that are no more, taken out of Home Assistant", message.topic)
            self._stand(message.topic, _dump(without))
        self._wake.set()

    def _answer(self, answer: Answer) -> None:
        """Answer where the command came in; who said a phrase hears on `say/result` what became of all of it."""
        command, _, step = answer.command.rpartition(".")
        heard = self._open.get(answer.command)
        whole = self._open.get(command) if heard is None and step.isdecimal() else heard
        said: dict[str, Json] = {"id": answer.command, "result": answer.say.value, "why": answer.why, "zh": answer.zh}
        if whole is not None and whole.text is not None:
            said["do"] = whole.text
        if answer.device is not None and _LEVEL.fullmatch(answer.device):
            self._say(f"{answer.device}/result", said)
        if answer.device is None or (heard is not None and heard.phrase):
            self._say("say/result", said)
        if answer.say.final and answer.say is not Say.DUPLICATE:  # the original's last answer is still to come
            self._open.pop(answer.command, None)
        self._event("answered", answer.command, answer.device, answer.why, result=answer.say.value, zh=answer.zh)

    def _runs(self, chain: str, views: Mapping[str, DeviceView]) -> None:
        """Tell the end of a run when the pump was read back as off: by then it is known how long it ran."""
        for key, view in views.items():
            if view.kind != "pump":
                continue
            phase, state = view.state.get("phase"), view.state
            if phase == "running":
                self._pumping.add(key)
            elif key in self._pumping and phase != "stopping":
                self._pumping.discard(key)
                why = f"{state.get('last_stop')}"
                self._event(
                    RUN_FINISHED, chain, key, why, zh=state.get("last_stop_zh"), seconds=state.get("last_run_s")
                )

    def _event(self, kind: str, chain: str, device: str | None, text: str, **more: Json) -> None:
        at = self._clock.now().utc.isoformat(timespec="milliseconds")
        said: dict[str, Json] = {"event_type": kind, "id": chain, "device": device, "text": text, "at": at}
        self._say("event", said | more)

    def _say(self, topic: str, payload: Mapping[str, Json]) -> None:
        self._sayings.append((f"{self._base}/{topic}", _dump(payload)))

    def _stand(self, topic: str, payload: bytes) -> None:
        if self._standing.get(topic) != payload:
            self._standing[topic] = payload
            self._due[topic] = None


def _dump(payload: Mapping[str, Json]) -> bytes:
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
