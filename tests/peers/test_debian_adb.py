"""Debian's own adb client against the emulator: what satisfies it is an ADB daemon."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from support.adb import home, until

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(shutil.which("adb") is None, reason="Debian's adb is not installed"),
]
Adb = Callable[..., Awaitable[str]]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
async def adb(tmp_path: Path) -> AsyncIterator[Adb]:
    """Run the client with a server, a home and a key of its own; its output."""
    server = {"HOME": str(tmp_path), "ANDROID_ADB_SERVER_PORT": str(free_port()), "ADB_VENDOR_KEYS": ""}

    async def run(*words: str) -> str:
        client = await asyncio.create_subprocess_exec(
            "adb",
            *words,
            env={**os.environ, **server},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(client.communicate(), 20)
        return output.decode().replace("\r\n", "\n")  # the classic shell is a terminal

    yield run
    await run("kill-server")


async def test_the_real_client_is_let_in_and_its_commands_are_carried_out(adb: Adb) -> None:
    async with home() as here:
        here.daemon.accept_new_keys = True
        serial = f"{here.daemon.host}:{here.daemon.port}"
        await adb("connect", serial)
        await until(lambda: len(here.daemon.keys) == 2)
        await adb("-s", serial, "wait-for-device")
        assert await adb("-s", serial, "shell", "getprop", "ro.product.model") == "XGIMI Z6X\n"
        assert "model:XGIMI_Z6X" in await adb("devices", "-l")
        await adb("-s", serial, "shell", "input", "keyevent", "24", "24")
        assert here.android.body.volume == 17
        assert "Max: 30" in await adb("-s", serial, "shell", "dumpsys audio | grep -A 11 STREAM_MUSIC")
        assert (await adb("-s", serial, "shell", "false; echo $?")).strip() == "1"


async def test_the_real_client_gets_in_with_a_key_that_is_known(adb: Adb) -> None:
    async with home() as here:
        here.daemon.accept_new_keys = True
        serial = f"{here.daemon.host}:{here.daemon.port}"
        await adb("connect", serial)
        await adb("-s", serial, "wait-for-device")
        await adb("disconnect", serial)
        here.daemon.accept_new_keys = False  # nobody is asked any more: the signature must do
        assert "connected" in await adb("connect", serial)
        await adb("-s", serial, "wait-for-device")
        assert await adb("-s", serial, "shell", "echo", "hello") == "hello\n"


async def test_the_real_client_is_refused_when_the_person_says_no(adb: Adb) -> None:
    async with home() as here:
        serial = f"{here.daemon.host}:{here.daemon.port}"
        await adb("connect", serial)
        assert "error" in await adb("-s", serial, "shell", "getprop", "ro.product.model")
        assert here.daemon.opened == []


async def test_long_output_and_several_streams_at_once(adb: Adb) -> None:
    async with home() as here:
        here.daemon.accept_new_keys = True
        serial = f"{here.daemon.host}:{here.daemon.port}"
        await adb("connect", serial)
        await adb("-s", serial, "wait-for-device")
        words = [str(number) * 1000 for number in range(8)]
        outputs = await asyncio.gather(*(adb("-s", serial, "shell", f"x={word}; echo {'$x' * 20}") for word in words))
        assert outputs == [word * 20 + "\n" for word in words]
