"""`demo`: the whole daemon in a virtual home on loopback, with an embedded broker."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import tempfile
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from homebridge_svc.virtual_home.scenario import Played, Player, Scenario

READY_WITHIN = 20.0  # real seconds for broker, devices and daemon on a slow machine


def demo(
    scenario: Annotated[str, typer.Option(metavar="NAME", help="which story to play")] = "evening",
    speed: Annotated[float | None, typer.Option(min=1, max=1000, help="times as fast as life; default: 10")] = None,
    list_: Annotated[bool, typer.Option("--list", help="list the scenarios")] = False,
    exit_: Annotated[bool, typer.Option("--exit", help="end after the story; exit 0 only if every check held")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print the steps as JSON, one object at the end")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="of the page; 0: any free one")] = 8377,
) -> None:
    """Play an evening in a virtual home: broker, projectors, plugs, pump, daemon and page, all on loopback.

    Without --exit it goes on until Ctrl-C, so that you can use the page yourself.

    Example: homebridge-svc demo --scenario evening --speed 60 --exit
    """
    from homebridge_svc.errors import ConfigError
    from homebridge_svc.virtual_home import scenario as scenarios

    if list_:
        found = [scenarios.read(name) for name in scenarios.names()]
        if as_json:
            print(json.dumps([{"name": story.name, **story.title} for story in found], ensure_ascii=False))
        for story in found if not as_json else ():
            print(f"{story.name:14} {story.title['en']} · {story.title['zh']}")
        return
    try:
        story = scenarios.read(scenario)
        held = asyncio.run(_Demo(story, speed, as_json=as_json, leave=exit_, port=port).run())
    except ConfigError as problem:
        Console(stderr=True).print(Text(f"cannot play: {problem}", style="bold red"))
        raise typer.Exit(2) from None
    except OSError as problem:
        Console(stderr=True).print(Text(f"cannot play: {problem}; another port: --port 0", style="bold red"))
        raise typer.Exit(1) from None
    raise typer.Exit(0 if held else 1)


class _Demo:
    """One play: who starts after whom, and what is printed."""

    def __init__(self, story: Scenario, speed: float | None, *, as_json: bool, leave: bool, port: int) -> None:
        self._story = story
        self._speed = min(speed or 10.0, story.speed)
        self._slower = speed is not None and speed > story.speed
        self._as_json = as_json
        self._leave = leave
        self._port = port
        self._console = Console(highlight=False, quiet=as_json)
        self._steps: list[Played] = []

    async def run(self) -> bool:
        """Set the stage, start the daemon, play; True when every check held."""
        from homebridge_svc import app
        from homebridge_svc.config.load import load
        from homebridge_svc.errors import ConfigError
        from homebridge_svc.runtime import logs
        from homebridge_svc.runtime.adb_session import make_key
        from homebridge_svc.runtime.clock import SystemClock
        from homebridge_svc.runtime.redact import Redactor
        from homebridge_svc.virtual_home.mqtt_peer import Broker
        from homebridge_svc.virtual_home.scenario import Player
        from homebridge_svc.virtual_home.stage import HOMES, Addresses, Stage

        redactor, clock = Redactor(), SystemClock(speed=self._speed, trusted=True)
        logs.set_up("warning", redactor)
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with AsyncExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="homebridge-demo-")))
            broker = Broker("127.0.0.1", _free_port())
            home = os.getpid() % HOMES  # several demos on one machine keep apart
            stage = await stack.enter_async_context(Stage(Addresses(broker, home), clock))
            file = stage.write_config(directory, mqtt=f"embedded:{broker.port}", web=f"127.0.0.1:{self._port}")
            make_key(directory / "state" / "adbkey", "homebridge-svc demo")  # as `pair adb` would
            stage.trust(directory / "state" / "adbkey.pub")
            ready: asyncio.Future[app.Running] = asyncio.get_running_loop().create_future()
            daemon = asyncio.create_task(
                app.serve(
                    load(file, app.drivers()),
                    state_dir=directory / "state",
                    stop=stop,
                    clock=clock,
                    redactor=redactor,
                    on_ready=ready.set_result,
                ),
                name="daemon",
            )
            either: set[asyncio.Future[Any]] = {daemon, ready}
            stack.callback(daemon.cancel)  # nothing, unless the play is broken off
            await asyncio.wait(either, timeout=READY_WITHIN, return_when=asyncio.FIRST_COMPLETED)
            if daemon.done():
                daemon.result()
            try:
                await stage.connected(READY_WITHIN)
            except TimeoutError:
                raise ConfigError("demo", f"not all devices were there within {READY_WITHIN:g} s") from None
            if not ready.done():
                raise ConfigError("demo", f"the daemon was not ready within {READY_WITHIN:g} s")
            self._welcome(f"http://127.0.0.1:{ready.result().port}/")
            held = await self._play(Player(stage, clock), stop)
            interrupted = stop.is_set()
            self._farewell(held, interrupted=interrupted)
            if not self._leave and not stop.is_set():
                self._console.print("\nThe virtual home goes on; Ctrl-C ends it. · 虚拟家庭继续运行，按 Ctrl-C 结束。")
                await stop.wait()
            stop.set()
            await daemon
        return held or (interrupted and not self._leave)

    async def _play(self, player: Player, stop: asyncio.Event) -> bool:
        stopped = asyncio.create_task(stop.wait(), name="stop asked")
        steps = player.play(self._story)
        for number, step in enumerate(self._story.steps, 1):
            self._announce(number, step.title)
            playing = asyncio.ensure_future(anext(steps))
            await asyncio.wait({playing, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not playing.done():
                playing.cancel()
                with suppress(asyncio.CancelledError):
                    await playing
                return False
            self._steps.append(playing.result())
            self._show(self._steps[-1])
            if not self._steps[-1].held:
                break
        stopped.cancel()
        return len(self._steps) == len(self._story.steps) and all(step.held for step in self._steps)

    def _welcome(self, address: str) -> None:
        title = self._story.title
        self._console.print(Text(f"{title['en']}\n{title['zh']}", style="bold"))
        self._console.print(
            f"Page · 网页: [bold blue]{address}[/]   speed ×{self._speed:g}"
            + (" (as fast as this story makes sense)" if self._slower else "")
            + "\n"
        )

    def _announce(self, number: int, title: dict[str, str]) -> None:
        self._console.print(Text.assemble((f"{number}. ", "bold"), f"{title['en']}\n   {title['zh']}"))

    def _show(self, played: Played) -> None:
        for check, ok, seen in played.checks:
            mark, style = ("✓", "green") if ok else ("✗", "bold red")
            self._console.print(
                Text.assemble(("   " + mark, style), f" {check}", "" if ok else f"   (seen: {seen[:300]})")
            )
        if played.problem:
            self._console.print(Text(f"   ✗ {played.problem}", style="bold red"))
        self._console.print(Text(f"     after {played.seconds:.0f} s", style="dim"))

    def _farewell(self, held: bool, *, interrupted: bool) -> None:
        if self._as_json:
            steps = [
                {
                    "title": played.step.title,
                    "held": played.held,
                    "seconds": round(played.seconds, 1),
                    "checks": [{"check": check, "ok": ok, "seen": seen} for check, ok, seen in played.checks],
                    "problem": played.problem,
                }
                for played in self._steps
            ]
            print(json.dumps({"scenario": self._story.name, "held": held, "steps": steps}, ensure_ascii=False))
        if interrupted:
            done, style = "Interrupted. · 已中断。", "bold yellow"
        elif held:
            done, style = "Every check held. · 全部符合。", "bold green"
        else:
            done, style = "It did not hold. · 未通过。", "bold red"
        self._console.print(Text(f"\n{done}", style=style))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
