"""Command payloads: whatever arrives, nothing but BadPayload is raised."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebridge_svc.errors import WireError
from homebridge_svc.wire.payloads import BadPayload, Payload, read, read_json


def test_plain_text_and_json_say_the_same() -> None:
    assert read(b" power on ", field="do") == Payload("power on")
    assert read(b'{"do": "power on", "id": "a1", "at": 1792000000.5, "by": "home_assistant"}', field="do") == Payload(
        "power on", "a1", 1792000000.5, "home_assistant"
    )


@pytest.mark.parametrize(
    "raw",
    [b"", b"   ", b"\xff\xfe", b'{"do": 7}', b'{"do": null}', b"{", b'{"do": "x", "at": NaN}', b'{"do":"x","at":1e999}',
     b'{"do":"x","at":true}', b'{"do":"x","at":"now"}', b'{"do":"x","id":7}', b'{"do":"x","id":"a.1"}',
     b'{"do":"x","id":"\\u0000"}',
     b'{"do":"x","at":' + b"9" * 5000 + b"}", b'{"a":' * 5000, b"x" * 501, b"x" * 20_000, b"on\x00", b"on\nrm -rf",
     b'{"do":"x","by":"\\n"}'],
)  # fmt: skip
def test_bad_payloads_are_refused(raw: bytes) -> None:
    with pytest.raises(BadPayload):
        read(raw, field="do")


def test_the_spaces_of_input_methods_are_spaces() -> None:
    assert read("打开\u3000投影\u00a0".encode(), field="say") == Payload("打开 投影")


def test_a_fault_is_the_same_kind_wherever_it_stands() -> None:
    """Kinds are logged once each: a peer must not make a new one per message."""
    kinds = set()
    for count in (1, 7, 300):
        for raw in (b"{" + b" " * count + b"x", b'{"at":' + b"9" * (5000 + count) + b"}"):
            with pytest.raises(BadPayload) as caught:
                read(raw, field="do")
            kinds.add(str(caught.value))
    assert len(kinds) == 2


def test_the_callers_id_is_kept_for_the_answer() -> None:
    with pytest.raises(BadPayload) as caught:
        read(b'{"id": "a1", "do": 7}', field="do")
    assert caught.value.id == "a1"


@given(st.binary(max_size=400) | st.text(max_size=200).map(lambda text: b'{"do":' + text.encode("utf-8", "replace")))
def test_no_bytes_raise_anything_else(raw: bytes) -> None:
    with contextlib.suppress(BadPayload):
        assert read(raw, field="do").text


@given(st.binary(max_size=400))
def test_json_from_outside_raises_wire_error_only(raw: bytes) -> None:
    with contextlib.suppress(WireError):
        read_json(raw)
