"""What both benches share: a private broker, processes under measurement, figures, tables."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import getpass
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeAlias

from rich.console import Console
from rich.table import Table

from homebridge_svc.runtime.adb_session import make_key
from homebridge_svc.runtime.clock import SystemClock
from homebridge_svc.virtual_home.adbd import Adbd
from homebridge_svc.virtual_home.android import Android
from homebridge_svc.virtual_home.mqtt_peer import Broker
from homebridge_svc.virtual_home.projector_body import Body, ProjectorBody
from homebridge_svc.wire import adb

Json: TypeAlias = dict[str, Any]

HOST = "127.0.0.1"
TICK = os.sysconf("SC_CLK_TCK")
STOP_S = 15.0  # seconds that a process gets to end when asked to


def free_port() -> int:
    """A TCP port nobody listens on at the moment."""
    with socket.create_server((HOST, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def address(number: int) -> str:
    """An address of ours in 127.0.0.0/8; benches that run at the same time keep apart."""
    return f"127.78.{os.getpid() % 250 + 1}.{number}"


class Process:
    """`async with Process(…)`: a program under measurement, its output in a file; ends with the block."""

    def __init__(self, *command: str | Path, log: Path, environment: Mapping[str, str] | None = None) -> None:
        self._command = [str(word) for word in command]
        self._log = log
        self._environment = {**os.environ, **(environment or {})}
        self._environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program has its bytecode
        self._process: asyncio.subprocess.Process | None = None
        self.began = 0.0  # loop time

    async def __aenter__(self) -> Self:
        """Start it."""
        with self._log.open("ab") as log:
            self.began = asyncio.get_running_loop().time()
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Ask it to end, then make it."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_S)
        except TimeoutError:
            process.kill()
            await process.wait()

    @property
    def alive(self) -> bool:
        """It runs."""
        return self._process is not None and self._process.returncode is None

    @property
    def cpu(self) -> float:
        """Seconds of processor time so far (user and system), in steps of a clock tick."""
        fields = self._proc("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    @property
    def memory(self) -> tuple[float, float]:
        """Resident and proportional set, MB (2^20 bytes)."""
        found = dict(line.split(":", 1) for line in self._proc("smaps_rollup").splitlines()[1:])
        resident, proportional = (int(found[name].split()[0]) / 1024 for name in ("Rss", "Pss"))
        return resident, proportional

    def complaint(self) -> str:
        """The end of its output, for an error message."""
        return self._log.read_text(errors="replace")[-2000:]

    def _proc(self, name: str) -> str:
        if self._process is None or not self.alive:
            raise RuntimeError(f"{self._command[0]} is gone:\n{self.complaint()}")
        return Path(f"/proc/{self._process.pid}/{name}").read_text(encoding="ascii")


@contextlib.asynccontextmanager
async def mosquitto(directory: Path, port: int) -> AsyncIterator[Broker]:
    """A private mosquitto."""
    config = directory / "mosquitto.conf"
    config.write_text(f"listener {port} {HOST}\nallow_anonymous true\npersistence false\nuser {getpass.getuser()}\n")
    async with Process("mosquitto", "-c", config, log=directory / "mosquitto.log") as process:
        for _ in range(250):
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(HOST, port)
                writer.close()
                break
            await asyncio.sleep(0.02)
        if not process.alive:
            raise RuntimeError(f"mosquitto does not start:\n{process.complaint()}")
        yield Broker(HOST, port)


class Projector(Adbd):
    """An emulated projector that is awake, trusts the key pair `key` (made where it is missing) and notes key presses.

    pressed: told the loop time at which it had read the OPEN packet of a key press.
    """

    def __init__(self, host: str, key: Path) -> None:
        clock = SystemClock(trusted=True)
        super().__init__(Android(ProjectorBody(lambda: clock.now().mono, _state=Body.AWAKE), clock), host, 0)
        self.pressed: Callable[[float], None] = lambda _: None
        if not key.exists():
            make_key(key, "bench")
        self.keys.append(adb.decode_public_key(key.with_name(key.name + ".pub").read_bytes()))

    def start(self, shell: Coroutine[None, None, None], name: str) -> None:
        """Run a shell."""
        at, service = self.opened[-1]
        if "keyevent" in service:
            self.pressed(at)
        super().start(shell, name)


@dataclass(frozen=True, slots=True)
class Figure:
    """Several measurements of one thing."""

    values: Sequence[float]

    def as_json(self, digits: int = 3) -> Json:
        """N, min, median, p99 (the maximum where there are few)."""
        ordered = sorted(self.values)
        rank = max(0, -(-len(ordered) * 99 // 100) - 1)
        figures = {"min": ordered[0], "p50": statistics.median(ordered), "p99": ordered[rank]}
        return {"n": len(ordered)} | {name: round(value, digits) for name, value in figures.items()}


def ratios(ours: Json, theirs: Json, *names: str) -> Json:
    """Ours / theirs."""
    return {name: round(ours[name] / theirs[name], 3) for name in names if theirs[name]}


def machine() -> Json:
    """Where these figures come from."""
    version = subprocess.run(["mosquitto", "-h"], capture_output=True, text=True, check=False).stdout.partition("\n")[0]
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 1),
        "broker": version,
    }


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A table for people."""
    made = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        made.add_column(column, justify="left" if number == 0 else "right")
    for row in rows:
        made.add_row(*("" if cell is None else str(cell) for cell in row))
    return made


def show_machine(result: Json) -> str:
    """The line above every table."""
    at = result["machine"]
    other = result["home_assistant"]
    beside = f"beside Home Assistant {other['version']}" if "version" in other else other["skipped"]
    return f"Python {at['python']}, {at['cores']} cores {at['machine']}, load {at['load']}, {at['broker']}; {beside}"


def main(bench: Coroutine[None, None, Json], show: Callable[[Console, Json], None], *, as_json: bool) -> None:
    """Run a bench and print what it found."""
    if shutil.which("mosquitto") is None:
        bench.close()
        sys.exit("These benches need a real broker: install mosquitto (Debian: apt install mosquitto).")
    result = asyncio.run(bench)
    if as_json:
        print(json.dumps(result, indent=2))
    else:
        out = Console(highlight=False)
        out.print(show_machine(result))
        show(out, result)


def arguments(description: str) -> argparse.ArgumentParser:
    """What both benches understand."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument(
        "--alone", dest="beside", action="store_false", help="leave Home Assistant out, even where it is installed"
    )
    return parser


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    """A directory of our own."""
    with tempfile.TemporaryDirectory(prefix="homebridge-bench-") as name:
        yield Path(name)
