"""The journal: what happened and why, in order. It alone feeds the page and `explain` (rule 9).

The newest rows stand in memory, so reading never touches the card; they are written in batches, and at a start the
last ones are loaded, so that `explain` reaches over a restart. Rows are redacted before they are kept anywhere.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Self

from homebridge_svc.errors import StoreError
from homebridge_svc.ports import Row
from homebridge_svc.runtime.redact import Redactor
from homebridge_svc.runtime.store import Store

log = logging.getLogger(__name__)

IN_MEMORY = 2_000  # rows: a busy day
ON_DISK = 20_000  # rows: weeks, about 4 MB
FLUSH_S = 10.0  # real seconds between batches: a crash loses no more than that
_PAGE = 500  # rows read at once for an export
_COLUMNS = "utc, chain, kind, device, text, data"


class Journal:
    """Rows in memory and on disk; `async with` loads the last ones and flushes at the end."""

    def __init__(
        self,
        store: Store,
        redactor: Redactor,
        *,
        in_memory: int = IN_MEMORY,
        on_disk: int = ON_DISK,
        flush_s: float = FLUSH_S,
    ) -> None:
        self._store = store
        self._redactor = redactor
        self._on_disk = on_disk
        self._flush_s = flush_s
        self._rows: deque[Row] = deque(maxlen=in_memory)
        self._unwritten: deque[Row] = deque(maxlen=in_memory)
        self._timer: asyncio.TimerHandle | None = None
        self._flushing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Load the last rows."""
        limit = self._rows.maxlen
        try:
            found = await self._store.run(
                lambda db: db.execute(
                    f"SELECT {_COLUMNS} FROM journal ORDER BY id DESC LIMIT ?",  # noqa: S608  our own column names
                    (limit,),
                ).fetchall()
            )
        except StoreError:  # the store has said so
            found = []
        self._rows.extend(_row(values) for values in reversed(found))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Flush."""
        if self._timer is not None:
            self._timer.cancel()
        if self._flushing is not None:
            await asyncio.wait({self._flushing})
        await self._flush()

    def append(self, row: Row) -> None:
        """Keep a row, redacted. Kind "heard" is for commands only: `chain(None)` relies on it."""
        row = replace(row, text=self._redactor.text(row.text), data=self._redactor.mapping(row.data))
        self._rows.append(row)
        self._unwritten.append(row)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._flush_s, self._flush_soon)

    def recent(self, limit: int = 100) -> list[Row]:
        """Newest first."""
        newest = reversed(self._rows)
        return [row for row, _ in zip(newest, range(limit), strict=False)]

    def chain(self, chain_id: str | None) -> list[Row]:
        """All rows of one chain and of its steps (`<id>.<n>`), oldest first; None: the newest command's.

        A prefix of one id only will do.
        """
        if chain_id is None:
            chain_id = next((row.chain for row in reversed(self._rows) if row.kind == "heard" and row.chain), None)
        if not chain_id:
            return []
        begun = [row for row in self._rows if row.chain is not None and row.chain.startswith(chain_id)]
        exact = [row for row in begun if row.chain == chain_id or str(row.chain).startswith(f"{chain_id}.")]
        roots = {str(row.chain).partition(".")[0] for row in begun}
        return exact or (begun if len(roots) == 1 else [])

    async def export(self) -> AsyncIterator[Row]:
        """Yield every row on disk, oldest first, for diagnostics. Raises StoreError."""
        await self._flush()
        last = 0
        while True:
            page = await self._store.run(partial(_page, after=last))
            if not page:
                return
            for number, *values in page:
                last = number
                yield _row(values)

    def _flush_soon(self) -> None:
        self._timer = None
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().create_task(self._flush(), name="journal flush")
            self._flushing.add_done_callback(lambda _: setattr(self, "_flushing", None))

    async def _flush(self) -> None:
        """Write what is unwritten; what cannot be written waits for the next row's batch."""
        batch = list(self._unwritten)
        if not batch:
            return
        self._unwritten.clear()
        values = [(r.utc, r.chain, r.kind, r.device, r.text, json.dumps(dict(r.data))) for r in batch]
        try:
            await self._store.run(lambda db: _write(db, values, self._on_disk))
        except StoreError:
            newer = list(self._unwritten)
            self._unwritten.clear()
            self._unwritten.extend(batch + newer)  # bounded: the oldest fall off


def _write(
    db: sqlite3.Connection, values: list[tuple[float, str | None, str, str | None, str, str]], keep: int
) -> None:
    db.executemany(f"INSERT INTO journal ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)", values)  # noqa: S608  our own column names
    db.execute("DELETE FROM journal WHERE id <= (SELECT max(id) FROM journal) - ?", (keep,))


def _page(db: sqlite3.Connection, after: int) -> list[tuple[int, float, str, str, str, str, str]]:
    return db.execute(
        f"SELECT id, {_COLUMNS} FROM journal WHERE id > ? ORDER BY id LIMIT {_PAGE}",  # noqa: S608  our own column names
        (after,),
    ).fetchall()


def _row(values: tuple[float, str | None, str, str | None, str, str] | list[object]) -> Row:
    utc, chain, kind, device, text, data = values
    return Row(utc, chain, kind, device, text, json.loads(data))  # type: ignore[arg-type]
