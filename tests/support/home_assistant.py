"""A real Home Assistant in a directory of its own, set up before its first start: broker, owner, token.

Nothing of it leaves loopback: it is started without its default integrations, and its web server has an address and a
port of its own.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import itertools
import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import aiomqtt
import pytest

VERSION = "2025.4.4"
OWNER = "0" * 31 + "1"
KEY = "5" * 128  # signs the only token of a Home Assistant that lives for one test
STARTS_WITHIN = 60.0  # real seconds; 8 to 15 on an idle machine
CONFIGURATION = """\
homeassistant:
  name: Test
  time_zone: Asia/Shanghai
  unit_system: metric
http:
  server_host: {host}
  server_port: {port}
websocket_api:
api:
config:
logger:
  default: warning
"""


def found() -> Path | None:
    """Its bin directory, from the environment or the cache that `scripts/test --install-peers` fills."""
    named = os.environ.get("HOMEBRIDGE_HOME_ASSISTANT")
    if named:
        return Path(named)
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = caches / "homebridge_svc" / f"home-assistant-{VERSION}"
    return home / "bin" if (home / ".complete").exists() else None


needs_home_assistant = pytest.mark.skipif(
    found() is None,
    reason=f"no Home Assistant {VERSION}: not in the cache, and HOMEBRIDGE_HOME_ASSISTANT names no bin directory",
)


class HomeAssistant:
    """`start` and `stop` as often as you like: it keeps its storage in between. `states` follows every entity."""

    def __init__(self, directory: Path, broker_port: int) -> None:
        self.host = f"127.88.{os.getpid() % 250 + 1}.{os.getpid() // 250 % 250 + 1}"
        self.port = 0
        self.states: dict[str, dict[str, Any]] = {}  # entity id -> its state object
        self.changes: list[tuple[str, str]] = []  # (entity id, state), in order
        self._log = directory / "home-assistant.log"
        self._directory = directory
        self._broker_port = broker_port
        self._process: asyncio.subprocess.Process | None = None
        self._stack = contextlib.AsyncExitStack()
        self._socket: aiohttp.ClientWebSocketResponse
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._entities: dict[str, str] = {}  # unique id -> entity id

    async def start(self) -> float:
        """Start it and follow its states; return how many seconds it took to answer."""
        began = time.monotonic()
        if not self.port:
            self.port = _free_port(self.host)
            self._prepare()
        bin_directory = found()
        assert bin_directory is not None
        self._process = await asyncio.create_subprocess_exec(
            *(str(bin_directory / "hass"), "-c", str(self._directory), "--skip-pip", "--log-file", str(self._log)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env={"PATH": f"{bin_directory}:{os.environ['PATH']}", "HOME": str(self._directory), "LANG": "C.UTF-8"},
        )
        session = await self._stack.enter_async_context(aiohttp.ClientSession())
        url = f"http://{self.host}:{self.port}/api/websocket"
        while True:
            assert self._process.returncode is None, self.tail()
            assert time.monotonic() - began < STARTS_WITHIN, self.tail()
            with contextlib.suppress(aiohttp.ClientError):
                self._socket = await session.ws_connect(url, max_msg_size=0)
                break
            await asyncio.sleep(0.1)
        assert (await self._socket.receive_json())["type"] == "auth_required"
        await self._socket.send_json({"type": "auth", "access_token": _token()})
        assert (await self._socket.receive_json())["type"] == "auth_ok"
        listener = asyncio.create_task(self._listen(), name="home assistant")
        self._stack.callback(listener.cancel)
        await self.ask("subscribe_events", event_type="state_changed")
        self.states = {state["entity_id"]: state for state in await self.ask("get_states")}
        return time.monotonic() - began

    async def stop(self) -> None:
        """End it as a system would; it has written its storage then."""
        await self._stack.aclose()
        self._stack = contextlib.AsyncExitStack()
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), 20)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        self._process = None

    async def ask(self, kind: str, **more: Any) -> Any:  # noqa: ANN401  whatever it answers
        """Send one WebSocket command; return its result."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "type": kind, **more})
        return await asyncio.wait_for(answer, 20)

    async def call(self, service: str, unique_id: str, **data: Any) -> None:  # noqa: ANN401  whatever it takes
        """Call a service as its own page does."""
        domain, name = service.split(".")
        target = {"entity_id": self._entities[unique_id]}
        await self.ask("call_service", domain=domain, service=name, service_data=data, target=target)

    async def look_up(self) -> dict[str, str]:
        """Read the registry: unique id -> entity id."""
        registry = await self.ask("config/entity_registry/list")
        self._entities = {entry["unique_id"]: entry["entity_id"] for entry in registry if entry["platform"] == "mqtt"}
        return self._entities

    async def devices(self) -> dict[str, dict[str, Any]]:
        """Read the registry: our identifier -> device."""
        registry = await self.ask("config/device_registry/list")
        return {id_: device for device in registry for kind, id_ in device["identifiers"] if kind == "mqtt"}

    def state(self, unique_id: str) -> str | None:
        """What an entity shows; None: there is no such entity."""
        state = self.states.get(self._entities.get(unique_id, ""))
        return None if state is None else state["state"]

    def attributes(self, unique_id: str) -> dict[str, Any]:
        """What an entity shows besides its state."""
        attributes: dict[str, Any] = self.states[self._entities[unique_id]]["attributes"]
        return attributes

    async def discovers(self, wanted: Callable[[set[str], set[str]], bool], within: float = 20.0) -> None:
        """Wait until its registries hold what is wanted: (our device identifiers, unique ids of entities)."""
        for _ in range(int(within / 0.2)):
            if wanted(set(await self.devices()), set(await self.look_up())):
                return
            await asyncio.sleep(0.2)
        pytest.fail(f"not discovered: {sorted(await self.devices())} {sorted(self._entities)}\n{self.tail()}")

    def complaints(self) -> list[str]:
        """Warnings and errors of all its runs that come from MQTT or name one of our entities."""
        words = ("mqtt", "homebridge", *self._entities.values())
        lines = [line for log in self._directory.glob("home-assistant.log*") for line in _lines(log)]
        loud = [line for line in lines if " WARNING " in line or " ERROR " in line]
        return [line for line in loud if any(word in line for word in words)]

    def tail(self) -> str:
        """The end of its log."""
        return "\n".join(_lines(self._log)[-30:])

    async def _listen(self) -> None:
        async for message in self._socket:
            said = message.json()
            if said["type"] == "result":
                answer = self._answers.pop(said["id"])
                if said["success"]:
                    answer.set_result(said["result"])
                else:
                    answer.set_exception(AssertionError(said["error"]))
            elif said["type"] == "event":
                changed = said["event"]["data"]
                new = changed["new_state"]
                if new is None:
                    self.states.pop(changed["entity_id"], None)
                else:
                    self.states[changed["entity_id"]] = new
                    self.changes.append((changed["entity_id"], new["state"]))

    def _prepare(self) -> None:
        (self._directory / "configuration.yaml").write_text(CONFIGURATION.format(host=self.host, port=self.port))
        entry = {
            "entry_id": "mqtt",
            "version": 1,
            "minor_version": 2,
            "domain": "mqtt",
            "title": "mosquitto",
            "data": {"broker": "127.0.0.1", "port": self._broker_port},
            "options": {"discovery": True, "discovery_prefix": "homeassistant"},
            "pref_disable_new_entities": False,
            "pref_disable_polling": False,
            "source": "user",
            "unique_id": None,
            "disabled_by": None,
            "discovery_keys": {},
            "subentries": [],
            "created_at": "2025-01-01T00:00:00+00:00",
            "modified_at": "2025-01-01T00:00:00+00:00",
        }
        owner = {
            "id": OWNER,
            "group_ids": ["system-admin"],
            "is_owner": True,
            "is_active": True,
            "name": "Owner",
            "system_generated": False,
            "local_only": False,
        }
        token = {
            "id": OWNER,
            "user_id": OWNER,
            "client_id": None,
            "client_name": "test",
            "client_icon": None,
            "token_type": "long_lived_access_token",
            "created_at": "2025-01-01T00:00:00+00:00",
            "access_token_expiration": 315_360_000.0,
            "token": KEY,
            "jwt_key": KEY,
            "last_used_at": None,
            "last_used_ip": None,
            "expire_at": None,
            "credential_id": None,
            "version": VERSION,
        }
        group = {"id": "system-admin", "name": "Administrators"}
        auth = {"users": [owner], "groups": [group], "credentials": [], "refresh_tokens": [token]}
        self._store("core.config_entries", 1, 5, {"entries": [entry]})
        self._store("auth", 1, 1, auth)
        steps = {"done": ["user", "core_config", "integration", "analytics"]}
        self._store("onboarding", 4, 1, steps)

    def _store(self, key: str, version: int, minor: int, data: dict[str, Any]) -> None:
        folder = self._directory / ".storage"
        folder.mkdir(exist_ok=True)
        record = {"version": version, "minor_version": minor, "key": key, "data": data}
        (folder / key).write_text(json.dumps(record), encoding="utf-8")


def _lines(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []


async def forget(broker_port: int, *topic_filters: str) -> None:
    """Make the broker forget what is retained under these filters."""
    async with aiomqtt.Client("127.0.0.1", broker_port) as peer:
        for topic_filter in topic_filters:
            await peer.subscribe(topic_filter, 1)
        await peer.subscribe("forget/marker", 1)
        await peer.publish("forget/marker", "retained ones come before it", 1)
        async for message in peer.messages:
            if message.topic.matches("forget/marker"):
                break
            if message.retain:
                await peer.publish(str(message.topic), b"", 1, retain=True)


def _token() -> str:
    now = int(time.time())
    claims = {"iss": OWNER, "iat": now - 60, "exp": now + 86_400}
    body = b".".join(_base64(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return (body + b"." + _base64(hmac.digest(KEY.encode(), body, hashlib.sha256))).decode()


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _free_port(host: str) -> int:
    with socket.create_server((host, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
