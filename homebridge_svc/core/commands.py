"""The command language: what `…/set`, the page, `send` and the phrases of the configuration say.

    power on|off|light_off|light_on     volume 12 | +2 | -2     mute on|off     input hdmi1     app 哔哩哔哩
    key ok [2]                          run [3m]                stop            reset           on | off

`living_room.power on` names the device in front; where the topic or the page has named it, the verb stands alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from homebridge_svc.core.intents import (
    Intent,
    PowerWish,
    PressKey,
    ResetPump,
    RunPump,
    SelectInput,
    SetMute,
    SetPower,
    SetVolume,
    StartApp,
    StepVolume,
    StopPump,
    SwitchPlug,
)
from homebridge_svc.core.orders import KEYS

LONGEST = 500  # characters; nobody says more
_KEY = re.compile(r"[a-z][a-z0-9_]*")
_DURATION = re.compile(
    r"(?:([0-9]{1,3})\s*(?:h|小时))?\s*(?:([0-9]{1,4})\s*(?:m|min|分钟?))?\s*(?:([0-9]{1,5})\s*(?:s|sec|秒))?"
)


def parse_line(text: str) -> tuple[str, Intent]:
    """Read `device.verb …` into the device's key and the wish. Raises ValueError with a sentence for people."""
    device, dot, rest = text.strip().partition(".")
    if not dot or not _KEY.fullmatch(device):
        raise ValueError(f"{_short(text)!r} names no device: write it like 'living_room.power on'")
    return device, parse(rest)


def parse(text: str) -> Intent:
    """Read a command without its device. Raises ValueError with a sentence that lists what would be understood."""
    words = text.strip().split(maxsplit=1)
    if not words or len(text) > LONGEST:
        raise ValueError(f"{_short(text)!r} is not a command; known: {', '.join(sorted(_VERBS))}")
    verb, rest = words[0].lower(), words[1].strip() if len(words) > 1 else ""
    read = _VERBS.get(verb)
    if read is None:
        raise ValueError(f"{_short(verb)!r} is not a command; known: {', '.join(sorted(_VERBS))}")
    return read(rest)


def parse_duration(text: str) -> float:
    """Seconds from `3m`, `90s`, `1h30m`, `5分钟`. Raises ValueError."""
    found = _DURATION.fullmatch(text.strip().lower())
    if found is None or not any(found.groups()):
        raise ValueError(f"{_short(text)!r} is not a duration; write it like 3m or 90s")
    hours, minutes, seconds = (int(group or 0) for group in found.groups())
    total = hours * 3600 + minutes * 60 + seconds
    if total <= 0:
        raise ValueError("a duration must be longer than nothing")
    return float(total)


def _power(rest: str) -> Intent:
    try:
        return SetPower(PowerWish(rest.lower()))
    except ValueError:
        raise ValueError(f"power takes {', '.join(PowerWish)}, not {_short(rest)!r}") from None


def _volume(rest: str) -> Intent:
    if re.fullmatch(r"[0-9]{1,3}", rest):
        return SetVolume(int(rest))
    if re.fullmatch(r"[+-][0-9]{1,2}", rest) and 0 < abs(int(rest)) <= 20:  # noqa: PLR2004  documented in StepVolume
        return StepVolume(int(rest))
    raise ValueError(f"volume takes a number like 12, or a step like +2 (at most 20), not {_short(rest)!r}")


def _mute(rest: str) -> Intent:
    return SetMute(_on_off("mute", rest))


def _input(rest: str) -> Intent:
    if not rest:
        raise ValueError("input takes a name, like hdmi1")
    return SelectInput(rest)


def _app(rest: str) -> Intent:
    if not rest:
        raise ValueError("app takes a name or a package, like com.example.tv")
    return StartApp(rest)


def _key(rest: str) -> Intent:
    found = re.fullmatch(r"(\w+)(?:\s+([0-9]{1,2}))?", rest)
    if found is None or found[1].lower() not in KEYS:
        raise ValueError(f"key takes one of {', '.join(sorted(KEYS))}, not {_short(rest)!r}")
    times = int(found[2] or 1)
    if not 1 <= times <= 20:  # noqa: PLR2004  documented in PressKey
        raise ValueError("a key is pressed 1 to 20 times")
    return PressKey(found[1].lower(), times)


def _run(rest: str) -> Intent:
    return RunPump(parse_duration(rest) if rest else None)


def _alone(verb: str, intent: Intent) -> Callable[[str], Intent]:
    def read(rest: str) -> Intent:
        if rest:
            raise ValueError(f"{verb} stands alone, {_short(rest)!r} means nothing here")
        return intent

    return read


def _on_off(verb: str, rest: str) -> bool:
    if rest.lower() not in ("on", "off"):
        raise ValueError(f"{verb} takes on or off, not {_short(rest)!r}")
    return rest.lower() == "on"


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:40] + "…"  # noqa: PLR2004  a glance


_VERBS: dict[str, Callable[[str], Intent]] = {
    "power": _power,
    "volume": _volume,
    "mute": _mute,
    "input": _input,
    "app": _app,
    "key": _key,
    "run": _run,
    "stop": _alone("stop", StopPump()),
    "reset": _alone("reset", ResetPump()),
    "on": _alone("on", SwitchPlug(on=True)),
    "off": _alone("off", SwitchPlug(on=False)),
}
