"""What the daemon costs: time from its start to the first command served, resident memory, idle processor time.

Theory of operation. Start: with the broker up, a command is published every 20 ms, each with an id of its own, from
before the process begins until the plug's command topic delivers the first one; READY is what a service manager would
hear. One start that does not count warms the disk cache, then the daemons take turns. Memory: after the first command
and some seconds of quiet. Idle: processor time (user and system) of a daemon that knows MQTT plugs and nothing else.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import aiomqtt
import daemon
import home_assistant
from common import (
    HOST,
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

from homebridge_svc.virtual_home.miio_plug import MiioPlug
from homebridge_svc.virtual_home.mqtt_peer import Broker

AGAIN_S = 0.02  # between two commands while nobody serves
START_S = 120.0  # until a daemon serves, on a busy machine
SETTLE_S = 5.0  # until memory is looked at


@dataclass(slots=True)
class Subject:
    """Who is measured. process: makes it, ready to start. ask, say(number): topic and payload of a command.

    plug: its plug's command topic. Figures of all starts so far: seconds to the first command and to READY, and
    processor seconds to the first command.
    """

    name: str
    process: Callable[[], Process]
    ask: str
    say: Callable[[int], str]
    plug: str
    served_s: list[float] = field(default_factory=list)
    ready_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)

    def forget(self) -> None:
        """The starts so far were for warming up."""
        for figures in (self.served_s, self.ready_s, self.cpu_s):
            figures.clear()


class ServiceManager:
    """Hears READY on a socket, as systemd would. at: loop time, 0: not yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.at = 0.0

    def __enter__(self) -> Self:
        """Listen."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(str(self._path))
        asyncio.get_running_loop().add_reader(self._socket, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        self._path.unlink()

    def _hear(self) -> None:
        if self._socket.recv(4096) == b"READY=1":
            self.at = asyncio.get_running_loop().time()


class Bench:
    """Starts daemons one at a time, each with a fresh broker; ids of commands never come twice."""

    def __init__(self, place: Path, port: int) -> None:
        self._place = place
        self._port = port
        self.notify = place / "notify"
        self._numbers = itertools.count(1)

    @asynccontextmanager
    async def started(self, subject: Subject) -> AsyncIterator[Process]:
        """It has served its first command; what that took is noted."""
        loop = asyncio.get_running_loop()
        async with AsyncExitStack() as stack:
            broker = await stack.enter_async_context(mosquitto(self._place, self._port))
            speaker = await stack.enter_async_context(aiomqtt.Client(broker.host, broker.port))
            plug = await stack.enter_async_context(aiomqtt.Client(broker.host, broker.port))
            await plug.subscribe(subject.plug)
            manager = stack.enter_context(ServiceManager(self.notify))
            asking = asyncio.create_task(self._keep_asking(speaker, subject), name="ask")
            stack.callback(asking.cancel)
            process = await stack.enter_async_context(subject.process())
            try:
                async with asyncio.timeout(START_S):
                    order = await anext(aiter(plug.messages))
            except TimeoutError:
                raise RuntimeError(f"{subject.name} does not serve:\n{process.complaint()}") from None
            subject.served_s.append(loop.time() - process.began)
            subject.cpu_s.append(process.cpu)
            if manager.at:
                subject.ready_s.append(manager.at - process.began)
            asking.cancel()
            await speaker.publish(subject.plug.removesuffix("/set"), order.payload)  # the plug says that it did it
            yield process

    async def memory(self, subject: Subject) -> Json:
        """MB (2^20 bytes) after it has come to rest."""
        async with self.started(subject) as process:
            await asyncio.sleep(SETTLE_S)
            resident, proportional = process.memory
            return {"resident_mb": round(resident, 1), "proportional_mb": round(proportional, 1)}

    async def idle(self, subject: Subject, seconds: float) -> float:
        """Processor time in percent of one core while nothing is asked of it."""
        async with self.started(subject) as process:
            await asyncio.sleep(SETTLE_S)
            before = process.cpu
            await asyncio.sleep(seconds)
            return round((process.cpu - before) / seconds * 100, 3)

    async def _keep_asking(self, client: aiomqtt.Client, subject: Subject) -> None:
        while True:
            await client.publish(subject.ask, subject.say(next(self._numbers)))
            await asyncio.sleep(AGAIN_S)


async def measure(starts: int, idle_s: float, told: Console, *, beside: bool) -> Json:
    """Run everything; the result."""
    place, presence = home_assistant.find(wanted=beside)
    result: Json = {"bench": "footprint", "machine": machine(), "home_assistant": presence}
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(workplace())
        broker, key = Broker(HOST, free_port()), directory / "adbkey"
        peers = [await stack.enter_async_context(Projector(address(number), key)) for number in (20, 21)]
        mi_plug = MiioPlug(address(31), bytes.fromhex(daemon.TOKEN), daemon.MODEL, asyncio.get_running_loop().time)
        await stack.enter_async_context(mi_plug)
        bench = Bench(directory, broker.port)

        def us(name: str, peer: Projector | None, miio: str | None = None) -> Subject:
            at = directory / name
            daemon.configure(at, broker, projector=peer, key=key, miio=miio)
            return Subject(name, lambda: daemon.process(at, bench.notify), daemon.SWITCH, daemon.on, daemon.PLUG)

        def them(bin_: Path, name: str, peer: Projector | None) -> Subject:
            home_assistant.configure(directory / name, broker, projector=peer, key=key)
            process = home_assistant.process(bin_, directory / name)
            return Subject(name, lambda: process, home_assistant.SWITCH, lambda _: "ON", home_assistant.PLUG)

        whole = {"ours": us("homebridge_svc", peers[0])}
        plugs = {"ours": us("homebridge_svc, MQTT only", None)}
        memory = {**whole, "ours_with_miio": us("homebridge_svc with miIO", peers[0], mi_plug.host)}
        if place is not None:
            whole["home_assistant"] = memory["home_assistant"] = them(place, "Home Assistant", peers[1])
            plugs["home_assistant"] = them(place, "Home Assistant, MQTT only", None)
        for number in track(range(starts + 1), "starting", console=told):
            for subject in whole.values():
                async with bench.started(subject):
                    if number == 0:
                        subject.forget()
        result["start"] = {who: _starts(subject) for who, subject in whole.items()}
        result["memory"] = {
            who: await bench.memory(subject) for who, subject in track(memory.items(), "memory", console=told)
        }
        result["idle_percent"] = {
            who: await bench.idle(subject, idle_s) for who, subject in track(plugs.items(), "idle", console=told)
        }
    result["idle_s"] = idle_s
    if place is not None:
        start, mb = result["start"], result["memory"]
        result["ratio"] = {
            "start": ratios(start["ours"]["served_s"], start["home_assistant"]["served_s"], "p50"),
            "memory": ratios(mb["ours"], mb["home_assistant"], "resident_mb", "proportional_mb"),
        }
    return result


def _starts(subject: Subject) -> Json:
    found = {"served_s": subject.served_s, "ready_s": subject.ready_s, "cpu_s": subject.cpu_s}
    return {name: Figure(values).as_json() for name, values in found.items() if values}


def show(out: Console, result: Json) -> None:
    """The tables for people."""
    names = {
        "ours": "homebridge_svc",
        "ours_with_miio": "homebridge_svc with miIO",
        "home_assistant": "Home Assistant",
    }
    rows = [
        (f"{names[who]}: {what}", figure["n"], figure["min"], figure["p50"], figure["p99"])
        for who, figures in result["start"].items()
        for what, figure in (
            (text, figures[key])
            for key, text in (
                ("ready_s", "READY told"),
                ("served_s", "first command served"),
                ("cpu_s", "processor time to it"),
            )
            if key in figures
        )
    ]
    ratio = result.get("ratio", {})
    if ratio:
        rows.append(("    ratio (aim: ≤ 0.2)", "", "", ratio["start"]["p50"], ""))
    out.print(table("Start, s (aim: READY ≤ 1)", ("", "n", "min", "p50", "p99"), rows))
    memory = [(names[who], mb["resident_mb"], mb["proportional_mb"]) for who, mb in result["memory"].items()]
    if ratio:
        memory.append(("    ratio (aim: ≤ 0.35)", ratio["memory"]["resident_mb"], ratio["memory"]["proportional_mb"]))
    columns = ("aim: ≤ 60, with miIO ≤ 80", "resident", "proportional")
    out.print(table("Memory, MB", columns, memory))
    idle = [(f"{names[who]}, MQTT plugs only", percent) for who, percent in result["idle_percent"].items()]
    out.print(table(f"Idle for {result['idle_s']:g} s", ("aim: ≤ 0.1 %", "% of a core"), idle))


if __name__ == "__main__":
    parser = arguments(__doc__ or "")
    parser.add_argument("--idle", type=float, default=60.0, help="seconds of idleness; default: 60")
    parser.add_argument("--starts", type=int, default=5, help="starts that count; default: 5")
    given = parser.parse_args()
    told = Console(stderr=True, quiet=given.json)
    main(measure(given.starts, given.idle, told, beside=given.beside), show, as_json=given.json)
