"""Blocking libraries off the loop: one daemon thread each, deadlines on the loop's side, nothing sent late.

Whoever waits gives up after `within`; the thread may chew on. So that a call which nobody waits for any more does not
act, loop and thread share a `Permit`: the thread takes it immediately before bytes leave, the loop revokes it when it
gives up. Exactly one of them wins, and the caller learns which: nothing left, or the outcome is unknown.

The thread is a daemon: a call that hangs in a library cannot hold up the end of the program.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import SimpleQueue
from typing import TypeVar

from homebridge_svc.errors import OutcomeUnknown, Unreachable

T = TypeVar("T")


class Permit:
    """The right to let bytes leave that change something. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._revoked = False

    @property
    def revoked(self) -> bool:
        """Nobody waits any more."""
        return self._revoked

    def take(self) -> None:
        """Call in the thread, immediately before sending. Raises Unreachable when nobody waits any more."""
        with self._lock:
            if self._revoked:
                raise Unreachable("given up before anything was sent")
            self._taken = True

    def revoke(self) -> bool:
        """Call on the loop when giving up; True when it was taken before: something has left."""
        with self._lock:
            self._revoked = True
            return self._taken


class BlockingWorker:
    """Calls of one device, one after the other in one thread that starts with the first of them."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: SimpleQueue[Callable[[], None] | None] | None = None

    async def call(self, work: Callable[[Permit], T], within: float) -> T:
        """Do `work` in the thread and give its result or exception; waits `within` real seconds at most.

        Raises: Unreachable when time ran out and no permit was taken, OutcomeUnknown when one was.
        """
        loop = asyncio.get_running_loop()
        permit = Permit()
        done: asyncio.Future[T] = loop.create_future()

        def job() -> None:
            if permit.revoked:
                return
            outcome: Future[T] = Future()
            try:
                outcome.set_result(work(permit))
            except Exception as error:  # noqa: BLE001  it is re-raised where somebody waits for it
                outcome.set_exception(error)
            with suppress(RuntimeError):  # the loop was closed while the call hung: nobody is there to be told
                loop.call_soon_threadsafe(_hand_over, outcome, done)

        self._started().put(job)
        try:
            async with asyncio.timeout(within):
                return await done
        except TimeoutError:
            if permit.revoke():
                raise OutcomeUnknown(f"sent, but no answer within {within:g} s") from None
            raise Unreachable(f"no answer within {within:g} s") from None
        finally:
            permit.revoke()

    def stop(self) -> None:
        """End the thread after what it is doing now; a later call starts another."""
        if self._jobs is not None:
            self._jobs.put(None)
            self._jobs = None

    def _started(self) -> SimpleQueue[Callable[[], None] | None]:
        if self._jobs is None:
            self._jobs = SimpleQueue()
            threading.Thread(target=_work_off, args=(self._jobs,), name=self._name, daemon=True).start()
        return self._jobs


def _work_off(jobs: SimpleQueue[Callable[[], None] | None]) -> None:
    while (job := jobs.get()) is not None:
        job()


def _hand_over(outcome: Future[T], done: asyncio.Future[T]) -> None:
    if done.done():
        return
    error = outcome.exception()
    if error is not None:
        done.set_exception(error)
    else:
        done.set_result(outcome.result())
