"""Blocking calls off the loop: deadlines, permits, and threads that hold nothing up."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from homebridge_svc.errors import OutcomeUnknown, Refused, Unreachable
from homebridge_svc.runtime.blocking import BlockingWorker, Permit


async def test_results_and_exceptions_come_back() -> None:
    worker = BlockingWorker("w")

    def refuse(_permit: Permit) -> None:
        raise Refused("no")

    assert await worker.call(lambda _: threading.current_thread().name, 1.0) == "w"
    with pytest.raises(Refused):
        await worker.call(refuse, 1.0)
    worker.stop()


async def test_a_call_given_up_before_it_sent_anything_can_send_no_more() -> None:
    worker, go, sent = BlockingWorker("w"), threading.Event(), []

    def work(permit: Permit) -> None:
        go.wait(5)
        permit.take()
        sent.append(1)

    with pytest.raises(Unreachable):
        await worker.call(work, 0.05)
    go.set()
    assert await worker.call(lambda _: "next", 1.0) == "next"
    assert sent == []
    worker.stop()


async def test_a_call_given_up_after_it_sent_has_an_unknown_outcome() -> None:
    worker, go = BlockingWorker("w"), threading.Event()

    def work(permit: Permit) -> None:
        permit.take()
        go.wait(5)

    with pytest.raises(OutcomeUnknown):
        await worker.call(work, 0.05)
    go.set()
    worker.stop()


async def test_a_queued_call_that_nobody_waits_for_is_not_begun() -> None:
    worker, go, begun = BlockingWorker("w"), threading.Event(), []
    first = asyncio.create_task(worker.call(lambda _: go.wait(5), 5.0))
    await asyncio.sleep(0)
    with pytest.raises(Unreachable):
        await worker.call(lambda _: begun.append(1), 0.05)
    go.set()
    assert await first
    assert await worker.call(lambda _: "next", 1.0) == "next"
    assert begun == []
    worker.stop()


async def test_cancelling_revokes_too() -> None:
    worker, go, sent = BlockingWorker("w"), threading.Event(), []

    def work(permit: Permit) -> None:
        go.wait(5)
        permit.take()
        sent.append(1)

    task = asyncio.create_task(worker.call(work, 5.0))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go.set()
    await worker.call(lambda _: None, 1.0)
    assert sent == []
    worker.stop()


async def test_after_a_stop_a_call_starts_a_thread_again() -> None:
    worker = BlockingWorker("w")
    first = await worker.call(lambda _: threading.get_ident(), 1.0)
    worker.stop()
    worker.stop()
    assert await worker.call(lambda _: threading.current_thread().name, 1.0) == "w"
    worker.stop()
    assert first


def test_a_call_that_hangs_does_not_hold_up_the_end_of_the_program() -> None:
    code = """
import asyncio, threading
from homebridge_svc.runtime.blocking import BlockingWorker
async def main():
    try:
        await BlockingWorker("w").call(lambda _: threading.Event().wait(60), 0.05)
    except Exception as error:
        print(type(error).__name__)
asyncio.run(main())
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, timeout=20, check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "Unreachable"
    assert done.stderr == ""
