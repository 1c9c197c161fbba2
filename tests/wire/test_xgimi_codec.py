"""The app protocol's bytes, both directions."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebridge_svc.core.orders import KEYS
from homebridge_svc.errors import WireError
from homebridge_svc.wire import xgimi
from homebridge_svc.wire.xgimi import AskDevice, Control, DeviceInfo, Found, Heartbeat, KeyPress, Seek

KEY_LINES = [
    (KeyPress(30), b"KEYPRESSES:30"),
    (KeyPress(116), b"KEYPRESSES:116"),
    (KeyPress(2102), b"KEYPRESSES:2102"),
    (KeyPress(253, down=True), b"KEYSSTATUS:253+1"),
    (KeyPress(253, down=False), b"KEYSSTATUS:253+0"),
]
MESSAGES = [
    (AskDevice("1"), b'{"action":10000,"msgid":"1","appid":"1"}'),
    (Heartbeat("2"), b'{"action":10002,"msgid":"2","appid":"2"}'),
    (Seek("3"), b'{"action":9998,"msgid":"3","appid":"3"}'),
    (
        DeviceInfo("1", "guava", "00:88:14:00:00:01"),
        b'{"action":10001,"deviceInfo":{"device":"guava","mac":"00-88-14-00-00-01"},"msgid":"1"}',
    ),
    (Found("192.168.1.20", "客厅"), '{"action":9999,"deviceip":"192.168.1.20","devicename":"客厅"}'.encode()),
    (
        Control("2", 6, 2),
        b'{"action":20000,"msgid":"2","controlCmd":{"mode":6,"type":2,"time":0,"delayTime":0,"data":""}}',
    ),
]


@pytest.mark.parametrize(("key", "line"), KEY_LINES)
def test_a_key_line_is_ascii_without_a_newline(key: KeyPress, line: bytes) -> None:
    assert xgimi.encode_key(key) == line
    assert xgimi.decode_key(line) == key


@pytest.mark.parametrize(("message", "data"), MESSAGES)
def test_a_message_reads_as_it_was_written(message: xgimi.JsonMessage, data: bytes) -> None:
    assert xgimi.encode(message) == data
    assert xgimi.decode(data) == message


def test_keys_have_the_neutral_names_of_core() -> None:
    assert set(xgimi.KEY_CODES) <= KEYS
    assert xgimi.KEY_CODES["left"] == 50  # between its neighbours 36, 37, 38 this is the odd one
    assert xgimi.KEY_CODES["volume_up"] == 115


def test_an_answer_without_msgid_or_mac_is_still_an_answer() -> None:
    assert xgimi.decode(b'{"action":10001,"deviceInfo":{}}') == DeviceInfo(None, "", "")


def test_more_fields_than_we_know_do_not_disturb() -> None:
    data = b'{"action":10001,"msgid":7,"x":[1,{"y":null}],"deviceInfo":{"device":"h3s","mac":"0088140000FF","rom":3}}'
    assert xgimi.decode(data) == DeviceInfo("7", "h3s", "00:88:14:00:00:ff")


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"\xff\xfe\x00",
        b'{"action":NaN}',
        b'{"action":true}',
        b'{"action":10001}',
        b'{"action":10001,"deviceInfo":[]}',
        b'{"action":10001,"deviceInfo":{"mac":{}}}',
        b'{"action":20000,"msgid":"1","controlCmd":{"mode":"6","type":2}}',
        b'{"action":1' + b"0" * 5000 + b"}",
        b'{"action":10000,"msgid":' + b"9" * 5000 + b"}",
        b"[" * 6000,
        b'{"a":' * 1500,
        b'{"action":10000,"msgid":"' + b"x" * 9000 + b'"}',
    ],
)
def test_junk_is_a_wire_error(junk: bytes) -> None:
    with pytest.raises(WireError):
        xgimi.decode(junk)


@pytest.mark.parametrize(
    "junk", [b"", b"KEYPRESSES:", b"KEYPRESSES:30\n", b"KEYPRESSES:-1", b"KEYSSTATUS:3+2", b"\xff"]
)
def test_a_line_that_is_no_key_is_a_wire_error(junk: bytes) -> None:
    with pytest.raises(WireError):
        xgimi.decode_key(junk)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    with suppress(WireError):
        xgimi.decode(data)
    with suppress(WireError):
        xgimi.decode_key(data)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_no_json_raises_anything_else(value: object) -> None:
    for body in ({"action": value}, {"action": 10001, "deviceInfo": value}, {"action": 20000, "controlCmd": value}):
        with suppress(WireError):
            xgimi.decode(json.dumps(body).encode())
