"""The command line: one file per command; parses, calls, prints, and has no logic of its own.

A command's module is imported when it is used, so that `run` on a Pi does not wait for what only `link` needs.
"""

from __future__ import annotations

import importlib
from typing import Final

import typer
from typer.core import TyperCommand, TyperGroup

COMMANDS: Final = (  # in the order of `--help`; each is a module here with a function, or a group, of that name
    "run", "demo", "check", "doctor", "send", "explain", "link", "pair", "diagnostics",
)  # fmt: skip


class _Commands(TyperGroup):
    """Finds commands by their module."""

    def list_commands(self, _ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """Name all commands."""
        return list(COMMANDS)

    def get_command(self, _ctx: typer.Context, name: str) -> TyperCommand | TyperGroup | None:  # type: ignore[override]
        """Import one command."""
        if name not in COMMANDS:
            return None
        found = getattr(importlib.import_module(f"homebridge_svc.cli.{name}"), name)
        if not isinstance(found, typer.Typer):
            command, found = found, typer.Typer(add_completion=False)
            found.command(name)(command)
        made = typer.main.get_command(found)
        made.name = name
        return made  # type: ignore[return-value]


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # they may hold secrets; older versions show them unasked
    help="""A XiaoAi speaker drives an XGIMI projector and a hot-water recirculation pump, locally and safely.

    Begin with: homebridge-svc demo""",
)


@app.callback(invoke_without_command=False)
def _root() -> None:
    """Nothing that all commands share."""


def main() -> None:
    """Entry point of the console script."""
    app()
