"""What tests of UDP devices share: addresses of their own, a desk that collects events, bounded waits, loop lag."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from homebridge_svc.core.events import EndpointChanged, Event
from homebridge_svc.core.orders import Action, Order
from homebridge_svc.ports import Clock, Ear, Surroundings
from homebridge_svc.runtime.clock import SystemClock, new_id

E = TypeVar("E")
_hosts = itertools.count(1)


def own_address() -> str:
    """A loopback address that no other test, and no other test run on this machine, uses at the same time."""
    number = next(_hosts)
    return f"127.{64 + os.getpid() // 250 % 128}.{os.getpid() % 250 + 1}.{number % 250 + 1}"


class Desk:
    """Collects what an adapter posts."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.events: list[Event] = []
        self.clock = clock or SystemClock(trusted=True)
        self.surroundings = Surroundings(post=self._post, clock=self.clock, new_id=new_id, state_dir=Path())

    def _post(self, event: Event) -> bool:
        self.events.append(event)
        return True

    def of(self, kind: type[E]) -> list[E]:
        """The events of one kind, oldest first."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def ups(self) -> list[bool]:
        """How the endpoint went up and down."""
        return [event.up for event in self.of(EndpointChanged)]

    def order(self, endpoint: str, action: Action, *, lives: float = 10.0, within: float = 5.0) -> Order:
        """An order that expires `lives` seconds from now."""
        return Order("o-1", endpoint, action, None, "a test", self.clock.now().mono + lives, within)


async def until(condition: Callable[[], object], within: float = 5.0) -> None:
    """Wait until `condition` holds, at most `within` real seconds."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110  what is waited for happens on a wire and sets no event
            await asyncio.sleep(0.01)


@asynccontextmanager
async def running(*ears: Ear) -> AsyncIterator[None]:
    """Run ears as the daemon does, and cancel them."""
    tasks = [asyncio.create_task(ear.run(), name=f"ear {number}") for number, ear in enumerate(ears)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(result, asyncio.CancelledError), result


@asynccontextmanager
async def lag() -> AsyncIterator[list[float]]:
    """Collect by how many real seconds the loop was late, measured every 5 ms."""
    loop, late = asyncio.get_running_loop(), [0.0]

    async def measure() -> None:
        while True:
            before = loop.time()
            await asyncio.sleep(0.005)
            late.append(loop.time() - before - 0.005)

    task = asyncio.create_task(measure(), name="lag")
    try:
        yield late
    finally:
        task.cancel()


def stalled(late: list[float]) -> bool:
    """Whether something blocked the loop: once for long, or again and again for more than 50 ms.

    A few short outliers belong to a busy machine: what blocks here would block for a second or more.
    """
    return max(late) > 0.5 or sum(one > 0.05 for one in late) > 5
