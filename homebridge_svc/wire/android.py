r"""What we say to an Android shell, and how its answers are read: pure text, both directions.

Theory of operation. The classic `shell:` service of ADB is a terminal: `\r\n`, no exit status. Hence every line we
send prints marks of its own, `@hb <word>`, and the answer is read between them:

* `guarded(line, deadline)` wraps an acting line. The device first compares its own /proc/uptime with the deadline.
  Too late: it prints `@hb end 75` and does nothing. In time: `@hb go`, the line, `@hb end <exit status>`. So a line
  that sat in a socket buffer while the device slept is refused by the device itself, and `go` tells us early that a
  slow command has begun.
* `HELLO` asks who the device is, `STATE` asks for everything that a report needs, both what the clocks say; each is
  one round trip.

Shells differ (mksh on Android, 32-bit arithmetic): only POSIX forms are used, and uptimes are compared as
centiseconds since a base, so that they stay small. All outside text that reaches a line is checked here.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

MARK = "@hb"
GO = f"{MARK} go"
EXPIRED_STATUS = 75  # EX_TEMPFAIL: told by the device when a line came too late

KEYCODES = {
    "ok": 23, "back": 4, "home": 3, "menu": 82, "settings": 176, "up": 19, "down": 20, "left": 21, "right": 22,
    "volume_up": 24, "volume_down": 25, "mute": 164, "play": 126, "pause": 127, "play_pause": 85, "stop": 86,
    "next": 87, "previous": 88, "rewind": 89, "fast_forward": 90, "source": 178,
}  # fmt: skip  # android.view.KeyEvent; autofocus and focus have no key code of their own there
SLEEP_KEY = 223  # idempotent, unlike POWER (26)
WAKE_KEY = 224
MUTE_KEY = KEYCODES["mute"]
INPUT_KEYS = {"home": 3, "hdmi1": 243, "hdmi2": 244, "hdmi3": 245, "hdmi4": 246}  # KEYCODE_TV_INPUT_HDMI_1 …

PACKAGE = re.compile(r"[A-Za-z0-9._]{1,128}")
INTENT_WORD = re.compile(r"[A-Za-z0-9._:/=%+,@#?&$~-]{1,256}")  # each is quoted as well


class ClockKind(Enum):
    """Which of the device's clocks a deadline is compared with."""

    UPTIME = "uptime"  # /proc/uptime, centiseconds
    WALL = "wall"  # `date +%s`, whole seconds: only where uptime cannot be read, it steps after a boot


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment of the device's clock, in its seconds."""

    clock: ClockKind
    at: float


@dataclass(frozen=True, slots=True)
class Greeting:
    """The answer to HELLO. None: the device did not say."""

    serial: str | None
    sdk: int | None


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of the device's clocks. None: it did not say."""

    uptime: float | None  # seconds
    wall: int | None  # unix seconds


@dataclass(frozen=True, slots=True)
class AndroidState:
    """The answer to STATE. None: the device did not say.

    awake: the system is up for people (a screen saver counts); booted: the boot is complete.
    """

    awake: bool | None
    booted: bool | None
    app: str | None
    volume: int | None
    volume_max: int | None
    muted: bool | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a guarded line's output tells. status None: it has not ended."""

    begun: bool
    status: int | None
    text: str


_CLOCK = f"echo {MARK} clock; cat /proc/uptime; date +%s"
_AUDIO = f"echo {MARK} audio; dumpsys audio | grep -A 11 -e '- STREAM_MUSIC:'"
PROBE = f"echo {MARK} end 0"  # the cheapest sign of life
VOLUME = f"{_AUDIO}; {PROBE}"
HELLO = f"echo {MARK} hello; getprop ro.serialno; getprop ro.build.version.sdk; {_CLOCK}; {PROBE}"
STATE = "; ".join(
    (
        f"echo {MARK} power",
        "getprop sys.boot_completed",
        "dumpsys power | grep -E 'mWakefulness=|Display Power: state=|mScreenOn='",
        f"echo {MARK} display",
        "dumpsys display | grep mScreenState=",
        f"echo {MARK} app",
        "dumpsys activity activities | grep ResumedActivity",
        "dumpsys window windows | grep -E 'mCurrentFocus|mFocusedApp|imeLayeringTarget|mInputMethodTarget'",
        _AUDIO,
        _CLOCK,  # last, so that it is fresh when it arrives
        PROBE,
    )
)


def guarded(line: str, deadline: Deadline) -> str:
    """Wrap an acting line so that the device refuses it at or after `deadline`."""
    base = max(0, int(deadline.at))
    match deadline.clock:
        case ClockKind.UPTIME:
            spare = int((deadline.at - base) * 100)
            in_time = f"read u x </proc/uptime && [ $(( (${{u%.*}}-{base})*100+1${{u#*.}}-100 )) -lt {spare} ]"
        case ClockKind.WALL:
            in_time = f'u=$(date +%s) && [ "$u" -gt 0 ] && [ "$u" -lt {base} ]'
    # a clock that cannot be read is "late"; 1xx-100, because a bare "08" would be octal
    return f"if {in_time}; then echo {GO}; {line}; s=$?; else s={EXPIRED_STATUS}; fi; echo {MARK} end $s"


def press(codes: Iterable[int]) -> str:
    """All key codes in one command: `input` starts a JVM, up to 1.5 s on slow boxes."""
    return "input keyevent " + " ".join(str(int(code)) for code in codes)


def put_volume(level: int, sdk: int | None) -> str:
    """Absolute volume of the music stream, shown on the screen; Android 11 (SDK 30) moved the command."""
    program = "cmd media_session volume" if sdk is not None and sdk >= 30 else "media volume"  # noqa: PLR2004  named above
    return f"{program} --show --stream 3 --set {int(level)}"


def launch(package: str) -> str:
    """Start an app: its TV entry, else its ordinary one. Exit status 0 only if one exists. Raises ValueError."""
    if not PACKAGE.fullmatch(package):
        raise ValueError("a package name is made of letters, digits, '.' and '_'")

    def monkey(category: str) -> str:  # its own exit status differs by version, its words do not
        entry = f"monkey -p {package} -c android.intent.category.{category} --pct-syskeys 0 1 2>&1"
        return f"{entry} | grep -q 'Events injected: 1'"

    return f"{monkey('LEANBACK_LAUNCHER')} || {monkey('LAUNCHER')}"


def start_activity(words: Sequence[str]) -> str:
    """`am start` with these arguments, each checked and quoted. Exit status 0 only if started. Raises ValueError."""
    for word in words:
        if not INTENT_WORD.fullmatch(word):
            raise ValueError(f"not an argument for `am start`: {word!r}")
    return f"! am start {shlex.join(words)} 2>&1 | grep -q -E '^Error|Exception'"  # its status is 0 either way


def ended(output: str) -> bool:
    """The line has printed its last mark."""
    return _END.search(output) is not None


def verdict(output: str) -> Verdict:
    """Read what a guarded line (or any line of ours) has printed so far; never raises."""
    begun = _BEGUN.search(output)
    end = _END.search(output)
    status = int(end[1]) if end else None
    text = output[begun.end() if begun else 0 : end.start() if end else len(output)]
    return Verdict(begun is not None, status, text.strip())


def parse_greeting(output: str) -> Greeting:
    """Read the answer to HELLO; never raises."""
    lines = [line.strip() for line in _sections(output).get("hello", "").splitlines()]
    serial, sdk = (*lines, "", "")[:2]
    return Greeting(serial=serial if _SERIAL.fullmatch(serial) else None, sdk=_small(sdk))


def parse_clock(output: str) -> Reading | None:
    """Read the clocks in an answer to HELLO or STATE; None: it has none. Never raises."""
    text = _sections(output).get("clock")
    if text is None:
        return None
    uptime, wall = (*(line.strip() for line in text.splitlines()), "", "")[:2]
    found = _UPTIME.match(uptime)
    return Reading(float(found[1]) if found else None, _small(wall))


def parse_state(output: str) -> AndroidState:
    """Read the answer to STATE (or VOLUME) as Android 4.4 to 14 print it; never raises."""
    parts = _sections(output)
    power = parts.get("power", "")
    booted = power.partition("\n")[0].strip()
    level, top, muted = _parse_music(parts.get("audio", ""))
    return AndroidState(
        awake=_parse_awake(power, parts.get("display", "")),
        booted={"1": True, "0": False, "": False}.get(booted) if power else None,
        app=_parse_app(parts.get("app", "")),
        volume=level,
        volume_max=top,
        muted=muted,
    )


_END = re.compile(rf"^{MARK} end (\d{{1,3}})\r*$", re.MULTILINE)
_BEGUN = re.compile(rf"^{GO}\r*$", re.MULTILINE)
_SECTION = re.compile(rf"^{MARK} ([a-z]+)[ \d]*\r*$", re.MULTILINE)
_SERIAL = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_UPTIME = re.compile(r"(\d{1,10}\.\d\d)\b", re.ASCII)
_COMPONENT = re.compile(r" ([A-Za-z0-9._]+)/[A-Za-z0-9._$]+")
_FOCUS = (  # best first: what is resumed, then what has the focus
    "topResumedActivity", "mResumedActivity", "ResumedActivity:", "mCurrentFocus", "mFocusedApp",
    "imeLayeringTarget", "mInputMethodTarget",
)  # fmt: skip


def _small(text: str) -> int | None:
    """A decimal number of at most 10 digits."""
    return int(text) if re.fullmatch(r"\d{1,10}", text, re.ASCII) else None


def _sections(output: str) -> dict[str, str]:
    """Cut an output at our marks: {word of the mark: what followed it}."""
    marks = list(_SECTION.finditer(output))
    ends = [*(mark.start() for mark in marks), len(output)][1:]
    return {mark[1]: output[mark.end() + 1 : end] for mark, end in zip(marks, ends, strict=False)}


def _parse_awake(power: str, display: str) -> bool | None:
    if found := re.search(r"mWakefulness=(\w+)", power):
        return found[1] in ("Awake", "Dreaming")
    for pattern, text in (
        (r"Display Power: state=(\w+)", power),
        (r"mScreenOn=(\w+)", power),
        (r"mScreenState=(\w+)", display),
    ):
        if found := re.search(pattern, text):
            return found[1] in ("ON", "true")
    return None


def _parse_app(text: str) -> str | None:
    lines = text.splitlines()
    for word in _FOCUS:
        for line in lines:
            if word in line and (found := _COMPONENT.search(line)):
                return found[1]
    return None


def _parse_music(text: str) -> tuple[int | None, int | None, bool | None]:
    """(level, maximum, muted) of the music stream: the level of the device that it plays on."""
    block = text.partition("STREAM_MUSIC")[2].partition("- STREAM")[0]
    top = re.search(r"\bMax: (\d{1,4})\b", block)
    device = re.search(r"\bDevices: (\w+)", block)
    level = re.search(r"\bstreamVolume:(\d{1,4})\b", block)
    if level is None and device is not None:
        level = re.search(rf"\({device[1]}\): (\d{{1,4}})\b", block)
    muted: bool | None = None
    if found := re.search(r"\bMuted: (true|false)\b", block):
        muted = found[1] == "true"
    elif found := re.search(r"\bMute count: (\d{1,6})\b", block):  # up to Android 6
        muted = int(found[1]) > 0
    return (int(level[1]) if level else None), (int(top[1]) if top else None), muted
