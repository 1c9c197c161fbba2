"""Looks at the running daemon and at its state file from outside; changes neither.

The state file is opened read-only and as it is: a damaged or newer one, which the daemon would set aside, stays where
it is for the person who wants to know why.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from homebridge_svc.cli.client import Daemon
from homebridge_svc.core.model import Json
from homebridge_svc.errors import StoreError, Unreachable
from homebridge_svc.ports import Row

STATE_FILE = "state.sqlite3"  # in the state directory
LOCK_WAIT = 1.0  # real seconds, while the daemon writes
ANSWER = 3.0  # real seconds: it is on this machine, or nearly


@dataclass(frozen=True, slots=True)
class StateFile:
    """What stands in it. rows: of the journal, oldest first."""

    schema: int
    memory: dict[str, Json] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)


def read_state_file(path: Path, rows: int) -> StateFile | None:
    """Read what is remembered and the last so many rows; None: there is no file yet. Raises StoreError; blocks."""
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=LOCK_WAIT)) as db:
            (schema,) = db.execute("PRAGMA user_version").fetchone()
            memory = {str(key): json.loads(value) for key, value in db.execute("SELECT key, value FROM state")}
            found = db.execute(
                "SELECT utc, chain, kind, device, text, data FROM journal ORDER BY id DESC LIMIT ?", (rows,)
            ).fetchall()
            last = [
                Row(utc, chain, kind, device, text, json.loads(data))
                for utc, chain, kind, device, text, data in reversed(found)
            ]
    except (sqlite3.Error, OSError, ValueError) as problem:
        raise StoreError(f"{path} cannot be read: {problem}") from problem
    return StateFile(schema, memory, last)


async def fetch_text(daemon: Daemon, path: str) -> str:
    """A page of the daemon that is plain text, whatever its status. Raises Unreachable."""
    headers = {"Authorization": f"Bearer {daemon.token.get_secret_value()}"} if daemon.token else {}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER), headers=headers) as http,
            http.get(daemon.url + path, allow_redirects=False) as response,
        ):
            return (await response.content.read(1 << 20)).decode(errors="replace")
    except (aiohttp.ClientError, TimeoutError, OSError):
        raise Unreachable(f"the daemon does not answer at {daemon.url}") from None
