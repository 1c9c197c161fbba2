"""`send`: ask the running daemon for something and print what becomes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from homebridge_svc.cli.client import FAILED, carry_out, leave, open_daemon

send = typer.Typer(add_completion=False)
COLOURS = {"done": "green", "accepted": "yellow", "duplicate": "yellow", "superseded": "yellow"}


@send.command(context_settings={"ignore_unknown_options": True})  # `send living_room.volume -2`: -2 is a value
def ask(
    config: Annotated[Path, typer.Option("-c", "--config", metavar="FILE", help="the daemon's configuration")],
    what: Annotated[str, typer.Argument(metavar="WHAT", help="device.command, like living_room.power, or a phrase")],
    value: Annotated[list[str] | None, typer.Argument(metavar="VALUE", help="like on, 12, 3m")] = None,
    wait: Annotated[float, typer.Option(min=0, max=120, help="seconds to wait for the end of it")] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="print the answers as JSON")] = False,
) -> None:
    """Ask the running daemon for something and print its answers.

    Exit code 0: done or on its way. 1: refused, failed or not answered. 2: the file is wrong. 3: no daemon there.

    Examples: homebridge-svc send -c homebridge.toml living_room.power on
              homebridge-svc send -c homebridge.toml 看电影
    """
    daemon = open_daemon(config)
    text = " ".join([what, *(value or [])])
    body = {"do": text} if "." in what else {"say": text}  # without a device in front it is a phrase
    heard = carry_out(daemon.call("POST", f"/api/command?wait={wait:g}", body, wait=wait))
    if as_json:
        print(json.dumps(heard, ensure_ascii=False))
    else:
        _print(heard["answers"])
        Console().print(Text(f"why: homebridge-svc explain -c {config} {heard['id']}", style="dim"), soft_wrap=True)
    if not heard["answers"]:
        leave(f"heard as {heard['id']}, but not answered within {wait:g} s", FAILED)
    if not heard["ok"]:
        raise typer.Exit(FAILED)


def _print(answers: list[dict[str, Any]]) -> None:
    console = Console(highlight=False)
    for answer in answers:
        line = Text(answer["say"], style=f"bold {COLOURS.get(answer['say'], 'red')}").append(
            f": {answer['why']}", "none"
        )
        console.print(line.append(f"  {answer['zh']}", "dim") if answer["zh"] else line, soft_wrap=True)
