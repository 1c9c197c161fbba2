"""One worker per endpoint: orders leave one after the other, and a frozen device holds up nobody else (rule 8).

Theory of operation. `submit` puts an order into the queue of the unsent and returns at once. State-like orders (with a
slot) are latest-wins among the unsent; a sticky one (the OFF of a pump) is never displaced. The head of the queue
leaves when what must be on disk before it is there, and when it has not expired. Until that moment it counts as unsent,
so an OFF that arrives while an ON waits for the disk takes the ON's place.

Every order gets exactly one outcome. The worker cannot die: whatever an executor does becomes an outcome.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from homebridge_svc.core.orders import Order, Outcome, Result
from homebridge_svc.errors import (
    Expired,
    HomebridgeError,
    OutcomeUnknown,
    StoreError,
    Unreachable,
    Unsupported,
)
from homebridge_svc.ports import Clock, Executor

log = logging.getLogger(__name__)

UNSENT = 64  # orders; more than a person can want of one device at once
READY_S = 2.0  # real seconds that an order waits for the disk
CANCEL_S = 1.0  # real seconds that an executor has to obey a cancellation


@dataclass(frozen=True, slots=True, eq=False)
class _Unsent:
    """A waiting order; ready: what must be on disk before it leaves; give_up: loop time by which it must be."""

    order: Order
    ready: asyncio.Future[None] | None
    give_up: float


class Worker:
    """Carries out the orders of one endpoint; `finished(order, outcome)` is called on the loop, once per order."""

    def __init__(
        self, endpoint: str, executor: Executor, clock: Clock, finished: Callable[[Order, Outcome], None]
    ) -> None:
        self._endpoint = endpoint
        self._executor = executor
        self._clock = clock
        self._finished = finished
        self._unsent: deque[_Unsent] = deque()
        self._changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def submit(self, order: Order, ready: asyncio.Future[None] | None = None) -> None:
        """Queue an order; never blocks. ready: the store's future, waited for when the order is durable."""
        for other in [waiting for waiting in self._unsent if _displaces(order, waiting.order)]:
            self._unsent.remove(other)
            self._report(other.order, Outcome(Result.DISPLACED, f"{order.id} took its place"))
        if len(self._unsent) >= UNSENT and not self._make_room(order):
            self._report(order, Outcome(Result.FAILED, "busy"))
            return
        give_up = asyncio.get_running_loop().time() + READY_S
        self._unsent.append(_Unsent(order, ready if order.durable else None, give_up))
        self._idle.clear()
        self._changed.set()

    async def run(self) -> None:
        """Work until cancelled; what is unsent then fails."""
        try:
            while True:
                order = await self._next()
                if order is not None:
                    self._report(order, await self._carry_out(order))
                if not self._unsent:
                    self._idle.set()
        finally:
            while self._unsent:
                self._report(self._unsent.popleft().order, Outcome(Result.FAILED, "the daemon stopped before it left"))
            self._idle.set()

    async def drain(self, seconds: float) -> bool:
        """Wait until all orders have left and are reported, at most `seconds` (real); False when some have not."""
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    def _make_room(self, order: Order) -> bool:
        """Let an unsent order that may wait make room for one that may not."""
        victim = next((waiting for waiting in self._unsent if not waiting.order.sticky), None)
        if not order.sticky or victim is None:
            return False
        self._unsent.remove(victim)
        self._report(victim.order, Outcome(Result.FAILED, "busy"))
        return True

    async def _next(self) -> Order | None:
        """Return the head when it may leave; None when it got its outcome here."""
        while True:
            self._changed.clear()
            if not self._unsent:
                await self._changed.wait()
                continue
            head = self._unsent[0]
            if await self._is_ready(head):
                self._unsent.popleft()
                return self._admit(head)

    async def _is_ready(self, head: _Unsent) -> bool:
        """Wait for the disk, or until the queue changes (False: look again)."""
        loop = asyncio.get_running_loop()
        left = head.give_up - loop.time()
        if head.ready is None or head.ready.done() or left <= 0:
            return True
        changed = loop.create_task(self._queue_changed(), name=f"{self._endpoint} queue changed")
        try:
            await asyncio.wait({head.ready, changed}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
        return False

    async def _queue_changed(self) -> None:
        await self._changed.wait()

    def _admit(self, head: _Unsent) -> Order | None:
        """Last checks before an order leaves."""
        late = self._clock.now().mono - head.order.expires
        problem = _disk_problem(head.ready)
        if problem:
            self._report(head.order, Outcome(Result.FAILED, problem))
        elif late > 0:
            self._report(head.order, Outcome(Result.EXPIRED, f"{late:.1f} s too late, not sent"))
        else:
            return head.order
        return None

    async def _carry_out(self, order: Order) -> Outcome:
        """Execute within the order's time; whatever happens is an outcome."""
        task = asyncio.get_running_loop().create_task(self._execute(order), name=f"{self._endpoint} {order.id}")
        try:
            done, _ = await asyncio.wait({task}, timeout=order.within)
        except asyncio.CancelledError:
            try:
                await self._call_off(task)
            finally:
                self._report(order, self._outcome(order, task, "the daemon stopped while it was under way"))
            raise
        if not done:
            await self._call_off(task)
        return self._outcome(order, task, f"no answer within {order.within:g} s")

    async def _execute(self, order: Order) -> Outcome:
        return await self._executor.execute(order)

    async def _call_off(self, task: asyncio.Task[Outcome]) -> None:
        """Cancel an execution; one that does not obey within a second is left behind."""
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=CANCEL_S)
        if not done:
            log.error("%s: execution %s does not let itself be cancelled", self._endpoint, task.get_name())
            task.add_done_callback(lambda late: late.cancelled() or late.exception())

    def _outcome(self, order: Order, task: asyncio.Task[Outcome], silence: str) -> Outcome:
        """Read an execution's outcome; silence: what to say when it has none."""
        if not task.done() or task.cancelled():
            return Outcome(Result.UNKNOWN, silence)
        exc = task.exception()
        match exc:
            case None:
                return task.result()
            case Unreachable():
                result = Result.UNREACHABLE
            case OutcomeUnknown() | TimeoutError():
                result = Result.UNKNOWN
            case Expired():
                result = Result.EXPIRED
            case Unsupported():
                result = Result.UNSUPPORTED
            case HomebridgeError():
                result = Result.FAILED
            case _:
                # a bug may strike after the order left: "it certainly did not happen" would be a lie (rule 10)
                log.error("%s: %s failed in a way nobody foresaw", self._endpoint, order.id, exc_info=exc)
                return Outcome(Result.UNKNOWN, f"internal error: {type(exc).__name__}")
        return Outcome(result, str(exc) or silence)

    def _report(self, order: Order, outcome: Outcome) -> None:
        try:
            self._finished(order, outcome)
        except Exception:
            log.exception("%s: nobody took the outcome of %s", self._endpoint, order.id)


def _displaces(new: Order, old: Order) -> bool:
    return new.slot is not None and new.slot == old.slot and not old.sticky


def _disk_problem(ready: asyncio.Future[None] | None) -> str:
    """Why an order that waited for the disk must not leave; empty when it may."""
    if ready is None:
        return ""
    if not ready.done():
        return f"the disk did not answer within {READY_S:g} s"
    if ready.cancelled():
        return "the state was not stored"
    match ready.exception():
        case None:
            return ""
        case StoreError() as exc:
            return str(exc)
        case exc:
            return f"the state was not stored: {type(exc).__name__}"
