"""The state file: what must outlive the process, as JSON by key, in one SQLite file; the journal lives beside it.

Theory of operation. All of SQLite runs in one worker thread, so a slow card never stalls the loop. `remember` merges
entries into a pending set: urgent ones (safety facts such as "pump on since") are written at once, all others at most
every 30 s or along with the next urgent ones, because SD cards wear out by writes. Writes that arrive while one is
under way are gathered into the next transaction.

The journal mode is WAL with synchronous=FULL: one sequential append and one fsync per transaction, against the three
to four (journal, file, directory) of the rollback modes, and a power cut loses no acknowledged transaction.

A file that is damaged or newer than this program is set aside under another name, never deleted, and a fresh one
begins. A file that cannot be opened at all (read-only card, full disk) leaves the daemon running: each write tries
again and reports `StoreError`, and what had to be stored before it happens does not happen.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sqlite3
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from homebridge_svc.core.model import Json
from homebridge_svc.errors import StoreError

log = logging.getLogger(__name__)

T = TypeVar("T")

SCHEMA = 1  # PRAGMA user_version
SPARING_S = 30.0  # real seconds between writes of what is not urgent: wear is a matter of real time
LOCK_WAIT_S = 1.0  # for a command line tool that reads the file at this moment
_TABLES = """
CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS journal (id INTEGER PRIMARY KEY, utc REAL NOT NULL, chain TEXT, kind TEXT NOT NULL,
    device TEXT, text TEXT NOT NULL, data TEXT NOT NULL);
"""


class Store:
    """Keys and JSON values that survive; `async with` opens and closes it. One instance per file and process."""

    def __init__(self, path: Path, *, sparing_s: float = SPARING_S) -> None:
        self._path = path
        self._sparing_s = sparing_s
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._db: sqlite3.Connection | None = None  # belongs to the thread
        self._pending: dict[str, str | None] = {}
        self._written: asyncio.Future[None] | None = None  # resolves when `_pending` as it stands is on disk
        self._writer: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._sound = True

    async def __aenter__(self) -> Self:
        """Open the file, setting a bad one aside; a file that cannot be opened is logged, not raised."""
        with contextlib.suppress(StoreError):
            await self.run(lambda _: None)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what is pending and close."""
        if self._pending:
            self._write_soon()
        if self._writer is not None:
            await asyncio.wait({self._writer})
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    async def load(self) -> dict[str, Json]:
        """Return everything that is remembered; nothing when the file cannot be read."""
        try:
            return await self.run(_read_all)
        except StoreError:
            return {}

    def remember(self, entries: Mapping[str, Json], *, urgent: bool = True) -> asyncio.Future[None]:
        """Remember these (None forgets the key); the future resolves when they are on disk, or with StoreError.

        What could not be written stays pending and goes with the next write.
        """
        if self._written is None:
            self._written = asyncio.get_running_loop().create_future()
            self._written.add_done_callback(_retrieve)  # nobody has to look at it
        written = self._written
        for key, value in entries.items():
            self._pending[key] = None if value is None else json.dumps(value, ensure_ascii=False)
        if urgent:
            self._write_soon()
        else:
            self._write_sparingly()
        return written

    async def run(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run `job` in the store's thread as one transaction. Raises StoreError."""
        try:
            result = await asyncio.get_running_loop().run_in_executor(self._thread, self._transact, job)
        except (sqlite3.Error, OSError) as exc:
            if self._sound:
                log.error("state file %s: %s; what must be stored first will not happen", self._path, exc)  # noqa: TRY400  one line per change
            self._sound = False
            raise StoreError(f"the state file {self._path} cannot be used: {exc}") from exc
        if not self._sound:
            log.info("state file %s: works again", self._path)
        self._sound = True
        return result

    def _write_soon(self) -> None:
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write(), name="store writer")

    def _write_sparingly(self) -> None:
        if self._timer is None and self._writer is None:
            self._timer = asyncio.get_running_loop().call_later(self._sparing_s, self._timer_rang)

    def _timer_rang(self) -> None:
        self._timer = None
        self._write_soon()

    async def _write(self) -> None:
        """Write until nobody waits. Never cancelled: `__aexit__` waits for it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        try:
            await self._write_batch()
            while self._written is not None:
                await self._write_batch()
        finally:
            self._writer = None
            if self._pending:
                self._write_sparingly()

    async def _write_batch(self) -> None:
        written, batch = self._written, self._pending
        self._written, self._pending = None, {}
        try:
            await self.run(partial(_write_rows, rows=batch))
        except StoreError as exc:
            self._pending = batch | self._pending
            if written is not None:
                written.set_exception(exc)
        else:
            if written is not None:
                written.set_result(None)

    def _transact(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """In the thread: open if need be, then do the job in a transaction."""
        if self._db is None:
            self._db = _open(self._path)
        with self._db as db:
            return job(db)

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()  # folds the WAL into the file
            self._db = None


def _retrieve(future: asyncio.Future[None]) -> None:
    if not future.cancelled():
        future.exception()


def _read_all(db: sqlite3.Connection) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for key, value in db.execute("SELECT key, value FROM state"):
        try:
            found[key] = json.loads(value)
        except ValueError:
            log.warning("state file: the value of %r means nothing and is left out", key)
    return found


def _write_rows(db: sqlite3.Connection, rows: Mapping[str, str | None]) -> None:
    db.executemany("DELETE FROM state WHERE key = ?", [(key,) for key, text in rows.items() if text is None])
    db.executemany(
        "INSERT INTO state VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        [(key, text) for key, text in rows.items() if text is not None],
    )


def _open(path: Path) -> sqlite3.Connection:
    """Open the file, after setting a damaged or newer one aside. Raises sqlite3.Error, OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        return _connect(path)
    except _SetAside as exc:
        problem = str(exc)
    except sqlite3.OperationalError:  # locked, full, read-only, an I/O error: the file may be well
        raise
    except sqlite3.DatabaseError as exc:
        problem = f"is damaged ({exc})"
    aside = _free_name(path)
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    log.error("state file %s %s; it is kept as %s and a new one begins", path, problem, aside.name)
    return _connect(path)


class _SetAside(Exception):  # noqa: N818  a decision inside this module, not an error
    """The file is readable but not ours to use."""


def _connect(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    path.chmod(0o600)
    db = sqlite3.connect(path, timeout=LOCK_WAIT_S, check_same_thread=False)
    try:
        _inspect(db)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.executescript(_TABLES)
        db.execute(f"PRAGMA user_version = {SCHEMA}")
    except BaseException:
        db.close()
        raise
    return db


def _inspect(db: sqlite3.Connection) -> None:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA:
        raise _SetAside(f"is of a newer program (schema {version}, this one knows {SCHEMA})")
    (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise _SetAside(f"is damaged ({verdict})")


def _free_name(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.aside{number}")).exists():
        number += 1
    return aside
