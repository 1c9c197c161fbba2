"""Rules of the queue before each endpoint, and what becomes of an order whatever its executor does."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from homebridge_svc.core.model import Now
from homebridge_svc.core.orders import Order, Outcome, PressKeys, Result, SwitchOff, SwitchOn
from homebridge_svc.errors import (
    DeviceError,
    Expired,
    OutcomeUnknown,
    Refused,
    StoreError,
    Unreachable,
    Unsupported,
    WireError,
)
from homebridge_svc.runtime.workers import UNSENT, Worker

DONE = Outcome(Result.DONE)


class ManualClock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.mono = 100.0

    def now(self) -> Now:
        return Now(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.mono), self.mono)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def real(self, seconds: float) -> float:
        return seconds

    def policy(self, unix: float) -> float:
        return unix


class Hand:
    """An executor that a test steers: `does` is what it does with an order."""

    def __init__(self, does: Callable[[Order], Awaitable[Outcome]]) -> None:
        self.does = does
        self.seen: list[Order] = []

    async def execute(self, order: Order) -> Outcome:
        self.seen.append(order)
        return await self.does(order)


async def at_once(_: Order) -> Outcome:
    return DONE


class Desk:
    """A worker with its clock, its hand and what it reported."""

    def __init__(self, does: Callable[[Order], Awaitable[Outcome]] = at_once) -> None:
        self.clock = ManualClock()
        self.hand = Hand(does)
        self.reports: list[tuple[Order, Outcome]] = []
        self.worker = Worker(
            "plug", self.hand, self.clock, lambda order, outcome: self.reports.append((order, outcome))
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.worker.run(), name="worker")
        try:
            yield
        finally:
            assert not task.done(), "a worker never dies"
            task.cancel()
            await asyncio.wait({task})

    def results(self) -> dict[str, Result]:
        assert len({order.id for order, _ in self.reports}) == len(self.reports), "one outcome per order"
        return {order.id: outcome.result for order, outcome in self.reports}


def order(
    name: str, *, slot: str | None = None, sticky: bool = False, durable: bool = False, within: float = 5.0
) -> Order:
    action = SwitchOff() if sticky else SwitchOn()
    return Order(name, "plug", action, None, "test", 1000.0, within, slot, sticky, durable)


async def test_orders_leave_in_turn() -> None:
    desk = Desk()
    async with desk.running():
        for name in "abc":
            desk.worker.submit(order(name))
        assert await desk.worker.drain(1)
    assert [seen.id for seen in desk.hand.seen] == ["a", "b", "c"]
    assert set(desk.results().values()) == {Result.DONE}


async def test_the_latest_of_a_slot_wins_and_the_others_are_told() -> None:
    desk = Desk()
    for name, slot in (("a", "relay"), ("k", None), ("b", "relay"), ("c", "relay"), ("v", "volume")):
        desk.worker.submit(order(name, slot=slot))
    async with desk.running():
        assert await desk.worker.drain(1)
    assert [seen.id for seen in desk.hand.seen] == ["k", "c", "v"]
    assert desk.results() == dict.fromkeys("kcv", Result.DONE) | dict.fromkeys("ab", Result.DISPLACED)


async def test_an_on_never_displaces_an_unsent_off_of_a_pump() -> None:
    desk = Desk()
    for each in (order("off", slot="relay", sticky=True), order("on", slot="relay")):
        desk.worker.submit(each)
    async with desk.running():
        assert await desk.worker.drain(1)
    assert [seen.id for seen in desk.hand.seen] == ["off", "on"]


async def test_an_off_displaces_an_on_that_still_waits_for_the_disk() -> None:
    desk = Desk()
    disk = asyncio.get_running_loop().create_future()
    async with desk.running():
        desk.worker.submit(order("on", slot="relay", durable=True), disk)
        await asyncio.sleep(0.05)
        assert desk.hand.seen == []
        desk.worker.submit(order("off", slot="relay", sticky=True))
        assert await desk.worker.drain(0.5)
    assert [seen.id for seen in desk.hand.seen] == ["off"]
    assert desk.results() == {"on": Result.DISPLACED, "off": Result.DONE}


async def test_a_durable_order_leaves_when_it_is_on_disk() -> None:
    desk = Desk()
    disk = asyncio.get_running_loop().create_future()
    async with desk.running():
        desk.worker.submit(order("on", durable=True), disk)
        await asyncio.sleep(0.05)
        assert desk.hand.seen == []
        disk.set_result(None)
        assert await desk.worker.drain(1)
    assert desk.results() == {"on": Result.DONE}


async def test_a_durable_order_fails_when_the_disk_does() -> None:
    desk = Desk()
    loop = asyncio.get_running_loop()
    full, gone = loop.create_future(), loop.create_future()
    full.set_exception(StoreError("the card is full"))
    gone.cancel()
    async with desk.running():
        desk.worker.submit(order("full", durable=True), full)
        desk.worker.submit(order("gone", durable=True), gone)
        desk.worker.submit(order("indifferent"), full)
        assert await desk.worker.drain(1)
    assert desk.results() == {"full": Result.FAILED, "gone": Result.FAILED, "indifferent": Result.DONE}
    assert desk.reports[0][1].detail == "the card is full"


async def test_a_durable_order_waits_two_seconds_for_the_disk_at_most() -> None:
    desk = Desk()
    disk = asyncio.get_running_loop().create_future()
    began = time.monotonic()
    async with desk.running():
        desk.worker.submit(order("on", durable=True), disk)
        assert await desk.worker.drain(5)
    assert 1.9 < time.monotonic() - began < 3
    assert desk.results() == {"on": Result.FAILED}
    assert not disk.cancelled(), "the store's future is not ours"


async def test_an_expired_order_is_not_sent() -> None:
    desk = Desk()
    desk.clock.mono = 1000.0
    async with desk.running():
        desk.worker.submit(order("just"))
        assert await desk.worker.drain(1)
        desk.clock.mono = 1000.1
        desk.worker.submit(order("late"))
        assert await desk.worker.drain(1)
    assert desk.results() == {"just": Result.DONE, "late": Result.EXPIRED}


async def test_a_full_queue_is_busy_but_has_room_for_an_off() -> None:
    desk = Desk()
    for n in range(UNSENT + 1):
        desk.worker.submit(order(f"k{n}"))
    assert desk.results() == {f"k{UNSENT}": Result.FAILED}
    assert desk.reports[0][1].detail == "busy"
    desk.worker.submit(order("off", slot="relay", sticky=True))
    assert desk.results() == {f"k{UNSENT}": Result.FAILED, "k0": Result.FAILED}
    async with desk.running():
        assert await desk.worker.drain(1)
    assert desk.results()["off"] is Result.DONE
    assert len(desk.hand.seen) == UNSENT


@pytest.mark.parametrize(
    ("raised", "result"),
    [
        (Unreachable("x"), Result.UNREACHABLE),
        (OutcomeUnknown("x"), Result.UNKNOWN),
        (TimeoutError(), Result.UNKNOWN),
        (Refused("x"), Result.FAILED),
        (DeviceError("x"), Result.FAILED),
        (WireError("x"), Result.FAILED),
        (Expired("x"), Result.EXPIRED),
        (Unsupported("x"), Result.UNSUPPORTED),
        (ZeroDivisionError("a bug"), Result.UNKNOWN),
        (asyncio.CancelledError(), Result.UNKNOWN),
    ],
)
async def test_whatever_is_raised_becomes_an_outcome(
    raised: BaseException, result: Result, caplog: pytest.LogCaptureFixture
) -> None:
    async def raises(_: Order) -> Outcome:
        raise raised

    desk = Desk(raises)
    async with desk.running():
        desk.worker.submit(order("a"))
        assert await desk.worker.drain(1)
        desk.hand.does = at_once
        desk.worker.submit(order("b"))
        assert await desk.worker.drain(1)
    assert desk.results() == {"a": result, "b": Result.DONE}
    assert ("Traceback" in caplog.text) == isinstance(raised, ZeroDivisionError)


async def test_silence_is_unknown_after_the_time_of_the_order() -> None:
    async def hangs(_: Order) -> Outcome:
        await asyncio.sleep(60)
        return DONE

    desk = Desk(hangs)
    async with desk.running():
        desk.worker.submit(order("a", within=0.05))
        assert await desk.worker.drain(1)
    assert desk.reports[0][1] == Outcome(Result.UNKNOWN, "no answer within 0.05 s")


async def test_an_executor_that_knows_more_when_called_off_is_believed() -> None:
    async def knows(_: Order) -> Outcome:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise Unreachable("the connect was still pending") from None
        return DONE

    desk = Desk(knows)
    async with desk.running():
        desk.worker.submit(order("a", within=0.05))
        assert await desk.worker.drain(1)
    assert desk.results() == {"a": Result.UNREACHABLE}


async def test_an_executor_that_ignores_cancellation_is_left_behind(caplog: pytest.LogCaptureFixture) -> None:
    release = asyncio.Event()

    async def stubborn(_: Order) -> Outcome:
        while not release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await release.wait()
        raise Unreachable("much too late")

    desk = Desk(stubborn)
    began = time.monotonic()
    async with desk.running():
        desk.worker.submit(order("a", within=0.05))
        await asyncio.sleep(0.02)
        desk.hand.does = at_once
        desk.worker.submit(order("b"))
        assert await desk.worker.drain(3)
        assert time.monotonic() - began < 2
        release.set()
        await asyncio.sleep(0)
    assert desk.results() == {"a": Result.UNKNOWN, "b": Result.DONE}
    assert "cancelled" in caplog.text


async def test_a_stop_gives_every_order_its_outcome() -> None:
    async def hangs(_: Order) -> Outcome:
        await asyncio.sleep(60)
        return DONE

    desk = Desk(hangs)
    async with desk.running():
        desk.worker.submit(order("under way"))
        await asyncio.sleep(0.01)
        desk.worker.submit(order("unsent"))
        assert not await desk.worker.drain(0.05)
    assert desk.results() == {"under way": Result.UNKNOWN, "unsent": Result.FAILED}


async def test_a_failing_listener_does_not_kill_the_worker() -> None:
    def clumsy(_order: Order, _outcome: Outcome) -> None:
        raise ZeroDivisionError

    hand = Hand(at_once)
    worker = Worker("plug", hand, ManualClock(), clumsy)
    task = asyncio.create_task(worker.run(), name="worker")
    for name in "ab":
        worker.submit(order(name))
        assert await worker.drain(1)
    assert len(hand.seen) == 2
    task.cancel()
    await asyncio.wait({task})


class WorkerMachine(RuleBasedStateMachine):
    """Any mixture of orders, disks, outcomes and time keeps the queue's rules."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.numbers = count()
        self.submitted: list[Order] = []
        self.disks: list[asyncio.Future[None]] = []
        self.current: asyncio.Future[Outcome] | None = None
        self.desk = self.on_loop(self._begin())

    def on_loop(self, job: Awaitable[Desk]) -> Desk:
        async def run() -> Desk:
            return await job

        return self.loop.run_until_complete(run())

    async def _begin(self) -> Desk:
        desk = Desk(self._execute)
        self.task = asyncio.create_task(desk.worker.run(), name="worker")
        return desk

    async def _execute(self, _: Order) -> Outcome:
        assert self.current is None, "one order at a time"
        self.current = self.loop.create_future()
        try:
            return await self.current
        finally:
            self.current = None

    def settle(self) -> None:
        self.loop.run_until_complete(asyncio.sleep(0.0))
        for _ in range(8):
            self.loop.run_until_complete(asyncio.sleep(0))

    @rule(
        slot=st.sampled_from(["relay", "volume", None]),
        sticky=st.booleans(),
        durable=st.booleans(),
        lives=st.sampled_from([0.5, 50.0]),
    )
    def submit(self, slot: str | None, sticky: bool, durable: bool, lives: float) -> None:
        new = order(str(next(self.numbers)), slot=slot, sticky=sticky, durable=durable)
        new = replace(
            new, expires=self.desk.clock.mono + lives, action=PressKeys(("ok",)) if slot is None else new.action
        )
        disk = self.loop.create_future()
        self.disks.append(disk)
        self.submitted.append(new)

        async def submit() -> Desk:
            self.desk.worker.submit(new, disk)
            return self.desk

        self.on_loop(submit())
        self.settle()

    @precondition(lambda self: self.current is not None)
    @rule(raised=st.sampled_from([None, Unreachable("x"), OutcomeUnknown("x"), KeyError("bug")]))
    def finish(self, raised: Exception | None) -> None:
        assert self.current is not None
        if raised is None:
            self.current.set_result(DONE)
        else:
            self.current.set_exception(raised)
        self.settle()

    @rule(works=st.booleans())
    def the_disk_answers(self, works: bool) -> None:
        for disk in self.disks:
            if works:
                disk.set_result(None)
            else:
                disk.set_exception(StoreError("full"))
                disk.exception()
        self.disks.clear()
        self.settle()

    @rule(seconds=st.floats(0, 30))
    def time_passes(self, seconds: float) -> None:
        self.desk.clock.mono += seconds
        self.settle()

    @invariant()
    def the_rules_hold(self) -> None:
        results = self.desk.results()  # at most one outcome each
        seen = [each.id for each in self.desk.hand.seen]
        assert not self.task.done()
        assert seen == sorted(seen, key=int), "in turn"
        for each in self.submitted:
            if results.get(each.id) is Result.DISPLACED:
                assert not each.sticky
                assert each.id not in seen
        unsent = [each for each in self.submitted if each.id not in seen and each.id not in results]
        for slot in ("relay", "volume"):
            assert len([each for each in unsent if each.slot == slot and not each.sticky]) <= 1
        assert len(unsent) <= UNSENT
        assert len(results) + len(unsent) + (self.current is not None) == len(self.submitted)

    def teardown(self) -> None:
        async def stop() -> Desk:
            self.task.cancel()
            await asyncio.wait({self.task})
            return self.desk

        self.on_loop(stop())
        assert set(self.desk.results()) == {each.id for each in self.submitted}, "exactly one outcome each"
        self.loop.close()


TestWorkerMachine = WorkerMachine.TestCase
TestWorkerMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
