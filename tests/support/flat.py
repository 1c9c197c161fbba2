"""The whole flat for tests: mosquitto, the virtual home, and the daemon inside the test or as its own process."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Self

from support.broker import HOST, RestartableBroker, eventually, free_port

from homebridge_svc import app
from homebridge_svc.config.load import load
from homebridge_svc.runtime.adb_session import make_key
from homebridge_svc.runtime.clock import SystemClock
from homebridge_svc.runtime.redact import Redactor
from homebridge_svc.virtual_home.mqtt_peer import Broker
from homebridge_svc.virtual_home.stage import HOMES, Addresses, Stage

_homes = itertools.count(os.getpid() * 100)  # of every process its own


class Flat:
    """speed applies to the virtual home and to a daemon inside the test; a daemon process always runs at speed 1."""

    def __init__(self, directory: Path, *, speed: float, more: str = "") -> None:
        self.directory = directory
        self.clock = SystemClock(speed=speed, trusted=True)
        self.broker = RestartableBroker(directory)
        self.web_port = free_port()
        self._more = more
        self._stack = AsyncExitStack()
        self._daemon: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self.running: app.Running | None = None

    async def __aenter__(self) -> Self:
        await self.broker.start()
        self._stack.push_async_callback(self.broker.stop)
        addresses = Addresses(Broker(HOST, self.broker.port), next(_homes) % HOMES)
        self.stage = await self._stack.enter_async_context(Stage(addresses, self.clock))
        url = f"mqtt://{HOST}:{self.broker.port}"
        self.config = self.stage.write_config(self.directory, mqtt=url, web=f"{HOST}:{self.web_port}")
        with self.config.open("a", encoding="utf-8") as file:
            file.write(self._more)
        make_key(self.directory / "state" / "adbkey", "test")
        self.stage.trust(self.directory / "state" / "adbkey.pub")
        await self.stage.connected(15)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()
        await self.stop()
        await self._stack.aclose()

    # -- the daemon inside the test ----------------------------------------------------------------------------------

    async def start(self, *, dry_run: bool = False) -> None:
        ready: asyncio.Future[app.Running] = asyncio.get_running_loop().create_future()
        self._stop = asyncio.Event()
        self._daemon = asyncio.create_task(
            app.serve(
                load(self.config, app.drivers()),
                state_dir=self.directory / "state",
                stop=self._stop,
                clock=self.clock,
                redactor=Redactor(),
                dry_run=dry_run,
                on_ready=ready.set_result,
            )
        )
        await asyncio.wait([self._daemon, ready], timeout=15, return_when=asyncio.FIRST_COMPLETED)  # type: ignore[type-var]
        if self._daemon.done():
            self._daemon.result()
        self.running = ready.result()
        await self.sees("bathroom.phase", "idle")
        await self.sees("living_room.phase", "cut")

    async def stop(self) -> None:
        if self._daemon is not None:
            self._stop.set()
            await asyncio.wait_for(self._daemon, 20)
            self._daemon = None

    # -- the daemon as a process -------------------------------------------------------------------------------------

    async def spawn(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "homebridge_svc", "run", "-c", str(self.config)),
            *("--state-dir", str(self.directory / "state"), "--log-level", "warning"),
        )

    async def kill(self) -> None:
        """`kill -9`."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            self._process = None

    async def terminate(self) -> int:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(self._process.wait(), 20)
        self._process = None
        return code

    # -- looking -------------------------------------------------------------------------------------------------------

    def told(self, name: str) -> object:
        device, _, part = name.partition(".")
        return self.stage.hand.states.get(device, {}).get(part)

    async def sees(self, name: str, value: object, within: float = 15.0) -> None:
        """Wait until MQTT was told that `name` ("bathroom.phase") is `value`."""
        await eventually(lambda: self.told(name) == value, f"{name} == {value}, last {self.told(name)}", within)

    async def holds(self, what: str, check: Callable[[], object], within: float = 15.0) -> None:
        await eventually(check, what, within)

    def answers(self, command: str | None = None) -> list[str]:
        return [said["result"] for said in self.stage.hand.results if command in (None, said["id"], said.get("do"))]


@asynccontextmanager
async def flat(directory: Path, *, speed: float = 20.0, more: str = "") -> AsyncIterator[Flat]:
    async with Flat(directory, speed=speed, more=more) as built:
        yield built
