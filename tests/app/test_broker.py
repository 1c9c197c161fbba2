"""The embedded broker with the daemon's own link."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import aiomqtt
import pytest
from support.broker import HOST, eventually, free_port

from homebridge_svc.errors import ConfigError
from homebridge_svc.ports import Message
from homebridge_svc.runtime.broker import EmbeddedBroker
from homebridge_svc.runtime.clock import SystemClock
from homebridge_svc.runtime.mqtt_line import Account
from homebridge_svc.runtime.mqtt_link import MqttLink

pytest.importorskip("amqtt", reason="the embedded broker is optional")


def link_to(port: int, states: list[tuple[bool, str]], *, old: bool = True) -> MqttLink:
    return MqttLink(
        Account(HOST, port, "home"),
        SystemClock(),
        "base",
        lambda up, why: states.append((up, why)),
        begin_with_3_1_1=old,
    )


async def stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})


async def test_the_link_works_with_it() -> None:
    port = free_port()
    states: list[tuple[bool, str]] = []
    heard: list[Message] = []
    async with EmbeddedBroker(HOST, port):
        link = link_to(port, states)
        link.subscribe("a/#", heard.append, qos=1)
        running = asyncio.create_task(link.run(), name="link")
        await eventually(lambda: states == [(True, "")], "the connect")
        await link.publish("a/live", "1", qos=1)
        await link.publish("a/kept", "2", qos=1, retain=True)
        await eventually(lambda: len(heard) == 2, "both messages")
        async with aiomqtt.Client(HOST, port) as peer:
            await peer.subscribe([("a/kept", 1), ("base/status", 1)])
            found = {}
            async for message in peer.messages:
                found[message.topic.value] = (message.payload, message.retain)
                if len(found) == 2:
                    break
        await stop(running)
    assert [(message.payload, message.retained, message.age_bound) for message in heard] == [
        (b"1", False, 0.0),
        (b"2", False, 0.0),
    ]
    assert found == {"a/kept": (b"2", True), "base/status": (b"online", True)}


async def test_it_publishes_the_last_will_of_who_vanishes() -> None:
    port = free_port()
    async with EmbeddedBroker(HOST, port), aiomqtt.Client(HOST, port) as peer:
        await peer.subscribe("base/status", 1)
        program = (
            "import paho.mqtt.client as mqtt, os\n"
            "client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)\n"
            "client.will_set('base/status', 'offline', 1, True)\n"
            f"client.connect('{HOST}', {port})\n"
            "client.on_connect = lambda *_: os._exit(0)\n"
            "client.loop_forever()\n"
        )
        await asyncio.to_thread(subprocess.run, [sys.executable, "-c", program], check=True, timeout=20)
        async with asyncio.timeout(5):
            message = await anext(aiter(peer.messages))
    assert message.payload == b"offline"


async def test_a_link_that_begins_with_mqtt_5_finds_its_way() -> None:
    port = free_port()
    states: list[tuple[bool, str]] = []
    async with EmbeddedBroker(HOST, port):
        running = asyncio.create_task(link_to(port, states, old=False).run(), name="link")
        await eventually(lambda: states == [(True, "")], "the connect, after 5 s of silence")
        await stop(running)


async def test_users_are_checked() -> None:
    port = free_port()
    async with EmbeddedBroker(HOST, port, {"home": "secret-1"}):
        async with aiomqtt.Client(HOST, port, username="home", password="secret-1") as peer:
            await peer.publish("a", "b", 1)
        for name, password in (("home", "wrong"), ("nobody", "secret-1"), ("nobody", ""), (None, None)):
            with pytest.raises(aiomqtt.MqttError):
                async with aiomqtt.Client(HOST, port, username=name, password=password, timeout=2):
                    pass


async def test_without_users_it_stays_on_loopback() -> None:
    with pytest.raises(ConfigError, match="users"):
        await EmbeddedBroker("0.0.0.0", free_port()).__aenter__()  # noqa: S104  that is what is refused


async def test_a_taken_port_is_a_configuration_error() -> None:
    port = free_port()
    async with EmbeddedBroker(HOST, port):
        with pytest.raises(ConfigError, match="taken"):
            await EmbeddedBroker(HOST, port).__aenter__()


def test_it_says_how_to_install_it() -> None:
    program = (
        "import asyncio, sys\n"
        "sys.modules['amqtt'] = None\n"  # what the import system itself uses for 'not there'
        "from homebridge_svc.runtime.broker import EmbeddedBroker\n"
        "asyncio.run(EmbeddedBroker('127.0.0.1', 1).__aenter__())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=30)
    assert "ConfigError" in done.stderr
    assert "homebridge-svc[demo]" in done.stderr
