"""The desk (ports.Desk): what the page, the API and the command line may see and ask, inside this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress

from homebridge_svc.core.events import CommandHeard, Event
from homebridge_svc.core.model import DeviceView
from homebridge_svc.core.orders import Answer, Decision, Say
from homebridge_svc.ports import Chronicle


class FrontDesk:
    """An audience that keeps the newest views, hands answers to who asked, and wakes who watches."""

    def __init__(
        self, post: Callable[[Event], bool], chronicle: Chronicle, figures: Callable[[], Mapping[str, float]]
    ) -> None:
        self._post = post
        self._chronicle = chronicle
        self._figures = figures
        self._views: Mapping[str, DeviceView] = {}
        self._askers: dict[asyncio.Queue[Answer], CommandHeard] = {}
        self._watchers: set[asyncio.Event] = set()

    @property
    def chronicle(self) -> Chronicle:
        """The journal."""
        return self._chronicle

    def told(self, event: Event, decision: Decision, views: Mapping[str, DeviceView]) -> None:
        """Take what happened."""
        self._views = views
        for answer in decision.answers:
            for queue, command in self._askers.items():
                # who asked first under an id is not told that somebody repeated it
                if command.id == answer.command and (answer.say is not Say.DUPLICATE or command is event):
                    queue.put_nowait(answer)
        for watcher in self._watchers:
            watcher.set()

    def snapshot(self) -> dict[str, DeviceView]:
        """Every device as it stands."""
        return dict(self._views)

    async def ask(self, command: CommandHeard, *, wait: float) -> list[Answer]:
        """Post a command and collect its answers for `wait` real seconds, or until the final one."""
        answers: list[Answer] = []
        queue: asyncio.Queue[Answer] = asyncio.Queue()
        self._askers[queue] = command
        try:
            self._post(command)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    while not answers or not answers[-1].say.final:
                        answers.append(await queue.get())
        finally:
            del self._askers[queue]
        return answers

    async def changes(self) -> AsyncIterator[None]:
        """Yield after every change, once for several when the reader is slow."""
        watcher = asyncio.Event()
        self._watchers.add(watcher)
        try:
            while True:
                await watcher.wait()
                watcher.clear()
                yield
        finally:
            self._watchers.discard(watcher)

    def figures(self) -> Mapping[str, float]:
        """Counters and gauges by Prometheus name."""
        return self._figures()
