"""A pump as the home sees it: who may start it, and what is told about it.

The cycle itself: table.py (phases and rules, the theory of operation), drive.py (a run), halt.py (OFF, rest, locks),
relay.py (orders and read-back), evidence.py (temperature, watts), books.py (limits that survive restarts).

* Persons pass rest (but for 60 s) and quiet hours; automatic runs need the whole list of `_alone_may_not` (rules 1,
  15, 17, 18). A command without a person beside it counts as automatic.
* More than the owner's `max_run` is cut to it. Asking again while it runs is heard; a longer duration moves the end,
  within `max_run` from the start, and arms a new dead-man. Where the plug does not take that, the old end stands.
* A pipe that is warm already: persons get a run of at least the purge time (60 s where no pipe is described, rule
  20); an automatic run is left out, unless nothing ran for 24 h, because a sensor may say "hot" for ever.
* A wish while the daemon's first OFF is under way waits for it, at most 15 s. "stop" always sends an OFF, also when
  the pump is believed off.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import assert_never

from homebridge_svc.core.events import EndpointChanged, OrderFinished, PlugReported, ScheduleDue, SensorReported
from homebridge_svc.core.hot_water.drive import HARD_RUN, Drive
from homebridge_svc.core.hot_water.halt import Run
from homebridge_svc.core.hot_water.table import ON, Cue, Phase
from homebridge_svc.core.hot_water.words import Said, span
from homebridge_svc.core.intents import PumpIntent, ResetPump, RunPump, StopPump
from homebridge_svc.core.model import DeviceView, Json, Now, PumpSpec
from homebridge_svc.core.orders import Decision, Say
from homebridge_svc.core.timetable import Calendar, in_quiet_hours, in_time

PATIENCE = 15.0  # seconds that a wish waits for an OFF under way: older it is not fresh (rule 6)
FLOOR = 60.0  # seconds of rest that bind persons (rule 15)
NO_TRUST = 24 * 3600.0  # seconds without a run after which "already warm" is not believed any more

STOPS = Said("the daemon ends, the pump is switched off", "服务正在停止，循环泵关闭")
STOPPED = Said("stopped by a later command", "被后来的指令停止")
NEWER = Said("a later command took its place", "被后来的指令取代")
UNSYNCED = Said("the clock is not synchronised yet", "时钟还没有对准")
UNPROVEN = Said("the plug's own timer is not proven", "插座自带的定时关闭还没有验证")
UNLIT = Said("the heater did not light last time", "上次热水器没有点火")
QUIET = Said("it is quiet hours", "现在是安静时段")
DRAWING = Said("somebody is drawing water", "有人正在用水")
WARM = Said("it is warm already", "水已经是热的")
BUSY = Said("the pump is not at rest", "循环泵还没停稳")
AWAY = Said("the plug is not reachable", "插座连不上")
STUCK_ON = Said("the relay does not switch off", "继电器关不掉")


class Pump:
    """One pump. Feed it everything that concerns its plug, its sensor and its persons."""

    def __init__(self, spec: PumpSpec, calendar: Calendar) -> None:
        self._spec = spec
        self._calendar = calendar
        self._drive = Drive(spec, calendar)
        self._pending: tuple[str, float | None, float] | None = None  # (command, seconds, patient until)
        self._halting = False
        self._proven = False

    # What comes in

    def start(self, memory: Mapping[str, Json], now: Now, out: Decision) -> None:
        """Begin: restore the limits (not the wishes), then OFF with read-back."""
        self._drive.books.load(memory.get(f"pump.{self._spec.key}"), now)
        self._proven = bool(memory.get(f"proof.{self._spec.key}"))
        self._drive.move(Cue.DAEMON_STARTS, None, "", now, out)

    def stop_all(self, now: Now, out: Decision) -> None:
        """End: the pump is left off, nothing new begins."""
        self._halting = True
        self._drop_pending(Say.FAILED, STOPS, out)
        self._drive.end(Cue.DAEMON_STOPS, Say.FAILED, STOPS, now, out)
        if self._drive.phase is not Phase.STOPPING:
            self._drive.move(Cue.DAEMON_STOPS, None, "", now, out)
        self._drive.insist(now, out)

    def wish(self, intent: PumpIntent, command: str, person: bool, now: Now, out: Decision) -> None:
        """Serve a command; it gets one final answer, now or when the run ends."""
        match intent:
            case RunPump(seconds=seconds):
                self._asked(seconds, command, person, now, out)
            case StopPump():
                self._stop(command, now, out)
            case ResetPump():
                self._reset(command, person, now, out)
            case _:
                assert_never(intent)

    def due(self, event: ScheduleDue, now: Now, out: Decision) -> None:
        """Serve a timetable slot: once per local date, in time, and only if an automatic run may start (rule 2)."""
        if not now.synced:
            why: Said | None = UNSYNCED
        elif not in_time(event.planned_at, now.utc):
            why = Said("it is missed, and missed slots are not made up", "错过的时段不补")
        elif not self._is_slot_of(event):
            why = Said("it is not for this kind of day", "今天不是它的日子")
        elif not self._drive.books.slots.take(event.slot, event.local_date):
            why = Said("it was served on this date", "这个时段今天已经处理过")
        else:
            why = self._alone_may_not(now)
        if why is not None:
            out.note(event.id, self._spec.key, "semantics 2", f"slot {event.slot} does not run: {why.en}")
            return
        self._drive.begin(Cue.DUE, Run(event.id, now.mono, self._most(now)), f"slot {event.slot}", now, out)

    def _is_slot_of(self, event: ScheduleDue) -> bool:
        day = date.fromisoformat(event.local_date)
        return any(slot == event.slot for slot, _ in self._calendar.slots_on(self._spec.schedule, day))

    def plug(self, event: PlugReported, now: Now, out: Decision) -> None:
        """Take the plug's word."""
        if event.plug == self._spec.plug:
            self._drive.plug(event, now, out)
            self._serve_pending(now, out)

    def sensor(self, event: SensorReported, now: Now, out: Decision) -> None:
        """Take a reading of the stop sensor; a retained one is no reading of now."""
        if event.sensor != self._spec.stop_sensor or event.retained:
            return
        refused = self._drive.thermometer.read(event.value, now)
        if refused is not None:
            out.note(event.id, self._spec.key, "semantics 20", f"reading refused: {refused}")
        self._drive.judge(now, out)

    def endpoint(self, event: EndpointChanged, now: Now, out: Decision) -> None:
        """The plug came or went."""
        if event.endpoint == self._spec.plug:
            if event.up:
                self._drive.back(event.id, now, out)
            else:
                self._drive.relay.up = False

    def finished(self, event: OrderFinished, now: Now, out: Decision) -> None:
        """Take the outcome of one of its orders. One that the last gate refused counts as FAILED."""
        if event.order.endpoint == self._spec.plug:
            self._drive.finished(event, now, out)
            self._serve_pending(now, out)

    def tick(self, now: Now, out: Decision) -> None:
        """Do what is due."""
        self._drive.tick(now, out)
        self._serve_pending(now, out)

    def next_deadline(self) -> float | None:
        """When `tick` is wanted (mono); None: never."""
        due = [at for at in (self._drive.next_deadline(), self._pending and self._pending[2]) if at is not None]
        return min(due, default=None)

    # Wishes

    def _asked(self, seconds: float | None, command: str, person: bool, now: Now, out: Decision) -> None:
        if self._drive.phase in ON and self._drive.run is not None:
            self._join(self._drive.run, seconds if person else None, command, now, out)
            return
        why = self._person_may_not(now) if person else self._alone_may_not(now)
        if why is not None:
            out.note(command, self._spec.key, "semantics 15", f"no run: {why.en}")
            out.answer(command, self._spec.key, Say.REFUSED, why.en, why.zh)
        elif self._drive.phase is Phase.STOPPING:
            self._drop_pending(Say.SUPERSEDED, NEWER, out)
            self._pending = (command, seconds, now.mono + PATIENCE)
            out.answer(
                command, self._spec.key, Say.ACCEPTED, "first the pump is made sure to be off", "先确认循环泵已关"
            )
        else:
            run = Run(command, now.mono, self._limit(seconds, now), [command])
            promise = self._promise(run, seconds, now)
            out.answer(command, self._spec.key, Say.ACCEPTED, promise.en, promise.zh)
            self._drive.begin(Cue.ASKED if person else Cue.DUE, run, "", now, out)

    def _join(self, run: Run, seconds: float | None, command: str, now: Now, out: Decision) -> None:
        """Hear a second wish while the pump runs; a longer one moves the end."""
        run.waiters.append(command)
        ran = now.mono - run.started
        left_today = self._drive.books.seconds_left(now)
        limit = min(ran + (seconds or 0.0), ran + left_today, self._spec.max_run, HARD_RUN)
        if self._drive.phase is Phase.RUNNING and limit > run.limit + 1:  # a second ON would hide the first one's fate
            self._drive.extend(run, limit, command, now, out)
        left = span(run.limit - ran)
        out.answer(
            command,
            self._spec.key,
            Say.ACCEPTED,
            f"it runs already, for {left.en} at most",
            f"已经在运行，最多还有{left.zh}",
        )

    def _stop(self, command: str, now: Now, out: Decision) -> None:
        self._drop_pending(Say.SUPERSEDED, STOPPED, out)
        out.answer(command, self._spec.key, Say.ACCEPTED, "the pump is switched off", "正在关闭循环泵")
        self._drive.end(Cue.STOP, Say.SUPERSEDED, STOPPED, now, out, chain=command)
        self._drive.stop(command, now, out)

    def _reset(self, command: str, person: bool, now: Now, out: Decision) -> None:
        key, lock = self._spec.key, self._drive.books.lock
        if not person:
            out.answer(command, key, Say.REFUSED, "only a person ends a lock-out", "只有人可以解除锁定")
        elif self._drive.ignored:
            out.answer(command, key, Say.REFUSED, STUCK_ON.en, STUCK_ON.zh)
        elif lock is None and not self._drive.books.unlit:
            out.answer(command, key, Say.DONE, "nothing was locked", "本来就没有锁定")
        else:
            why = lock.why if lock is not None else UNLIT
            self._drive.unlock(command, "a person reset it", now, out)
            out.answer(command, key, Say.DONE, f"the lock-out is over: {why.en}", f"锁定已解除：{why.zh}")

    def _serve_pending(self, now: Now, out: Decision) -> None:
        """Start what waited for the OFF, if it is still fresh and still allowed."""
        if self._pending is None:
            return
        command, seconds, until = self._pending
        if now.mono >= until:
            self._drop_pending(Say.FAILED, Said("the plug did not confirm the OFF", "插座没有确认关闭"), out)
        elif self._drive.phase is not Phase.STOPPING:
            self._pending = None
            why = self._person_may_not(now)
            if why is not None:
                out.answer(command, self._spec.key, Say.FAILED, why.en, why.zh)
                return
            self._drive.begin(Cue.ASKED, Run(command, now.mono, self._limit(seconds, now), [command]), "", now, out)

    def _drop_pending(self, say: Say, said: Said, out: Decision) -> None:
        if self._pending is not None:
            out.answer(self._pending[0], self._spec.key, say, said.en, said.zh)
            self._pending = None

    # Who may

    def _most(self, now: Now) -> float:
        """Seconds that a run may last now."""
        return min(self._spec.max_run, HARD_RUN, self._drive.books.seconds_left(now))

    def _limit(self, seconds: float | None, now: Now) -> float:
        return min(seconds, self._most(now)) if seconds is not None and seconds > 0 else self._most(now)

    def _promise(self, run: Run, seconds: float | None, now: Now) -> Said:
        """Say what to expect: when it will be warm if the pipe is known, else how long it may take."""
        most = span(run.limit)
        said = Said(f"it runs for {most.en} at most", f"最多运行{most.zh}")
        if self._spec.purge_time is not None and self._spec.purge_time < run.limit:
            warm = span(self._spec.purge_time)
            said = Said(f"warm in about {warm.en}", f"大约{warm.zh}好")
        if seconds is not None and seconds > run.limit:
            said += Said(f"{most.en} is the limit", f"上限是{most.zh}")
        if self._spec.stop_sensor is not None and self._drive.thermometer.fresh(now) is None:
            said += Said(
                f"no fresh temperature: it may run for all of {most.en}", f"没有新的水温读数，可能运行满{most.zh}"
            )
        return said

    def _person_may_not(self, now: Now) -> Said | None:
        books = self._drive.books
        if self._halting:
            return STOPS
        if self._drive.ignored:
            return STUCK_ON
        if books.lock is not None and books.lock.people:
            left = span(books.lock.left(now))
            return books.lock.why + Said(
                f"tried again in {left.en}, or after a reset", f"{left.zh}后再试，也可以先复位"
            )
        if books.on_since is not None:
            return BUSY
        if books.since_run(now) < FLOOR:
            wait = span(FLOOR - books.since_run(now))
            return Said(f"it has only just stopped, wait {wait.en}", f"刚刚停下，请等{wait.zh}")
        return books.used_up(now)

    def _unattended(self, now: Now) -> Said | None:
        """Say why no automatic run may start at all at present, or None."""
        books = self._drive.books
        if self._halting:
            return STOPS
        if books.lock is not None:
            return books.lock.why
        if books.unlit:
            return UNLIT
        if not self._proven and not self._spec.unattended_without_dead_man:
            return UNPROVEN
        if not now.synced:
            return UNSYNCED
        return None if self._drive.relay.up else AWAY

    def _alone_may_not(self, now: Now) -> Said | None:
        """Say why this automatic run may not start now, or None (rules 1, 15, 17, 18)."""
        books, value = self._drive.books, self._drive.thermometer.fresh(now)
        why = self._unattended(now) or books.used_up(now)
        if why is not None:
            return why
        if self._drive.phase is not Phase.IDLE:
            return BUSY
        if in_quiet_hours(self._calendar.local(now.utc)[1], self._spec.quiet_from, self._spec.quiet_to):
            return QUIET
        if self._drive.thermometer.drawing(now):
            return DRAWING
        warm = value is not None and value >= self._spec.stop_at and books.since_run(now) < NO_TRUST
        return WARM if warm else None

    # What is told

    def view(self, now: Now) -> DeviceView:
        """Describe the pump for publishers and the page; the keys of `state` are stable."""
        drive, books = self._drive, self._drive.books
        run = drive.run if drive.phase in ON else None
        left = None if run is None else max(0.0, run.started + run.limit - now.mono)
        ends = None if left is None else (now.utc + timedelta(seconds=left)).isoformat(timespec="seconds")
        unattended = self._unattended(now)
        lock = books.lock
        state: dict[str, Json] = {
            "phase": drive.phase.value,
            "running": drive.phase is Phase.RUNNING,
            "desired": "on" if drive.phase in ON else "off",
            "ends_at": ends,
            "remaining_s": None if left is None else round(left),
            "temperature": drive.thermometer.fresh(now),
            "watts": drive.meter.watts,
            "last_stop": None if drive.last is None else drive.last.en,
            "last_stop_zh": None if drive.last is None else drive.last.zh,
            "last_run_s": round(drive.last_run),
            "starts_last_hour": books.starts_last_hour(now),
            "run_seconds_today": round(books.seconds_today(now)),
            "locked": None if lock is None else lock.why.en,
            "locked_zh": None if lock is None else lock.why.zh,
            "unattended": "ok" if unattended is None else unattended.en,
            "unattended_zh": None if unattended is None else unattended.zh,
        }
        return DeviceView(self._spec.key, "pump", self._spec.name, drive.relay.up, state)
