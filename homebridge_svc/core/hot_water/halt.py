"""Everything about a pump but its runs: OFF until it is read back, rest, locks, and what looks like ON meanwhile.

* OFF is repeated with back-off until it is confirmed, for as long as that takes. Three OFFs and ten seconds later,
  evidence of ON (the plug says so, or more than 30 % of the normal watts) is a stuck relay: alarm, and a latch
  against automatic runs. Silence is no such evidence: it is said aloud, and the armed dead-man covers.
* Off is looked at once more ten seconds after it was confirmed, because a late report may have confirmed it. So an
  on-report within 15 s is no hand and is answered with OFF. One at the moment when the last
  dead-man was to act is the plug's own delayed toggle (rule 17): OFF, and a latch. Any other is a person's hand.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import StrEnum

from homebridge_svc.core.events import PlugReported
from homebridge_svc.core.hot_water.books import Books, Lock, Stamp
from homebridge_svc.core.hot_water.evidence import Meter, Thermometer
from homebridge_svc.core.hot_water.relay import Relay
from homebridge_svc.core.hot_water.table import OFF, TABLE, Cue, Phase
from homebridge_svc.core.hot_water.words import Said
from homebridge_svc.core.model import Now, PumpSpec
from homebridge_svc.core.orders import Decision, Order, Result, Say
from homebridge_svc.core.timetable import Calendar

SETTLED = 10.0  # seconds after an OFF when watts and reports must have followed; then it is looked at once more
LATE = 15.0  # seconds after a confirmed off within which an on-report is no hand: the second look's answer included
LOST = 30.0  # seconds after which an OFF's outcome is not waited for any more
GIVE_UP = 30.0  # seconds after which a "stop" is answered though off is not confirmed
SOON = 0.001  # seconds: sums of floats miss a moment by less, and a timer for that never gets past it
ENOUGH_TRIES = 3  # OFFs until a relay counts as stuck

IS_OFF = Said("the pump is off", "循环泵已关")
UNCONFIRMED = Said("the plug does not confirm the OFF; it is repeated until it does", "插座没有确认关闭，会一直重试")
SILENT = Said(
    "the plug does not answer; the pump counts as on, OFF is repeated", "插座没有回应，按开着处理，会一直尝试关闭"
)
STUCK = Said("the relay stays on though it was told OFF three times", "继电器关不掉，已经试了三次")
TOGGLES = Said("the plug's timer switched the pump on by itself", "插座的定时器自己把泵打开了")


class Timer(StrEnum):
    """Moments that are waited for."""

    CONFIRM = "confirm"  # STARTING: the read-back of the ON
    LIMIT = "limit"  # the run's end
    PURGED = "purged"  # enough has passed: the absolute temperature alone will do
    LIT = "lit"  # hot water should have come
    LOOK = "look"  # watts may be too low
    OFF_AGAIN = "off again"  # STOPPING
    WORRY = "worry"
    GIVE_UP = "give up"
    SETTLED = "settled"  # off, and the watts should have followed
    RESTED = "rested"
    UNLOCK = "unlock"


@dataclass(slots=True)
class Run:
    """A run from its ON to its confirmed off. chain: the command or event it belongs to."""

    chain: str | None
    started: float  # mono
    limit: float  # seconds
    waiters: list[str] = field(default_factory=list)  # commands that get their final answer when it ends
    by_hand: bool = False
    ended: bool = False
    armed: float = 0.0  # seconds: the limit that the plug's dead-man is known to follow
    more: list[str] = field(default_factory=list)  # commands that asked for longer, and the plug has not taken it


class Halt(ABC):
    """The relay, the books and the evidence of one pump, and its way to OFF. `Drive` (drive.py) adds the runs."""

    def __init__(self, spec: PumpSpec, calendar: Calendar) -> None:
        self.phase = Phase.IDLE
        self.books = Books(spec, calendar)
        self.relay = Relay(spec.plug, arms=spec.dead_man)
        self.thermometer = Thermometer(spec)
        self.meter = Meter(spec)
        self.run: Run | None = None
        self.stoppers: list[str] = []  # "stop" commands that wait for the confirmed off
        self.ignored = False  # this stop's OFFs are ignored
        self.last_run = 0.0  # seconds
        self._spec = spec
        self._timers: dict[Timer, float] = {}
        self._off_done_at = math.inf  # mono: this stop's first OFF that was carried out
        self._off_seen_at = -math.inf  # mono: the last confirmed off
        self._chain: str | None = None  # what this stop belongs to
        self._told = False  # this stop's silence was said aloud

    def move(self, cue: Cue, chain: str | None, why: str, now: Now, out: Decision) -> None:
        """Follow the table; entering STOPPING orders OFF. A cue without a rule in this phase changes nothing."""
        rule = TABLE.get((self.phase, cue))
        if rule is None:
            return
        text = f"{self.phase} -> {rule.to}: {rule.why}" + (f" ({why})" if why else "")
        out.note(chain, self._spec.key, f"pump cycle {rule.number}", text)
        self.phase = rule.to
        if rule.to is Phase.STOPPING and cue is not Cue.OFF_IGNORED:
            self._chain, self._off_done_at, self.ignored, self._told = chain, math.inf, False, False
            self._timers = {Timer.WORRY: now.mono + SETTLED, Timer.GIVE_UP: now.mono + GIVE_UP}
            self.relay.begin_open()
            self._off_again(now, out)

    def lock(self, lock: Lock, now: Now, out: Decision, *, alarm: bool = False) -> None:
        """Lock automatic runs, say so, and store it. A latch is not replaced by what ends by itself."""
        if self.books.lock is None or self.books.lock.hold is not None:
            self.books.lock = lock
        self.announce(lock.why, out, alarm=alarm)
        self.remember(now, out)

    def unlock(self, chain: str | None, why: str, now: Now, out: Decision) -> None:
        """End the lock-out, and with it the wait for a heater that did not light."""
        self.books.lock, self.books.unlit = None, False
        self._timers.pop(Timer.UNLOCK, None)
        self.remember(now, out)
        self.move(Cue.UNLOCKED, chain, why, now, out)
        self._rest(now, out)

    def announce(self, said: Said, out: Decision, *, alarm: bool = False) -> None:
        """Tell people, with the pump's name."""
        out.announce(self._spec.key, f"{self._spec.name}: {said.en}", f"{self._spec.name}：{said.zh}", alarm=alarm)

    def remember(self, now: Now, out: Decision) -> None:
        """Store the books with this decision."""
        out.remember[f"pump.{self._spec.key}"] = self.books.save(now)

    def off_finished(self, order: Order, result: Result, now: Now, out: Decision) -> bool:
        """Take the outcome of an OFF or a read-back; True when a read-back has ended, so `relay.on` is fresh."""
        again = self.relay.off_finished(order, result)
        if again is not None and self.phase is Phase.STOPPING:
            self._timers[Timer.OFF_AGAIN] = now.mono + again
            if result is Result.DONE:
                self._off_done_at = min(self._off_done_at, now.mono)
        looked = self.relay.look_finished(order, result)
        if self.phase is Phase.STOPPING:
            self._check_off(now, out)
        elif looked and self.phase in OFF and self.relay.on is False and self._flows():
            self._welded(order.command, now, out)
        return looked

    def back(self, chain: str, now: Now, out: Decision) -> None:
        """Tell the plug OFF again where that is due now that it is reachable, else look at it."""
        self.relay.came_back()
        if self.phase is Phase.STOPPING:
            self._hurry(now, out)
        else:
            self.relay.look(chain, "the plug is back", now, out)

    def insist(self, now: Now, out: Decision) -> None:
        """Send the OFF of this stop again now, whatever the back-off says, unless one is under way."""
        if self.phase is Phase.STOPPING and not self.relay.off_under_way:
            self._off_again(now, out)

    def stop(self, command: str, now: Now, out: Decision) -> None:
        """Switch off for a command, also when it is believed off; the command is answered when off is seen."""
        self.stoppers.append(command)
        self.move(Cue.STOP, command, "", now, out)
        self.insist(now, out)
        self._timers.setdefault(Timer.GIVE_UP, now.mono + GIVE_UP)

    def tick(self, now: Now, out: Decision) -> None:
        """Fire what is due, the earliest first, each once: a timer that is set anew waits for the next tick."""
        due = sorted((at, timer) for timer, at in self._timers.items() if at <= now.mono)
        for at, timer in due:
            if self._timers.get(timer) == at:  # an earlier one may have moved it
                del self._timers[timer]
                self._fire(timer, now, out)

    def next_deadline(self) -> float | None:
        """When `tick` is wanted (mono); None: never."""
        return min(self._timers.values(), default=None)

    def _fire(self, timer: Timer, now: Now, out: Decision) -> None:
        match timer:
            case Timer.OFF_AGAIN:
                self._off_again(now, out)
            case Timer.WORRY:
                self._worry(now, out)
            case Timer.GIVE_UP:
                self._answer_stoppers(Say.FAILED, UNCONFIRMED, out)
            case Timer.RESTED:
                self._rest(now, out)
            case Timer.UNLOCK:
                self.unlock(None, "its time is over", now, out)
            case _:  # SETTLED, LOOK
                self.relay.look(None, "what does it draw?", now, out)

    def _off_again(self, now: Now, out: Decision) -> None:
        self.relay.open(self._chain, "off until it is read back", now, out)
        self._timers[Timer.OFF_AGAIN] = now.mono + LOST
        if Timer.WORRY not in self._timers:
            self._worry(now, out)

    def _seen_while_stopping(self, event: PlugReported, now: Now, out: Decision) -> None:
        self._check_off(now, out)
        if event.on and self.phase is Phase.STOPPING:
            self._hurry(now, out)

    def _hurry(self, now: Now, out: Decision) -> None:
        """The plug is there and off is not confirmed: do not wait for the back-off's end (rule 16)."""
        due = self.relay.open_again_at()
        if due is None:
            return
        if due <= now.mono:
            self._off_again(now, out)
        else:
            self._timers[Timer.OFF_AGAIN] = min(due, self._timers.get(Timer.OFF_AGAIN, due))

    def _worry(self, now: Now, out: Decision) -> None:
        """Ten seconds of OFF have not helped: is it stuck, or silent?"""
        if self.ignored:
            return
        if self._seen_on(now):
            if self.relay.tries >= ENOUGH_TRIES:
                self.ignored = True
                self.lock(Lock("stuck", STUCK, Stamp(now.mono)), now, out, alarm=True)
                self.move(Cue.OFF_IGNORED, self._chain, STUCK.en, now, out)
        elif self.books.on_since is not None and not self.relay.spoke and not self._told:
            self._told = True
            self.announce(SILENT, out, alarm=True)

    def _seen_on(self, now: Now) -> bool:
        """Tell whether there is evidence that OFF did not help, ten seconds after it was carried out."""
        return (self.relay.on is True and now.mono - self._off_done_at >= SETTLED) or self._flows()

    def _flows(self) -> bool:
        return self.meter.flows(self._off_done_at + SETTLED, self.books.normal_watts)

    def _welded(self, chain: str | None, now: Now, out: Decision) -> None:
        """The plug says off and watts flow: from here on only low watts prove off."""
        self.move(Cue.STILL_ON, chain, "it draws watts though the plug says off", now, out)
        self._off_done_at = -math.inf

    def _check_off(self, now: Now, out: Decision) -> None:
        """Leave STOPPING once off is proven and no motor runs."""
        if not self.relay.confirmed_off or self._flows():
            return
        self._off_seen_at, self._off_done_at = now.mono, min(self._off_done_at, now.mono)
        self.last_run = self.books.finish(now) or self.last_run
        self.run = None
        self.meter.end()
        self._timers = {Timer.SETTLED: now.mono + SETTLED}
        self._answer_stoppers(Say.DONE, IS_OFF, out)
        lock = self.books.lock
        self.move(Cue.OFF_SEEN if lock is None else Cue.OFF_SEEN_LOCKED, self._chain, "", now, out)
        if lock is not None and lock.hold is not None:
            self._timers[Timer.UNLOCK] = now.mono + max(0.0, lock.left(now))
        self.remember(now, out)
        self._rest(now, out)

    def _rest(self, now: Now, out: Decision) -> None:
        """Go idle if the rest is over, else wait for that."""
        left = self._spec.min_rest - self.books.since_run(now)
        if self.phase is Phase.RESTING and left <= SOON:
            self.move(Cue.RESTED, None, "", now, out)
        elif self.phase is Phase.RESTING:
            self._timers[Timer.RESTED] = now.mono + left

    def _answer_stoppers(self, say: Say, said: Said, out: Decision) -> None:
        for command in self.stoppers:
            out.answer(command, self._spec.key, say, said.en, said.zh)
        self.stoppers.clear()

    def _seen_while_off(self, event: PlugReported, now: Now, out: Decision) -> None:
        """Judge a live report in a phase in which the pump is off."""
        if event.on:
            if now.mono - self._off_seen_at < LATE:
                self.move(Cue.STILL_ON, event.id, "a late report, or OFF did not hold", now, out)
            elif self.relay.own_toggle(now):
                self.lock(Lock("toggles", TOGGLES, Stamp(now.mono)), now, out, alarm=True)
                self.move(Cue.STILL_ON, event.id, TOGGLES.en, now, out)
            else:
                self._switched_on_by_hand(event, now, out)
        elif self._flows():
            if event.on is False:
                self._welded(event.id, now, out)
            else:
                self.relay.look(event.id, "watts without a word of ON", now, out)

    @abstractmethod
    def _switched_on_by_hand(self, event: PlugReported, now: Now, out: Decision) -> None:
        """Make a run of it, or end it."""
