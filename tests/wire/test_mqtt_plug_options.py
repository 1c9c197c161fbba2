"""What an owner may write about an MQTT plug."""

import pytest
from pydantic import ValidationError

from homebridge_svc.adapters.plugs.mqtt import Options, wire


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ({"profile": "zigbee2mqtt"}, "topic is missing"),
        ({"profile": "zigbee2mqtt", "topic": "zigbee2mqtt/+"}, "not one topic"),
        ({"profile": "zigbee2mqtt", "topic": "zigbee2mqtt/x/"}, "not one topic"),
        ({"profile": "tasmota", "topic": "x", "preset": "esphome"}, "preset belongs to the generic"),
        ({"profile": "tasmota", "topic": "x", "channel": "l1"}, "must be a number"),
        ({"profile": "tasmota", "topic": "x", "channel": 33}, "1 … 32"),
        ({"profile": "tasmota", "topic": "x", "command_topic": "y"}, "knows its topics itself"),
        ({"profile": "shelly", "topic": "x", "off_wait_time": 5}, "belongs to zigbee2mqtt"),
        ({"profile": "generic"}, "state_topic"),
        ({"profile": "generic", "preset": "esphome", "topic": "node"}, "channel is missing"),
        ({"profile": "generic", "state_topic": "x", "watts_scale": 0}, "greater than 0"),
        ({"profile": "generic", "state_topic": "x", "colour": "red"}, "Extra inputs"),
        ({"profile": "knx", "topic": "x"}, "Input should be"),
    ],
)
def test_mistakes_are_named(table: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Options.model_validate(table)


def test_only_what_can_switch_is_an_actuator() -> None:
    read_only = [
        {"profile": "generic", "preset": "statestream", "topic": "ha/switch/x"},
        {"profile": "generic", "state_topic": "x"},
    ]
    for table in read_only:
        assert Options.model_validate(table).problems_as_actuator() is not None
    assert Options(profile="tasmota", topic="x").problems_as_actuator() is None
    assert Options(profile="generic", state_topic="x", command_topic="y").problems_as_actuator() is None


def test_generic_plugs_read_json_and_scale_their_watts() -> None:
    plug = wire(
        "heater",
        Options(
            profile="generic",
            state_topic="meter/7",
            state_path="relay.closed",
            state_on="true",
            state_off="false",
            watts_topic="meter/7",
            watts_path="p.0",
            watts_scale=0.1,
        ),
    )
    reading = plug.decode("meter/7", b'{"relay":{"closed":true},"p":[425]}')
    assert reading is not None
    assert reading.on is True
    assert reading.watts == pytest.approx(42.5)
    assert plug.topics == ("meter/7",)
