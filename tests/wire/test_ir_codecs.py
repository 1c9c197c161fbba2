"""Infrared codecs against golden data: public documents, learned codes, and timings of an independent library."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebridge_svc.errors import WireError
from homebridge_svc.wire.ir import Nec, Signal, decode_nec, nec, pronto, raw, to_pronto
from homebridge_svc.wire.ir_blasters import read_tasmota, read_tuya, tasmota, tuya

# `NECCommand(address=4, command=8).get_raw_timings()` of infrared-protocols 5.8.1, run by hand on Python 3.13;
# 2780 other pairs of address and command agreed with it in both directions, repeats included
INDEPENDENT = [
    9000, 4500,
    562, 562, 562, 562, 562, 1687, 562, 562, 562, 562, 562, 562, 562, 562, 562, 562,
    562, 1687, 562, 1687, 562, 562, 562, 1687, 562, 1687, 562, 1687, 562, 1687, 562, 1687,
    562, 562, 562, 562, 562, 562, 562, 1687, 562, 562, 562, 562, 562, 562, 562, 562,
    562, 1687, 562, 1687, 562, 1687, 562, 562, 562, 1687, 562, 1687, 562, 1687, 562, 1687,
    562,
]  # fmt: skip

# Two keys of a CD player's remote as a Tuya blaster learned them, from a public forum: compressed, with back-references
LEARNED_POWER = "BXQhwRAVAkABA0gGFQLgAwHAD0AHQANAAUAHwANAAUAL4AMBQA/AA+ADAeATE2AbAJbg/YfghIcCBhUC"
LEARNED_PLAY = "BXYhyRASAkABA04GEgLgAwHAD0AHQANAAUAHwANAAUALQAFAB8ADQAFAC+APAcAbQAfAAwFEluD9h+CEhwIGEgI="
# The example of the public description of that compression
DESCRIBED = (
    "A/IEiwFAAwbJAfIE8gSLIAUBiwFAC+ADAwuLAfIE8gSLAckBRx9AB0ADBskB8gTyBIsgBQGLAUALA4sB8gRAB8ADBfIEiwHJAeARLwHJAeAF"
    "AwHyBOC5LwGLAeA97wOLAfIE4RcfBYsB8gTyBEAFAYsB4AcrCYsB8gTyBIsByQHgPY8DyQHyBOAHAwHyBEAX4BVfBIsB8gTJoAMF8gSLAckB"
    "4BUvAckB4AEDBfIEiwHJAQ=="
)
# Samsung's discrete "on" in the Pronto form that remote databases hold
PRONTO_SAMSUNG_ON = (
    "0000 006D 0000 0022 00AC 00AC 0015 0040 0015 0040 0015 0040 0015 0015 0015 0015 0015 0015 0015 0015 0015 0015 "
    "0015 0040 0015 0040 0015 0040 0015 0015 0015 0015 0015 0015 0015 0015 0015 0015 0015 0040 0015 0015 0015 0015 "
    "0015 0040 0015 0040 0015 0015 0015 0015 0015 0040 0015 0015 0015 0040 0015 0040 0015 0015 0015 0015 0015 0040 "
    "0015 0040 0015 0015 0015 0689"
)

frames = st.builds(nec, st.integers(0, 0xFFFF), st.integers(0, 0xFF))
durations = st.lists(st.integers(1, 65_535), min_size=2, max_size=200)


def test_nec_has_the_timings_of_an_independent_library() -> None:
    assert list(nec(0x04, 0x08).durations[:67]) == INDEPENDENT


def test_nec_frames_follow_one_another_every_108_ms() -> None:
    signal = nec(0x04, 0x08)
    assert sum(signal.durations) == 108_000
    assert signal.repeat[:3] == (9000, 2250, 562)
    assert sum(signal.repeat) == 108_000


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFF), st.integers(0, 5))
def test_nec_comes_back_as_it_was(address: int, command: int, repeats: int) -> None:
    found = decode_nec(nec(address, command).train(repeats))
    assert found is not None
    assert (found.command, found.repeats) == (command, repeats)
    assert nec(found.address, command) == nec(address, command)


@given(frames, st.lists(st.floats(-0.24, 0.24), min_size=68, max_size=68))
def test_a_receiver_forgives_a_quarter_of_every_duration(signal: Signal, errors: list[float]) -> None:
    bent = [round(duration * (1 + error)) for duration, error in zip(signal.durations, errors, strict=True)]
    assert decode_nec(bent) == decode_nec(signal.durations)


def test_a_frame_whose_complement_is_wrong_is_not_nec() -> None:
    bits = list(nec(0x04, 0x08).durations)
    at = 2 + 2 * 24 + 1  # the first bit of the command's complement
    bits[at] = 562 if bits[at] == 1687 else 1687
    assert decode_nec(bits) is None


@given(st.lists(st.integers(-10, 100_000), max_size=80))
def test_noise_never_makes_the_receiver_raise(noise: list[int]) -> None:
    assert decode_nec(noise) is None or len(noise) >= 67


@pytest.mark.parametrize(("address", "command"), [(-1, 0), (0x10000, 0), (0, -1), (0, 256)])
def test_nec_outside_its_fields_is_refused(address: int, command: int) -> None:
    with pytest.raises(WireError, match="0xFFFF"):
        nec(address, command)


def test_pronto_of_a_known_remote() -> None:
    signal = pronto(PRONTO_SAMSUNG_ON)
    assert signal.carrier == 38_029
    assert len(signal.durations) == 68
    assert signal.durations[:4] == (4523, 4523, 552, 1683)
    assert signal.durations == signal.repeat  # it has a repeat part alone: one press sends it once


def test_pronto_goes_there_and_back() -> None:
    signal = pronto(PRONTO_SAMSUNG_ON.replace("0000 0022", "0022 0000", 1))
    assert signal.repeat == ()
    assert to_pronto(signal) == PRONTO_SAMSUNG_ON.replace("0000 0022", "0022 0000", 1)


@given(frames)
def test_nec_survives_pronto(signal: Signal) -> None:
    assert decode_nec(pronto(to_pronto(signal)).durations) == decode_nec(signal.durations)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "too short"),
        ("5000 0000 0000 0001 0000 0001", "only learned"),
        ("900A 006C 0000 0001 0004 0008", "not 900A"),
        ("0000 0000 0001 0000 0010 0010", "no frequency"),
        ("0000 006D 0002 0000 0010 0010", "announces 4 durations and has 2"),
        ("0000 006D 0001 0000 001O 0010", "four hex digits"),
        ("0000 006D 0001 0000 +010 0010", "four hex digits"),
        ("0000 FFFF 0001 0000 0010 0010", "carrier of 63 Hz"),
    ],
)
def test_a_wrong_pronto_code_says_what_is_wrong(text: str, why: str) -> None:
    with pytest.raises(WireError, match=why):
        pronto(text)


def test_raw_gets_a_closing_space() -> None:
    assert raw([9000, 4500, 562]).durations == (9000, 4500, 562, 40_000)
    assert raw([9000, 4500]).durations == (9000, 4500)


@pytest.mark.parametrize("wrong", [[], [0, 5], [5, -1], [5, 2_000_000], [1] * 2000])
def test_raw_durations_that_no_remote_sends_are_refused(wrong: list[int]) -> None:
    with pytest.raises(WireError):
        raw(wrong)


def test_tasmota_says_nec_in_the_order_of_the_air() -> None:
    assert tasmota(nec(0x04, 0x08)) == '{"Protocol": "NEC", "Bits": 32, "Data": "0x20DF10EF", "Repeat": 0}'
    assert tasmota(nec(0x04, 0x08), 2).endswith('"Repeat": 2}')


def test_tasmota_says_everything_else_raw() -> None:
    assert tasmota(Signal(36_000, (889, 889, 1778, 889))) == "36000,889,889,1778,889"
    assert tasmota(Signal(36_000, (889, 90_000))) == "36000,889,65535"  # its counters have 16 bits


@given(frames, st.integers(0, 5))
def test_tasmota_reads_what_tasmota_writes(signal: Signal, repeats: int) -> None:
    assert read_tasmota(tasmota(signal, repeats)).durations == signal.train(repeats)


@given(durations)
def test_tasmota_raw_goes_there_and_back(train: list[int]) -> None:
    assert read_tasmota(tasmota(Signal(38_000, tuple(train)))) == raw(train)


@pytest.mark.parametrize(
    ("code", "length", "beginning", "pressed"),
    [
        (LEARNED_POWER, 271, (8564, 4289, 533, 533), Nec(0xA2, 0x1C)),
        (LEARNED_PLAY, 271, (8566, 4297, 530, 530), Nec(0xA2, 0x17)),
        (DESCRIBED, 335, (1266, 395, 1266, 395), None),
    ],
)
def test_learned_tuya_codes_unpack(code: str, length: int, beginning: tuple[int, ...], pressed: Nec | None) -> None:
    signal = read_tuya(code)  # lengths and beginnings: the decoder published with the description, run by hand
    assert len(signal.durations) == length + 1
    assert signal.durations[:4] == beginning
    assert decode_nec(signal.durations) == pressed


def test_tuya_codes_are_written_in_literal_blocks() -> None:
    assert tuya(Signal(38_000, (9000, 4500))) == "AygjlBE="  # 03, then 2823 and 9411 little-endian
    assert tuya(Signal(38_000, (9000, 90_000))) == "Aygj//8="  # clipped to 16 bits


@given(durations, st.integers(0, 2))
def test_tuya_goes_there_and_back(train: list[int], repeats: int) -> None:
    signal = raw(train)
    assert read_tuya(tuya(signal, repeats)).durations == signal.train(repeats)


@given(st.one_of(st.text(), st.binary().map(lambda data: data.hex())))
def test_junk_is_refused_by_every_codec(junk: str) -> None:
    for codec in (pronto, read_tasmota, read_tuya):
        try:
            signal = codec(junk)
        except WireError:
            continue
        assert signal.durations
        assert all(duration > 0 for duration in signal.durations)


@pytest.mark.parametrize(
    "code",
    [
        "not base64!",
        "AA",
        "AygjlA==",
        "IAA=",
        "4A==",
        "AP8=",
        "A/8=",
        "AwAAAAA=",
        "Hwoo4P//4P//4P//4P//4P//4P//4P//4P//",
    ],
)
def test_broken_tuya_codes_are_refused(code: str) -> None:
    with pytest.raises(WireError):
        read_tuya(code)


def test_a_small_code_cannot_unpack_into_a_huge_one() -> None:
    bomb = bytes([1, 1, 1]) + bytes([0xE0, 0xFF, 0x00]) * 10_000
    with pytest.raises(WireError, match="longer than"):
        read_tuya(base64.b64encode(bomb).decode())
