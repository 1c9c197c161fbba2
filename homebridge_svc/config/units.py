"""Quantities carry their unit: "30m", "36 °C", "40 W". A bare number is an error that says what to write.

Values become floats in the units of core/model.py: seconds, degrees Celsius, kelvin, watts, litres per minute,
metres; a clock time becomes minutes since midnight. `show` writes them back for `check --effective`.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, ValidationInfo

from homebridge_svc.config.context import context_of
from homebridge_svc.config.problems import kind_of, quoted, wrong

LONGEST = 40  # characters of a quantity
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z°/]+)\s*")
_PARTS = re.compile(f"(?:{_PART.pattern})+")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?")
_MINUTES_A_DAY = 24 * 60


@dataclass(frozen=True, slots=True)
class Unit:
    """One kind of quantity.

    factors: spelling (case-folded) -> how many base units it is. least, most: what can be meant at all, base units.
    chained: parts may follow one another, larger first ("1h30m").
    """

    what: str
    examples: str
    zh: str
    factors: Mapping[str, float]
    least: float
    most: float
    show: Callable[[float], str]
    chained: bool = False

    def read(self, value: object) -> float:
        """Base units from text such as "1.2 kW". Raises PydanticCustomError with a sentence."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            raise wrong(f"{value} has no unit" if -1e9 < value < 1e9 else "has no unit", *self._hints())  # noqa: PLR2004
        if not isinstance(value, str):
            raise wrong(f"must be {self.what} in quotes, not {kind_of(value)}", *self._hints())
        text = unicodedata.normalize("NFKC", value).strip().casefold()
        if _NUMBER.fullmatch(text):
            raise wrong(f"{quoted(value)} has no unit", *self._hints())
        sign, text = (text[0], text[1:].lstrip()) if text[:1] in ("-", "+") else ("", text)
        parts = [(float(number), unit) for number, unit in _PART.findall(text)]
        if len(text) > LONGEST or not _PARTS.fullmatch(text) or not self._orderly(parts):
            raise wrong(f"{quoted(value)} is not {self.what}", *self._hints())
        total = math.fsum(number * self.factors[unit] for number, unit in parts)
        return self.check(-total if sign == "-" else total, self.least, self.most)

    def check(self, value: float, least: float, most: float) -> float:
        """Give `value` back when it lies in least … most. Raises PydanticCustomError with a sentence."""
        if value < least:
            raise wrong(f"{self.show(value)} is too little", f"at least {self.show(least)}", f"至少 {self.show(least)}")
        if value > most:
            raise wrong(f"{self.show(value)} is too much", f"at most {self.show(most)}", f"最多 {self.show(most)}")
        return value

    def _orderly(self, parts: list[tuple[float, str]]) -> bool:
        factors = [self.factors.get(unit, math.nan) for _, unit in parts]
        falling = all(larger > smaller for larger, smaller in pairwise(factors))
        return not any(map(math.isnan, factors)) and falling and (self.chained or len(parts) == 1)

    def _hints(self) -> tuple[str, str]:
        return (
            f"write it with its unit and in quotes, like {self.examples}",
            f"{self.zh}要带单位并加引号，例如 {self.examples.replace(' or ', ' 或 ')}",
        )


def _plain(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".") or "0"


def _show_seconds(value: float) -> str:
    if abs(value) < 1:
        return f"{_plain(value * 1000)}ms" if value else "0s"
    sign, rest, text = "-" if value < 0 else "", round(abs(value), 6), ""
    for name, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        count, rest = divmod(rest, size)
        text += f"{count:.0f}{name}" if count else ""
    rest = round(rest, 6)
    return sign + text + (f"{_plain(rest)}s" if rest else "")


def _show_metres(value: float) -> str:
    return f"{_plain(value * 1000)} mm" if abs(value) < 1 and value else f"{_plain(value)} m"


SECONDS = Unit(
    what="a duration",
    examples='"30s" or "5m"',
    zh="时长",
    factors={"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400},
    least=0,
    most=366 * 86_400,
    show=_show_seconds,
    chained=True,
)
CELSIUS = Unit(
    what="a temperature",
    examples='"36 °C"',
    zh="温度",
    factors={"°c": 1, "c": 1},
    least=-50,
    most=150,
    show=lambda value: f"{_plain(value)} °C",
)
KELVIN = Unit(
    what="a temperature difference in kelvin",
    examples='"5 K"',
    zh="温差",
    factors={"k": 1},
    least=0,
    most=150,
    show=lambda value: f"{_plain(value)} K",
)
WATTS = Unit(
    what="a power",
    examples='"40 W" or "1.2 kW"',
    zh="功率",
    factors={"w": 1, "kw": 1_000},
    least=0,
    most=100_000,
    show=lambda value: f"{_plain(value)} W",
)
LITRES_PER_MINUTE = Unit(
    what="a flow",
    examples='"5 L/min"',
    zh="流量",
    factors={"l/min": 1, "l/s": 60},
    least=0,
    most=1_000,
    show=lambda value: f"{_plain(value)} L/min",
)
METRES = Unit(
    what="a length",
    examples='"20 m" or "9 mm"',
    zh="长度",
    factors={"mm": 0.001, "cm": 0.01, "m": 1},
    least=0,
    most=1_000,
    show=_show_metres,
)


def _reader(unit: Unit) -> BeforeValidator:
    def read(value: object, info: ValidationInfo) -> object:
        return value if context_of(info) is None and not isinstance(value, str) else unit.read(value)

    return BeforeValidator(read)


def between(unit: Unit, least: float, most: float) -> AfterValidator:
    """Narrow a quantity to least … most, base units."""
    return AfterValidator(lambda value: unit.check(value, least, most))


def _or_never(value: object, info: ValidationInfo) -> object:
    if value is None or value == "never":
        return None
    return value if context_of(info) is None and not isinstance(value, str) else SECONDS.read(value)


Seconds = Annotated[float, _reader(SECONDS), PlainSerializer(SECONDS.show)]
Celsius = Annotated[float, _reader(CELSIUS), PlainSerializer(CELSIUS.show)]
Kelvin = Annotated[float, _reader(KELVIN), PlainSerializer(KELVIN.show)]
Watts = Annotated[float, _reader(WATTS), PlainSerializer(WATTS.show)]
LitresPerMinute = Annotated[float, _reader(LITRES_PER_MINUTE), PlainSerializer(LITRES_PER_MINUTE.show)]
Metres = Annotated[float, _reader(METRES), PlainSerializer(METRES.show)]
SecondsOrNever = Annotated[
    float | None,
    BeforeValidator(_or_never),
    PlainSerializer(lambda value: "never" if value is None else SECONDS.show(value)),
]


def read_clock_time(value: object) -> int:
    """Minutes since midnight from "06:40"; "24:00" is the end of the day. Raises PydanticCustomError."""
    hints = 'write hours and minutes in quotes, like "06:40"', '时间写成 "06:40"，要加引号'
    if not isinstance(value, str):
        raise wrong(f"must be a time of day in quotes, not {kind_of(value)}", *hints)
    found = re.fullmatch(r"([0-9]{1,2}):([0-9]{2})", unicodedata.normalize("NFKC", value).strip())
    minutes = int(found[1]) * 60 + int(found[2]) if found and int(found[2]) < 60 else math.inf  # noqa: PLR2004
    if minutes > _MINUTES_A_DAY:
        raise wrong(f"{quoted(value)} is not a time of day", *hints)
    return int(minutes)


def show_clock_time(minutes: int) -> str:
    """Write 400 as "06:40"."""
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _clock_reader(value: object, info: ValidationInfo) -> object:
    return value if context_of(info) is None and not isinstance(value, str) else read_clock_time(value)


ClockTime = Annotated[int, BeforeValidator(_clock_reader), PlainSerializer(show_clock_time)]


def _resolve_path(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, str):
        return value
    if not value.strip() or "\0" in value:
        raise wrong("must be a file name", 'write it in quotes, like "ir/living_room.toml"')
    context = context_of(info)
    return Path(value) if context is None else context.base / value


def _must_exist(path: Path, info: ValidationInfo) -> Path:
    if context_of(info) is not None and not path.is_file():
        raise wrong(
            f"there is no file {path}", "relative paths are relative to the configuration", f"找不到文件 {path}"
        )
    return path


ConfigPath = Annotated[Path, BeforeValidator(_resolve_path), PlainSerializer(str)]  # relative to the file
ConfigFile = Annotated[ConfigPath, AfterValidator(_must_exist)]  # the same, and it is there
