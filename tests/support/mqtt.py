"""A real mosquitto on a port of its own, the daemon's link to it, and the surroundings of one adapter."""

import asyncio
import contextlib
import itertools
import shutil
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import aiomqtt
import pytest

from homebridge_svc.core.events import Event
from homebridge_svc.core.orders import Action, Order
from homebridge_svc.ports import Blaster, Surroundings
from homebridge_svc.runtime.clock import SystemClock
from homebridge_svc.runtime.mqtt_line import Account
from homebridge_svc.runtime.mqtt_link import MqttLink
from homebridge_svc.runtime.retry import Backoff
from homebridge_svc.virtual_home.mqtt_peer import Broker, MqttPeer

MOSQUITTO = shutil.which("mosquitto")
needs_mosquitto = pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")

E = TypeVar("E")


class Mosquitto:
    """One broker process; it keeps its port over `stop` and `start`."""

    def __init__(self, directory: Path) -> None:
        self.host = "127.0.0.1"
        self.port = 0
        self._directory = directory
        self._process: asyncio.subprocess.Process | None = None

    @property
    def address(self) -> Broker:
        return Broker(self.host, self.port)

    async def start(self) -> None:
        for _ in range(5):  # somebody else may take the port between our look and mosquitto's bind
            if not self.port:
                with socket.create_server((self.host, 0)) as probe:
                    self.port = probe.getsockname()[1]
            config = self._directory / "mosquitto.conf"
            config.write_text(f"listener {self.port} {self.host}\nallow_anonymous true\npersistence false\n")
            self._process = await asyncio.create_subprocess_exec(
                str(MOSQUITTO), "-c", str(config), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
            )
            if await self._listening():
                return
            await self.stop()
            self.port = 0
        raise RuntimeError("mosquitto does not start")

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()
        self._process = None

    async def _listening(self) -> bool:
        assert self._process is not None
        for _ in range(100):
            if self._process.returncode is not None:
                return False
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(self.host, self.port)
                writer.close()
                return True
            await asyncio.sleep(0.02)
        return False


@contextlib.asynccontextmanager
async def mosquitto(directory: Path) -> AsyncIterator[Mosquitto]:
    broker = Mosquitto(directory)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()


@dataclass
class Bench:
    """One adapter's surroundings on a real broker; `events` is what it posted."""

    broker: Mosquitto
    clock: SystemClock
    link: MqttLink
    surroundings: Surroundings
    connected: asyncio.Event
    events: list[Event]
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def run(self, job: Coroutine[None, None, None], name: str) -> None:
        self._tasks.append(asyncio.create_task(job, name=name))

    async def start(self, *peers: MqttPeer) -> None:
        """Start emulators, wait until they hear; then the link, whose subscriptions must have been registered."""
        for peer in peers:
            self.run(peer.run(), "peer")
        for peer in peers:
            await asyncio.wait_for(peer.ready.wait(), 5)
        self.run(self.link.run(), "link")
        await asyncio.wait_for(self.connected.wait(), 5)

    async def seen(self, kind: type[E], matches: Callable[[E], bool] = lambda _: True, *, within: float = 5.0) -> E:
        """The first posted event of this kind that matches; fails after `within` real seconds."""

        def found() -> E | None:
            return next((event for event in self.events if isinstance(event, kind) and matches(event)), None)

        await until(lambda: found() is not None, within=within, what=lambda: f"{kind.__name__} in {self.events}")
        event = found()
        assert event is not None
        return event

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        for outcome in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome


@contextlib.asynccontextmanager
async def bench(
    directory: Path, *, speed: float = 1.0, blasters: dict[str, Blaster] | None = None
) -> AsyncIterator[Bench]:
    async with mosquitto(directory) as broker:
        clock, connected, ids = SystemClock(speed=speed, trusted=True), asyncio.Event(), itertools.count(1)
        posted: list[Event] = []

        def post(event: Event) -> bool:
            posted.append(event)
            return True

        link = MqttLink(
            Account(broker.host, broker.port, "homebridge_svc_test"),
            clock,
            "homebridge_svc",
            lambda up, _why: connected.set() if up else connected.clear(),
            backoff=Backoff(first=0.05, ceiling=0.2),
        )
        surroundings = Surroundings(
            post=post,
            clock=clock,
            new_id=lambda: f"e{next(ids)}",
            state_dir=directory,
            link=link,
            blasters=blasters if blasters is not None else {},
        )
        this = Bench(broker, clock, link, surroundings, connected, posted)
        try:
            yield this
        finally:
            await this.stop()


def order(endpoint: str, action: Action, *, expires: float = float("inf")) -> Order:
    return Order(id="o1", endpoint=endpoint, action=action, command=None, reason="a test", expires=expires)


async def until(
    holds: Callable[[], bool], *, within: float = 5.0, what: Callable[[], str] = lambda: "what was expected"
) -> None:
    """Wait until `holds()`; fails after `within` real seconds."""
    try:
        async with asyncio.timeout(within):
            while not holds():  # noqa: ASYNC110  what is waited for is on the other side of a socket
                await asyncio.sleep(0.005)
    except TimeoutError:
        pytest.fail(f"not within {within} s: {what()}")


async def publish(broker: Mosquitto, topic: str, payload: str | bytes, *, retain: bool = False) -> None:
    """Any other MQTT client publishes one message, acknowledged."""
    async with aiomqtt.Client(broker.host, broker.port) as client:
        await client.publish(topic, payload, qos=1, retain=retain)
