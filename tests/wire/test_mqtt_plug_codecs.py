"""What MQTT plugs say and want to hear, byte for byte as their documentation shows it."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebridge_svc.errors import Unsupported, WireError
from homebridge_svc.wire.mqtt_plugs import (
    PlugReading,
    PlugWire,
    Publish,
    esphome,
    pulse_time,
    shelly,
    shelly1,
    statestream,
    tasmota,
    zigbee2mqtt,
)

PUMP = zigbee2mqtt("zigbee2mqtt/bath/pump")  # names may hold slashes
GANG = zigbee2mqtt("zigbee2mqtt/wall", "l2")
TASMOTA = tasmota("kitchen_valve")
SECOND = tasmota("strip", "2")
SHELLY = shelly("shellyplus1pm-a8032ab1", "", "homebridge_svc_pump")
SHELLY_1 = shelly("shellypro2-1", "1", "me")
EVERY = {
    "zigbee2mqtt": PUMP,
    "gang": GANG,
    "tasmota": TASMOTA,
    "tasmota 2": SECOND,
    "shelly": SHELLY,
    "shelly 1": SHELLY_1,
    "esphome": esphome("node", "relay"),
    "shelly1": shelly1("shellies/shelly1-1"),
    "statestream": statestream("ha/switch/pump"),
}
ON, OFF = PlugReading(on=True), PlugReading(on=False)


@pytest.mark.parametrize(
    ("wire", "topic", "payload", "reading"),
    [
        (PUMP, "zigbee2mqtt/bath/pump", '{"state":"ON","power":5.2}', PlugReading(on=True, watts=5.2)),
        (PUMP, "zigbee2mqtt/bath/pump", '{"state":"OFF","power":null,"linkquality":9}', OFF),
        (PUMP, "zigbee2mqtt/bath/pump", '{"action":"single"}', None),
        (PUMP, "zigbee2mqtt/bath/pump", '{"contact":true}', None),
        (PUMP, "zigbee2mqtt/bath/pump/availability", "online", PlugReading(available=True)),
        (PUMP, "zigbee2mqtt/bath/pump/availability", '{"state":"offline"}', PlugReading(available=False)),
        (GANG, "zigbee2mqtt/wall", '{"state_l1":"ON","state_l2":"OFF","power":7}', PlugReading(on=False, watts=7.0)),
        (TASMOTA, "stat/kitchen_valve/POWER", "ON", ON),
        (TASMOTA, "stat/kitchen_valve/RESULT", '{"POWER":"OFF"}', OFF),
        (TASMOTA, "stat/kitchen_valve/RESULT", '{"POWER1":"ON"}', ON),
        (TASMOTA, "stat/kitchen_valve/RESULT", '{"PulseTime1":{"Set":460,"Remaining":460}}', None),
        (TASMOTA, "tele/kitchen_valve/STATE", '{"Time":"2026-01-01T00:00:00","POWER":"ON","Wifi":{"RSSI":80}}', ON),
        (TASMOTA, "tele/kitchen_valve/SENSOR", '{"ENERGY":{"Power":41,"Total":3.1}}', PlugReading(watts=41.0)),
        (TASMOTA, "stat/kitchen_valve/STATUS10", '{"StatusSNS":{"ENERGY":{"Power":0}}}', PlugReading(watts=0.0)),
        (TASMOTA, "tele/kitchen_valve/LWT", "Offline", PlugReading(available=False)),
        (SECOND, "stat/strip/RESULT", '{"POWER1":"ON"}', None),
        (SECOND, "stat/strip/POWER2", "ON", ON),
        (SECOND, "tele/strip/SENSOR", '{"ENERGY":{"Power":[1.5,42.5]}}', PlugReading(watts=42.5)),
        (
            SHELLY,
            "shellyplus1pm-a8032ab1/events/rpc",
            '{"src":"s","dst":"s/events","method":"NotifyStatus","params":{"ts":1.1,"switch:0":{"id":0,"apower":8.9}}}',
            PlugReading(watts=8.9),
        ),
        (SHELLY, "shellyplus1pm-a8032ab1/events/rpc", '{"params":{"switch:0":{"output":true}}}', ON),
        (SHELLY, "shellyplus1pm-a8032ab1/events/rpc", '{"params":{"switch:1":{"output":true}}}', None),
        (SHELLY, "shellyplus1pm-a8032ab1/events/rpc", '{"method":"NotifyEvent","params":{"events":[]}}', None),
        (SHELLY, "homebridge_svc_pump/rpc", '{"id":1,"src":"s","result":{"was_on":false}}', None),
        (
            SHELLY,
            "homebridge_svc_pump/rpc",
            '{"id":1,"src":"s","result":{"id":0,"output":false,"apower":0.0}}',
            PlugReading(on=False, watts=0.0),
        ),
        (SHELLY, "shellyplus1pm-a8032ab1/online", "true", PlugReading(available=True)),
        (EVERY["esphome"], "node/switch/relay/state", "ON", ON),
        (EVERY["shelly1"], "shellies/shelly1-1/relay/0", "off", OFF),
        (EVERY["shelly1"], "shellies/shelly1-1/relay/0/power", "12.34", PlugReading(watts=12.34)),
        (EVERY["statestream"], "ha/switch/pump/state", "on", PlugReading(on=True, available=True)),
        (EVERY["statestream"], "ha/switch/pump/state", "unavailable", PlugReading(available=False)),
        (EVERY["statestream"], "ha/switch/pump/state", "unknown", None),
        (PUMP, "zigbee2mqtt/bath/pump", "", None),  # a retained message was cleared
    ],
)
def test_what_publishers_say(wire: PlugWire, topic: str, payload: str, reading: PlugReading | None) -> None:
    assert topic in wire.topics
    assert wire.decode(topic, payload.encode()) == reading


@pytest.mark.parametrize(
    ("wire", "on", "off"),
    [
        (PUMP, ("zigbee2mqtt/bath/pump/set", '{"state":"ON"}'), ("zigbee2mqtt/bath/pump/set", '{"state":"OFF"}')),
        (GANG, ("zigbee2mqtt/wall/set", '{"state_l2":"ON"}'), ("zigbee2mqtt/wall/set", '{"state_l2":"OFF"}')),
        (TASMOTA, ("cmnd/kitchen_valve/Power1", "ON"), ("cmnd/kitchen_valve/Power1", "OFF")),
        (SECOND, ("cmnd/strip/Power2", "ON"), ("cmnd/strip/Power2", "OFF")),
        (
            SHELLY_1,
            ("shellypro2-1/rpc", '{"id":1,"src":"me","method":"Switch.Set","params":{"id":1,"on":true}}'),
            ("shellypro2-1/rpc", '{"id":1,"src":"me","method":"Switch.Set","params":{"id":1,"on":false}}'),
        ),
        (EVERY["esphome"], ("node/switch/relay/command", "ON"), ("node/switch/relay/command", "OFF")),
        (EVERY["shelly1"], ("shellies/shelly1-1/relay/0/command", "on"), ("shellies/shelly1-1/relay/0/command", "off")),
    ],
)
def test_what_plugs_want_to_hear(wire: PlugWire, on: tuple[str, str], off: tuple[str, str]) -> None:
    assert wire.switch(True) == Publish(*on)
    assert wire.switch(False) == Publish(*off)


@pytest.mark.parametrize(
    ("wire", "topic", "payload"),
    [
        (PUMP, "zigbee2mqtt/bath/pump/set", '{"state":"ON","on_time":360}'),
        (GANG, "zigbee2mqtt/wall/set", '{"state_l2":"ON","on_time":360}'),
        (
            zigbee2mqtt("zigbee2mqtt/p", off_wait_time=0),
            "zigbee2mqtt/p/set",
            '{"state":"ON","on_time":360,"off_wait_time":0}',
        ),
        (TASMOTA, "cmnd/kitchen_valve/Backlog", "PulseTime1 460; Power1 ON"),
        (SECOND, "cmnd/strip/Backlog", "PulseTime2 460; Power2 ON"),
        (
            SHELLY,
            "shellyplus1pm-a8032ab1/rpc",
            '{"id":1,"src":"homebridge_svc_pump","method":"Switch.Set","params":{"id":0,"on":true,"toggle_after":360}}',
        ),
    ],
)
def test_the_dead_man_is_armed_in_one_message_with_the_on(wire: PlugWire, topic: str, payload: str) -> None:
    assert wire.switch(True, 360) == Publish(topic, payload)
    assert wire.switch(False, 360) == wire.switch(False)  # an OFF is always plain


@pytest.mark.parametrize("name", ["esphome", "shelly1"])
def test_a_plug_without_a_timer_refuses_to_be_armed(name: str) -> None:
    with pytest.raises(Unsupported, match="timer"):
        EVERY[name].switch(True, 360)


def test_statestream_cannot_act() -> None:
    for on in (True, False):
        with pytest.raises(Unsupported, match="only reports"):
            EVERY["statestream"].switch(on)


@pytest.mark.parametrize(
    ("seconds", "value"), [(1, 10), (11, 110), (11.2, 112), (12, 112), (12.1, 113), (360, 460), (64_800, 64_900)]
)
def test_pulse_time_counts_tenths_up_to_eleven_seconds(seconds: float, value: int) -> None:
    assert pulse_time(seconds) == value


@given(st.floats(0.1, 64_800))
def test_a_pulse_time_is_never_shorter_than_asked_and_at_most_a_second_longer(seconds: float) -> None:
    value = pulse_time(seconds)
    means = value / 10 if value <= 111 else value - 100
    assert seconds <= means < seconds + 1


@pytest.mark.parametrize("wire", [PUMP, TASMOTA, SHELLY])
@pytest.mark.parametrize("seconds", [0, -1, 100_000, float("nan"), float("inf")])
def test_timers_that_the_device_cannot_count_are_refused(wire: PlugWire, seconds: float) -> None:
    with pytest.raises(Unsupported, match="reaches"):
        wire.switch(True, seconds)


def test_asking_for_the_state() -> None:
    assert PUMP.reads == (Publish("zigbee2mqtt/bath/pump/get", '{"state":""}'),)
    assert GANG.reads == (Publish("zigbee2mqtt/wall/get", '{"state_l2":""}'),)
    assert TASMOTA.reads == (Publish("cmnd/kitchen_valve/Power1", ""), Publish("cmnd/kitchen_valve/Status", "10"))
    assert json.loads(SHELLY.reads[0].payload) == {
        "id": 1,
        "src": "homebridge_svc_pump",
        "method": "Switch.GetStatus",
        "params": {"id": 0},
    }
    assert EVERY["esphome"].reads == ()


@pytest.mark.parametrize(
    "watts", ["NaN", "Infinity", "1e999", "1e9", "-1", "true", '"5.2"', "[]", "{}", "9" * 400, "9" * 5000]
)
def test_watts_that_cannot_be_are_refused(watts: str) -> None:
    with pytest.raises(WireError):
        PUMP.decode("zigbee2mqtt/bath/pump", f'{{"power":{watts}}}'.encode())


@pytest.mark.parametrize("text", ["nan", "inf", "1_0", "0x10", "5 W", "٣", "-3", "99999999"])
def test_watts_in_plain_text_are_plain_decimals(text: str) -> None:
    with pytest.raises(WireError):
        EVERY["shelly1"].decode("shellies/shelly1-1/relay/0/power", text.encode())


def test_junk_beside_a_good_state_costs_only_the_junk() -> None:
    reading = PUMP.decode("zigbee2mqtt/bath/pump", b'{"state":"ON","power":-0.1}')
    assert reading is not None
    assert (reading.on, reading.watts) == (True, None)
    assert "outside" in reading.problem


def test_a_complaint_of_the_device_is_heard() -> None:
    with pytest.raises(WireError, match="No handler"):
        SHELLY.decode("homebridge_svc_pump/rpc", b'{"id":1,"error":{"code":404,"message":"No handler for X"}}')
    with pytest.raises(WireError, match="Unknown"):
        TASMOTA.decode("stat/kitchen_valve/RESULT", b'{"Command":"Unknown"}')


@pytest.mark.parametrize(
    "payload", [b"{", b"\xff\xfe", b"ON ON", b"[" * 10_000, b'{"state":"TOGGLE"}', b'{"state":[]}', b"x" * 100_000]
)
def test_junk_raises_wire_error(payload: bytes) -> None:
    with pytest.raises(WireError):
        PUMP.decode("zigbee2mqtt/bath/pump", payload)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["state", "params", "switch:0", "ENERGY", "x"]), inner)
    ),
    max_leaves=20,
)


@given(st.sampled_from(sorted(EVERY)), st.binary() | values.map(lambda value: json.dumps(value).encode()), st.data())
def test_nothing_but_wire_error_comes_out_of_any_bytes(name: str, payload: bytes, data: st.DataObject) -> None:
    wire = EVERY[name]
    try:
        reading = wire.decode(data.draw(st.sampled_from(wire.topics)), payload)
    except WireError:
        return
    assert reading is None or isinstance(reading.on, bool | None)
    assert reading is None or reading.watts is None or 0 <= reading.watts <= 25_000


@pytest.mark.parametrize("build", [zigbee2mqtt, tasmota, shelly, esphome, shelly1, statestream])
def test_a_message_on_a_foreign_topic_says_nothing(build: Callable[[str, str], PlugWire]) -> None:
    assert build("mine", "1").decode("theirs", b'{"state":"ON"}') is None
