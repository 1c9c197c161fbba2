"""One pump's run: started, confirmed, judged by its evidence, ended. What comes after that is in halt.py.

`Pump` (cycle.py) decides who may start; this decides when a run ends.

* A run's limit counts from the moment the ON was ordered, so a slow plug shortens a run and never lengthens it.
* All stop signals end every run, also one with a duration: a duration is a person's limit, not a minimum.
* Started by hand: only a read-back after the report makes it a run, because arming the dead-man takes an ON, and a
  late report must not start a pump. Beyond the limits it is switched off and people are told.
* A dead pump (ON, no watts) is tried by nobody for 30 min; only watts that are known and low prove it. A thermostat
  that ended the last run may still be open: then low watts mean warm water, not a dead pump.
* A heater that did not light locks nothing; automatic runs wait until a run has brought warm water.
"""

from __future__ import annotations

import math
from typing import assert_never

from homebridge_svc.core.events import OrderFinished, PlugReported
from homebridge_svc.core.hot_water.books import HOUR, Lock, Stamp
from homebridge_svc.core.hot_water.halt import Halt, Run, Timer
from homebridge_svc.core.hot_water.table import Cue, Phase
from homebridge_svc.core.hot_water.words import Said, span
from homebridge_svc.core.model import Now, PumpSpec
from homebridge_svc.core.orders import Decision, Order, Result, Say, SwitchOn
from homebridge_svc.core.timetable import Calendar

HARD_RUN = 600.0  # seconds, whatever the configuration says (rule 15)
MARGIN = 60.0  # seconds by which the dead-man outlives the run (rule 16)
CONFIRM = 5.0  # seconds for the read-back of an ON
RETRY = 1800.0  # seconds until a dead pump is tried again

NOT_LONGER = Said("the plug did not take the longer time", "插座没有接受延长的时间")
OWN_TIMER = Said("the plug's own timer ended the run", "插座自带的定时结束了运行")
BY_HAND = Said("it was switched off by hand", "被手动关闭")
NOT_SEEN = Said("the plug did not confirm the ON, so it is switched off", "插座没有确认打开，先关掉")
UNLIT = Said("the heater did not light: no warmer water after twice the purge time", "热水器没有点火")
STILL_OPEN = Said("the thermostat is still open: it is warm", "温控阀还断开着，水是热的")


class Drive(Halt):
    """A pump's runs."""

    def __init__(self, spec: PumpSpec, calendar: Calendar) -> None:
        super().__init__(spec, calendar)
        self.last: Said | None = None  # why the last run ended
        self._shut = False  # … because the thermostat opened

    def begin(self, cue: Cue, run: Run, why: str, now: Now, out: Decision) -> None:
        """Start a run: "on since" is stored before the ON leaves; one started by hand is looked at first."""
        dead_man = run.limit + MARGIN
        self.run, run.armed = run, run.limit
        self.books.begin(now, run.limit, math.inf if run.by_hand else self._at_most(run))
        self.remember(now, out)
        self.move(cue, run.chain, why, now, out)
        self.meter.begin()
        self.thermometer.begin(now)
        self._timers = {
            Timer.CONFIRM: now.mono + CONFIRM,
            Timer.LIMIT: run.started + run.limit,
            Timer.PURGED: run.started + self.thermometer.purge,
        }
        if self._spec.purge_time is not None and self._spec.stop_sensor is not None:
            self._timers[Timer.LIT] = run.started + 2 * self._spec.purge_time
        self.relay.begin_close()
        if run.by_hand:
            self.relay.look(run.chain, "somebody switched it on: is it so?", now, out)
        else:
            self.relay.close(dead_man, run.chain, why, now, out)

    def extend(self, run: Run, limit: float, command: str, now: Now, out: Decision) -> None:
        """Move the end of a confirmed run and arm a dead-man for what is left of it."""
        run.more.append(command)
        self._set_limit(run, limit)
        self.books.on_at_most = self._at_most(run)
        self.remember(now, out)
        self.relay.close(run.started + limit - now.mono + MARGIN, command, "a longer run was asked for", now, out)

    def _set_limit(self, run: Run, limit: float) -> None:
        run.limit = self.books.limit = limit
        self._timers[Timer.LIMIT] = run.started + limit

    def _at_most(self, run: Run) -> float:
        """Seconds after which the plug opens by itself."""
        return run.limit + MARGIN if self._spec.dead_man else math.inf

    def _armed(self, run: Run, order: Order, result: Result, now: Now, out: Decision) -> None:
        """Take the outcome of the newest ON of a confirmed run: a longer run stands only if the plug took it."""
        if result is Result.DONE:
            run.armed, self.books.on_at_most = run.limit, self._at_most(run)
            run.more.clear()
        elif run.limit > run.armed:
            self._set_limit(run, run.armed)
            if result is not Result.UNKNOWN:  # else the longer dead-man may be armed
                self.books.on_at_most = self._at_most(run)
            text = f"{NOT_LONGER.en} ({result.value}), the old end stands"
            out.note(order.command, self._spec.key, "semantics 16", text)
        self.remember(now, out)

    def end(self, cue: Cue, say: Say, said: Said, now: Now, out: Decision, *, chain: str | None = None) -> None:
        """End the run: answer who asked for it, and OFF. chain: who ended it, if not the run itself."""
        run = self.run
        if run is None or run.ended:
            return
        run.ended, self.last, self._shut = True, said, False
        for command in run.waiters:
            out.answer(command, self._spec.key, say, said.en, said.zh)
        self.move(cue, chain or run.chain, said.en, now, out)

    def plug(self, event: PlugReported, now: Now, out: Decision) -> None:
        """Take the plug's word. A retained one is history: it makes us look, nothing else."""
        if event.retained:
            if event.on and self.phase not in {Phase.STARTING, Phase.RUNNING}:
                self.relay.look(event.id, "a retained report says on", now, out)
            return
        self.relay.up = True
        if event.on is not None:
            self.relay.reported(event.on)
        if event.watts is not None:
            self.meter.read(event.watts, now)
            self.books.normal_watts = self.meter.normal(now, self.books.normal_watts)
        match self.phase:
            case Phase.STARTING:
                self._seen_while_starting(event, now, out)
            case Phase.RUNNING if event.on is False:
                self.end(Cue.HAND_OFF, Say.DONE, OWN_TIMER if self.relay.own_toggle(now) else BY_HAND, now, out)
            case Phase.RUNNING:
                self.judge(now, out)
            case Phase.STOPPING:
                self._seen_while_stopping(event, now, out)
            case Phase.IDLE | Phase.RESTING | Phase.LOCKED_OUT:
                self._seen_while_off(event, now, out)
            case _:
                assert_never(self.phase)

    def finished(self, event: OrderFinished, now: Now, out: Decision) -> None:
        """Take an order's outcome; it says what left, not what is (rule 10)."""
        order, result = event.order, event.outcome.result
        run = self.run
        if isinstance(order.action, SwitchOn):
            if self.phase is Phase.STARTING and self.relay.is_on_order(order):
                self._on_finished(result, event.outcome.detail, now, out)
            elif self.phase is Phase.RUNNING and run and self.relay.is_on_order(order):
                self._armed(run, order, result, now, out)
        elif self.off_finished(order, result, now, out) and self.phase is Phase.STARTING and run and run.by_hand:
            if self.relay.on:
                self._confirmed(run, now, out)
            else:
                self._gone(now, out)

    def judge(self, now: Now, out: Decision) -> None:
        """Look for a reason to end a confirmed run."""
        run = self.run
        if run is None or self.phase is not Phase.RUNNING:
            return
        rise = self.thermometer.rise(now)
        if rise is not None and rise >= self._spec.stop_min_rise:
            self.books.unlit = False
        shut, warm = self.meter.shut(), self.thermometer.warm(now.mono - run.started, now)
        if warm is not None or shut is not None:
            self.end(Cue.ENOUGH, Say.DONE, warm or shut or STILL_OPEN, now, out)
            self._shut = shut is not None
        elif self.meter.dead(now):
            self._dead(now, out)
        else:
            look_at = self.meter.look_at()
            if look_at is not None and look_at > now.mono:
                self._timers[Timer.LOOK] = look_at

    def _fire(self, timer: Timer, now: Now, out: Decision) -> None:
        match timer:
            case Timer.CONFIRM:
                self.end(Cue.ON_NOT_SEEN, Say.FAILED, NOT_SEEN, now, out)
            case Timer.LIMIT:
                self._time_up(now, out)
            case Timer.PURGED:
                self.judge(now, out)
            case Timer.LIT if self.phase is Phase.RUNNING and self.thermometer.unlit(now):
                self.books.unlit = True
                self.announce(UNLIT, out)
                self.end(Cue.FAULT, Say.FAILED, UNLIT, now, out)
            case Timer.LIT:
                pass  # warm enough, no sensor to tell, or not even confirmed
            case _:
                super()._fire(timer, now, out)

    def _confirmed(self, run: Run, now: Now, out: Decision) -> None:
        self._timers.pop(Timer.CONFIRM, None)
        self.move(Cue.ON_SEEN, run.chain, "", now, out)
        self.meter.confirmed(now)
        if run.by_hand and self._spec.dead_man:
            left = run.started + run.limit - now.mono
            self.relay.close(left + MARGIN, run.chain, "started by hand: arm its dead-man", now, out)
        self.judge(now, out)

    def _gone(self, now: Now, out: Decision) -> None:
        """What looked like a hand was none, or a quick one: no start."""
        self.books.undo()
        self.end(Cue.HAND_OFF, Say.DONE, BY_HAND, now, out)

    def _seen_while_starting(self, event: PlugReported, now: Now, out: Decision) -> None:
        run = self.run
        if run is None:
            return
        if run.by_hand:
            if event.on is False:
                self._gone(now, out)
        elif event.on or (event.watts is not None and event.watts > self._spec.watts_dry):
            self._confirmed(run, now, out)

    def _on_finished(self, result: Result, detail: str, now: Now, out: Decision) -> None:
        match result:
            case Result.DONE:
                self._timers[Timer.CONFIRM] = now.mono + CONFIRM
            case Result.UNKNOWN:
                pass  # the read-back tells
            case Result.FAILED | Result.UNREACHABLE | Result.EXPIRED | Result.UNSUPPORTED | Result.DISPLACED:
                self.books.undo()
                why = detail or result.value
                self.end(Cue.ON_NOT_SENT, Say.FAILED, Said(f"not started: {why}", f"没有启动：{why}"), now, out)
            case _:
                assert_never(result)

    def _time_up(self, now: Now, out: Decision) -> None:
        run = self.run
        if run is None:
            return
        took = span(run.limit)
        said = Said(f"it ran {took.en}, its limit", f"运行了{took.zh}，到时间了")
        if self._spec.stop_sensor is not None:
            value = self.thermometer.fresh(now)
            doubt = self.thermometer.doubt(now)
            if doubt is None and value is not None:
                doubt = Said(f"the water is at {value:.1f} °C", f"水温{value:.1f}度")
            said = said + doubt if doubt is not None else said
        if run.limit <= run.armed:
            failed = said + NOT_LONGER
            for command in run.more:
                run.waiters.remove(command)
                out.answer(command, self._spec.key, Say.FAILED, failed.en, failed.zh)
        self.end(Cue.ENOUGH, Say.DONE, said, now, out)

    def _dead(self, now: Now, out: Decision) -> None:
        if self._spec.watts_below is not None and self._shut and self.books.since_run(now) < HOUR:
            self.end(Cue.ENOUGH, Say.DONE, STILL_OPEN, now, out)
            self._shut = True
            return
        watts = self.meter.watts or 0.0
        said = Said(f"the pump draws only {watts:g} W: it does not run", f"循环泵只有{watts:g}瓦，没有转")
        self.lock(Lock("dead", said, Stamp(now.mono), RETRY, people=True), now, out)
        self.end(Cue.FAULT, Say.FAILED, said, now, out)

    def _switched_on_by_hand(self, event: PlugReported, now: Now, out: Decision) -> None:
        """Adopt it (rule 11), unless a limit that binds persons too forbids it."""
        why = self.books.used_up(now)
        if why is not None:
            self.announce(why, out)
            self.move(Cue.STILL_ON, event.id, why.en, now, out)
            return
        limit = min(self._spec.max_run, HARD_RUN, self.books.seconds_left(now))
        self.begin(Cue.HAND_ON, Run(event.id, now.mono, limit, by_hand=True), "", now, out)
