"""The one place that reads clocks (rule 1). Everybody else is given a `Now` or a `Clock`."""

from __future__ import annotations

import asyncio
import secrets
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from homebridge_svc.core.model import Now

TIMESYNC_MARKER = Path("/run/systemd/timesync/synchronized")  # systemd-timesyncd touches it after the first NTP answer


class SystemClock:
    """The machine's clocks, `speed` times as fast (rule 3).

    trusted: the owner vouches for the wall clock (`clock = "trusted"`); otherwise the marker decides.
    """

    def __init__(self, *, speed: float = 1.0, trusted: bool = False, marker: Path = TIMESYNC_MARKER) -> None:
        self._speed = speed
        self._trusted = trusted
        self._marker = marker
        self._mono0 = time.monotonic()
        self._utc0 = datetime.now(UTC)

    @property
    def speed(self) -> float:
        """How many policy seconds pass in a real one."""
        return self._speed

    def now(self) -> Now:
        """Read all clocks."""
        passed = time.monotonic() - self._mono0
        if self._speed == 1.0:  # a real clock follows NTP's steps; a scaled one runs from where it began
            return Now(datetime.now(UTC), self._mono0 + passed, self._synced())
        passed *= self._speed
        return Now(self._utc0 + timedelta(seconds=passed), self._mono0 + passed, self._synced())

    async def sleep(self, seconds: float) -> None:
        """Wait `seconds` of policy time."""
        await asyncio.sleep(self.real(seconds))

    def real(self, seconds: float) -> float:
        """Policy seconds as real seconds."""
        return max(0.0, seconds / self._speed)

    def policy(self, unix: float) -> float:
        """Unix seconds of a caller's clock as this one counts them: the same, unless it is scaled."""
        began = self._utc0.timestamp()
        return unix if self._speed == 1.0 else began + (unix - began) * self._speed

    def _synced(self) -> bool:
        if not self._trusted:
            self._trusted = self._marker.exists()  # once synchronised, it stays so: no stat per event
        return self._trusted


def new_id() -> str:
    """Mint an id for an event: 40 random bits as ten hex digits, unique within years of journal."""
    return secrets.token_hex(5)
