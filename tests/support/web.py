"""A small desk for tests of the web: a home in memory that reacts to commands at once, with a journal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count

from pydantic import SecretStr

from homebridge_svc.core.events import CommandHeard
from homebridge_svc.core.model import DeviceView, Json, Now
from homebridge_svc.core.orders import Answer, Say
from homebridge_svc.ports import Row
from homebridge_svc.web.server import WebServer

TOKEN = "the family token"
EVENING = datetime(2025, 11, 21, 12, 30, tzinfo=UTC)  # 20:30 in Shanghai


class HandClock:
    """A clock that moves when told."""

    def __init__(self, at: datetime = EVENING) -> None:
        self._now = Now(at, 1000.0)

    def now(self) -> Now:
        return self._now

    async def sleep(self, seconds: float) -> None:
        self.forward(seconds)

    def real(self, seconds: float) -> float:
        return seconds

    def policy(self, unix: float) -> float:
        return unix

    def forward(self, seconds: float) -> None:
        self._now = Now(self._now.utc + timedelta(seconds=seconds), self._now.mono + seconds)


class ListChronicle:
    """The journal as a list, oldest first."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def recent(self, limit: int = 100) -> list[Row]:
        return self.rows[: -limit - 1 : -1]

    def chain(self, chain_id: str | None) -> list[Row]:
        wanted = chain_id or next((row.chain for row in reversed(self.rows) if row.kind == "heard"), None)
        found = next((row.chain for row in self.rows if wanted and row.chain and row.chain.startswith(wanted)), None)
        return [row for row in self.rows if found and row.chain == found]


def quiet_home() -> dict[str, DeviceView]:
    """One device of each kind, at rest."""
    projector: dict[str, Json] = {
        "power": "off", "phase": "off", "desired": "off", "watts": 1.2, "volume": 14, "volume_max": 30, "muted": False,
        "input": "hdmi1", "app": None, "plug": True, "channels": {"adb": "down", "udp": "up", "ir": "unknown"},
        "inputs": ["hdmi1", "hdmi2", "home"], "apps": ["哔哩哔哩", "腾讯视频"], "waiting": [],
        "why": "", "why_zh": "", "ready_at": None,
    }  # fmt: skip
    pump: dict[str, Json] = {
        "phase": "idle", "running": False, "desired": "off", "ends_at": None, "remaining_s": None, "temperature": 24.5,
        "watts": 0.0, "last_stop": "it is warm", "last_stop_zh": "水热了", "last_run_s": 142,
        "starts_last_hour": 1, "run_seconds_today": 640,
        "locked": None, "locked_zh": None,
        "unattended": "its dead-man is not proven",
    }  # fmt: skip
    return {
        "living_room": DeviceView("living_room", "projector", "客厅投影", available=True, state=projector),
        "bathroom": DeviceView("bathroom", "pump", "热水", available=True, state=pump),
        "lamp": DeviceView("lamp", "plug", "落地灯", available=True, state={"on": True, "watts": 8.4, "owner": None}),
        "return_temperature": DeviceView(
            "return_temperature", "sensor", "回水温度", available=True, state={"value": 24.5, "unit": "°C"}
        ),
    }


class LittleDesk:
    """Implements ports.Desk. `boot`: real seconds between `power on` and on."""

    def __init__(self, clock: HandClock | None = None, *, boot: float = 0.05) -> None:
        self.clock = clock or HandClock()
        self.chronicle = ListChronicle()
        self.devices = quiet_home()
        self.asked: list[CommandHeard] = []
        self.busy = False
        self.silent = False
        self.heartbeat_age = 1.0
        self._boot = boot
        self._answers: dict[str, asyncio.Queue[Answer]] = {}
        self._watchers: set[asyncio.Event] = set()

    def snapshot(self) -> dict[str, DeviceView]:
        return dict(self.devices)

    async def ask(self, command: CommandHeard, *, wait: float) -> list[Answer]:
        self.asked.append(command)
        if self.busy:
            return [Answer(command.id, command.device, Say.BUSY, "too many commands at once", "命令太多")]
        answers: list[Answer] = []
        queue = self._answers.setdefault(command.id, asyncio.Queue())
        if not self.silent:
            self._react(command)
        try:
            async with asyncio.timeout(wait):
                while not answers or not answers[-1].say.final:
                    answers.append(await queue.get())
        except TimeoutError:
            pass
        return answers

    async def changes(self) -> AsyncIterator[None]:
        watcher = asyncio.Event()
        self._watchers.add(watcher)
        try:
            while True:
                await watcher.wait()
                watcher.clear()
                yield
        finally:
            self._watchers.discard(watcher)

    def figures(self) -> Mapping[str, float]:
        return {
            "homebridge_heartbeat_age_seconds": self.heartbeat_age,
            "homebridge_commandheard_total": float(len(self.asked)),
            'homebridge_orders_total{result="done"}': 3.0,
            'homebridge_orders_total{result="failed"}': 1.0,
        }

    def change(self, key: str, *, available: bool = True, **state: Json) -> None:
        """Let a device change by itself."""
        view = self.devices[key]
        self.devices[key] = DeviceView(key, view.kind, view.name, available=available, state={**view.state, **state})
        for watcher in self._watchers:
            watcher.set()

    def write(self, chain: str | None, kind: str, device: str | None, text: str, **data: Json) -> None:
        """Add a journal row."""
        self.chronicle.rows.append(Row(self.clock.now().utc.timestamp(), chain, kind, device, text, data))
        self.clock.forward(0.01)

    def say(self, command: CommandHeard, say: Say, why: str, zh: str) -> None:
        """Answer a command."""
        self.write(command.id, "answered", command.device, f"{say}: {why}", say=say.value, zh=zh)
        if queue := self._answers.get(command.id):
            queue.put_nowait(Answer(command.id, command.device, say, why, zh))

    def _react(self, command: CommandHeard) -> None:
        self.write(command.id, "heard", command.device, f"{command.text!r} from {command.origin}", command=True)
        match command.device, command.text.split():
            case "living_room", ["power", "on"]:
                self.say(command, Say.ACCEPTED, "woken over udp, it boots", "好的，正在开机")
                self.write(command.id, "sent", "living_room.udp", "Wake to living_room.udp: first of udp, plug_cycle")
                self.write(command.id, "confirmed", "living_room.udp", "Wake to living_room.udp: done")
                ready = (self.clock.now().utc + timedelta(seconds=45)).isoformat(timespec="seconds")
                self.change("living_room", phase="booting", power="on", desired="on", watts=38, ready_at=ready)
                self.change("living_room", why="it draws 38 W", why_zh="功率 38 W")
                asyncio.get_running_loop().call_later(self._boot, self._booted, command)
            case "living_room", ["power", "off"]:
                self.change(
                    "living_room", phase="cooling", power="cooling", desired="off", watts=22, why="the fan runs on"
                )
                self.say(command, Say.DONE, "it said good-bye over adb", "已关")
            case "living_room", ["power", "light_off"]:
                self.change("living_room", phase="light_off", power="light_off", watts=18)
                self.say(command, Say.DONE, "the light engine is off", "已熄屏，声音继续")
            case "living_room", ["volume", level]:
                self.change("living_room", volume=int(level))
                self.say(command, Say.DONE, f"volume is {level}", f"音量 {level}")
            case "bathroom", ["run", *limit]:
                seconds = 60 * int(limit[0].rstrip("m")) if limit else 300
                self.write(command.id, "decided", "bathroom", f"runs until warm, {seconds} s at most [pump cycle 2]")
                self.write(
                    command.id, "sent", "pump_plug", f"SwitchOn dead_man={seconds + 60} to pump_plug: a person asked"
                )
                self.say(command, Say.ACCEPTED, f"hot water in {seconds} s at most", "热水来了")
                ends = self.clock.now().utc.timestamp() + seconds
                self.change(
                    "bathroom",
                    phase="running",
                    running=True,
                    ends_at=ends,
                    remaining_s=seconds,
                    temperature=26.0,
                    watts=41,
                )
            case "bathroom", ["stop"]:
                self.change(
                    "bathroom",
                    phase="resting",
                    running=False,
                    ends_at=None,
                    remaining_s=None,
                    last_stop="stopped by hand",
                    last_stop_zh="手动停止",
                )
                self.say(command, Say.DONE, "the plug says off", "已停")
            case "lamp", ["on" | "off" as verb]:
                self.change("lamp", on=verb == "on")
                self.say(command, Say.DONE, "the plug says so", "完成")
            case _:
                self.say(command, Say.REFUSED, f"nobody taught me {command.text!r}", f"听不懂「{command.text}」")
        self.change("lamp")

    def _booted(self, command: CommandHeard) -> None:
        self.say(command, Say.DONE, "adb says the screen is on", "已开")
        channels: dict[str, Json] = {"adb": "up", "udp": "up", "ir": "unknown"}
        self.change("living_room", phase="on", power="on", watts=96, channels=channels, ready_at=None)
        self.change("living_room", why="adb says that it is awake, 96 W", why_zh="ADB 已就绪，96 W")


@asynccontextmanager
async def serving(
    desk: LittleDesk, *, token: str | None = TOKEN, port: int = 0, names: Iterable[str] = ()
) -> AsyncIterator[tuple[WebServer, str]]:
    """A running server and its address."""
    ids = count(1)
    server = WebServer(
        "127.0.0.1",
        port,
        desk=desk,
        clock=desk.clock,
        token=SecretStr(token) if token else None,
        new_id=lambda: f"id{next(ids)}",
        names=list(names),
        version="0.test",
    )
    async with server:
        follower = asyncio.create_task(server.run(), name="web")
        try:
            yield server, f"http://127.0.0.1:{server.port}"
        finally:
            follower.cancel()
            await asyncio.wait([follower])


async def until(check: Callable[[], Awaitable[bool]], within: float = 10.0) -> None:
    """Poll a condition that real sockets bring about."""
    async with asyncio.timeout(within):
        while not await check():  # noqa: ASYNC110  what changes is behind a socket
            await asyncio.sleep(0.05)
