"""`doctor`: connects to every thing of the file, one line each, and says how to mend what is wrong. Moves nothing."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from homebridge_svc.app import drivers
from homebridge_svc.cli.check import WRONG, show
from homebridge_svc.cli.checkup import examine
from homebridge_svc.cli.findings import Finding, Verdict
from homebridge_svc.config.load import ConfigErrors, Loaded, load
from homebridge_svc.errors import ConfigError
from homebridge_svc.runtime.clock import SystemClock

FAILED = 1  # the exit code when something fails
MARKS: Final = {Verdict.OK: ("✓", "green"), Verdict.NOTE: ("!", "yellow"), Verdict.BAD: ("✗", "bold red")}


def doctor(
    config: Annotated[Path, typer.Option("-c", "--config", metavar="FILE", help="the configuration")],
    state_dir: Annotated[
        Path | None, typer.Option(envvar="STATE_DIRECTORY", help="where the state file lives; default: beside FILE")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the findings as JSON")] = False,
) -> None:
    """Connect to broker, plugs, projectors and sensors; tell of each how it is and how to mend it. Moves nothing.

    Takes 12 s at most, and may run beside the daemon. Exit code 0: nothing fails. 1: something does. 2: the file is
    not right.

    Example: sudo homebridge-svc doctor -c /etc/homebridge_svc/homebridge.toml
    """
    try:
        loaded = load(config, drivers())
        found = asyncio.run(_examine(loaded, state_dir or loaded.base / "state", quiet=as_json))
    except ConfigErrors as errors:
        show(errors)
        raise typer.Exit(WRONG) from None
    except ConfigError as problem:
        Console(stderr=True, highlight=False).print(Text(str(problem), style="bold red"), soft_wrap=True)
        raise typer.Exit(WRONG) from None
    failed = any(finding.verdict is Verdict.BAD for finding in found)
    if as_json:
        print(json.dumps({"ok": not failed, "findings": [asdict(finding) for finding in found]}, ensure_ascii=False))
    else:
        _print(found)
    raise typer.Exit(FAILED if failed else 0)


async def _examine(loaded: Loaded, state_dir: Path, *, quiet: bool) -> list[Finding]:
    """Look at everything, with a bar while it takes."""
    clock = SystemClock(trusted=loaded.config.clock == "trusted")
    words = TextColumn("{task.completed:.0f} / {task.total:.0f} have answered · 已回应")
    columns = SpinnerColumn(), words, BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True, quiet=quiet), transient=True) as progress:
        task = progress.add_task("", total=1)
        return await examine(
            loaded, state_dir, clock, lambda done, total: progress.update(task, completed=done, total=total)
        )


def _print(found: list[Finding]) -> None:
    console = Console(highlight=False)
    for finding in found:
        mark, style = MARKS[finding.verdict]
        said = Text.assemble((mark, style), " ", (finding.thing, "bold"), f"  {finding.en} · {finding.zh}")
        console.print(said, soft_wrap=True)
        for hint in (finding.advice.en, finding.advice.zh):
            if hint:
                console.print(Text(f"    → {hint}", style="green"), soft_wrap=True)
