"""A real mosquitto that can be stopped and started again on the same port, and a cable to it that can be cut."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import shutil
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Self

import aiomqtt
import pytest

HOST = "127.0.0.1"
needs_broker = pytest.mark.skipif(shutil.which("mosquitto") is None, reason="mosquitto is not installed")


def free_port() -> int:
    with socket.create_server((HOST, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


async def eventually(holds: Callable[[], object], what: str, within: float = 10.0) -> None:
    """Poll until `holds()`; fail after `within` real seconds."""
    try:
        async with asyncio.timeout(within):
            while not holds():  # noqa: ASYNC110  what is waited for is the outside world
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail(f"not within {within} s: {what}")


class RestartableBroker:
    def __init__(self, directory: Path, *settings: str) -> None:
        self.port = free_port()
        self._directory = directory
        self._settings = settings or ("allow_anonymous true",)
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        config = self._directory / "mosquitto.conf"
        config.write_text(
            "\n".join(
                [f"listener {self.port} {HOST}", "persistence false", f"user {getpass.getuser()}", *self._settings, ""]
            )
        )
        self._process = await asyncio.create_subprocess_exec(
            "mosquitto", "-c", str(config), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection(HOST, self.port)
                    writer.close()
                    return
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
            self._process = None

    async def say(self, topic: str, payload: str | bytes, *, qos: int = 1, retain: bool = False) -> None:
        """Publish as somebody else."""
        async with aiomqtt.Client(HOST, self.port) as peer:
            await peer.publish(topic, payload, qos, retain)

    @contextlib.asynccontextmanager
    async def overheard(self, topic_filter: str) -> AsyncIterator[list[tuple[str, str, bool]]]:
        """(topic, payload, retained) of all that somebody else hears, growing."""
        heard: list[tuple[str, str, bool]] = []

        async def listen() -> None:
            async for message in peer.messages:
                assert isinstance(message.payload, bytes)
                heard.append((message.topic.value, message.payload.decode(), message.retain))

        async with aiomqtt.Client(HOST, self.port) as peer:
            await peer.subscribe(topic_filter, 1)
            listening = asyncio.create_task(listen(), name="peer listens")
            try:
                yield heard
            finally:
                listening.cancel()


@contextlib.asynccontextmanager
async def real_broker(directory: Path, *settings: str) -> AsyncIterator[RestartableBroker]:
    broker = RestartableBroker(directory, *settings)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()


class Cable:
    """A TCP proxy: `cut` breaks what runs over it; flags make it refuse, or lose what goes up or comes down."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self.refuses = False
        self.loses_up = False
        self.loses_down = False
        self.refuses_mqtt5 = False
        self._target = target
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._plug_in, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()
        self._server.close()

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _plug_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            writer.transport.abort()
            return
        begin = await reader.read(4096)
        if self.refuses_mqtt5 and begin[8] == 5:  # the protocol level in CONNECT
            writer.write(b"\x20\x02\x00\x01")  # CONNACK of 3.1.1: unacceptable protocol version
            writer.close()
            return
        up_reader, up_writer = await asyncio.open_connection(HOST, self._target)
        self._writers |= {writer, up_writer}
        up_writer.write(begin)
        down = asyncio.create_task(self._carry(up_reader, writer, lambda: self.loses_down), name="cable down")
        await self._carry(reader, up_writer, lambda: self.loses_up)
        await down

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, loses: Callable[[], bool]) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if not loses():
                    sink.write(data)
        sink.close()
