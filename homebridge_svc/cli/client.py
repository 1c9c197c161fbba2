"""How commands speak to the running daemon: HTTP to the address of [web], with its token, from the same file.

Only [web] is read: `send` must work for who may read the token and nothing else, and at once.
"""

from __future__ import annotations

import asyncio
import json
import os
import tomllib
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import aiohttp
import typer
from pydantic import SecretStr
from rich.console import Console
from rich.text import Text

from homebridge_svc.config.load import ConfigErrors, build
from homebridge_svc.errors import ConfigError, Refused, Unreachable

FAILED = 1  # exit codes: refused or failed …
WRONG = 2  # … the file is not right …
ABSENT = 3  # … nobody is there
CONNECT = 3.0  # seconds: it is on this machine, or nearly
MARGIN = 5.0  # seconds beyond the wait that was asked for
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  where it listens, and where it is met then

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Daemon:
    """Where the daemon of a file listens. host: as configured, without brackets."""

    host: str
    port: int
    token: SecretStr | None
    loopback: bool

    @property
    def url(self) -> str:
        """The address at which this machine meets it."""
        return address(ANYWHERE.get(self.host, self.host), self.port)

    async def call(self, method: str, path: str, body: object = None, *, wait: float = 0.0) -> dict[str, Any]:
        """One request. Raises Unreachable when nobody is there, Refused with the daemon's own words."""
        headers = {"Authorization": f"Bearer {self.token.get_secret_value()}"} if self.token else {}
        data = None if body is None else json.dumps(body)
        timeout = aiohttp.ClientTimeout(total=wait + MARGIN, connect=CONNECT)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, headers=headers) as http,
                http.request(method, self.url + path, data=data, allow_redirects=False) as response,
            ):
                answer = json.loads(await response.read())
        except (aiohttp.ClientError, TimeoutError, OSError):
            raise Unreachable(f"the daemon does not answer at {self.url}: is it running?") from None
        except ValueError:
            raise Unreachable(f"something answers at {self.url}, but it is not the daemon") from None
        if not isinstance(answer, dict):
            raise Unreachable(f"something answers at {self.url}, but it is not the daemon")
        if "error" in answer:
            raise Refused(f"{answer['error']}" + (f" ({answer['hint']})" if answer.get("hint") else ""))
        return answer


def daemon_of(file: Path) -> Daemon:
    """Read [web] of a configuration. Raises ConfigError."""
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        why = problem.strerror if isinstance(problem, OSError) else "it is not TOML"
        raise ConfigError(str(file), f"cannot be read: {why}", "homebridge-svc check says more") from None
    bare = {"version": 1, "timezone": "UTC", "mqtt": {"url": "embedded:"}, "web": tables.get("web", {})}
    web = build(bare, file.absolute(), {}, os.environ).config.web
    return Daemon(web.host, web.port, web.token, web.loopback)


def address(host: str, port: int) -> str:
    """An HTTP address."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def carry_out(job: Coroutine[object, object, T]) -> T:
    """Run a command's work; faults end it with a sentence and the right exit code."""
    try:
        return asyncio.run(job)
    except Unreachable as problem:
        leave(str(problem), ABSENT)
    except Refused as problem:
        leave(str(problem), FAILED)


def open_daemon(file: Path) -> Daemon:
    """Read [web], or leave with what is wrong with it."""
    try:
        return daemon_of(file)
    except ConfigErrors as problems:
        leave("\n".join(str(problem) for problem in problems.errors), WRONG)
    except ConfigError as problem:
        leave(str(problem), WRONG)


def leave(sentence: str, code: int) -> NoReturn:
    """Say why on stderr and end with this exit code."""
    Console(stderr=True, highlight=False).print(Text(sentence), soft_wrap=True)
    raise typer.Exit(code)
