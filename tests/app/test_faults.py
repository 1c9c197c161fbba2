"""The whole daemon on real sockets while things go wrong around it."""

import asyncio
import json
from pathlib import Path

import aiomqtt
import pytest
from support.broker import eventually, needs_broker
from support.flat import flat

pytestmark = [needs_broker, pytest.mark.timeout(90)]

NONSENSE = [
    b"",
    b"\xff\xfe\x00",
    b"{",
    b'{"do": 7, "id": "n1"}',
    b'{"do": "power on", "id": "n2", "at": NaN}',
    b'{"do": "power on", "id": "n3", "at": 1e999}',
    b'{"do": "volume 99999999999999999999", "id": "n4"}',
    b'{"do": ' + b"[" * 3000 + b"]" * 3000 + b"}",
    b'{"do": "x", "id": ' + b"9" * 6000 + b"}",
    b"power on; reboot",
    b"power on\x00",
    b"x" * 70_000,
    "跳舞".encode(),
    b"null",
    b"[1,2,3]",
    b'"power on"',
]


async def test_nonsense_on_every_topic_is_answered_where_it_can_be_and_never_acts(tmp_path: Path) -> None:
    async with flat(tmp_path) as home:
        await home.start()
        before = home.stage.facts()
        topics = [
            "homebridge_svc/living_room/set",
            "homebridge_svc/bathroom/set",
            "homebridge_svc/nobody/set",
            "homebridge_svc/say",
            "xiaoai/scene",
            "homeassistant/status",
            "homeassistant/device/x/config",
            "zigbee2mqtt/pump",
            "zigbee2mqtt/pump/availability",
            "zigbee2mqtt/return",
            "stat/bedroom_plug/RESULT",
            "tele/bedroom_plug/SENSOR",
            "tele/bedroom_plug/LWT",
        ]
        for topic in topics:
            for payload in NONSENSE:
                await home.broker.say(topic, payload)
        await home.broker.say("homebridge_svc/living_room/set", b'{"do": "key ok", "id": "last"}')
        await home.holds("the last one is answered", lambda: home.answers("last"))
        for id_ in ("n1", "n2", "n3", "n4"):
            assert set(home.answers(id_)) <= {"refused", "duplicate"}, id_
            assert "refused" in home.answers(id_)
        after = home.stage.facts()
        moved = {name for name, fact in after.items() if fact != before[name]} - {"return", "tap"}
        assert not moved
        assert home.running is not None
        figures = home.running.desk.figures()
        assert figures["homebridge_heartbeat_age_seconds"] < 10
        assert figures["homebridge_mqtt_received_total"] > len(topics) * len(NONSENSE) / 2


async def test_retained_and_stale_commands_do_not_act(tmp_path: Path) -> None:
    async with flat(tmp_path) as home:
        await home.broker.say("homebridge_svc/bathroom/set", "run", retain=True)
        await home.broker.say("xiaoai/scene", "我要洗澡", retain=True)
        await home.start()
        await home.holds("both are answered", lambda: home.answers().count("refused") >= 2)
        first = {"do": "stop", "id": "clock", "at": 1_000_000_000}
        await home.broker.say("homebridge_svc/bathroom/set", json.dumps(first))  # shows this caller's clock
        stale = {"do": "run", "id": "old", "at": 1_000_000_000 - 60}
        await home.broker.say("homebridge_svc/bathroom/set", json.dumps(stale))
        await home.holds("it is answered", lambda: home.answers("old") == ["expired"])
        assert home.stage.water.starts == 0


async def test_the_same_id_acts_once(tmp_path: Path) -> None:
    async with flat(tmp_path) as home:
        await home.start()
        for _ in range(3):
            await home.broker.say("homebridge_svc/bathroom/set", '{"do": "run 60s", "id": "once"}')
        await home.holds("it ran", lambda: "done" in home.answers("once"))
        assert home.answers("once").count("duplicate") == 2
        assert home.stage.water.starts == 1


async def test_a_flood_of_commands_is_answered_busy_and_the_daemon_lives(tmp_path: Path) -> None:
    async with flat(tmp_path) as home:
        await home.start()
        async with aiomqtt.Client("127.0.0.1", home.broker.port, max_inflight_messages=5000) as client:
            for number in range(2000):
                await client.publish(
                    "homebridge_svc/living_room/set", json.dumps({"do": "key ok", "id": f"f{number}"}), qos=0
                )
            await client.publish("homebridge_svc/bathroom/set", '{"do": "run 60s", "id": "after"}', qos=1)
        await home.holds("the pump still runs on demand", lambda: home.answers("after"), 20)
        await home.broker.say("homebridge_svc/bathroom/set", '{"do": "stop", "id": "stop"}')
        await home.holds("and stops", lambda: not home.stage.water.on)


async def test_a_broker_that_dies_in_the_middle_of_a_run_stops_no_rule(tmp_path: Path) -> None:
    """While it is away nothing can reach the relay: the dead-man covers; when it is back the first thing is OFF."""
    async with flat(tmp_path) as home:
        await home.start()
        await home.broker.say("homebridge_svc/bathroom/set", "run 60s")
        await home.sees("bathroom.phase", "running")
        await home.broker.stop()
        await asyncio.sleep(home.clock.real(75))
        await home.broker.start()
        await home.holds("the pump is off", lambda: not home.stage.water.on, 20)
        assert home.stage.water.longest_run <= 60 + 60 + 5  # the dead-man of this run
        home.stage.hand.states.clear()
        await home.sees("bathroom.running", False, 30)
        await home.broker.say("homebridge_svc/living_room/set", '{"do": "key ok", "id": "alive"}')
        await home.holds("commands are heard again", lambda: home.answers("alive"))


async def test_a_command_sent_while_we_were_briefly_away_arrives_once(tmp_path: Path) -> None:
    async with flat(tmp_path, speed=1.0) as home:
        await home.spawn()
        await home.sees("bathroom.phase", "idle")
        await home.kill()
        await home.broker.say("homebridge_svc/bathroom/set", '{"do": "run 20s", "id": "queued"}')
        await home.spawn()
        await home.holds("it ran", lambda: home.stage.water.starts == 1, 20)
        await home.holds("it ended", lambda: "done" in home.answers("queued"), 40)
        assert home.stage.water.starts == 1


async def test_the_owners_remote_is_never_fought(tmp_path: Path) -> None:
    """Our belief is "off", the owner turns it on with the stock remote: nothing cuts it, "on" becomes the wish."""
    async with flat(tmp_path, speed=60.0) as home:
        await home.start()
        home.stage.cinema_plug.press()  # boots on AC
        await home.sees("living_room.phase", "on")
        await home.broker.say("homebridge_svc/living_room/set", '{"do": "power off", "id": "off"}')
        await home.holds("it sleeps", lambda: home.told("living_room.phase") in ("off", "cut", "cooling"))
        home.stage.bodies["living_room"].wake()
        await home.sees("living_room.desired", "on", 20)
        await asyncio.sleep(home.clock.real(300))
        assert home.stage.cinema_plug.on
        assert home.stage.bodies["living_room"].violent_cuts == 0
        assert home.stage.bodies["living_room"].awake


async def test_dry_run_decides_and_moves_nothing(tmp_path: Path) -> None:
    async with flat(tmp_path) as home:
        await home.start(dry_run=True)
        await home.broker.say("homebridge_svc/bathroom/set", '{"do": "run", "id": "dry"}')
        await home.holds("it is answered", lambda: home.answers("dry"))
        await asyncio.sleep(0.5)
        assert home.stage.water.starts == 0


@pytest.mark.slow
async def test_after_kill_9_in_a_run_the_first_thing_is_off_with_read_back(tmp_path: Path) -> None:
    async with flat(tmp_path, speed=1.0) as home:
        await home.spawn()
        await home.sees("bathroom.phase", "idle")
        async with home.broker.overheard("zigbee2mqtt/pump/#") as heard:
            await home.broker.say("homebridge_svc/bathroom/set", "run 2m")
            await home.sees("bathroom.running", True)
            assert home.stage.water.on
            await home.holds("the ON is overheard", lambda: any('"ON"' in payload for _, payload, _ in heard))
            await home.kill()
            at = len(heard)
            await home.spawn()
            await eventually(lambda: not home.stage.water.on, "the relay is off", 8)
            orders = [payload for topic, payload, _ in heard[at:] if topic.endswith("/set")]
            assert json.loads(orders[0])["state"] == "OFF", "the first order after the restart"
            await home.sees("bathroom.running", False, 20)
        assert home.stage.water.starts == 1


@pytest.mark.slow
async def test_a_polite_stop_leaves_the_pump_off(tmp_path: Path) -> None:
    async with flat(tmp_path, speed=1.0) as home:
        await home.spawn()
        await home.sees("bathroom.phase", "idle")
        await home.broker.say("homebridge_svc/bathroom/set", "run 2m")
        await home.sees("bathroom.running", True)
        assert await home.terminate() == 0
        assert not home.stage.water.on
