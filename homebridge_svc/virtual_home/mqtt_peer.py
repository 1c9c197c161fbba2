"""What every emulated MQTT device shares: its own connection with a last will, and wires that may be faulty."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import aiomqtt

from homebridge_svc.virtual_home.faults import Faults
from homebridge_svc.wire.mqtt_values import Json

RECONNECT = 0.3  # real seconds


class Moment(Protocol):
    """One reading of all clocks: wall clock in UTC, and seconds that never step."""

    @property
    def utc(self) -> datetime:
        """For the times that devices print."""

    @property
    def mono(self) -> float:
        """For durations."""


class PolicyClock(Protocol):
    """The scaled clock of the virtual home (runtime.clock.SystemClock)."""

    def now(self) -> Moment:
        """Read all clocks."""

    async def sleep(self, seconds: float) -> None:
        """Wait `seconds` of policy time."""


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the virtual home's broker listens."""

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)


class MqttPeer:
    """A device with a connection of its own, known by its `topic`.

    Everything it hears and says goes through `faults`. `unplug` takes it off the network as seen by others: the will
    is out, nothing is heard or said; `replug` brings it back.
    """

    def __init__(
        self,
        broker: Broker,
        clock: PolicyClock,
        topic: str,
        *,
        faults: Faults | None = None,
    ) -> None:
        self.faults = faults or Faults()
        self.ready = asyncio.Event()
        self.plugged = True
        self._broker = broker
        self._clock = clock
        self._topic = topic
        self._outbox: asyncio.Queue[tuple[str, bytes, bool]] = asyncio.Queue()

    async def run(self) -> None:
        """Be a device until cancelled; reconnects when the broker was away."""
        me = asyncio.current_task()
        while True:
            try:
                await self._session()
            except aiomqtt.MqttError:
                if me is not None and me.cancelling():  # the goodbye failed: the error came in the cancellation's place
                    raise asyncio.CancelledError from None
            self.ready.clear()
            await asyncio.sleep(RECONNECT)

    def filters(self) -> tuple[str, ...]:
        """What it subscribes to."""
        return ()

    def will(self) -> tuple[str, str, str] | None:
        """Where it says that it is there, and the words for yes and no."""
        return None

    def heard(self, topic: str, payload: bytes) -> None:
        """One message came; on the loop."""

    def born(self) -> None:
        """A connection stands: say what a device says when it has started."""

    def say(self, topic: str, payload: str | Mapping[str, Json], *, retain: bool = False) -> None:
        """Send one message, JSON for a mapping, unless unplugged or lost."""
        if not self.plugged:
            return
        text = payload if isinstance(payload, str) else json.dumps(payload, separators=(",", ":"))
        for delay, data in self.faults.through(text.encode()):
            self._later(delay, topic, data, retain=retain)

    def unplug(self) -> None:
        """Take it off the network."""
        if (will := self.will()) is not None:
            self._outbox.put_nowait((will[0], will[2].encode(), True))
        self.plugged = False

    def replug(self) -> None:
        """Bring it back."""
        self.plugged = True
        self._announce()

    async def _session(self) -> None:
        last = self.will()
        async with aiomqtt.Client(
            self._broker.host,
            self._broker.port,
            username=self._broker.username,
            password=self._broker.password,
            will=aiomqtt.Will(last[0], last[2], qos=1, retain=True) if last is not None else None,
        ) as client:
            for topic_filter in self.filters():
                await client.subscribe(topic_filter, qos=1)
            self._outbox = asyncio.Queue()
            self._announce()
            self.ready.set()
            sender = asyncio.create_task(self._send(client), name=f"{self._topic}: send")
            try:
                async for message in client.messages:
                    if not any(message.topic.matches(wanted) for wanted in self.filters()):
                        continue  # amqtt sends every newcomer what is retained under anybody's filters
                    data = message.payload if isinstance(message.payload, bytes) else b""
                    self._receive(str(message.topic), data)
            finally:
                sender.cancel()
                await asyncio.gather(sender, return_exceptions=True)

    async def _send(self, client: aiomqtt.Client) -> None:
        while True:
            topic, data, retain = await self._outbox.get()
            with contextlib.suppress(aiomqtt.MqttError):  # the reader sees it too, and reconnects
                # without a timeout of its own, in which Python 3.11 can lose a cancellation
                await client.publish(topic, data, qos=1, retain=retain, timeout=math.inf)

    def _announce(self) -> None:
        if not self.plugged:
            return
        if (will := self.will()) is not None:
            self.say(will[0], will[1], retain=True)
        self.born()

    def _receive(self, topic: str, data: bytes) -> None:
        if not self.plugged:
            return
        for delay, copy in self.faults.through(data):
            if delay:
                asyncio.get_running_loop().call_later(delay, self.heard, topic, copy)
            else:
                self.heard(topic, copy)

    def _later(self, delay: float, topic: str, data: bytes, *, retain: bool) -> None:
        if delay:
            asyncio.get_running_loop().call_later(delay, self._outbox.put_nowait, (topic, data, retain))
        else:
            self._outbox.put_nowait((topic, data, retain))
