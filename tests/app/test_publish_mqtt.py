"""What we say over MQTT, heard by somebody else on a real mosquitto through the real link."""

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from support.broker import HOST, Cable, RestartableBroker, eventually, needs_broker, real_broker

from homebridge_svc.core.events import CommandHeard, Delivery, Event, Heartbeat
from homebridge_svc.core.model import DeviceView, HomeSpec, Json, SensorSpec
from homebridge_svc.core.orders import Answer, Decision, Say
from homebridge_svc.publish.home_assistant import Discovery
from homebridge_svc.publish.mqtt import OPEN, WAITING, MqttPublisher
from homebridge_svc.runtime.clock import SystemClock
from homebridge_svc.runtime.mqtt_line import Account
from homebridge_svc.runtime.mqtt_link import MqttLink
from homebridge_svc.runtime.retry import Backoff

pytestmark = [needs_broker, pytest.mark.peer]

BASE = "flat"
CONFIG = "homeassistant/device/flat-{}/config"


class House:
    """A publisher on its link; `tell` is what the engine does after each event."""

    def __init__(self, port: int, *sensors: str) -> None:
        self.clock = SystemClock()
        self.connected = False
        spec = HomeSpec("UTC", sensors={key: SensorSpec(key, key) for key in sensors})
        self.discovery = Discovery(spec, base=BASE, prefix="homeassistant", version="1", language="en")
        account = Account(HOST, port, "publisher", None, None, None)
        self.link = MqttLink(account, self.clock, BASE, self._state, backoff=Backoff(0.05, 0.1))
        self.publisher = MqttPublisher(self.link, self.clock, base=BASE, discovery=self.discovery)
        self.publisher.listen()
        self._ids = itertools.count()
        self.views: dict[str, DeviceView] = {}

    def _state(self, up: bool, _why: str) -> None:
        self.connected = up

    @contextlib.asynccontextmanager
    async def running(self, *, wait: bool = True) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(ear.run(), name=type(ear).__name__) for ear in (self.link, self.publisher)]
        try:
            if wait:
                await eventually(lambda: self.connected, "connected")
            yield
        finally:
            for task in tasks:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                assert isinstance(outcome, asyncio.CancelledError)

    def view(self, key: str, kind: str = "sensor", *, available: bool = True, **state: Json) -> None:
        self.views[key] = DeviceView(key, kind, key, available=available, state=state)

    def tell(self, event: Event | None = None, *answers: Answer) -> None:
        event = event or Heartbeat(f"beat{next(self._ids)}", self.clock.now())
        self.publisher.told(event, Decision(event.id, answers=[*answers]), dict(self.views))

    def command(self, id_: str, text: str, device: str | None = "lamp", *, has_id: bool = False) -> CommandHeard:
        return CommandHeard(id_, self.clock.now(), "mqtt", text, device, Delivery(has_id=has_id))


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[RestartableBroker]:
    async with real_broker(tmp_path) as running:
        yield running


async def standing(broker: RestartableBroker) -> dict[str, Any]:
    """What is retained on the broker now; what is no JSON object as None."""
    async with broker.overheard("#") as heard:
        await broker.say("marker", "now", qos=1)
        await eventually(lambda: ("marker", "now", False) in heard, "the marker")
    return {topic: json.loads(text) if text[:1] == "{" else None for topic, text, retained in heard if retained}


async def stands(broker: RestartableBroker, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """What is retained on the broker, as soon as it is what is wanted."""
    for _ in range(30):
        found = await standing(broker)
        if wanted(found):
            return found
    pytest.fail(f"never stood: {found}")


def on(heard: list[tuple[str, str, bool]], topic: str) -> list[Any]:
    return [json.loads(text) if text else None for where, text, _ in heard if where == topic]


async def test_a_state_is_retained_and_said_again_only_when_it_changed(broker: RestartableBroker) -> None:
    house = House(broker.port, "roof")
    async with broker.overheard(f"{BASE}/roof/state") as heard, house.running():
        house.view("roof", value=20.5)
        house.tell()
        await eventually(lambda: heard, "the first state")
        for _ in range(20):
            house.tell()
        house.view("roof", value=21.0, available=False)
        house.tell()
        await eventually(lambda: len(heard) > 1, "the second state")
    values = on(heard, f"{BASE}/roof/state")
    assert values == [{"value": 20.5, "available": True}, {"value": 21.0, "available": False}]
    assert (await standing(broker))[f"{BASE}/roof/state"] == values[-1]


async def test_everything_stands_again_after_a_broker_forgot_it(broker: RestartableBroker) -> None:
    house = House(broker.port, "roof")
    house.view("roof", value=1)
    house.tell()
    async with house.running():
        await broker.stop()
        await eventually(lambda: not house.connected, "disconnected")
        house.view("roof", value=2)
        house.tell()
        await broker.start()
        await eventually(lambda: house.connected, "connected again")
        await stands(broker, lambda found: found.get(f"{BASE}/roof/state") == {"value": 2, "available": True})
        await stands(broker, lambda found: found.keys() >= set(house.discovery.payloads))


async def test_everything_is_said_again_at_home_assistants_birth_states_first(broker: RestartableBroker) -> None:
    house = House(broker.port, "roof")
    house.view("roof", value=1)
    house.tell()
    async with house.running():
        await stands(broker, lambda found: found.keys() >= set(house.discovery.payloads))
        async with broker.overheard("#") as heard:
            await eventually(lambda: {topic for topic, *_ in heard} >= set(house.discovery.payloads), "what stands")
            heard.clear()
            await broker.say("homeassistant/status", "offline")
            await broker.say("homeassistant/status", "online")
            await eventually(lambda: {topic for topic, *_ in heard} >= set(house.discovery.payloads), "discovery")
    said = [topic for topic, *_ in heard if topic.startswith((f"{BASE}/roof", "homeassistant/device"))]
    assert said == [f"{BASE}/roof/state", *house.discovery.payloads]


async def test_nothing_blocks_and_nothing_is_said_late_while_there_is_no_broker(broker: RestartableBroker) -> None:
    house = House(broker.port, "roof")
    await broker.stop()
    async with house.running(wait=False):
        began = time.perf_counter()
        for number in range(2 * WAITING):
            house.view("roof", value=number)
            house.tell(None, Answer(f"c{number}", "roof", Say.DONE, "it is"))
        assert time.perf_counter() - began < 1.0
        await asyncio.sleep(0.1)
        await broker.start()
        async with broker.overheard(f"{BASE}/#") as heard:
            await eventually(lambda: on(heard, f"{BASE}/roof/state"), "the state")
            await asyncio.sleep(0.3)
    assert on(heard, f"{BASE}/roof/state")[-1]["value"] == 2 * WAITING - 1
    assert on(heard, f"{BASE}/roof/result") == []


async def test_a_frozen_line_blocks_nobody_and_the_newest_state_arrives(broker: RestartableBroker) -> None:
    async with Cable(broker.port) as cable:
        house = House(cable.port, "roof")
        async with house.running():
            cable.loses_up = True
            began = time.perf_counter()
            for number in range(3 * WAITING):
                house.view("roof", value=number)
                house.tell(None, Answer(f"c{number}", "roof", Say.DONE, "it is"))
                if number % 500 == 0:
                    await asyncio.sleep(0.01)
            assert time.perf_counter() - began < 2.0
            assert len(house.publisher._sayings) <= WAITING
            cable.loses_up = False
            cable.cut()
            await eventually(lambda: not house.connected, "disconnected")
            await eventually(lambda: house.connected, "connected")
            async with broker.overheard(f"{BASE}/roof/state") as heard:
                await eventually(
                    lambda: any(one["value"] == 3 * WAITING - 1 for one in on(heard, f"{BASE}/roof/state")),
                    "the newest",
                )


async def test_the_text_of_a_plain_command_comes_back_with_all_its_answers(broker: RestartableBroker) -> None:
    house = House(broker.port)
    async with broker.overheard(f"{BASE}/+/result") as heard, house.running():
        house.tell(house.command("c1", "power on"), Answer("c1", "lamp", Say.ACCEPTED, "a"))
        house.tell(house.command("c2", "power off", has_id=True), Answer("c2", "lamp", Say.ACCEPTED, "b"))
        house.tell(None, Answer("c1", "lamp", Say.SUPERSEDED, "c", "丙"), Answer("c2", "lamp", Say.DONE, "d"))
        house.tell(None, Answer("c1", "lamp", Say.DONE, "forgotten by now"))
        await eventually(lambda: len(heard) == 5, "answers")
    assert on(heard, f"{BASE}/lamp/result") == [
        {"id": "c1", "result": "accepted", "why": "a", "zh": "", "do": "power on"},
        {"id": "c2", "result": "accepted", "why": "b", "zh": ""},
        {"id": "c1", "result": "superseded", "why": "c", "zh": "丙", "do": "power on"},
        {"id": "c2", "result": "done", "why": "d", "zh": ""},
        {"id": "c1", "result": "done", "why": "forgotten by now", "zh": ""},
    ]
    assert all(not retained for *_, retained in heard)


async def test_who_said_a_phrase_hears_what_became_of_the_whole(broker: RestartableBroker) -> None:
    house = House(broker.port)
    async with broker.overheard(f"{BASE}/+/result") as heard, house.running():
        house.tell(house.command("p", "看电影", None), Answer("p", None, Say.ACCEPTED, "2 steps"))
        house.tell(None, Answer("p.1", "lamp", Say.DONE, "one"))
        house.tell(None, Answer("p.2", "fan", Say.DONE, "two"), Answer("p", None, Say.DONE, "every step is done"))
        house.tell(house.command("q", "关灯", None), Answer("q", "lamp", Say.DONE, "a phrase of one step"))
        await eventually(lambda: len(heard) == 6, "answers")
    assert [(one["id"], one["result"]) for one in on(heard, f"{BASE}/say/result")] == [
        ("p", "accepted"),
        ("p", "done"),
        ("q", "done"),
    ]
    assert [(one["id"], one["do"]) for one in on(heard, f"{BASE}/lamp/result")] == [("p.1", "看电影"), ("q", "关灯")]
    assert [one["do"] for one in on(heard, f"{BASE}/fan/result")] == ["看电影"]


async def test_commands_that_nobody_answers_are_forgotten_in_the_end() -> None:
    house = House(1)
    for number in range(2 * OPEN):
        house.tell(house.command(f"c{number}", "run"))
    assert len(house.publisher._open) == OPEN


async def test_a_duplicate_does_not_take_the_answers_from_the_original(broker: RestartableBroker) -> None:
    house = House(broker.port)
    async with broker.overheard(f"{BASE}/+/result") as heard, house.running():
        house.tell(house.command("p", "洗澡", None, has_id=True), Answer("p", "pump", Say.ACCEPTED, "a"))
        house.tell(house.command("p", "洗澡", None, has_id=True), Answer("p", None, Say.DUPLICATE, "b"))
        house.tell(None, Answer("p", "pump", Say.DONE, "c"))
        await eventually(lambda: len(on(heard, f"{BASE}/say/result")) == 3, "answers")


@pytest.mark.parametrize("device", ["a/b", "#", "+", "", "\x00", "x" * 70_000, "\ud800"])
async def test_a_name_from_outside_makes_no_topic(broker: RestartableBroker, device: str) -> None:
    house = House(broker.port)
    async with broker.overheard(f"{BASE}/#") as heard, house.running():
        house.tell(house.command("c", "on \ud800", device), Answer("c", device, Say.REFUSED, "there is none"))
        house.tell(None, Answer("d", "lamp", Say.DONE, "still here"))
        await eventually(lambda: on(heard, f"{BASE}/lamp/result"), "the next answer")
    assert not [topic for topic, *_ in heard if topic.endswith("/result") and topic != f"{BASE}/lamp/result"]


async def test_what_was_heard_answered_and_announced_is_an_event(broker: RestartableBroker) -> None:
    house = House(broker.port)
    async with broker.overheard(f"{BASE}/#") as heard, house.running():
        event = house.command("c", "run", "pump")
        decision = Decision("c", answers=[Answer("c", "pump", Say.REFUSED, "it is locked", "已锁定")])
        decision.announce("pump", "it is locked", "已锁定", alarm=True)
        house.publisher.told(event, decision, {})
        await eventually(lambda: len(on(heard, f"{BASE}/event")) == 3, "events")
    events = on(heard, f"{BASE}/event")
    assert [(one["event_type"], one["id"], one["device"]) for one in events] == [
        ("heard", "c", "pump"),
        ("answered", "c", "pump"),
        ("announced", "c", "pump"),
    ]
    assert events[1]["result"] == "refused"
    announced = {"device": "pump", "text": "it is locked", "zh": "已锁定", "alarm": True}
    assert on(heard, f"{BASE}/announce") == [announced]


async def test_the_end_of_a_run_is_told_when_it_is_known_how_long_it_was(broker: RestartableBroker) -> None:
    house = House(broker.port)
    async with broker.overheard(f"{BASE}/event") as heard, house.running():
        for phase, seconds in (("stopping", 0), ("idle", 0), ("starting", 0), ("running", 0), ("stopping", 0)):
            house.view("bathroom", "pump", phase=phase, last_run_s=seconds)
            house.tell()
        for phase in ("resting", "idle"):
            house.view("bathroom", "pump", phase=phase, last_run_s=92, last_stop="it is warm", last_stop_zh="热了")
            house.tell()
        await eventually(lambda: heard, "the event")
        await asyncio.sleep(0.1)
    (event,) = on(heard, f"{BASE}/event")
    assert event["event_type"] == "run_finished"
    assert (event["device"], event["seconds"], event["text"], event["zh"]) == ("bathroom", 92, "it is warm", "热了")


async def test_a_device_that_is_no_longer_configured_disappears_and_others_stay(broker: RestartableBroker) -> None:
    former = House(broker.port, "roof", "cellar")
    for key in ("roof", "cellar"):
        former.view(key, value=1)
    former.tell()
    async with former.running():
        await stands(broker, lambda found: found.keys() >= set(former.discovery.payloads))
    others = {"homeassistant/device/other/config": '{"o":{"name":"other"}}', CONFIG.format("x"): "oops"}
    for topic, text in others.items():
        await broker.say(topic, text, retain=True)
    house = House(broker.port, "roof")
    house.view("roof", value=1)
    house.tell()
    wanted = {*others, *house.discovery.payloads, f"{BASE}/roof/state", f"{BASE}/status"}
    async with house.running():
        await stands(broker, lambda found: set(found) == wanted)


async def test_a_part_that_is_no_more_is_marked_as_gone_and_stays_so_over_births(broker: RestartableBroker) -> None:
    house = House(broker.port, "roof")
    topic = CONFIG.format("roof")
    former: Any = json.loads(json.dumps(house.discovery.payloads[topic]))
    former["cmps"]["dial"] = {"p": "number", "unique_id": "x"}
    await broker.say(topic, json.dumps(former), retain=True)
    async with house.running():
        await stands(broker, lambda found: found[topic]["cmps"].get("dial") == {"p": "number"})
        async with broker.overheard(topic) as heard:
            await eventually(lambda: heard, "what stands")
            await broker.say("homeassistant/status", "online")
            await eventually(lambda: len(heard) > 1, "said again")
    found = await standing(broker)
    assert found[topic]["cmps"].pop("dial") == {"p": "number"}
    assert found[topic] == json.loads(json.dumps(house.discovery.payloads[topic]))
