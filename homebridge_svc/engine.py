"""THE loop: inbox → home.handle(event, now) → orders → outcomes back into the inbox → publish.

One consumer, so core needs no locks; core decides, this file only carries. What a decision led to is carried out in
a fixed order: send, and when the orders have had the loop to leave, remember and tell the audience (journal, page,
MQTT). Nothing here waits for a device: every endpoint has a worker of its own, and an order that must not leave before
the store is durable ("on since" before the ON) is remembered first and waits in its worker.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from homebridge_svc.core.events import (
    CommandHeard,
    Event,
    Heartbeat,
    NonsenseHeard,
    OrderFinished,
    Started,
    Stopping,
    TimeReached,
)
from homebridge_svc.core.home import Home
from homebridge_svc.core.model import DeviceView, Now
from homebridge_svc.core.orders import Answer, Decision, Order, Outcome, ReadState, Result, Say
from homebridge_svc.ports import Audience, Clock
from homebridge_svc.runtime.store import Store
from homebridge_svc.runtime.workers import Worker

Heard = CommandHeard | NonsenseHeard
COMMANDS_WAITING = 256  # beyond them a command is answered busy (rule 8); facts and outcomes are never dropped
BREATH = 32  # events handled in one go before other tasks get the loop
LEAVING = 3  # turns of the loop: the worker wakes, its task begins, an adapter looks once whether its line still stands
MOVING = ("starting", "running", "stopping")  # phases of a pump that is not known to be off
HEARTBEAT = 5.0  # real seconds
SOONEST = 0.002  # real seconds: a deadline that stays in the past must not spin the loop


class Engine:
    """Owns the inbox; `run` is its only consumer."""

    _home: Home

    def __init__(self, *, clock: Clock, store: Store, new_id: Callable[[], str], petted: Callable[[], None]) -> None:
        self._clock = clock
        self._store = store
        self._new_id = new_id
        self._petted = petted
        self._inbox: asyncio.Queue[Event] = asyncio.Queue()
        self._commands = 0
        self._workers: Mapping[str, Worker] = {}
        self._audience: Sequence[Audience] = ()
        self._timer: asyncio.TimerHandle | None = None
        self._views: dict[str, DeviceView] = {}
        self._heart = clock.now().mono
        self._counts: Counter[str] = Counter()
        self._turned = asyncio.Event()  # set after every step, for `stop`

    def attach(self, home: Home, workers: Mapping[str, Worker], audience: Sequence[Audience]) -> None:
        """Name who decides, who carries orders, and who is told. Before `run`: they all need our inbox first."""
        self._home = home
        self._workers = workers
        self._audience = audience

    def post(self, event: Event) -> bool:
        """Put an event into the inbox; never blocks. False: a command that was turned away as busy."""
        if isinstance(event, Heard):
            if self._commands >= COMMANDS_WAITING:
                busy = Answer(event.id, event.device, Say.BUSY, "too many commands at once", "命令太多，请稍后再试")
                self._tell(event, Decision(event.id, answers=[busy]))
                return False
            self._commands += 1
        self._inbox.put_nowait(event)
        return True

    def finished(self, order: Order, outcome: Outcome) -> None:
        """A worker reports."""
        self._inbox.put_nowait(OrderFinished(self._new_id(), self._clock.now(), order, outcome))

    async def run(self) -> None:
        """Consume the inbox until cancelled. The first event is `Started` with what the store remembers."""
        await self._turn(Started(self._new_id(), self._clock.now(), await self._store.load()))
        heart = asyncio.create_task(self._beat(), name="engine heartbeat")
        try:
            while True:
                await self._turn(await self._inbox.get())
                for _ in range(BREATH):
                    if self._inbox.empty():
                        break
                    await self._turn(self._inbox.get_nowait())
                else:
                    await asyncio.sleep(0)
        finally:
            heart.cancel()
            if self._timer is not None:
                self._timer.cancel()

    async def started(self) -> None:
        """Wait until the first event was handled: by then every pump's OFF is on its way."""
        await self._turned.wait()

    async def stop(self, within: float) -> bool:
        """Tell core to stop, let the workers send what is left, and wait until every pump is read back as off.

        Takes `within` real seconds at most; False: some pump did not confirm. `run` must still be consuming, so that
        outcomes come back.
        """
        event = Stopping(self._new_id(), self._clock.now())  # before whatever still waits in the inbox
        self._follow(event, self._decide(event, event.at), event.at)
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await asyncio.gather(*(worker.drain(within) for worker in self._workers.values()))
                while self._pumping():
                    self._turned.clear()
                    await self._turned.wait()
        return not self._pumping()

    def figures(self) -> dict[str, float]:
        """Counters and gauges by Prometheus name."""
        figures: dict[str, float] = {f"homebridge_{name.lower()}_total": n for name, n in sorted(self._counts.items())}
        figures["homebridge_heartbeat_age_seconds"] = self._clock.real(self._clock.now().mono - self._heart)
        figures["homebridge_inbox_waiting"] = float(self._inbox.qsize())
        return figures

    async def _turn(self, event: Event) -> None:
        """Handle one event; orders leave before anybody writes about them."""
        now = self._clock.now()
        decision = self._decide(event, now)
        if decision.orders:
            for _ in range(LEAVING):
                await asyncio.sleep(0)
        self._follow(event, decision, now)

    def _decide(self, event: Event, now: Now) -> Decision:
        if isinstance(event, Heard):
            self._commands -= 1
        self._counts[type(event).__name__] += 1
        decision = self._home.handle(event, now)
        first = any(order.durable for order in decision.orders)
        stored = self._store.remember(decision.remember) if first else None
        for order in decision.orders:
            self._dispatch(order, stored)
        if decision.remember and not first:
            self._store.remember(decision.remember)
        return decision

    def _follow(self, event: Event, decision: Decision, now: Now) -> None:
        if isinstance(event, Heartbeat):
            self._heart = now.mono
            self._petted()
        self._views = self._home.views(now)
        for refusal in decision.refusals:
            self.finished(refusal.order, Outcome(Result.FAILED, refusal.why))
        self._tell(event, decision)
        self._arm(now.mono)
        self._turned.set()

    def _pumping(self) -> bool:
        return any(view.kind == "pump" and view.state.get("phase") in MOVING for view in self._views.values())

    def _dispatch(self, order: Order, stored: asyncio.Future[None] | None) -> None:
        worker = self._workers.get(order.endpoint)
        if worker is None:
            self.finished(order, Outcome(Result.UNSUPPORTED, f"nothing serves {order.endpoint}"))
            return
        self._counts["orders"] += not isinstance(order.action, ReadState)
        worker.submit(order, stored if order.durable else None)

    def _tell(self, event: Event, decision: Decision) -> None:
        for answer in decision.answers:
            self._counts[f"answers_{answer.say}"] += 1
        for audience in self._audience:
            audience.told(event, decision, self._views)

    def _arm(self, mono: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._home.next_deadline()
        if deadline is not None:
            delay = max(SOONEST, self._clock.real(deadline - mono))
            self._timer = asyncio.get_running_loop().call_later(delay, self._time_reached)

    def _time_reached(self) -> None:
        self._timer = None
        self.post(TimeReached(self._new_id(), self._clock.now()))

    async def _beat(self) -> None:
        while True:
            self.post(Heartbeat(self._new_id(), self._clock.now()))
            await asyncio.sleep(HEARTBEAT)
