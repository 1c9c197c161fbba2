"""Temperatures out of MQTT payloads, and the sensors' own error codes, which are none."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebridge_svc.errors import WireError
from homebridge_svc.wire.mqtt_sensors import SensorReading, SensorWire, generic, shelly, tasmota, zigbee2mqtt

RETURN = zigbee2mqtt("zigbee2mqtt/return", None)
TASMOTA = tasmota("boiler", None)
SECOND = tasmota("boiler", "DS18B20-2.Temperature")
SHELLY = shelly("shellyplus1-1", None)
PLAIN = generic("ha/sensor/return/state", None)


@pytest.mark.parametrize(
    ("wire", "topic", "payload", "reading"),
    [
        (RETURN, "zigbee2mqtt/return", '{"temperature":27.34,"humidity":44.72}', SensorReading(27.34)),
        (RETURN, "zigbee2mqtt/return", '{"temperature":null}', None),
        (RETURN, "zigbee2mqtt/return/availability", '{"state":"online"}', SensorReading(available=True)),
        (
            TASMOTA,
            "tele/boiler/SENSOR",
            '{"Time":"2026-01-01T00:00:00","DS18B20":{"Id":"01131B123456","Temperature":20.6},"TempUnit":"C"}',
            SensorReading(20.6),
        ),
        (TASMOTA, "tele/boiler/SENSOR", '{"DS18B20":{"Temperature":104.0},"TempUnit":"F"}', SensorReading(40.0)),
        (TASMOTA, "tele/boiler/LWT", "Offline", SensorReading(available=False)),
        (
            SECOND,
            "tele/boiler/SENSOR",
            '{"DS18B20-1":{"Temperature":1},"DS18B20-2":{"Temperature":2}}',
            SensorReading(2),
        ),
        (
            SHELLY,
            "shellyplus1-1/events/rpc",
            '{"params":{"temperature:100":{"id":100,"tC":36.5}}}',
            SensorReading(36.5),
        ),
        (SHELLY, "shellyplus1-1/events/rpc", '{"params":{"switch:0":{"output":true}}}', None),
        (PLAIN, "ha/sensor/return/state", "36.5", SensorReading(36.5)),
        (PLAIN, "ha/sensor/return/state", "unavailable", None),
        (PLAIN, "ha/sensor/return/state", "", None),
    ],
)
def test_what_thermometers_say(wire: SensorWire, topic: str, payload: str, reading: SensorReading | None) -> None:
    assert topic in wire.topics
    assert wire.decode(topic, payload.encode()) == reading


@pytest.mark.parametrize("value", ["85.0", "85", "-127", "-127.00", "127.9", "127.9375", "126", "-60", "300"])
def test_the_sensors_own_error_codes_are_no_temperatures(value: str) -> None:
    with pytest.raises(WireError):
        RETURN.decode("zigbee2mqtt/return", f'{{"temperature":{value}}}'.encode())
    with pytest.raises(WireError):
        PLAIN.decode("ha/sensor/return/state", value.encode())


def test_the_power_on_value_is_refused_in_fahrenheit_too() -> None:
    with pytest.raises(WireError, match="error code"):
        TASMOTA.decode("tele/boiler/SENSOR", b'{"DS18B20":{"Temperature":185.0},"TempUnit":"F"}')


@pytest.mark.parametrize("value", ["true", '"36"', "NaN", "1e999", "[]", "{}", "9" * 400])
def test_what_is_no_number_is_refused(value: str) -> None:
    with pytest.raises(WireError):
        RETURN.decode("zigbee2mqtt/return", f'{{"temperature":{value}}}'.encode())


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["temperature", "DS18B20", "params"]), inner),
    max_leaves=20,
)


@given(
    st.sampled_from([RETURN, TASMOTA, SECOND, SHELLY, PLAIN]),
    st.binary() | values.map(lambda value: json.dumps(value).encode()),
    st.data(),
)
def test_nothing_but_wire_error_comes_out_of_any_bytes(wire: SensorWire, payload: bytes, data: st.DataObject) -> None:
    try:
        reading = wire.decode(data.draw(st.sampled_from(wire.topics)), payload)
    except WireError:
        return
    assert reading is None or reading.value is None or -55 <= reading.value <= 125
