"""`check`: is the file right? Everything is validated, nothing is connected to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from homebridge_svc.app import drivers
from homebridge_svc.config.context import Drivers
from homebridge_svc.config.effective import effective as as_toml
from homebridge_svc.config.effective import values
from homebridge_svc.config.load import ConfigErrors, Loaded, load
from homebridge_svc.config.model import Config

WRONG = 2  # the exit code for a file that is not right


def check(
    config: Annotated[Path, typer.Option("-c", "--config", metavar="FILE", help="the configuration")],
    effective: Annotated[bool, typer.Option("--effective", help="print every value in force, defaults too")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print findings or values as JSON")] = False,
) -> None:
    """Validate the configuration without connecting to anything; all errors at once, each with a hint.

    Exit code 0: the file is right. 2: it is not.

    Example: homebridge-svc check -c /etc/homebridge_svc/homebridge.toml --effective
    """
    code = report(config, drivers(), effective=effective, as_json=as_json)
    if code:
        raise typer.Exit(code)


def report(file: Path, known: Drivers, *, effective: bool, as_json: bool) -> int:
    """Print what `check` prints; return its exit code."""
    try:
        loaded = load(file, known)
    except ConfigErrors as errors:
        (_errors_as_json if as_json else show)(errors)
        return WRONG
    if as_json:
        print(
            json.dumps({"ok": True} | ({"effective": values(loaded.config)} if effective else {}), ensure_ascii=False)
        )
    elif effective:
        print(as_toml(loaded.config), end="")
    else:
        _summary(loaded)
    return 0


def show(errors: ConfigErrors) -> None:
    """Print findings as people read them, to standard error."""
    console = Console(stderr=True, highlight=False)
    console.print(Text(f"{errors.file}: {errors.problem}", style="bold red"), soft_wrap=True)
    for error in errors.errors:
        console.print(Text.assemble("\n  ", (error.path, "bold"), "  ", error.problem), soft_wrap=True)
        for hint in (error.hint, error.zh):
            if hint:
                console.print(Text(f"    → {hint}", style="green"), soft_wrap=True)


def _errors_as_json(errors: ConfigErrors) -> None:
    found = [{"path": e.path, "problem": e.problem, "hint": e.hint, "zh": e.zh} for e in errors.errors]
    print(json.dumps({"ok": False, "file": str(errors.file), "errors": found}, ensure_ascii=False))


def _summary(loaded: Loaded) -> None:
    table = Table("device", "name", "by", title=None)
    for key, name, means in _devices(loaded.config):
        table.add_row(Text(key), Text(name), Text(means))
    console = Console(highlight=False)
    console.print(Text(f"{loaded.file} is right", style="bold green"), soft_wrap=True)
    if table.row_count:
        console.print(table)


def _devices(config: Config) -> list[tuple[str, str, str]]:
    """Key, name and means of everything that can be spoken to or read."""
    rows = [
        (key, projector.name or key, ", ".join([*projector.channels, *([projector.plug] if projector.plug else [])]))
        for key, projector in config.projectors.items()
    ]
    rows += [(key, pump.name or key, pump.plug) for key, pump in config.pumps.items()]
    rows += [(key, plug.name or key, plug.driver) for key, plug in config.plugs.items()]
    rows += [(key, sensor.name or key, sensor.driver) for key, sensor in config.sensors.items()]
    return rows
