"""The one place that reads clocks (rule 1). Everybody else is given a `Now` or a `Clock`."""

from __future__ import annotations

import asyncio
import secrets
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from homebridge_svc.core.model import Now

STRIDE = 2.0  # policy seconds
TIMESYNC_MARKER = Path("/run/systemd/timesync/synchronized")  # systemd-timesyncd touches it after the first NTP answer


class SystemClock:
    """The machine's clocks, `speed` times as fast (rule 3).

    trusted: the owner vouches for the wall clock (`clock = "trusted"`); otherwise the marker decides.
    A scaled clock goes on by STRIDE at most from one reading to the next: when a busy machine stalls for a tenth of a
    second, no deadline of policy may pass by that alone.
    """

    def __init__(self, *, speed: float = 1.0, trusted: bool = False, marker: Path = TIMESYNC_MARKER) -> None:
        self._speed = speed
        self._trusted = trusted
        self._marker = marker
        self._mono0 = time.monotonic()
        self._utc0 = datetime.now(UTC)
        self._read = self._mono0
        self._passed = 0.0  # policy seconds

    @property
    def speed(self) -> float:
        """How many policy seconds pass in a real one."""
        return self._speed

    def now(self) -> Now:
        """Read all clocks."""
        read = time.monotonic()
        if self._speed == 1.0:  # a real clock follows NTP's steps; a scaled one runs from where it began
            return Now(datetime.now(UTC), read, self._synced())
        self._passed += min((read - self._read) * self._speed, STRIDE)
        self._read = read
        return Now(self._utc0 + timedelta(seconds=self._passed), self._mono0 + self._passed, self._synced())

    async def sleep(self, seconds: float) -> None:
        """Wait `seconds` of policy time."""
        if self._speed == 1.0:
            await asyncio.sleep(seconds)
            return
        until = self.now().mono + seconds
        while (left := until - self.now().mono) > 0:  # noqa: ASYNC110  in strides, see above
            await asyncio.sleep(self.real(min(left, STRIDE / 2)))

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
