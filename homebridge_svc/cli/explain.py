"""`explain`: the chain of one command, as the journal has it: heard → decided → sent → confirmed → answered."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from homebridge_svc.cli.client import carry_out, open_daemon

COLOURS = {
    "heard": "cyan",
    "sent": "blue",
    "confirmed": "green",
    "refused": "red",
    "failed": "red",
    "announced": "magenta",
}


def explain(
    config: Annotated[Path, typer.Option("-c", "--config", metavar="FILE", help="the daemon's configuration")],
    chain: Annotated[
        str, typer.Argument(metavar="ID", help="a command's id or its beginning; default: the newest")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="print the rows as JSON")] = False,
) -> None:
    """Print what became of a command, step by step, with the rule behind each decision.

    Exit code 0: found. 1: the journal knows no such command. 2: the file is wrong. 3: no daemon there.

    Example: homebridge-svc explain -c homebridge.toml
    """
    path = "/api/explain" + (f"/{quote(chain, safe='')}" if chain else "")
    found = carry_out(open_daemon(config).call("GET", path))
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        _print(found["chain"], found["rows"])


def _print(chain: str | None, rows: list[dict[str, Any]]) -> None:
    """Print one row a step: when, after how long, which kind, about what, and the sentence."""
    began = rows[0]["utc"]
    when = datetime.fromtimestamp(began, UTC).astimezone()
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", style="dim", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows:
        after = Text(f"+{row['utc'] - began:.3f} s")
        kind = Text(row["kind"], style=COLOURS.get(row["kind"], "none"))
        table.add_row(after, kind, Text(row["device"] or ""), Text(row["text"]))
    console = Console(highlight=False)
    console.print(Text(f"{chain or '–'}", style="bold").append(f"  {when:%Y-%m-%d %H:%M:%S}", "dim"))
    console.print(table)
