"""miIO packets: golden bytes, python-miio's own codec as an independent witness, and junk."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from miio.protocol import Message

from homebridge_svc.errors import OutcomeUnknown, Refused, Unsupported, WireError
from homebridge_svc.wire import miio, miio_calls
from homebridge_svc.wire.miio_models import MODELS, Miot, Prop, find

TOKEN = bytes(range(16))
ASK = {"id": 1, "method": "get_properties", "params": [{"did": "2-1", "siid": 2, "piid": 1}]}
GOLDEN = bytes.fromhex(  # made by python-miio 0.5.12
    "21310080000000000a0b0c0d00001388321671da2e33626481ca987c5960eb394f2a76067766da8dd298ee0aa40165ec"
    "20ddc86c2bf24cb85a13b0fd6d94f1165571f44416a2024a8189061885d8dbb6dac02e658c6b28413e6e30de4f8665c3"
    "ac6c1daf1d3c54f882431919b98001211020c03ea91c1fdbd13c97404c8ec2c4"
)
PACKET = miio.Packet(0x0A0B0C0D, 5000, ASK)


def written_by_python_miio(body: object, stamp: int, token: bytes) -> bytes:
    header = {"length": 0, "unknown": 0, "device_id": b"\n\x0b\x0c\r", "ts": datetime.fromtimestamp(stamp, UTC)}
    message = {"data": {"value": body}, "header": {"value": header}, "checksum": 0}
    return cast("bytes", Message.build(message, token=token))


def test_golden_bytes_both_directions() -> None:
    assert miio.encode(PACKET, TOKEN) == GOLDEN
    assert miio.decode(GOLDEN, TOKEN) == PACKET


@given(
    st.dictionaries(st.text(max_size=8), st.integers(-(2**53), 2**53) | st.text(max_size=20) | st.booleans()),
    st.integers(0, 2**31 - 1),
    st.binary(min_size=16, max_size=16),
)
def test_python_miio_writes_the_same_bytes_and_reads_ours(body: dict[str, object], stamp: int, token: bytes) -> None:
    ours = miio.encode(miio.Packet(0x0A0B0C0D, stamp, body), token)
    assert ours == written_by_python_miio(body, stamp, token)
    assert Message.parse(ours, token=token).data.value == body
    assert miio.decode(ours, token).body == body


def test_a_hello_and_its_answer() -> None:
    assert len(miio.HELLO) == 32
    answer = miio.encode_hello_reply(miio.HelloReply(0x0A0B0C0D, 5000))
    assert answer.hex() == "21310020000000000a0b0c0d00001388" + "ff" * 16
    assert miio.decode_hello_reply(answer) == miio.HelloReply(0x0A0B0C0D, 5000)
    assert bytes(Message.parse(answer).header.value.device_id) == b"\n\x0b\x0c\r"
    with pytest.raises(WireError):
        miio.decode_hello_reply(miio.HELLO)


def test_a_wrong_token_and_every_single_flipped_bit_are_wire_errors() -> None:
    with pytest.raises(WireError):
        miio.decode(GOLDEN, b"\0" * 16)
    for bit in range(len(GOLDEN) * 8):
        damaged = bytearray(GOLDEN)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(WireError):
            miio.decode(bytes(damaged), TOKEN)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    with suppress(WireError):
        miio.decode(data, TOKEN)
    with suppress(WireError):
        miio.decode_hello_reply(data)


@pytest.mark.parametrize("plain", ["[]", "3", "null", '"x"', "{", "[" * 5000])
def test_a_well_signed_packet_with_junk_inside_is_a_wire_error(plain: str) -> None:
    with pytest.raises(WireError):
        miio.decode(_signed(plain.encode()), TOKEN)


def _signed(plain: bytes) -> bytes:
    cipher_text = miio._encrypt(plain, TOKEN)
    header = bytes.fromhex("2131") + (32 + len(cipher_text)).to_bytes(2, "big") + bytes(12)
    return header + miio._checksum(header, TOKEN, cipher_text) + cipher_text


def test_each_model_is_switched_in_its_own_words() -> None:
    said = {model: miio_calls.switch(find(model), True) for model in MODELS}
    assert said["chuangmi.plug.m1"] == miio_calls.Call("set_power", ("on",))
    assert said["chuangmi.plug.v1"] == miio_calls.Call("set_on", ())
    assert said["cuco.plug.v3"].params == ({"did": "2-1", "siid": 2, "piid": 1, "value": True},)


def test_a_dead_man_travels_in_the_message_that_switches_on() -> None:
    call = miio_calls.switch(find("cuco.plug.v2eur"), True, 359.2)
    assert [(p["siid"], p["piid"], p["value"]) for p in call.params if isinstance(p, dict)] == [
        (2, 1, True),
        (14, 2, 360),
        (14, 1, True),
    ]
    for model, seconds in (("cuco.plug.v3", 60.0), ("chuangmi.plug.m1", 60.0), ("cuco.plug.v2eur", 86_401.0)):
        with pytest.raises(Unsupported):
            miio_calls.switch(find(model), True, seconds)


def test_overrides_lie_over_the_table_and_make_unknown_models_usable() -> None:
    changed = find("cuco.plug.v3", watts=Prop(11, 9, 0.1))
    assert isinstance(changed, Miot)
    assert (changed.on, changed.watts) == (Prop(2, 1), Prop(11, 9, 0.1))
    assert find("new.plug.x", on=Prop(3, 1)) == Miot(Prop(3, 1))
    with pytest.raises(ValueError, match="unknown model"):
        find("new.plug.x")
    with pytest.raises(ValueError, match="older dialect"):
        find("chuangmi.plug.m1", watts=Prop(1, 1))


@pytest.mark.parametrize("result", [None, [], 3, "on", [None], [3], ["maybe"], [{}], [{"code": -4003}], [[]], {"a": 1}])
def test_an_answer_that_is_neither_on_nor_off_is_refused(result: object) -> None:
    with pytest.raises(Refused):
        miio_calls.said_on(result)


@pytest.mark.parametrize("value", [-1, 4001, 1e300, float("nan"), float("inf"), True, "7", None, 10**400, [1]])
def test_implausible_watts_are_refused(value: object) -> None:
    with pytest.raises(Refused):
        miio_calls.said_watts(find("cuco.plug.v3"), [{"siid": 11, "piid": 2, "code": 0, "value": value}])


def test_watts_are_scaled_by_model() -> None:
    assert miio_calls.said_watts(find("chuangmi.plug.v3"), [300]) == pytest.approx(3.0)
    assert miio_calls.said_watts(find("cuco.plug.cp2"), [{"code": 0, "value": 955}]) == pytest.approx(95.5)


def test_a_write_is_judged_by_its_codes() -> None:
    one, three = miio_calls.switch(find("cuco.plug.v3"), True), miio_calls.switch(find("cuco.plug.v2eur"), True, 60)
    for taken in (0, ["ok"], [{"code": 0}], [{"code": 1}], None):
        miio_calls.check_taken(one, taken)
    with pytest.raises(Refused):
        miio_calls.check_taken(one, [{"code": -4002}])
    with pytest.raises(OutcomeUnknown):
        miio_calls.check_taken(three, [{"code": 0}])
    with pytest.raises(OutcomeUnknown):
        miio_calls.check_taken(three, [{"code": 0}, {"code": -1}, {"code": 0}])
