"""The state file survives what homes do to it: kill -9, damage, newer programs, full and read-only cards."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from homebridge_svc.errors import StoreError
from homebridge_svc.runtime.store import SCHEMA, Store


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "state.sqlite"


async def test_what_is_remembered_is_there_after_a_restart(file: Path) -> None:
    async with Store(file) as store:
        await store.remember({"pump.on_since": 12.5, "names": {"客厅": [1, True, None]}})
        await store.remember({"gone": 1})
        await store.remember({"gone": None, "pump.on_since": 13.5})
    async with Store(file) as store:
        assert await store.load() == {"pump.on_since": 13.5, "names": {"客厅": [1, True, None]}}


async def test_the_file_is_private(file: Path) -> None:
    async with Store(file) as store:
        await store.remember({"a": 1})
        for path in file.parent.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


async def test_an_urgent_entry_survives_kill_9(file: Path) -> None:
    program = (
        "import asyncio, os, signal, sys\n"
        "from pathlib import Path\n"
        "from homebridge_svc.runtime.store import Store\n"
        "async def main():\n"
        "    async with Store(Path(sys.argv[1])) as store:\n"
        "        store.remember({'learnt': 1}, urgent=False)\n"
        "        await store.remember({'pump.on_since': 5})\n"
        "        store.remember({'lazy': 1}, urgent=False)\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", program, str(file)], check=False, timeout=30)
    assert done.returncode == -signal.SIGKILL
    async with Store(file) as store:
        assert await store.load() == {"pump.on_since": 5, "learnt": 1}


def overwrite(file: Path, content: bytes | bytearray) -> None:
    file.write_bytes(content)


def tear(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[4096 * 4 : 4096 * 12] = os.urandom(4096 * 8)
    overwrite(file, content)


def commits(file: Path) -> int:
    wal = file.with_name(file.name + "-wal")
    return wal.stat().st_size


async def test_lazy_entries_are_gathered(file: Path) -> None:
    async with Store(file, sparing_s=0.2) as store:
        await store.remember({"first": 0})
        before = commits(file)
        futures = [store.remember({"price": n}, urgent=False) for n in range(50)]
        await asyncio.sleep(0.05)
        assert commits(file) == before, "nothing is written yet"
        assert not any(future.done() for future in futures)
        await asyncio.gather(*futures)
        assert 0 < commits(file) - before < 3 * 4200, "one transaction of a page or two"
        assert (await store.load())["price"] == 49


async def test_lazy_entries_are_written_at_the_end(file: Path) -> None:
    async with Store(file) as store:
        lazy = store.remember({"price": 1}, urgent=False)
    assert lazy.done()
    async with Store(file) as store:
        assert await store.load() == {"price": 1}


async def test_a_hundred_urgent_entries_at_once_share_transactions(file: Path) -> None:
    async with Store(file) as store:
        await asyncio.gather(*(store.remember({f"k{n}": n}) for n in range(100)))
        assert len(await store.load()) == 100


@pytest.mark.parametrize("damage", [b"this is no database" * 100, b"\x00" * 8192])
async def test_a_damaged_file_is_set_aside_and_never_deleted(
    file: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    file.parent.mkdir()
    overwrite(file, damage)
    async with Store(file) as store:
        assert await store.load() == {}
        await store.remember({"a": 1})
    assert file.with_name(file.name + ".aside1").read_bytes() == damage
    assert "aside1" in caplog.text
    async with Store(file) as store:
        assert await store.load() == {"a": 1}


async def test_a_torn_file_is_set_aside(file: Path) -> None:
    async with Store(file) as store:
        await store.remember({f"key{n}": "x" * 500 for n in range(200)})
    tear(file)
    async with Store(file) as store:
        await store.remember({"a": 1})
        assert await store.load() == {"a": 1}
    assert file.with_name(file.name + ".aside1").exists()


async def test_a_newer_file_is_set_aside_each_time(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        async with Store(file) as store:
            await store.remember({"a": 1})
        with contextlib.closing(sqlite3.connect(file)) as db, db:
            db.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    async with Store(file) as store:
        assert await store.load() == {}
    assert {path.name for path in file.parent.iterdir() if "aside" in path.name} == {
        "state.sqlite.aside1",
        "state.sqlite.aside2",
    }
    assert "newer program" in caplog.text


async def test_one_bad_value_does_not_take_the_others(file: Path) -> None:
    async with Store(file) as store:
        await store.remember({"good": 1, "bad": 2})
    with contextlib.closing(sqlite3.connect(file)) as db, db:
        db.execute("UPDATE state SET value = '{' WHERE key = 'bad'")
    async with Store(file) as store:
        assert await store.load() == {"good": 1}


async def test_a_place_that_cannot_be_written_is_told_and_the_daemon_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocker = tmp_path / "state"
    blocker.write_text("a file where the directory should be")
    async with Store(blocker / "state.sqlite") as store:
        assert await store.load() == {}
        for _ in range(3):
            with pytest.raises(StoreError):
                await store.remember({"pump.on_since": 1})
        assert len([r for r in caplog.records if "will not happen" in r.getMessage()]) == 1, "one line per change"
        blocker.unlink()
        await store.remember({"other": 2})
        assert await store.load() == {"pump.on_since": 1, "other": 2}, "what could not be written came along"


async def test_a_full_card_is_told_and_what_was_there_stays(file: Path) -> None:
    async with Store(file) as store:
        await store.remember({"small": 1})
        await store.run(lambda db: db.execute("PRAGMA max_page_count = 20").fetchall())
        with pytest.raises(StoreError, match="full"):
            await store.remember({"big": "x" * 200_000})
        await store.run(lambda db: db.execute("PRAGMA max_page_count = 10000").fetchall())
        await store.remember({"after": 1})
        assert set(await store.load()) == {"small", "big", "after"}


async def test_a_file_that_another_process_holds_is_not_damaged(file: Path) -> None:
    async with Store(file) as store:
        await store.remember({"a": 1})
        holder = sqlite3.connect(file)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            await store.remember({"b": 2})
        holder.rollback()
        holder.close()
        await store.remember({"c": 3})
        assert await store.load() == {"a": 1, "b": 2, "c": 3}
    assert not [path for path in file.parent.iterdir() if "aside" in path.name]


async def test_the_loop_goes_on_while_the_card_is_slow(file: Path) -> None:
    async with Store(file) as store:
        slow = asyncio.create_task(store.run(lambda _: time.sleep(0.3)), name="slow job")
        began = time.monotonic()
        await asyncio.sleep(0.01)
        assert time.monotonic() - began < 0.2
        assert not slow.done()
        await slow
