"""A restart of the machine is told from one of the daemon."""

from pathlib import Path

from homebridge_svc.runtime.machine import note_boot
from homebridge_svc.runtime.store import Store


async def start(directory: Path, boot: str) -> object:
    """Start a daemon in this boot; return what the engine will load."""
    (directory / "boot_id").write_text(boot + "\n")
    async with Store(directory / "state.sqlite3") as store:
        await note_boot(store, directory / "boot_id")
        return (await store.load()).get("machine.rebooted")


async def test_only_the_first_start_after_a_boot_counts_as_one(tmp_path: Path) -> None:
    assert [await start(tmp_path, boot) for boot in "AABBCC"] == [False, False, True, False, True, False]


async def test_a_system_without_boot_ids_tells_nothing(tmp_path: Path) -> None:
    async with Store(tmp_path / "state.sqlite3") as store:
        await note_boot(store, tmp_path / "missing")
        assert await store.load() == {}
