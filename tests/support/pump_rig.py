"""A pump on a bench: the real machine and the real gate, a simulated relay with a dead-man, and a link with faults.

Time is ours. `advance` delivers everything in the order of its time: deadlines, messages, the relay's own timer and
its report every minute. What the daemon remembers is kept over `crash`.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from homebridge_svc.core.events import EndpointChanged, Event, OrderFinished, PlugReported, ScheduleDue, SensorReported
from homebridge_svc.core.hot_water.cycle import Pump
from homebridge_svc.core.hot_water.table import Phase
from homebridge_svc.core.intents import PumpIntent, RunPump
from homebridge_svc.core.model import HomeSpec, Json, Now, PumpSpec
from homebridge_svc.core.orders import (
    Announcement,
    Answer,
    Decision,
    Note,
    Order,
    Outcome,
    ReadState,
    Refusal,
    Result,
    SwitchOff,
    SwitchOn,
)
from homebridge_svc.core.safety import Gate
from homebridge_svc.core.timetable import Calendar

MORNING = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)  # a Monday, 16:00 in Shanghai
SHANGHAI = Calendar("Asia/Shanghai")


@dataclass
class Relay:
    """What hangs on the wall. toggles: its timer reverses whatever is then (rule 17). deaf: it ignores OFF."""

    watts: float = 40.0
    toggles: bool = False
    deaf: bool = False
    on: bool = False
    on_since: float = 0.0
    off_since: float = -1e9
    fires: float | None = None
    ended: Callable[[], None] = lambda: None  # called when it opens, before it does

    def switch(self, on: bool, mono: float) -> None:
        if on and not self.on:
            self.on_since = mono
        elif self.on and not on:
            self.ended()
            self.off_since = mono
        self.on = on

    def order(self, action: SwitchOn | SwitchOff, mono: float) -> None:
        if isinstance(action, SwitchOn):
            self.switch(True, mono)
            self.fires = None if action.dead_man is None else mono + action.dead_man
        elif not self.deaf:
            self.switch(False, mono)
            if not self.toggles:
                self.fires = None


@dataclass
class Rig:
    """Give it a spec; ask, press, advance; look at what became of it."""

    spec: PumpSpec
    memory: dict[str, Json] = field(default_factory=lambda: {"proof.bathroom": {"date": "2026-01-01"}})
    synced: bool = True
    utc_error: timedelta = timedelta(0)
    dry_run: bool = False
    temperature: Callable[[float], float | None] = lambda _mono: None  # asked every second, None: silent
    begin: datetime = MORNING

    def __post_init__(self) -> None:
        self.mono = 1000.0
        self.relay = Relay()
        self.link_up = True
        self.lose = 0  # so many of the next orders are taken by the network and never arrive
        self.mute = 0  # so many of the next reports are lost
        self.metering = self.spec.plug_meters
        self.answers: list[Answer] = []
        self.announcements: list[Announcement] = []
        self.notes: list[Note] = []
        self.orders: list[tuple[float, Order]] = []
        self.refusals: list[Refusal] = []
        self.closures: list[float] = []  # when our orders closed the relay
        self.unclean = -1e9  # mono of the last fault of link or daemon
        self.watch: Callable[[Decision, Phase], None] = lambda _out, _before: None
        self.ends_by = 0.0  # mono: when the run that our last ON began or extended has to be over
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count(1)
        self.boot()
        self._later(1.0, self._sense)
        self._later(60.0, self._speak_up)

    @property
    def now(self) -> Now:
        return Now(self.begin + timedelta(seconds=self.mono - 1000.0) + self.utc_error, self.mono, self.synced)

    @property
    def state(self) -> Mapping[str, Json]:
        return self.pump.view(self.now).state

    @property
    def phase(self) -> str:
        return str(self.state["phase"])

    def boot(self) -> None:
        """The daemon begins, with what the store remembers."""
        self.pump = Pump(self.spec, SHANGHAI)
        home = HomeSpec("Asia/Shanghai", pumps={self.spec.key: self.spec}, dry_run=self.dry_run)
        self.gate = Gate(home, SHANGHAI)
        self.born = next(self._count)
        self._do(lambda now, out: self.pump.start(self.memory, now, out))

    def crash(self, seconds: float) -> None:
        """The daemon is killed; what was on its way to it is lost; the relay lives on."""
        alive, self.pump = self.pump, None  # type: ignore[assignment]  # there is none for a while
        assert alive is not None
        self.fault(seconds)
        self.advance(seconds)
        self.boot()

    def ask(self, intent: PumpIntent | None = None, *, person: bool = True) -> str:
        command = f"c{next(self._count)}"
        self._do(lambda now, out: self.pump.wish(intent or RunPump(), command, person, now, out))
        return command

    def slot(self, slot: str = "1600", *, late: float = 0.0, local_date: str | None = None) -> bool:
        """A slot comes; True when it starts a run."""
        now = self.now
        planned, day = now.utc - timedelta(seconds=late), local_date or SHANGHAI.local(now.utc)[0].isoformat()
        before = len(self.orders)
        event = ScheduleDue(f"e{next(self._count)}", now, self.spec.key, slot, planned, day)
        self._do(lambda now, out: self.pump.due(event, now, out))
        return any(isinstance(order.action, SwitchOn) for _, order in self.orders[before:])

    def press(self, on: bool) -> None:
        """Press the plug's button; it says so."""
        self.relay.switch(on, self.mono)
        if not on and not self.relay.toggles:
            self.relay.fires = None
        self.report()

    def report(self, *, on: bool | None = None, retained: bool = False, after: float = 0.0) -> None:
        """The plug speaks: the truth, or what `on` says."""
        if not self.link_up:
            return
        if self.mute:
            self.mute -= 1
            self.fault()
            return
        said = self.relay.on if on is None else on
        watts = (self.relay.watts if said else 0.0) if self.metering else None
        self._later(after, lambda: self.hear(PlugReported(self._id(), self.now, self.spec.plug, said, watts, retained)))

    def hear(self, event: Event) -> None:
        """A fact reaches the daemon, if there is one."""
        if self.pump is None:
            return
        self.gate.observe(event)
        match event:
            case PlugReported():
                self._do(lambda now, out: self.pump.plug(event, now, out))
            case SensorReported():
                self._do(lambda now, out: self.pump.sensor(event, now, out))
            case EndpointChanged():
                self._do(lambda now, out: self.pump.endpoint(event, now, out))
            case OrderFinished():
                self._do(lambda now, out: self.pump.finished(event, now, out))
            case _:
                raise AssertionError(event)

    def sense(self, value: float, *, retained: bool = False) -> None:
        sensor = self.spec.stop_sensor or "nothing"
        self.hear(SensorReported(self._id(), self.now, sensor, value, retained))

    def link(self, up: bool) -> None:
        self.link_up = up
        self.fault(1.0)  # what is under way meets it
        self.hear(EndpointChanged(self._id(), self.now, self.spec.plug, up))

    def fault(self, seconds: float = 0.0) -> None:
        """Link or daemon are not sound, from now on for so long."""
        self.unclean = max(self.unclean, self.mono + seconds)

    def halt(self) -> None:
        self._do(self.pump.stop_all)

    def advance(self, seconds: float) -> None:
        """Let time pass, in order."""
        end = self.mono + seconds
        for _ in range(200_000):
            deadline = self.pump.next_deadline() if self.pump is not None else None
            moments = [
                m for m in (deadline, self.relay.fires, self._queue[0][0] if self._queue else None) if m is not None
            ]
            moment = min(moments, default=end)
            if moment > end:
                break
            self.mono = max(self.mono, moment)
            if self.relay.fires is not None and self.relay.fires <= self.mono:
                self.relay.fires = None
                self.relay.switch(self.relay.toggles and not self.relay.on, self.mono)
                if self.relay.on:
                    self.fault()
                self.report()
            while self._queue and self._queue[0][0] <= self.mono:
                heapq.heappop(self._queue)[2]()
            if deadline is not None and deadline <= self.mono and self.pump is not None:
                self._do(self.pump.tick)
                after = self.pump.next_deadline()
                assert after is None or after > self.mono, "it would spin"
        else:
            raise AssertionError("it spins")
        self.mono = end

    def said(self, command: str) -> list[str]:
        """The kinds of answer that a command got."""
        return [answer.say.value for answer in self.answers if answer.command == command]

    def why(self, command: str) -> str:
        """The last sentence that a command got."""
        return [answer.why for answer in self.answers if answer.command == command][-1]

    def count(self, kind: type) -> int:
        return sum(isinstance(order.action, kind) for _, order in self.orders)

    # inside

    def _id(self) -> str:
        return f"e{next(self._count)}"

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        if seconds <= 0:
            what()
        else:
            heapq.heappush(self._queue, (self.mono + seconds, next(self._count), what))

    def _sense(self) -> None:
        value = self.temperature(self.mono)
        if value is not None:
            self.sense(value)
        self._later(1.0, self._sense)

    def _speak_up(self) -> None:
        self.report()
        self._later(60.0, self._speak_up)

    def _do(self, step: Callable[[Now, Decision], None]) -> None:
        out = Decision(self._id())
        before = Phase(str(self.pump.view(self.now).state["phase"]))
        step(self.now, out)
        self.memory |= out.remember
        self.answers += out.answers
        self.announcements += out.announcements
        self.notes += out.notes
        self.watch(out, before)
        for order in out.orders:
            refusal = self.gate.check(order, self.now, lambda _plug: None)
            if refusal is not None:
                self.refusals.append(refusal)
                self._outcome(order, Result.FAILED, refusal.why)
                continue
            self.orders.append((self.mono, order))
            self._carry_out(order)

    def _carry_out(self, order: Order) -> None:
        if not self.link_up:
            self._outcome(order, Result.UNREACHABLE, "no route", after=0.5)
        elif self.lose:
            self.lose -= 1
            self.fault()
            self._outcome(order, Result.DONE, after=0.2)
        else:
            self._later(0.1, lambda: self._arrive(order))

    def _arrive(self, order: Order) -> None:
        if isinstance(order.action, SwitchOn) and not self.relay.on:
            self.closures.append(self.mono)
        if isinstance(order.action, SwitchOn):
            dead_man = order.action.dead_man
            self.ends_by = self.mono + (self.spec.max_run if dead_man is None else dead_man - 60.0)
        if isinstance(order.action, SwitchOn | SwitchOff):
            self.relay.order(order.action, self.mono)
        else:
            assert isinstance(order.action, ReadState)
        self.report(after=0.1)
        self._outcome(order, Result.DONE, after=0.2)

    def _outcome(self, order: Order, result: Result, detail: str = "", *, after: float = 0.01) -> None:
        born = self.born
        event = OrderFinished(self._id(), self.now, order, Outcome(result, detail))
        self._later(after, lambda: self.hear(event) if born == self.born else None)
