"""`diagnostics`: everything that a bug report needs, and nothing that it must not hold."""

from __future__ import annotations

import asyncio
import json
import platform
import re
import sys
from collections.abc import Coroutine
from importlib import metadata
from pathlib import Path
from typing import Annotated, cast

import typer

from homebridge_svc import __version__
from homebridge_svc.app import drivers, entries
from homebridge_svc.cli.client import Daemon
from homebridge_svc.cli.peek import STATE_FILE, fetch_text, read_state_file
from homebridge_svc.config.effective import values
from homebridge_svc.config.load import ConfigErrors, Loaded, load
from homebridge_svc.core.model import Json
from homebridge_svc.errors import DeviceError, StoreError
from homebridge_svc.ports import Row
from homebridge_svc.runtime.clock import SystemClock
from homebridge_svc.runtime.redact import Redactor

READ_IT = "Secrets are hidden. Read it before you show it to others: names and addresses of your flat are in it."
READ_IT_ZH = "密钥已隐藏。发给别人之前请先看一遍：里面有你家的设备名称和地址。"
UNSAFE = "left out: while the file is not right its secrets are not known, so they could not be hidden"


def diagnostics(
    config: Annotated[Path, typer.Option("-c", "--config", metavar="FILE", help="the daemon's configuration")],
    state_dir: Annotated[
        Path | None, typer.Option(envvar="STATE_DIRECTORY", help="where the state file lives; default: beside FILE")
    ] = None,
    rows: Annotated[int, typer.Option(min=0, max=20_000, help="how many of the journal's last rows")] = 500,
) -> None:
    """Print a redacted dump for a bug report as JSON: versions, values in force, journal, the daemon's own view.

    Exit code 0: printed, also when the file is not right or no daemon runs; the dump says so.

    Example: homebridge-svc diagnostics -c /etc/homebridge_svc/homebridge.toml > report.json
    """
    print(json.dumps(dump(config, state_dir, rows), ensure_ascii=False, indent=2))
    print(f"{READ_IT}\n{READ_IT_ZH}", file=sys.stderr)


def dump(file: Path, state_dir: Path | None, rows: int) -> dict[str, Json]:
    """Gather everything; what cannot be had says why. All of it has passed the redactor."""
    redactor = Redactor()
    found: dict[str, Json] = {"made": SystemClock().now().utc.isoformat(timespec="seconds"), "program": _program()}
    try:
        loaded = load(file, drivers())
    except ConfigErrors as errors:
        wrong: Json = [{"path": e.path, "problem": e.problem, "hint": e.hint} for e in errors.errors]
        found |= {"config": {"errors": wrong}, "state": UNSAFE, "journal": UNSAFE, "daemon": UNSAFE}
    else:
        for secret in loaded.secrets:
            redactor.add(secret.get_secret_value())
        found["config"] = values(loaded.config)
        found |= _remembered((state_dir or loaded.base / "state") / STATE_FILE, rows)
        found["daemon"] = asyncio.run(_daemon(loaded))
    return redactor.mapping(found)


def _program() -> dict[str, Json]:
    """Versions, platform, and everything that is supported."""
    ours = metadata.requires("homebridge-svc") or []
    names = sorted({found[0] for part in ours if (found := re.match(r"[\w.-]+", part))} - {"homebridge-svc"})
    return {
        "version": __version__,
        "python": sys.version,
        "platform": platform.platform(),
        "machine": platform.machine(),
        "libraries": {name: _version(name) for name in names},
        "supported": [
            f"{entry.kind} {entry.driver}: {entry.title}" for of in entries().values() for entry in of.values()
        ],
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # of an extra that is not installed
        return None


def _remembered(path: Path, rows: int) -> dict[str, Json]:
    """What the state file holds, as far as it can be read."""
    try:
        state = read_state_file(path, rows)
    except StoreError as problem:
        return {"state": {"problem": str(problem)}, "journal": []}
    if state is None:
        return {"state": {"problem": f"there is no {path}"}, "journal": []}
    about: dict[str, Json] = {"schema": state.schema, "bytes": path.stat().st_size, "memory": state.memory}
    return {"state": about, "journal": [_row(row) for row in state.rows]}


def _row(row: Row) -> Json:
    return {
        "utc": row.utc,
        "chain": row.chain,
        "kind": row.kind,
        "device": row.device,
        "text": row.text,
        "data": dict(row.data),
    }


async def _daemon(loaded: Loaded) -> Json:
    """What the running daemon says of itself."""
    web = loaded.config.web
    daemon = Daemon(web.host, web.port, web.token, web.loopback)

    async def said(answer: Coroutine[None, None, object]) -> object:
        try:
            return await answer
        except DeviceError as problem:
            return f"not to be had: {problem}"

    found = {
        "healthz": await said(fetch_text(daemon, "/healthz")),
        "state": await said(daemon.call("GET", "/api/state")),
        "metrics": str(await said(fetch_text(daemon, "/metrics"))).splitlines(),
    }
    return cast("Json", found)
