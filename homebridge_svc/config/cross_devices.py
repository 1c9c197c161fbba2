"""What must fit together within one projector, heater or pump, and what they refer to."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import TypeAlias

from homebridge_svc.config.devices import PLUG_WAYS, Projector, Pump
from homebridge_svc.config.model import Config
from homebridge_svc.config.problems import Problem, key_path
from homebridge_svc.config.units import SECONDS

Declared: TypeAlias = Mapping[str, Collection[str]]  # section -> the keys that the file has there, right or wrong


def reference(path: tuple[str | int, ...], section: str, key: str, declared: Declared) -> Iterator[Problem]:
    """Complain when there is no such key in the section."""
    if key not in declared.get(section, ()):
        hint = guess(key, declared.get(section, ())) or f"add [{section}.{key}]"
        yield Problem(key_path(path), f"there is no [{section}.{key}]", hint, f"没有 [{section}.{key}]")


def guess(word: str, known: Collection[str]) -> str:
    """Say which of the known words may have been meant, or what is known."""
    close = get_close_matches(word, known, n=1)
    return (
        f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(known))}" if known else "there is none"
    )


def check_projector(key: str, projector: Projector) -> Iterator[Problem]:
    """Find what does not fit in one projector."""
    at = f"projectors.{key}"
    yield from _ways(at, projector)
    ways_off = projector.ways_off or projector.cut_after is not None  # off by the remote, then cut, is a way of life
    for what, zh, there in (("on", "开机", projector.ways_on), ("off", "关机", ways_off)):
        if not there:
            yield Problem(
                at,
                f"there is no way to switch it {what}",
                f"add a channel such as [{at}.udp] or [{at}.adb]" + (", or a plug" if what == "on" else ""),
                f"没有任何可用的{zh}方式",
            )
    if projector.plug is None:
        for name in ("cut_after", "on_above", "off_below"):
            if name in projector.model_fields_set and getattr(projector, name) is not None:
                yield Problem(f"{at}.{name}", "does nothing without a plug", 'add plug = "…" or leave it out')
    if projector.off_below >= projector.on_above:
        yield Problem(
            f"{at}.off_below",
            f"{projector.off_below:g} W is not below on_above ({projector.on_above:g} W)",
            "between the two nothing is concluded; leave a gap",
            "off_below 必须小于 on_above",
        )


def _ways(at: str, projector: Projector) -> Iterator[Problem]:
    """Ways to power that are not there, or are none."""
    there = {*projector.channels, *(PLUG_WAYS if projector.plug else ())}
    for name, ways in (("power_on", projector.power_on), ("power_off", projector.power_off)):
        for index, way in enumerate(ways or ()):
            path = f"{at}.{name}[{index}]"
            if name == "power_off" and way in PLUG_WAYS:
                yield Problem(
                    path, f"{way} is no way to switch off", "the mains are cut by cut_after, after a soft off"
                )
            elif way in PLUG_WAYS and way not in there:
                yield Problem(path, f"{way} needs a plug", 'add plug = "…" or take it out', f"{way} 需要先配置 plug")
            elif way not in there:
                yield Problem(path, f"{way!r} is not a channel here", guess(way, there), f"没有配置通道 {way}")


def blasters(key: str, projector: Projector, declared: Declared) -> Iterator[Problem]:
    """Find channels that name a blaster that is not there."""
    for name, channel in projector.channels.items():
        blaster = getattr(channel, "blaster", None)
        if isinstance(blaster, str):
            yield from reference(("projectors", key, name, "blaster"), "blasters", blaster, declared)


def warmth(key: str, pump: Pump, declared: Declared) -> Iterator[Problem]:
    """Find a heater or a sensor that is not there."""
    if pump.heater:
        yield from reference(("pumps", key, "heater"), "heaters", pump.heater, declared)
    if pump.stop.temperature is not None:
        sensor = pump.stop.temperature.sensor
        yield from reference(("pumps", key, "stop", "temperature", "sensor"), "sensors", sensor, declared)


def check_pump(key: str, pump: Pump, config: Config) -> Iterator[Problem]:
    """Find what does not fit in one pump, and between it and its heater."""
    at = f"pumps.{key}"
    heater = config.heaters.get(pump.heater) if pump.heater else None
    warm = pump.stop.temperature
    if warm is not None and heater is not None and warm.at >= heater.outlet:
        yield Problem(
            f"{at}.stop.temperature.at",
            f"{warm.at:g} °C is never reached: {pump.heater} gives {heater.outlet:g} °C",
            "stop some degrees below the heater's outlet",
            "停止温度必须低于热水器出水温度",
        )
    if heater is not None and heater.ignition_flow and pump.pipe and pump.pipe.flow < heater.ignition_flow:
        yield Problem(
            f"{at}.pipe.flow",
            f"{pump.pipe.flow:g} L/min does not light {pump.heater}, which needs {heater.ignition_flow:g} L/min",
            "measure the flow; a pump that is too small cannot work with this heater",
            "水泵流量低于热水器的点火流量",
        )
    for index, window in enumerate(pump.schedule):
        if window.every < pump.rest:
            yield Problem(
                f"{at}.schedule[{index}].every",
                f"{SECONDS.show(window.every)} is shorter than rest ({SECONDS.show(pump.rest)})",
                "the runs between would be refused: make every longer or rest shorter",
            )
