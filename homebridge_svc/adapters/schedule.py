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
        self._slots: dict[int, set[tuple[str, str]]] = {}  # minute since midnight -> (pump, slot)
        for key, pump in pumps.items():
            for window in pump.schedule:
                for slot, minute in slots(window):
                    self._slots.setdefault(minute, set()).add((key, slot))
        hours: dict[int, list[str]] = {}  # one trigger a minute of the hour: asking hundreds would stall the loop
        for minute in sorted(self._slots):
            hours.setdefault(minute % 60, []).append(str(minute // 60))
        self._triggers = [
            CronTrigger(hour=",".join(of_day), minute=minute, timezone=self._zone) for minute, of_day in hours.items()
        ]

    async def run(self) -> None:
        """Wait for slots until cancelled."""
        heard = self._home.clock.now().utc
        while True:
            now = self._home.clock.now()
            if now.utc < heard - ANY or now.utc - heard > BACKLOG:  # the clock was stepped
                heard = min(now.utc, max(heard, now.utc - BACKLOG))
            coming = self._next(heard)
            if coming is None or coming > now.utc:
                nap = LONGEST_NAP if coming is None else (coming - now.utc).total_seconds()
                await self._home.clock.sleep(min(LONGEST_NAP, nap))
                continue
            heard = coming
            local = heard.astimezone(self._zone)
            for pump, slot in sorted(self._slots.get(local.hour * 60 + local.minute, ())):
                local_date = local.date().isoformat()
                self._home.post(ScheduleDue(self._home.new_id(), now, pump, slot, heard, local_date))

    def _next(self, after: datetime) -> datetime | None:
        """Find the earliest time after `after` at which a slot comes, both UTC."""
        begin = (after + ANY).astimezone(self._zone)
        times = (trigger.get_next_fire_time(None, begin) for trigger in self._triggers)
        return min((local.astimezone(UTC) for local in times if local is not None), default=None)
