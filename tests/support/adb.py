"""A projector with its ADB daemon, and our channel to it, on a loopback address of its own."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from homebridge_svc.adapters.projectors.adb import AdbProjector, Options
from homebridge_svc.core.events import EndpointChanged, Event, ProjectorReported
from homebridge_svc.core.orders import Action, Order
from homebridge_svc.ports import Surroundings
from homebridge_svc.runtime.adb_session import make_key
from homebridge_svc.runtime.clock import SystemClock, new_id
from homebridge_svc.virtual_home.adbd import Adbd
from homebridge_svc.virtual_home.android import Android
from homebridge_svc.virtual_home.projector_body import ProjectorBody
from homebridge_svc.wire import adb

_numbers = itertools.count(1)
_directory = tempfile.TemporaryDirectory(prefix="adbkey-")


@functools.cache
def key_file() -> Path:
    """One key pair for all tests: making one takes a while."""
    path = Path(_directory.name) / "adbkey"
    make_key(path, "test@home")
    return path


def awake_projector(clock: SystemClock, *, up_for: float = 1000.0) -> Android:
    """A projector that booted `up_for` seconds ago."""
    body = ProjectorBody(mono=lambda: clock.now().mono, boot_time=0.0)
    body.wake()
    assert body.awake
    body.booted_at = clock.now().mono - up_for
    return Android(body, clock)


@dataclass
class Home:
    """Everything a test touches."""

    clock: SystemClock
    android: Android
    daemon: Adbd
    channel: AdbProjector
    events: list[Event] = field(default_factory=list)

    def order(self, action: Action, *, within: float = 5.0, lives: float = 15.0) -> Order:
        """An order that expires in `lives` seconds."""
        expires = self.clock.now().mono + lives
        return Order(f"t-{next(_numbers)}", "cinema.adb", action, None, "test", expires, within)

    @property
    def reports(self) -> list[ProjectorReported]:
        """What the channel has seen."""
        return [event for event in self.events if isinstance(event, ProjectorReported)]

    @property
    def changes(self) -> list[bool]:
        """Up and down, in order."""
        return [event.up for event in self.events if isinstance(event, EndpointChanged)]

    @property
    def inputs(self) -> list[str]:
        """The `input` commands that were executed."""
        return [command for _, command in self.android.executed if command.startswith("input")]


@contextlib.asynccontextmanager
async def home(
    *, trusted: bool = True, options: dict[str, object] | None = None, speed: float = 1.0
) -> AsyncIterator[Home]:
    """A running daemon and a channel to it; `run` is not started."""
    clock = SystemClock(trusted=True, speed=speed)
    android = awake_projector(clock)
    async with Adbd(android, f"127.77.0.{next(_numbers) % 250 + 1}", 0, accept_new_keys=False) as daemon:
        if trusted:
            daemon.keys.append(adb.decode_public_key(key_file().with_name("adbkey.pub").read_bytes()))
        events: list[Event] = []

        def post(event: Event) -> bool:
            events.append(event)
            return True

        chosen = Options.model_validate(
            {"host": daemon.host, "port": daemon.port, "key": key_file(), **(options or {})}
        )
        channel = AdbProjector("cinema", chosen, Surroundings(post, clock, new_id, Path("/nonexistent")))
        yield Home(clock, android, daemon, channel, events)


@contextlib.asynccontextmanager
async def running(channel: AdbProjector) -> AsyncIterator[None]:
    """The channel's `run` in the background."""
    task = asyncio.create_task(channel.run(), name="run")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(true: Callable[[], object], *, within: float = 5.0) -> None:
    """Wait until something holds, real seconds."""
    async with asyncio.timeout(within):
        while not true():  # noqa: ASYNC110  whatever is looked at sets no event
            await asyncio.sleep(0.005)


class _Control(threading.Thread):
    """Ticks beside the loop: while the machine has no time for us, it stalls as well."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.longest = 0.0
        self.ended = threading.Event()

    def run(self) -> None:
        """Measure until `ended`."""
        last = time.monotonic()
        while not self.ended.wait(0.002):
            now = time.monotonic()
            self.longest, last = max(self.longest, now - last), now


async def longest_stall(work: Awaitable[object]) -> tuple[float, BaseException | None]:
    """Run `work`; the longest time the loop did not turn though it could, real seconds, and what was raised."""
    loop = asyncio.get_running_loop()
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        last = loop.time()
        while True:
            await asyncio.sleep(0.002)
            longest, last = max(longest, loop.time() - last), loop.time()

    control = _Control()
    control.start()
    ticker = asyncio.create_task(tick(), name="ticker")
    problem: BaseException | None = None
    try:
        await work
    except Exception as raised:  # noqa: BLE001  whatever it was, the test looks at it
        problem = raised
    await asyncio.sleep(0.005)  # one more tick: a stall that ended with the work counts
    ticker.cancel()
    control.ended.set()
    control.join()
    return max(0.0, longest - control.longest), problem
