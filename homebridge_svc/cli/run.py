"""`run`: the daemon."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[Path, typer.Option("-c", "--config", metavar="FILE", help="the configuration")]


class LogLevel(StrEnum):
    """The lowest level that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def run(
    config: ConfigFile,
    state_dir: Annotated[
        Path | None, typer.Option(envvar="STATE_DIRECTORY", help="where the state file lives; default: beside FILE")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="decide and log, but move nothing")] = False,
    log_level: Annotated[LogLevel, typer.Option(help="what is worth a line")] = LogLevel.INFO,
) -> None:
    """Run the daemon until Ctrl-C or SIGTERM; at the stop every pump goes off first.

    Exit code 0: stopped as asked. 1: it cannot run here. 2: the configuration is not right.

    Example: homebridge-svc run -c /etc/homebridge_svc/homebridge.toml --dry-run
    """
    from homebridge_svc.app import drivers
    from homebridge_svc.config.load import load
    from homebridge_svc.config.problems import ConfigErrors

    try:
        loaded = load(config, drivers())
    except ConfigErrors as errors:
        from homebridge_svc.cli.check import WRONG, show  # brings rich, which a daemon has no use for

        show(errors)
        raise typer.Exit(WRONG) from None
    from homebridge_svc import app
    from homebridge_svc.errors import ConfigError
    from homebridge_svc.runtime import logs
    from homebridge_svc.runtime.clock import SystemClock
    from homebridge_svc.runtime.redact import Redactor
    from homebridge_svc.runtime.systemd import Notifier

    redactor = Redactor()
    logs.set_up(log_level.value, redactor)

    async def serve() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await app.serve(
            loaded,
            state_dir=state_dir or loaded.base / "state",
            stop=stop,
            clock=SystemClock(trusted=loaded.config.clock == "trusted"),
            redactor=redactor,
            dry_run=dry_run,
            notifier=Notifier.from_environment(os.environ),
            # what stands now stays: to look through all of it for garbage would stall a Pi's loop for 0.2 s
            on_ready=lambda _: gc.freeze(),
        )

    try:
        asyncio.run(serve())
    except* (ConfigError, OSError) as group:
        for problem in group.exceptions:
            print(f"cannot run: {problem}", file=sys.stderr)
        raise typer.Exit(1) from None
