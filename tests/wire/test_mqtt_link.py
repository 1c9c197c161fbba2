"""The one MQTT connection on a real mosquitto: what arrives, how old it may be, and what never leaves late."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiomqtt
import pytest
from paho.mqtt.client import Client as PahoClient
from support.broker import HOST, Cable, RestartableBroker, eventually, needs_broker, real_broker

from homebridge_svc.errors import ConfigError, OutcomeUnknown, Unreachable
from homebridge_svc.ports import Message
from homebridge_svc.runtime.clock import SystemClock
from homebridge_svc.runtime.mqtt_line import Account
from homebridge_svc.runtime.mqtt_link import MAX_PAYLOAD, Freshness, MqttLink
from homebridge_svc.runtime.retry import Backoff

pytestmark = [needs_broker, pytest.mark.peer]


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[RestartableBroker]:
    async with real_broker(tmp_path, "allow_anonymous true", "max_queued_messages 10000") as running:
        yield running


class Home:
    """A link with what its owner saw of it."""

    def __init__(self, port: int, *, session_expiry: int = 15, client_id: str = "home", password: str = "") -> None:
        self.states: list[tuple[bool, str]] = []
        self.connects = 0
        account = Account(HOST, port, client_id, None, "home" if password else None, password or None)
        self.link = MqttLink(
            account,
            SystemClock(),
            "base",
            lambda up, why: self.states.append((up, why)),
            session_expiry=session_expiry,
            backoff=Backoff(0.05, 0.1),
        )
        self.link.on_connect(self._connected)

    async def _connected(self) -> None:
        self.connects += 1

    def listen(self, topic_filter: str, qos: int = 0) -> list[Message]:
        heard: list[Message] = []
        self.link.subscribe(topic_filter, heard.append, qos=qos)
        return heard

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        before = self.connects
        task = asyncio.create_task(self.link.run(), name="link")
        try:
            await eventually(lambda: self.connects > before, "the first connect")
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def test_a_live_message_arrives_with_everything_it_said(broker: RestartableBroker) -> None:
    home = Home(broker.port)
    heard = home.listen("a/+/set", qos=1)
    async with home.running():
        await broker.say("a/b/set", b"\xff\x00power on")
        await eventually(lambda: heard, "the message")
    (message,) = heard
    assert (message.topic, message.payload, message.qos) == ("a/b/set", b"\xff\x00power on", 1)
    assert (message.retained, message.dup_flag, message.age_bound) == (False, False, 0.0)
    assert message.packet_id > 0


async def test_retained_messages_are_marked(broker: RestartableBroker) -> None:
    await broker.say("plug/state", "ON", retain=True)
    home = Home(broker.port)
    heard = home.listen("plug/#")
    async with home.running():
        await eventually(lambda: heard, "the retained message")
    assert heard[0].retained


async def test_overlapping_filters_hear_a_message_once_each(broker: RestartableBroker) -> None:
    home = Home(broker.port)
    wide, narrow, again = home.listen("a/#"), home.listen("a/b", qos=1), home.listen("a/b")
    async with home.running():
        await broker.say("a/b", "one")
        await broker.say("a/end", "end")
        await eventually(lambda: len(wide) == 2, "both messages")
    assert [len(wide), len(narrow), len(again)] == [2, 1, 1]


async def test_a_restarted_broker_is_found_again(broker: RestartableBroker) -> None:
    home = Home(broker.port)
    heard = home.listen("a/b", qos=1)
    async with home.running():
        await broker.stop()
        await eventually(lambda: not home.states[-1][0], "the loss is told")
        with pytest.raises(Unreachable):
            await home.link.publish("a/c", "too late by then")
        await broker.start()
        await eventually(lambda: home.connects == 2, "the callbacks are called again")
        await broker.say("a/b", "again")
        await eventually(lambda: heard, "the subscription stands again")
    assert heard[0].age_bound == 0.0  # the broker forgot our session: nothing can have waited in it
    assert [up for up, _ in home.states][:2] == [True, False]
    assert len(home.states) == len(set(home.states)) + 1, "one state per change, not per retry"


async def test_status_is_online_while_we_run_and_offline_otherwise(broker: RestartableBroker) -> None:
    async with Cable(broker.port) as cable, broker.overheard("base/status") as heard:
        home = Home(cable.port)
        async with home.running():
            await eventually(lambda: heard, "online")
            cable.cut()
            await eventually(lambda: home.connects == 2, "back again")
        await eventually(lambda: len(heard) == 4, "offline at the stop")
    assert [payload for _, payload, _ in heard] == ["online", "offline", "online", "offline"]
    async with broker.overheard("base/status") as retained:
        await eventually(lambda: retained, "the retained status")
    assert retained == [("base/status", "offline", True)]


async def test_a_command_sent_while_we_were_briefly_away_arrives_once_and_tells_its_age(
    broker: RestartableBroker,
) -> None:
    async with Cable(broker.port) as cable:
        home = Home(cable.port, session_expiry=5)
        heard = home.listen("a/set", qos=1)
        async with home.running():
            cable.refuses = True
            cable.cut()
            await eventually(lambda: not home.states[-1][0], "the loss")
            sent = time.monotonic()
            await broker.say("a/set", "power on")
            await asyncio.sleep(1.0)
            cable.refuses = False
            await eventually(lambda: heard, "the queued command")
            age = time.monotonic() - sent
            await broker.say("a/set", "live")
            await eventually(lambda: len(heard) == 2, "a live one")
            await eventually(lambda: home.connects == 2, "the connect")
            await asyncio.sleep(0.2)
            await broker.say("a/set", "proven")
            await eventually(lambda: len(heard) == 3, "one after the probe is back")
    assert [message.payload for message in heard] == [b"power on", b"live", b"proven"]
    assert age - 0.1 <= heard[0].age_bound <= age + 2
    assert heard[2].age_bound == 0.0


async def test_a_command_older_than_the_session_never_arrives(broker: RestartableBroker) -> None:
    async with Cable(broker.port) as cable:
        home = Home(cable.port, session_expiry=1)
        heard = home.listen("a/set", qos=1)
        async with home.running():
            cable.refuses = True
            cable.cut()
            await eventually(lambda: not home.states[-1][0], "the loss")
            await broker.say("a/set", "power on")
            await asyncio.sleep(3.0)
            cable.refuses = False
            await eventually(lambda: home.connects == 2, "back again")
            await broker.say("a/set", "live")
            await eventually(lambda: heard, "the live one")
    assert [message.payload for message in heard] == [b"live"]


async def test_the_queue_of_a_former_run_is_as_old_as_the_session_expiry(broker: RestartableBroker) -> None:
    former = Home(broker.port)
    former.listen("a/set", qos=1)
    async with former.running():
        pass
    await broker.say("a/set", "power on")
    home = Home(broker.port)
    heard = home.listen("a/set", qos=1)
    async with home.running():
        await eventually(lambda: heard, "the queued command")
    assert heard[0].age_bound == 15.0


async def test_dup_is_told_for_a_message_that_the_broker_sends_again(broker: RestartableBroker) -> None:
    async with Cable(broker.port) as cable:
        home = Home(cable.port)
        heard = home.listen("a/set", qos=1)
        async with home.running():
            cable.loses_up = True  # our acknowledgement gets lost
            await broker.say("a/set", "power on")
            await eventually(lambda: heard, "the first delivery")
            cable.loses_up = False
            cable.cut()
            await eventually(lambda: len(heard) == 2, "the second delivery")
    assert [message.dup_flag for message in heard] == [False, True]
    assert heard[0].packet_id == heard[1].packet_id


async def test_an_unacknowledged_publish_is_unknown_and_never_sent_again(broker: RestartableBroker) -> None:
    async with Cable(broker.port) as cable, broker.overheard("relay/#") as heard:
        home = Home(cable.port)
        async with home.running():
            cable.loses_up = True
            began = time.monotonic()
            with pytest.raises(OutcomeUnknown):
                await home.link.publish("relay/set", "ON", qos=1)
            assert time.monotonic() - began < 2.5
            cable.cut()
            cable.loses_up = False
            await eventually(lambda: home.connects == 2, "back again")
            await home.link.publish("relay/set", "OFF", qos=1)
            await eventually(lambda: heard, "the new order")
            await asyncio.sleep(0.3)
    assert [payload for _, payload, _ in heard] == ["OFF"]


async def test_a_publish_whose_answer_is_lost_is_sent_once(broker: RestartableBroker) -> None:
    async with Cable(broker.port) as cable, broker.overheard("relay/#") as heard:
        home = Home(cable.port)
        async with home.running():
            cable.loses_down = True
            with pytest.raises(OutcomeUnknown):
                await home.link.publish("relay/set", "ON", qos=1)
            cable.cut()
            cable.loses_down = False
            await eventually(lambda: home.connects == 2, "back again")
            await asyncio.sleep(0.3)
    assert [payload for _, payload, _ in heard] == ["ON"]


async def test_a_hundred_publishes_at_once_are_taken(broker: RestartableBroker) -> None:
    async with broker.overheard("out/#") as heard:
        home = Home(broker.port)
        async with home.running():
            await asyncio.gather(*(home.link.publish(f"out/{n}", str(n), qos=n % 2) for n in range(100)))
            await eventually(lambda: len(heard) == 100, "all of them")


async def test_a_failing_handler_harms_nobody_else(broker: RestartableBroker, caplog: pytest.LogCaptureFixture) -> None:
    home = Home(broker.port)

    def clumsy(message: Message) -> None:
        raise ZeroDivisionError(message.topic)

    home.link.subscribe("a/set", clumsy)
    heard = home.listen("a/set")
    async with home.running():
        for _ in range(3):
            await broker.say("a/set", "x")
        await eventually(lambda: len(heard) == 3, "the other handler")
    assert home.connects == 1
    assert home.link.counts["handler_errors"] == 3
    assert len([record for record in caplog.records if "handler of a/set" in record.getMessage()]) == 1


async def test_a_huge_payload_is_dropped(broker: RestartableBroker, caplog: pytest.LogCaptureFixture) -> None:
    home = Home(broker.port)
    heard = home.listen("a/#")
    async with home.running():
        await broker.say("a/big", b"x" * (MAX_PAYLOAD + 1))
        await broker.say("a/big", b"x" * (MAX_PAYLOAD + 1))
        await broker.say("a/big", b"x" * MAX_PAYLOAD)
        await eventually(lambda: heard, "the one that is just small enough")
    assert len(heard) == 1
    assert home.link.counts["oversized"] == 2
    assert len([record for record in caplog.records if "dropped" in record.getMessage()]) == 1


@pytest.fixture
def frozen_heap() -> Iterator[None]:
    """A full collection over the test runner's heap takes 30 ms; that is not what is measured."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("frozen_heap")
async def test_a_flood_of_5000_loses_nothing_and_never_holds_the_loop(broker: RestartableBroker) -> None:
    home = Home(broker.port)
    heard = home.listen("flood", qos=1)
    longest = 0.0

    async def measure() -> None:
        nonlocal longest
        while True:
            before = time.thread_time()  # our own work between two turns: the machine's other work does not count
            await asyncio.sleep(0.002)
            longest = max(longest, time.thread_time() - before)

    async with home.running():
        meter = asyncio.create_task(measure(), name="loop lag")
        flood = await asyncio.create_subprocess_exec(
            "mosquitto_pub", "-h", HOST, "-p", str(broker.port), "-t", "flood", "-q", "1", "-l",
            stdin=asyncio.subprocess.PIPE,
        )  # fmt: skip
        await flood.communicate("".join(f"{n}\n" for n in range(5000)).encode())
        await eventually(lambda: len(heard) >= 5000, "5,000 messages", within=30)
        meter.cancel()
    assert [int(message.payload) for message in heard] == list(range(5000))
    assert longest < 0.05


async def test_a_wrong_password_is_said_plainly(tmp_path: Path) -> None:
    async with real_broker(tmp_path, "allow_anonymous false") as broker:
        home = Home(broker.port, password="wrong-password")
        task = asyncio.create_task(home.link.run(), name="link")
        await eventually(lambda: home.states, "the state")
        await asyncio.sleep(0.5)  # several more attempts
        task.cancel()
        await asyncio.wait({task})
    assert home.states == [(False, "the broker refuses our user name or password")]


async def test_an_absent_broker_is_said_plainly() -> None:
    home = Home(1)
    task = asyncio.create_task(home.link.run(), name="link")
    await eventually(lambda: home.states, "the state")
    task.cancel()
    await asyncio.wait({task})
    assert home.states[0][1].startswith("no broker: ")


async def test_a_broker_without_mqtt_5_gets_3_1_1(broker: RestartableBroker) -> None:
    async with Cable(broker.port) as cable:
        cable.refuses_mqtt5 = True
        home = Home(cable.port)
        heard = home.listen("a/set", qos=1)
        async with home.running():
            await broker.say("a/set", "power on")
            await eventually(lambda: heard, "the message")
            await home.link.publish("b", "x", qos=1)
    assert [up for up, _ in home.states] == [True]


async def test_a_broker_whose_acl_hides_the_probe_is_believed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite a/#\ntopic readwrite base/status\n")
    acl.chmod(0o600)
    async with real_broker(tmp_path, "allow_anonymous true", f"acl_file {acl}") as broker:
        home = Home(broker.port)
        heard = home.listen("a/set", qos=1)
        async with home.running():
            await eventually(lambda: "ACL" in caplog.text, "the hint")
            await broker.say("a/set", "power on")
            await eventually(lambda: heard, "the message")
    assert home.connects == 1
    assert heard[0].age_bound == 0.0


async def test_stopping_during_a_connect_leaves_nothing_behind(broker: RestartableBroker) -> None:
    async with Cable(broker.port) as cable:
        cable.loses_down = True
        home = Home(cable.port)
        task = asyncio.create_task(home.link.run(), name="link")
        await asyncio.sleep(0.2)  # CONNECT is out, CONNACK is lost
        began = time.monotonic()
        task.cancel()
        await asyncio.wait({task})
        assert time.monotonic() - began < 1
        await asyncio.sleep(0.1)
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("mqtt")]


def test_a_filter_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(ConfigError):
        Home(1).link.subscribe("a/#/b", lambda _: None)


async def test_the_private_name_that_we_rely_on_is_there() -> None:
    client = aiomqtt.Client(HOST)
    paho = client._client
    assert isinstance(paho, PahoClient)
    assert paho.on_connect is not None
    assert paho.on_disconnect is not None


def test_freshness_follows_the_probes() -> None:
    fresh = Freshness(15.0)
    fresh.connected(session_present=True, real=100.0)
    assert fresh.bound(100.1, 1000.1) == 15.0, "a former run's queue"
    fresh.returned(100.0)
    assert fresh.bound(100.2, 1000.2) == 0.0
    assert fresh.bound(108.0, 1008.0) == 0.0
    assert fresh.bound(120.0, 1020.0) == 12.0, "a stalled line: as old as the last packet of a live one"
    assert fresh.bound(120.1, 1020.1) == pytest.approx(12.1), "and so is all that was held up with it"
    fresh.returned(119.9)
    assert fresh.bound(120.3, 1020.3) == 0.0
    fresh.connected(session_present=True, real=124.0)
    assert fresh.bound(124.1, 1024.1) == pytest.approx(3.8), "a resumed session"
    fresh.connected(session_present=False, real=200.0)
    assert fresh.bound(200.1, 1100.1) == 0.0, "no session, no queue"


def test_passwords_do_not_show() -> None:
    assert "hunter2" not in repr(Account(HOST, 1883, "home", None, "home", "hunter2"))


def test_backoff_doubles_with_jitter_up_to_its_ceiling() -> None:
    waits = Backoff()
    series = [next(waits) for _ in range(10)]
    for wait, full in zip(series, [0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30], strict=True):
        assert full / 2 <= wait <= full
    waits.reset()
    assert next(waits) <= 0.5
