"""What Home Assistant is told about a home, payload by payload; that it understands them shows tests/peers."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from homebridge_svc.core.model import (
    Ability,
    HomeSpec,
    Json,
    PlugAbility,
    PlugSpec,
    Power,
    ProjectorSpec,
    PumpSpec,
    SensorSpec,
)
from homebridge_svc.core.orders import Action, ChooseInput, LaunchApp, LightOff, LightOn, PressKeys, PutMute, PutVolume
from homebridge_svc.publish.home_assistant import Discovery

METER = PlugAbility(acts=True, meters=True, dead_man=False)
READER = PlugAbility(acts=False, meters=False, dead_man=False)


def channel(*actions: type[Action]) -> Ability:
    return Ability(dict.fromkeys(actions, frozenset(Power)), replies=True, confirm_s=1.0)


PROJECTOR = ProjectorSpec(
    "living_room",
    "客厅投影",
    plug="cinema_plug",
    plug_meters=True,
    channels={
        "adb": channel(PressKeys, PutVolume, PutMute, ChooseInput, LaunchApp),
        "udp": channel(PressKeys, LightOff, LightOn),
    },
    orders=("adb", "udp"),
    inputs={"HDMI 1": "hdmi1", "游戏机": "hdmi2", "HDMI 2": "hdmi2"},
    apps={"哔哩哔哩": "com.xiaodianshi.tv.yst"},
    volume_max=30,
)
PUMP = PumpSpec("bathroom", "热水", "pump_plug", plug_meters=True, stop_sensor="return_temperature")
HOME = HomeSpec(
    "Asia/Shanghai",
    projectors={"living_room": PROJECTOR},
    pumps={"bathroom": PUMP},
    plugs={
        "cinema_plug": PlugSpec("cinema_plug", "投影插座", METER),
        "pump_plug": PlugSpec("pump_plug", "水泵插座", METER),
        "fan": PlugSpec("fan", "风扇", METER),
        "fridge": PlugSpec("fridge", "冰箱", READER),
    },
    sensors={
        "return_temperature": SensorSpec("return_temperature", "回水温度"),
        "flow": SensorSpec("flow", "流量", unit="L/min"),
    },
)


def discovery(spec: HomeSpec = HOME, *, base: str = "homebridge_svc", language: str = "zh") -> Discovery:
    return Discovery(spec, base=base, prefix="homeassistant", version="1.2.3", language=language)


def payload(found: Discovery, key: str) -> Any:  # noqa: ANN401  JSON, looked into
    return found.payloads[f"homeassistant/device/homebridge_svc-{key}/config"]


def only(projector: ProjectorSpec) -> set[str]:
    """The parts that are offered of this projector."""
    return set(payload(discovery(HomeSpec("UTC", projectors={projector.key: projector})), projector.key)["cmps"])


def test_a_home_with_everything(snapshot: SnapshotAssertion) -> None:
    assert dict(discovery().payloads) == snapshot


def test_every_part_is_named_in_the_language_of_the_household() -> None:
    chinese, english = discovery(), discovery(language="en")
    for key in ("living_room", "bathroom", "fan", "flow"):
        for part, component in payload(chinese, key)["cmps"].items():
            other = payload(english, key)["cmps"][part]
            assert (component["name"] is None) is (other["name"] is None), part
            assert other["name"] is None or other["name"].isascii()
    assert payload(chinese, "living_room")["cmps"]["why"]["value_template"].count("why_zh")
    assert not payload(english, "living_room")["cmps"]["why"]["value_template"].count("why_zh")


def test_renaming_changes_no_id() -> None:
    def ids(found: Discovery) -> list[tuple[str, str, str]]:
        return [(topic, one["unique_id"], one["default_entity_id"]) for topic, _, one in components(found)]

    renamed = replace(HOME, projectors={"living_room": replace(PROJECTOR, name="大投影")})
    assert ids(discovery(renamed)) == ids(discovery())


def test_ids_are_unique_and_as_home_assistant_wants_them() -> None:
    confusing = replace(HOME, plugs={**HOME.plugs, "living_room_light": PlugSpec("living_room_light", "灯", METER)})
    for base in ("homebridge_svc", "flat/二楼", "A-b"):
        found = list(components(discovery(confusing, base=base)))
        uniques = [component["unique_id"] for _, _, component in found]
        assert len(set(uniques)) == len(uniques)
        for topic, _, component in found:
            assert re.fullmatch(r"homeassistant/device/[A-Za-z0-9_-]+/config", topic)
            assert re.fullmatch(r"[a-z_]+\.[a-z0-9_]+", component["default_entity_id"])


def test_a_plug_that_belongs_to_something_is_no_device_of_its_own() -> None:
    topics = " ".join(discovery().payloads)
    assert "_plug" not in topics
    assert "-fan/" in topics


def test_only_what_a_channel_can_carry_is_offered() -> None:
    infrared = replace(PROJECTOR, plug=None, plug_meters=False, channels={"ir": channel(PressKeys)}, orders=("ir",))
    parts = only(infrared)
    assert {"power", "phase", "why", "reachable", "key_volume_up", "key_mute"} <= parts
    assert not parts & {"light", "volume", "mute", "input", "app", "watts"}
    assert only(replace(infrared, orders=())) == {"power", "phase", "why", "reachable"}


def test_commands_carry_id_and_time_and_who_sent_them() -> None:
    for _, part, component in components(discovery()):
        template = component.get("command_template")
        assert (template is not None) is (component["p"] in ("switch", "number", "select", "button")), part
        if template is not None:
            assert component["qos"] == 1
            rendered = re.sub(r"{{.*?}}", "1", template)
            assert json.loads(rendered) == {"do": 1, "id": "ha-1-1", "at": 1, "by": "home_assistant"}


def test_every_state_that_is_read_has_a_template() -> None:
    # the devices share one state topic: without a template an entity would read the whole JSON
    for _, part, component in components(discovery()):
        own_topic = "state_topic" in component
        assert "value_template" in component or own_topic or component["p"] == "button", part


def test_a_device_goes_with_the_bridge_and_with_itself_but_reachable_stays() -> None:
    pump = payload(discovery(), "bathroom")
    assert [each["topic"] for each in pump["availability"]] == [
        "homebridge_svc/status",
        "homebridge_svc/bathroom/state",
    ]
    assert [each["topic"] for each in pump["cmps"]["reachable"]["availability"]] == ["homebridge_svc/status"]


def test_the_minutes_reach_as_far_as_a_run_may_last() -> None:
    for max_run, most in ((20.0, 1), (90.0, 2), (300.0, 5)):
        pump = replace(PUMP, max_run=max_run)
        found = discovery(replace(HOME, pumps={"bathroom": pump}))
        assert payload(found, "bathroom")["cmps"]["minutes"]["max"] == most


def test_a_device_that_is_no_more_is_recognised() -> None:
    was, now = discovery(), discovery(replace(HOME, sensors={}))
    topic = "homeassistant/device/homebridge_svc-flow/config"
    assert now.departed(topic, as_read(was, topic)) == "flow"
    assert was.departed(topic, as_read(was, topic)) is None


@pytest.mark.parametrize(
    "stranger", [None, [], {}, {"o": {"name": "homebridge_svc"}}, {"availability": "x"}, "text", 7]
)
def test_what_somebody_else_announces_is_left_alone(stranger: Json) -> None:
    now = discovery(HomeSpec("UTC"))
    assert now.departed("homeassistant/device/homebridge_svc-flow/config", stranger) is None
    assert now.departed("homeassistant/device/zigbee-flow/config", stranger) is None
    assert discovery().without("homeassistant/device/homebridge_svc-flow/config", stranger) is None


def test_what_the_owner_announces_by_hand_is_left_alone() -> None:
    own: Json = {"o": {"name": "me"}, "availability": [{"topic": "homebridge_svc/status"}]}
    now = discovery(HomeSpec("UTC"))
    assert now.departed("homeassistant/device/homebridge_svc-flow/config", own) is None
    theirs = as_read(discovery(), "homeassistant/device/homebridge_svc-flow/config")
    assert now.departed("homeassistant/device/flow/config", theirs) is None


def test_another_daemon_whose_name_begins_like_ours_is_left_alone() -> None:
    other = discovery(base="homebridge_svc-upstairs")
    for topic in other.payloads:
        assert discovery(HomeSpec("UTC")).departed(topic, as_read(other, topic)) is None


def test_parts_that_are_no_more_are_marked_once() -> None:
    topic = "homeassistant/device/homebridge_svc-living_room/config"
    now = discovery(replace(HOME, projectors={"living_room": replace(PROJECTOR, apps={})}))
    marked = now.without(topic, as_read(discovery(), topic))
    assert marked is not None
    cmps = marked["cmps"]
    assert isinstance(cmps, dict)
    assert cmps.pop("app") == {"p": "select"}
    assert marked == now.payloads[topic]
    assert now.without(topic, {**marked, "cmps": {**cmps, "app": {"p": "select"}}}) is None
    assert now.without(topic, as_read(now, topic)) is None


@pytest.mark.parametrize("parts", [None, [], {"app": 1}, {"app": {}}, {"app": {"p": "select"}}])
def test_nonsense_in_place_of_parts_takes_nothing_away(parts: Json) -> None:
    topic = "homeassistant/device/homebridge_svc-living_room/config"
    assert discovery().without(topic, {"cmps": parts}) is None


def components(found: Discovery) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for topic, told in found.payloads.items():
        cmps = told["cmps"]
        assert isinstance(cmps, dict)
        for part, component in cmps.items():
            assert isinstance(component, dict)
            yield topic, part, component


def as_read(found: Discovery, topic: str) -> Json:
    """A payload as it comes back from the broker."""
    read: Json = json.loads(json.dumps(found.payloads[topic]))
    return read
