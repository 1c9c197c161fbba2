"""`link`: an address and a QR code that log a phone in, once."""

from __future__ import annotations

import json
import socket
from contextlib import closing
from pathlib import Path
from typing import Annotated

import segno
import typer
from rich.console import Console
from rich.text import Text

from homebridge_svc.cli.client import ANYWHERE, FAILED, address, carry_out, leave, open_daemon

NOWHERE = ("192.0.2.1", 9)  # TEST-NET-1: asking for the way there sends nothing and tells our own address
PHONES_CANNOT = """The page listens on {url} only: phones cannot reach it. To let them, write into [web]:
    listen = "0.0.0.0:{port}"
    token = {{ file = "web_token" }}        # openssl rand -hex 24 > web_token; chmod 600 web_token
and restart the daemon. On this machine the page opens without a code."""


def link(
    config: Annotated[Path, typer.Option("-c", "--config", metavar="FILE", help="the daemon's configuration")],
    as_json: Annotated[bool, typer.Option("--json", help="print address and lifetime as JSON")] = False,
) -> None:
    """Print an address with a one-time code, and its QR code: scan it, and the phone is logged in.

    Exit code 0: printed. 1: phones cannot reach the page. 2: the file is wrong. 3: no daemon there.

    Example: homebridge-svc link -c homebridge.toml
    """
    daemon = open_daemon(config)
    if daemon.loopback:
        leave(PHONES_CANNOT.format(url=daemon.url, port=daemon.port), FAILED)
    made = carry_out(daemon.call("POST", "/api/link"))
    url = f"{address(_own_address(daemon.host), daemon.port)}/login?code={made['code']}"
    if as_json:
        print(json.dumps({"url": url, "expires_in": made["expires_in"]}))
        return
    segno.make(url, micro=False).terminal(compact=True, border=2)
    console = Console(highlight=False)
    console.print(Text(url, style="bold"), soft_wrap=True)
    console.print(f"Scan it or open it within {made['expires_in'] / 60:.0f} minutes; it logs in one device, once.")


def _own_address(host: str) -> str:
    """Where phones meet a daemon that listens on `host`: for "anywhere", the address of the way out."""
    if host not in ANYWHERE:
        return host
    try:
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as way:
            way.connect(NOWHERE)
            return str(way.getsockname()[0])
    except OSError:
        return socket.gethostname()
