"""A clock that tests move: sleeping passes the time at once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from homebridge_svc.core.model import Now


class LeapingClock:
    """`sleep` moves the time and lets others run; `until`: at that time the sleeper is stopped for good."""

    def __init__(self, start: datetime, until: datetime) -> None:
        self.utc = start.astimezone(UTC)
        self.mono = 0.0
        self._until = until.astimezone(UTC)
        self.over = asyncio.Event()

    def now(self) -> Now:
        return Now(self.utc, self.mono)

    async def sleep(self, seconds: float) -> None:
        self.utc += timedelta(seconds=seconds)
        self.mono += seconds
        await asyncio.sleep(0)
        if self.utc >= self._until:
            self.over.set()
            await asyncio.Event().wait()

    def real(self, _seconds: float) -> float:
        return 0.0

    def policy(self, unix: float) -> float:
        return unix

    def step(self, seconds: float) -> None:
        """The wall clock is put forward or back; durations do not notice."""
        self.utc += timedelta(seconds=seconds)
