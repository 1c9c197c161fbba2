"""The timetable as an ear: APScheduler's cron triggers over our clock; posts `ScheduleDue`, decides nothing.

Its own scheduler is never started: it reads the wall clock itself, and fires 02:30 twice in the autumn hour. Core
decides whether a slot counts today, is too late, or was served already (rule 2).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger

from homebridge_svc.core.events import ScheduleDue
from homebridge_svc.core.model import PumpSpec
from homebridge_svc.core.timetable import slots
from homebridge_svc.ports import Surroundings

LONGEST_NAP = 60.0  # seconds: the wall clock may be stepped while we sleep
BACKLOG = timedelta(minutes=10)  # slots further back than this are not even mentioned after a step forward
ANY = timedelta(microseconds=1)


class Timetable:
    """Tells when a slot of any pump comes."""

    def __init__(self, pumps: Mapping[str, PumpSpec], timezone: str, surroundings: Surroundings) -> None:
        self._home = surroundings
        self._zone = ZoneInfo(timezone)
        self._triggers = {
            (key, slot): CronTrigger(hour=minute // 60, minute=minute % 60, timezone=self._zone)
            for key, pump in pumps.items()
            for window in pump.schedule
            for slot, minute in slots(window)
        }

    async def run(self) -> None:
        """Wait for slots until cancelled."""
        heard = self._home.clock.now().utc
        while True:
            now = self._home.clock.now()
            if now.utc < heard - ANY or now.utc - heard > BACKLOG:  # the clock was stepped
                heard = min(now.utc, max(heard, now.utc - BACKLOG))
            coming = self._next(heard)
            if coming is None or coming[0] > now.utc:
                nap = LONGEST_NAP if coming is None else (coming[0] - now.utc).total_seconds()
                await self._home.clock.sleep(min(LONGEST_NAP, nap))
                continue
            heard = coming[0]
            for pump, slot in coming[1]:
                local_date = heard.astimezone(self._zone).date().isoformat()
                self._home.post(ScheduleDue(self._home.new_id(), now, pump, slot, heard, local_date))

    def _next(self, after: datetime) -> tuple[datetime, list[tuple[str, str]]] | None:
        """Find the earliest time after `after` (UTC) at which slots come, and which."""
        times: dict[datetime, list[tuple[str, str]]] = {}
        for name, trigger in self._triggers.items():
            local = trigger.get_next_fire_time(None, (after + ANY).astimezone(self._zone))
            if local is not None:
                times.setdefault(local.astimezone(UTC), []).append(name)
        return min(times.items(), default=None)
