"""The journal that alone feeds `explain`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.broker import eventually

from homebridge_svc.ports import Row
from homebridge_svc.runtime.journal import Journal
from homebridge_svc.runtime.redact import Redactor
from homebridge_svc.runtime.store import Store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store(tmp_path / "state.sqlite") as store:
        yield store


def row(kind: str, chain: str | None, text: str = "", utc: float = 1.0) -> Row:
    return Row(utc, chain, kind, "pump", text, {"n": 1})


async def test_chains_are_found_by_id_and_by_unique_prefix(store: Store) -> None:
    async with Journal(store, Redactor()) as journal:
        for chain in ("abc1", "abd2", "abc"):
            journal.append(row("heard", chain))
            journal.append(row("changed", None))
            journal.append(row("sent", chain))
        assert [r.kind for r in journal.chain("abd")] == ["heard", "sent"]
        assert {r.chain for r in journal.chain("abc")} == {"abc"}, "an exact id is no prefix"
        assert journal.chain("ab") == []
        assert journal.chain("") == []
        assert journal.chain("x") == []


async def test_no_id_means_the_newest_command(store: Store) -> None:
    async with Journal(store, Redactor()) as journal:
        assert journal.chain(None) == []
        journal.append(row("heard", "old"))
        journal.append(row("heard", "new"))
        journal.append(row("decided", "timer7"))
        journal.append(row("confirmed", "old"))
        assert {r.chain for r in journal.chain(None)} == {"new"}


async def test_recent_is_newest_first(store: Store) -> None:
    async with Journal(store, Redactor()) as journal:
        for n in range(5):
            journal.append(row("sent", str(n)))
        assert [r.chain for r in journal.recent(2)] == ["4", "3"]
        assert len(journal.recent()) == 5


async def test_explain_reaches_over_a_restart(store: Store) -> None:
    async with Journal(store, Redactor()) as journal:
        journal.append(row("heard", "abc", "客厅 power on"))
    async with Journal(store, Redactor()) as journal:
        assert journal.chain("abc") == [row("heard", "abc", "客厅 power on")]
        journal.append(row("sent", "abc"))
        assert [r.kind for r in journal.chain(None)] == ["heard", "sent"]


async def test_rows_are_written_in_batches_without_being_asked(store: Store) -> None:
    async with Journal(store, Redactor(), flush_s=0.05) as journal:
        journal.append(row("heard", "abc"))

        def on_disk() -> bool:
            return journal._flushing is None and not journal._unwritten

        await eventually(on_disk, "the flush")
        assert await store.run(lambda db: db.execute("SELECT count(*) FROM journal").fetchone()) == (1,)


async def test_memory_and_disk_are_bounded(store: Store) -> None:
    async with Journal(store, Redactor(), in_memory=10, on_disk=25) as journal:
        for n in range(100):
            journal.append(row("sent", str(n)))
            if n % 5 == 0:
                await journal._flush()
        await journal._flush()
        assert len(journal.recent(1000)) == 10
        assert [r.chain async for r in journal.export()] == [str(n) for n in range(75, 100)]
    async with Journal(store, Redactor(), in_memory=10) as journal:
        assert [r.chain for r in journal.recent(2)] == ["99", "98"]


async def test_secrets_reach_neither_memory_nor_disk(store: Store) -> None:
    redactor = Redactor()
    redactor.add("hunter2!")
    async with Journal(store, redactor) as journal:
        journal.append(Row(1.0, "a", "heard", None, "say hunter2!", {"token": "x", "note": "hunter2!"}))
        assert journal.recent()[0].text == "say ***"
        (stored,) = [r async for r in journal.export()]
    assert stored.data == {"token": "***", "note": "***"}


async def test_a_card_that_fails_costs_no_row_once_it_works_again(tmp_path: Path) -> None:
    blocker = tmp_path / "state"
    blocker.write_text("a file where the directory should be")
    async with Store(blocker / "state.sqlite") as store:
        async with Journal(store, Redactor(), flush_s=0.01) as journal:
            journal.append(row("heard", "a"))
            await journal._flush()
            journal.append(row("sent", "a"))
            blocker.unlink()
        async with Journal(store, Redactor()) as journal:
            assert [r.kind for r in journal.chain("a")] == ["heard", "sent"]
