"""ADB's packets and keys as bytes, and what an Android shell is told and answers, as text."""

from __future__ import annotations

import base64
import contextlib
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from adb_shell import adb_message, constants
from adb_shell.auth.keygen import encode_pubkey
from hypothesis import example, given
from hypothesis import strategies as st
from support.adb import key_file

from homebridge_svc.errors import WireError
from homebridge_svc.wire import adb, android
from homebridge_svc.wire.adb import Command, Packet
from homebridge_svc.wire.android import AndroidState, ClockKind, Deadline

WORDS = st.integers(0, 2**32 - 1)
PACKETS = st.builds(Packet, st.sampled_from(Command), WORDS, WORDS, st.binary(max_size=300))
SHELLS = [shell for shell in ("sh", "dash", "bash", "mksh") if shutil.which(shell)]


@given(PACKETS)
def test_a_packet_survives_the_wire(packet: Packet) -> None:
    raw = adb.encode(packet)
    assert adb.decode_data(adb.decode_header(raw[:24]), raw[24:]) == packet


@given(PACKETS)
def test_packets_are_those_of_an_independent_codec(packet: Packet) -> None:
    name = packet.command.name.encode()
    theirs = adb_message.AdbMessage(name, packet.arg0, packet.arg1, packet.data)
    assert adb.encode(packet) == theirs.pack() + packet.data
    assert packet.command == constants.ID_TO_WIRE[name]


@given(st.binary(max_size=64))
@example(b"")
def test_no_bytes_make_the_codec_raise_anything_but_a_wire_error(raw: bytes) -> None:
    for decode in (adb.decode_header, adb.decode_public_key):
        with contextlib.suppress(WireError):
            decode(raw)


@given(PACKETS.filter(lambda packet: bool(packet.data)), st.integers(0, 10_000))
def test_a_flipped_bit_in_the_data_is_noticed(packet: Packet, where: int) -> None:
    raw = bytearray(adb.encode(packet))
    raw[24 + where % len(packet.data)] ^= 1
    with pytest.raises(WireError):
        adb.decode_data(adb.decode_header(bytes(raw[:24])), bytes(raw[24:]))


def test_golden_bytes() -> None:
    raw = adb.encode(Packet(Command.OPEN, 1, 0, b"shell:ls\0"))
    assert raw.hex(" ", -4) == "4f50454e 01000000 00000000 09000000 31030000 b0afbab1 7368656c 6c3a6c73 00"


def test_an_absurd_length_is_refused_before_it_is_read() -> None:
    raw = bytearray(adb.encode(Packet(Command.WRTE)))
    raw[12:16] = (1 << 31).to_bytes(4, "little")
    with pytest.raises(WireError):
        adb.decode_header(bytes(raw))


def test_the_public_key_is_the_one_an_independent_encoder_writes() -> None:
    public = key_file().with_name("adbkey.pub").read_bytes()
    key = adb.decode_public_key(public)
    assert key.comment == "test@home"
    assert adb.encode_public_key(key) == public
    assert encode_pubkey(str(key_file())) == base64.b64decode(public.partition(b" ")[0])


def test_the_private_key_is_for_its_owner_only() -> None:
    assert key_file().stat().st_mode & 0o777 == 0o600


# --- what a device is told -------------------------------------------------------------------------------------


def uptime() -> float:
    return float(Path("/proc/uptime").read_text().split()[0])


def in_shell(shell: str, line: str) -> android.Verdict:
    done = subprocess.run([shell, "-c", line], capture_output=True, text=True, check=False, timeout=10)
    return android.verdict(done.stdout)


@pytest.mark.skipif(not Path("/proc/uptime").exists(), reason="no /proc/uptime here")
@pytest.mark.parametrize("shell", SHELLS)
def test_real_shells_act_before_the_deadline_and_refuse_after_it(shell: str) -> None:
    for left in (30.0, 0.8):
        line = android.guarded("echo done; false", Deadline(ClockKind.UPTIME, uptime() + left))
        assert in_shell(shell, line) == android.Verdict(begun=True, status=1, text="done")
    for late in (0.02, 1.0, 10_000.0, 1e9):
        line = android.guarded("echo done", Deadline(ClockKind.UPTIME, uptime() - late))
        assert in_shell(shell, line) == android.Verdict(begun=False, status=75, text="")


@pytest.mark.parametrize("shell", SHELLS)
def test_real_shells_compare_the_wall_clock_where_there_is_no_uptime(shell: str) -> None:
    for left, status in ((5, 0), (-5, 75)):
        verdict = in_shell(shell, android.guarded("true", Deadline(ClockKind.WALL, time.time() + left)))
        assert (verdict.begun, verdict.status) == (status == 0, status)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_clock_that_cannot_be_read_means_too_late(shell: str) -> None:
    line = android.guarded("echo done", Deadline(ClockKind.UPTIME, 1e6)).replace("/proc/uptime", "/nonexistent")
    assert in_shell(shell, line).begun is False
    line = android.guarded("echo done", Deadline(ClockKind.WALL, 2e9)).replace("date +%s", "echo")
    assert in_shell(shell, line).begun is False


@pytest.mark.parametrize("shell", SHELLS)
def test_launching_falls_back_to_the_ordinary_entry_in_real_shells(shell: str, tmp_path: Path) -> None:
    monkey = tmp_path / "monkey"
    monkey.write_text(
        '#!/bin/sh\necho "$@" >> "$0.log"\ncase "$*" in *LEANBACK*) exit 252;; esac\necho Events injected: 1\n'
    )
    monkey.chmod(0o755)
    line = f"PATH={tmp_path}:$PATH; {android.launch('com.example.app')}"
    assert in_shell(shell, f"{line}; echo {android.MARK} end $?").status == 0
    assert len((tmp_path / "monkey.log").read_text().splitlines()) == 2


@given(st.text(max_size=40))
@example("a;b")
def test_no_text_gets_into_a_line_unquoted(text: str) -> None:
    try:
        line = android.launch(text)
    except ValueError:
        return
    assert not set(line.replace("2>&1", "").replace("||", "").replace("|", "")) & set(";&`$<>\n\\(){}")


# --- what a device answers -------------------------------------------------------------------------------------

ANDROID_4 = """\
@hb power
1
  mWakefulness=Awake
  mScreenOn=true
@hb display
@hb app
  mResumedActivity: ActivityRecord{41e2a8f0 u0 com.xgimi.home/.MainActivity t2}
  mCurrentFocus=Window{41f8b1c8 u0 com.xgimi.home/com.xgimi.home.MainActivity}
@hb audio
- STREAM_MUSIC:
   Mute count: 1
   Max: 15
   Current: 2 (speaker): 4, 40000000 (default): 11
   Devices: speaker
- STREAM_ALARM:
   Mute count: 0
@hb end 0
"""
ANDROID_7_ASLEEP = """\
@hb power
1
  mWakefulness=Asleep
Display Power: state=OFF
@hb display
  mScreenState=OFF
@hb app
  mCurrentFocus=null
@hb audio
- STREAM_MUSIC:
   Muted: false
   Min: 0
   Max: 100
   Current: 2 (speaker): 18, 400 (hdmi): 33, 40000000 (default): 11
   Devices: hdmi
@hb end 0
"""
ANDROID_9 = """\
@hb power
1
  mWakefulness=Dreaming
Display Power: state=ON
@hb display
  mScreenState=ON
@hb app
    mResumedActivity: ActivityRecord{9d6b7ad u0 com.xiaodianshi.tv.yst/.ui.main.MainActivity t41}
  mCurrentFocus=Window{3c1a52b u0 com.android.systemui/com.android.systemui.VolumeDialog}
@hb audio
- STREAM_MUSIC:
   Muted: false
   Min: 0
   Max: 60
   Current: 2 (speaker): 20, 40000 (hmdi_arc): 27, 40000000 (default): 15
   Devices: speaker
@hb end 0
"""
ANDROID_12 = """\
@hb power
1
  mWakefulness=Awake
Display Power: state=ON
@hb display
  mScreenState=ON
@hb app
  topResumedActivity=ActivityRecord{1a70f4a u0 com.google.android.apps.tv.launcherx/.home.HomeActivity t7}
  ResumedActivity: ActivityRecord{1a70f4a u0 com.google.android.apps.tv.launcherx/.home.HomeActivity t7}
@hb audio
- STREAM_MUSIC:
   Muted: true
   Muted Internally: false
   Min: 0
   Max: 25
   streamVolume:7
   Current: 2 (speaker): 7, 40000000 (default): 11
   Devices: speaker
@hb end 0
"""
ANDROID_14_BOOTING = """\
@hb power

@hb display
@hb app
  imeLayeringTarget in display# 0 Window{b0c0ffe u0 com.android.tv.settings/com.android.tv.settings.MainSettings}
@hb audio
@hb end 0
"""


@pytest.mark.parametrize(
    ("output", "state"),
    [
        (ANDROID_4, AndroidState(True, True, "com.xgimi.home", 4, 15, True)),
        (ANDROID_7_ASLEEP, AndroidState(False, True, None, 33, 100, False)),
        (ANDROID_9, AndroidState(True, True, "com.xiaodianshi.tv.yst", 20, 60, False)),
        (ANDROID_12, AndroidState(True, True, "com.google.android.apps.tv.launcherx", 7, 25, True)),
        (ANDROID_14_BOOTING, AndroidState(None, False, "com.android.tv.settings", None, None, None)),
        ("", AndroidState(None, None, None, None, None, None)),
        ("sh: dumpsys: not found\n", AndroidState(None, None, None, None, None, None)),
    ],
)
def test_states_as_versions_of_android_print_them(output: str, state: AndroidState) -> None:
    for text in (output, output.replace("\n", "\r\n")):
        assert android.parse_state(text) == state


def test_a_greeting() -> None:
    text = "@hb hello\r\nXGIMI0012345\r\n28\r\n@hb clock\r\n4711.08 9000.00\r\n1700000000\r\n@hb end 0\r\n"
    assert android.parse_greeting(text) == android.Greeting("XGIMI0012345", 28)
    assert android.parse_clock(text) == android.Reading(4711.08, 1_700_000_000)
    silent = "@hb hello\n\n\n@hb clock\ncat: /proc/uptime: Permission denied\n1700000000\n@hb end 0\n"
    assert android.parse_greeting(silent) == android.Greeting(None, None)
    assert android.parse_clock(silent) == android.Reading(None, 1_700_000_000)
    assert android.parse_clock("@hb end 0\n") is None


MARKED = st.lists(st.sampled_from(["@hb go\n", "@hb end 0\n", "@hb end 75\r\n", "@hb audio\n", "STREAM_MUSIC", "\0"]))


@given(st.text() | MARKED.map("".join) | st.lists(MARKED.map("".join) | st.text()).map("".join))
@example("- STREAM_MUSIC: Max: 99999999999999999999999 Devices: ( streamVolume:²")
@example("@hb hello\n²\n²\n@hb clock\n²\n²")
def test_parsers_never_raise(text: str) -> None:
    android.parse_state(text)
    android.parse_greeting(text)
    android.parse_clock(text)
    android.verdict(text)
    android.ended(text)
