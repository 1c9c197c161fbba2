"""From a message on the broker to the bytes of the order: at an ADB projector, and at an MQTT plug.

Theory of operation. This process is the world: it publishes, it is the plug, it is the projectors. The daemon runs
beside it as a process of its own, as it would on a Pi, in real time. The clock starts just before a message is
published to a real mosquitto and stops when the projector has read the OPEN packet of the key press, or when the
plug's command topic has delivered. Both ends are read on the same clock.

Requests come one at a time: the next is published when the last was answered, after a gap of 5 to 20 ms, so that
nothing is merged, queued or repeated. Home Assistant gets the same in turns, block by block, so that both see the
same weather on a shared machine. Both answer on a topic when they are done; answering is not in the figures.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import aiomqtt
import daemon
import home_assistant
from common import (
    Figure,
    Json,
    Process,
    Projector,
    address,
    arguments,
    free_port,
    machine,
    main,
    mosquitto,
    ratios,
    table,
    workplace,
)
from rich.console import Console
from rich.progress import track

from homebridge_svc.virtual_home.mqtt_peer import Broker

BLOCK = 50  # requests of one kind to one daemon before it is the other's turn
WARM_UP = 20  # requests that do not count
GAP_S = (0.005, 0.020)
ANSWER_S = 5.0
READY_S = 90.0  # until a daemon serves, on a busy machine
AT_ONCE = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]  # what is measured is others, not our own TCP
PATHS = {"adb": "ADB projector", "plug": "MQTT plug"}


@dataclass(slots=True)
class Subject:
    """Who is measured. ask(path, number): a request as (topic, payload). plug: its plug's command topic.

    answers: where it answers; done(payload): that was the final answer.
    """

    name: str
    process: Process
    ask: Callable[[str, int], tuple[str, str]]
    plug: str
    answers: str
    done: Callable[[bytes], bool]
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    at: float = 0.0  # loop time at which the bytes came
    took: dict[str, list[float]] = field(default_factory=lambda: {path: [] for path in PATHS})  # milliseconds
    lost: int = 0

    def come(self, at: float) -> None:
        """The bytes are here."""
        self.at = at
        self.arrived.set()


def _ask_us(path: str, number: int) -> tuple[str, str]:
    """A request as programs send it: with an id, so that two of the same are two."""
    if path == "adb":
        return daemon.KEY, daemon.command(f"key volume_{'up' if number % 2 else 'down'}", number)
    return daemon.SWITCH, daemon.command("on" if number % 2 else "off", number)


def _ask_home_assistant(path: str, number: int) -> tuple[str, str]:
    """The same for its automations."""
    if path == "adb":
        return home_assistant.KEY, f"VOLUME_{'UP' if number % 2 else 'DOWN'}"
    return home_assistant.SWITCH, "ON" if number % 2 else "OFF"


class World:
    """Everybody else: who asks, the plugs, who hears the answers. Each has a connection of its own, as in a flat."""

    def __init__(self, broker: Broker, subjects: list[Subject]) -> None:
        self._broker = broker
        self._subjects = subjects
        self._random = random.Random(1)  # noqa: S311  gaps, no secrets
        self._number = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Connect all."""
        self._stack = AsyncExitStack()
        self._speaker = await self._client()
        for subject in self._subjects:
            plug = await self._client(subject.plug)
            self._tasks.append(asyncio.create_task(self._be_plug(plug, subject), name=f"plug of {subject.name}"))
            ears = await self._client(subject.answers)
            self._tasks.append(asyncio.create_task(self._listen(ears, subject), name=f"answers of {subject.name}"))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()

    async def _client(self, *topics: str) -> aiomqtt.Client:
        client = await self._stack.enter_async_context(
            aiomqtt.Client(self._broker.host, self._broker.port, socket_options=AT_ONCE)
        )
        for topic in topics:
            await client.subscribe(topic)
        return client

    async def _be_plug(self, client: aiomqtt.Client, subject: Subject) -> None:
        """Do what it says, and say so."""
        loop = asyncio.get_running_loop()
        async for message in client.messages:
            subject.come(loop.time())
            await client.publish(subject.plug.removesuffix("/set"), message.payload)

    async def _listen(self, client: aiomqtt.Client, subject: Subject) -> None:
        async for message in client.messages:
            if subject.done(bytes(message.payload or b"")):
                subject.answered.set()

    async def request(self, subject: Subject, path: str, *, patience: float = ANSWER_S) -> float:
        """One request, answered: milliseconds. Raises TimeoutError."""
        self._number += 1
        topic, payload = subject.ask(path, self._number)
        subject.arrived.clear()
        subject.answered.clear()
        async with asyncio.timeout(patience):
            began = asyncio.get_running_loop().time()
            await self._speaker.publish(topic, payload, qos=1)
            await subject.arrived.wait()
            await subject.answered.wait()
        await asyncio.sleep(self._random.uniform(*GAP_S))
        return (subject.at - began) * 1e3

    async def warm_up(self, subject: Subject) -> None:
        """Ask until it serves, and some more. Raises RuntimeError when it does not."""
        for path, name in PATHS.items():
            served = 0
            try:
                async with asyncio.timeout(READY_S):
                    while served < WARM_UP:
                        with contextlib.suppress(TimeoutError):
                            await self.request(subject, path, patience=0.5)
                            served += 1
            except TimeoutError:
                complaint = subject.process.complaint()
                raise RuntimeError(f"{subject.name} serves no {name}:\n{complaint}") from None

    async def block(self, subject: Subject, path: str, count: int) -> None:
        """So many requests that count."""
        for _ in range(count):
            try:
                subject.took[path].append(await self.request(subject, path))
            except TimeoutError:
                subject.lost += 1


async def measure(n: int, told: Console, *, beside: bool) -> Json:
    """Run everything; the result."""
    place, presence = home_assistant.find(wanted=beside)
    result: Json = {"bench": "latency", "machine": machine(), "home_assistant": presence}
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(workplace())
        broker = await stack.enter_async_context(mosquitto(directory, free_port()))
        key = directory / "adbkey"
        projectors = [await stack.enter_async_context(Projector(address(number), key)) for number in (20, 21)]
        subjects = [_us(directory / "ours", broker, projectors[0], key)]
        if place is not None:
            subjects.append(_home_assistant(place, directory / "home_assistant", broker, projectors[1], key))
        for subject, peer in zip(subjects, projectors, strict=False):
            peer.pressed = subject.come
            await stack.enter_async_context(subject.process)
        world = await stack.enter_async_context(World(broker, subjects))
        for subject in subjects:
            told.print(f"waiting for {subject.name} …")
            await world.warm_up(subject)
        for begun in track(range(0, n, BLOCK), "measuring", console=told):
            for path in PATHS:
                for subject in subjects:
                    await world.block(subject, path, min(BLOCK, n - begun))
    return result | _figures(subjects)


def _us(directory: Path, broker: Broker, peer: Projector, key: Path) -> Subject:
    daemon.configure(directory, broker, projector=peer, key=key)
    return Subject("homebridge_svc", daemon.process(directory), _ask_us, daemon.PLUG, daemon.RESULTS, daemon.is_final)


def _home_assistant(place: Path, directory: Path, broker: Broker, peer: Projector, key: Path) -> Subject:
    home_assistant.configure(directory, broker, projector=peer, key=key)
    process = home_assistant.process(place, directory)
    return Subject(
        "Home Assistant", process, _ask_home_assistant, home_assistant.PLUG, home_assistant.DONE, lambda _: True
    )


def _figures(subjects: list[Subject]) -> Json:
    figures: Json = {"lost": {subject.name: subject.lost for subject in subjects}}
    for path in PATHS:
        found = [Figure(subject.took[path]).as_json() for subject in subjects]
        figures[path] = {"ours_ms": found[0]}
        if len(found) > 1:
            figures[path] |= {"home_assistant_ms": found[1], "ratio": ratios(found[0], found[1], "p50", "p99")}
    return figures


def show(out: Console, result: Json) -> None:
    """The table for people."""
    rows = []
    for path, name in PATHS.items():
        ours, theirs = result[path]["ours_ms"], result[path].get("home_assistant_ms", {})
        rows.append((f"{name}: homebridge_svc", ours["n"], ours["min"], ours["p50"], ours["p99"]))
        if theirs:
            rows.append((f"{name}: Home Assistant", theirs["n"], theirs["min"], theirs["p50"], theirs["p99"]))
            ratio = result[path]["ratio"]
            rows.append(("    ratio (aim: ≤ 0.8)", "", "", ratio["p50"], ratio["p99"]))
    columns = ("published → bytes of the order, ms", "n", "min", "p50", "p99")
    out.print(table("Latency", columns, rows))
    if any(result["lost"].values()):
        out.print(f"not answered within {ANSWER_S:g} s: {result['lost']}")


if __name__ == "__main__":
    parser = arguments(__doc__ or "")
    parser.add_argument("--n", type=int, default=1000, help="requests of each kind to each daemon; default: 1000")
    given = parser.parse_args()
    told = Console(stderr=True, quiet=given.json)
    main(measure(given.n, told, beside=given.beside), show, as_json=given.json)
