"""Whether the machine itself was restarted since the daemon last ran: then the mains may have been away (rule 12)."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from homebridge_svc.core.model import Json
from homebridge_svc.errors import StoreError
from homebridge_svc.runtime.store import Store

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # another one after each boot; containers see their host's


async def note_boot(store: Store, boot_id: Path = BOOT_ID) -> None:
    """Store "machine.rebooted" for this run, before the engine loads; False as long as nothing can be compared."""
    try:
        this = boot_id.read_text(encoding="ascii").strip()  # noqa: ASYNC240  the kernel answers at once
    except OSError:  # no such file on this system
        return
    memory = await store.load()
    last = memory.get("machine.boot")
    facts: dict[str, Json] = {"machine.boot": this, "machine.rebooted": last not in (None, this)}
    if any(memory.get(key) != fact for key, fact in facts.items()):
        with suppress(StoreError):  # the store has said so
            await store.remember(facts)
