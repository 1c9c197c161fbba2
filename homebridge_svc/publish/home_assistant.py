"""What Home Assistant is told about us: one discovery payload per device, and nothing to configure over there.

Each device is a retained `<prefix>/device/<node>-<key>/config` (device discovery, Home Assistant 2024.11 or newer)
whose components read `<base>/<key>/state` and command `<base>/<key>/set`. There is no MQTT media player and no MQTT
remote, so a projector is a switch, selects, a number, buttons and sensors.

1. Ids come from keys and never change; names may (rule 22). `-` joins the parts of an id and stands in no key, so two
   devices never share one.
2. Only what some channel of a projector can carry is offered.
3. A value that is not known renders as "None", which every platform of Home Assistant shows as unknown. Anything else
   (an empty number, an option that is not in the list, a text beyond 255 characters) would be an error in its log.
4. Commands carry an id and the sender's time at QoS 1 (rule 4), so that none acts late or twice.
5. A component that was announced once goes away only when it is sent as nothing but its platform: `without`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Final

from homebridge_svc.core.hot_water.table import Phase
from homebridge_svc.core.model import HomeSpec, Json, Power, ProjectorSpec, PumpSpec, SensorSpec
from homebridge_svc.core.orders import ChooseInput, LaunchApp, LightOff, PressKeys, PutMute, PutVolume

ORIGIN: Final = "homebridge_svc"
RUN_FINISHED: Final = "run_finished"
EVENTS: Final = ("heard", "answered", "announced", RUN_FINISHED)  # event types on <base>/event
LONGEST: Final = 255  # characters that a state of Home Assistant may have
KEYS: Final = {
    "ok": ("确定", "OK"),
    "back": ("返回", "Back"),
    "home": ("主页", "Home"),
    "menu": ("菜单", "Menu"),
    "up": ("上", "Up"),
    "down": ("下", "Down"),
    "left": ("左", "Left"),
    "right": ("右", "Right"),
    "play_pause": ("播放/暂停", "Play/pause"),
    "volume_up": ("音量加", "Volume up"),
    "volume_down": ("音量减", "Volume down"),
    "mute": ("静音键", "Mute key"),
}
NAMES: Final = {  # part -> (Chinese, English); a part that is not here is the device itself and bears its name
    "light": ("画面", "Picture"),
    "mute": ("静音", "Mute"),
    "volume": ("音量", "Volume"),
    "input": ("输入", "Input"),
    "app": ("应用", "App"),
    "phase": ("状态", "State"),
    "watts": ("功率", "Power draw"),
    "why": ("原因", "Why"),
    "reachable": ("在线", "Reachable"),
    "minutes": ("运行分钟", "Run for"),
    "running": ("运行中", "Running"),
    "remaining": ("剩余时间", "Remaining"),
    "temperature": ("回水温度", "Return temperature"),
    "last_stop": ("上次停止原因", "Last stop"),
    "today": ("今日运行", "Run today"),
    "locked": ("锁定", "Locked out"),
    "reset": ("解除锁定", "Reset"),
    "finished": ("运行结束", "Run finished"),
    "events": ("事件", "Events"),
    "online": ("在线", "Online"),
    **{f"key_{key}": names for key, names in KEYS.items()},
}
LIGHT: Final = {  # whether there is a picture; WAKING, BOOTING and UNKNOWN do not tell
    "on": "on",
    **dict.fromkeys(("light_off", "cooling", "off", "cut"), "off"),
}
ON_OFF: Final = "{{{{ {{true: 'on', false: 'off', 'on': 'on', 'off': 'off'}}.get(value_json.{}) }}}}"
_STAMP: Final = (
    '"id": "ha-{{ (now().timestamp() * 1000) | int }}-{{ range(100000) | random }}", '
    '"at": {{ now().timestamp() }}, "by": "home_assistant"'
)

Component = dict[str, Json]
Parts = Iterator[tuple[str, Component]]


class Discovery:
    """Builds the payloads for one home. language: "zh" or "en", of the names and sentences that people read."""

    def __init__(self, spec: HomeSpec, *, base: str, prefix: str, version: str, language: str) -> None:
        self._base = base
        self._prefix = prefix
        self._version = version
        self._column = 0 if language == "zh" else 1
        self._suffix = "_zh" if language == "zh" else ""
        self._node = re.sub(r"[^A-Za-z0-9_-]", "_", base)
        self._parts: dict[str, Component] = {}  # topic -> the components of its payload
        self._payloads = dict(self._devices(spec))

    @property
    def birth_topic(self) -> str:
        """Home Assistant's birth message; it is not retained, so everything is published again after it."""
        return f"{self._prefix}/status"

    @property
    def configs(self) -> str:
        """The filter under which all device configurations stand, to find our own of former days."""
        return f"{self._prefix}/device/+/config"

    @property
    def payloads(self) -> Mapping[str, dict[str, Json]]:
        """Topic and payload of every device."""
        return self._payloads

    def departed(self, topic: str, payload: Json) -> str | None:
        """Return the key of a device that this configuration of ours announces and that is no more; else None."""
        prefix = f"{self._prefix}/device/{self._node}-"
        if topic in self._payloads or not topic.startswith(prefix) or not isinstance(payload, dict):
            return None
        origin, availability = payload.get("o"), payload.get("availability")
        if not (isinstance(origin, dict) and origin.get("name") == ORIGIN and isinstance(availability, list)):
            return None
        # another daemon's base topic may begin like ours: what it announces hangs on its own status
        ours = self._availability(None)[0] in availability
        return topic.removeprefix(prefix).removesuffix("/config") if ours else None

    def without(self, topic: str, payload: Json) -> dict[str, Json] | None:
        """Return our payload with the marks that take away components of a former one; None: there are none."""
        former = payload.get("cmps") if isinstance(payload, dict) else None
        if topic not in self._payloads or not isinstance(former, dict):
            return None
        parts = self._parts[topic]
        gone: Component = {
            part: {"p": component["p"]}
            for part, component in former.items()
            if part not in parts and isinstance(component, dict) and "p" in component and len(component) > 1
        }
        return {**self._payloads[topic], "cmps": {**parts, **gone}} if gone else None

    # -- devices -----------------------------------------------------------------------------------------------------

    def _devices(self, spec: HomeSpec) -> Iterator[tuple[str, dict[str, Json]]]:
        yield self._device(None, ORIGIN, "bridge", self._hub())
        for key, projector in spec.projectors.items():
            yield self._device(key, projector.name, "projector", self._projector(projector))
        for key, pump in spec.pumps.items():
            yield self._device(key, pump.name, "pump", self._pump(pump))
        owned = spec.owners()
        for key, plug in spec.plugs.items():
            if key not in owned:
                parts = self._plug(acts=plug.ability.acts, meters=plug.ability.meters)
                yield self._device(key, plug.name, "plug", parts)
        for key, sensor in spec.sensors.items():
            yield self._device(key, sensor.name, "sensor", self._sensor(sensor))

    def _projector(self, spec: ProjectorSpec) -> Parts:
        can = {action for name in spec.orders if name in spec.channels for action in spec.channels[name].carries}
        yield "power", _switch(ON_OFF.format("power"), "'power ' ~ value")
        if LightOff in can:
            yield "light", _switch(_lookup("phase", LIGHT), "'power light_' ~ value")
        if PutVolume in can:
            level = f"{{{{ [value_json.volume, {spec.volume_max}] | min if value_json.volume is number else None }}}}"
            yield "volume", _number(level, "'volume ' ~ (value | int)", least=0, most=spec.volume_max)
        if PutMute in can:
            yield "mute", _switch(ON_OFF.format("muted"), "'mute ' ~ value")
        if ChooseInput in can and spec.inputs:
            yield "input", _select("input", spec.inputs)
        if LaunchApp in can and spec.apps:
            yield "app", _select("app", spec.apps)
        for key in KEYS if PressKeys in can else ():
            yield f"key_{key}", _part("button", **_command(f"'key {key}'"))
        yield "phase", _enum("phase", Power)
        yield "why", _text(f"why{self._suffix}", entity_category="diagnostic")
        if spec.plug_meters:
            yield "watts", _measure("watts", "W", device_class="power")
        yield "reachable", self._reachable()

    def _pump(self, spec: PumpSpec) -> Parts:
        longest = max(1, math.ceil(spec.max_run / 60))
        left = "(value_json.remaining_s / 60) | round(0, 'ceil') | int"
        minutes = f"{{{{ [[{left}, 1] | max, {longest}] | min if value_json.remaining_s is number else None }}}}"
        yield "run", _switch(ON_OFF.format("running"), "'run' if value == 'on' else 'stop'")
        run_for = _number(minutes, "'run ' ~ (value | int) ~ 'm'", least=1, most=longest)
        yield "minutes", run_for | {"mode": "box", "unit_of_measurement": "min"}
        yield "phase", _enum("phase", Phase)
        yield "running", _binary("value_json.running", "running")
        remaining = "{{ value_json.remaining_s or 0 }}"
        yield (
            "remaining",
            _part("sensor", value_template=remaining, device_class="duration", unit_of_measurement="s"),
        )
        if spec.stop_sensor:
            yield "temperature", _measure("temperature", "°C", device_class="temperature")
        if spec.plug_meters:
            yield "watts", _measure("watts", "W", device_class="power")
        yield "last_stop", _text(f"last_stop{self._suffix}")
        today = _measure("run_seconds_today", "s", device_class="duration")
        yield "today", today | {"state_class": "total_increasing"}  # it falls to 0 at midnight
        yield "locked", _binary("(value_json.locked is not none)", "problem")
        yield "reset", _part("button", entity_category="config", **_command("'reset'"))
        mine = f"value_json.event_type == '{RUN_FINISHED}' and value_json.device == '{spec.key}'"
        yield "finished", self._event(RUN_FINISHED) | {"value_template": f"{{{{ value if {mine} else '' }}}}"}
        yield "reachable", self._reachable()

    def _plug(self, *, acts: bool, meters: bool) -> Parts:
        # two parts, for a component cannot change its platform
        switch, contact = _switch(ON_OFF.format("on"), "value"), _binary("value_json.on", "power")
        yield ("switch", switch) if acts else ("contact", contact)
        if meters:
            yield "watts", _measure("watts", "W", device_class="power")
        yield "reachable", self._reachable()

    def _sensor(self, spec: SensorSpec) -> Parts:
        yield "value", _measure("value", spec.unit, device_class="temperature" if spec.unit == "°C" else None)
        yield "reachable", self._reachable()

    def _hub(self) -> Parts:
        yield "events", self._event(*EVENTS)
        words: Component = {"payload_on": "online", "payload_off": "offline", "state_topic": f"{self._base}/status"}
        yield "online", _part("binary_sensor", device_class="connectivity", availability=[]) | words

    def _event(self, *types: str) -> Component:
        return _part("event", event_types=[*types], state_topic=f"{self._base}/event")

    def _reachable(self) -> Component:
        """Whether the device can be reached stays readable when it cannot."""
        bridge_only = self._availability(None)
        return _binary("value_json.available", "connectivity") | {
            "entity_category": "diagnostic",
            "availability": bridge_only,
        }

    def _availability(self, key: str | None) -> list[Json]:
        bridge: list[Json] = [{"topic": f"{self._base}/status"}]
        there = "{{ 'online' if value_json.available else 'offline' }}"
        return [*bridge, {"topic": f"{self._base}/{key}/state", "value_template": there}] if key else bridge

    def _device(self, key: str | None, name: str, model: str, parts: Parts) -> tuple[str, dict[str, Json]]:
        """Topic and payload of one device; key None: the daemon itself."""
        id_ = f"{self._node}-{key}" if key else self._node
        payload: dict[str, Json] = {
            "dev": {
                "identifiers": [id_],
                "name": name,
                "manufacturer": ORIGIN,
                "model": model,
                "sw_version": self._version,
            },
            "o": {"name": ORIGIN, "sw_version": self._version},
            "availability": self._availability(key),
            "availability_mode": "all",
        }
        if key:
            payload |= {"state_topic": f"{self._base}/{key}/state", "command_topic": f"{self._base}/{key}/set"}
        topic = f"{self._prefix}/device/{id_}/config"
        cmps = self._parts[topic] = {}
        for part, component in parts:
            names = NAMES.get(part)
            slug = re.sub(r"[^a-z0-9_]", "_", f"{key or self._node}_{part}".lower())
            cmps[part] = component | {
                "name": names[self._column] if names else None,
                "unique_id": f"{id_}-{part}",
                "default_entity_id": f"{component['p']}.{slug}",
            }
        return topic, {**payload, "cmps": cmps}


# -- components; state and command topics are those of the device ----------------------------------------------------


def _part(platform: str, **fields: Json) -> Component:
    return {"p": platform, **fields}


def _command(wish: str) -> Component:
    """Send what the Jinja expression `wish` gives, with id and time."""
    return {"command_template": f'{{"do": {{{{ ({wish}) | to_json }}}}, {_STAMP}}}', "qos": 1}


def _switch(state: str, wish: str) -> Component:
    return _part("switch", value_template=state, payload_on="on", payload_off="off", **_command(wish))


def _number(value: str, wish: str, *, least: int, most: int) -> Component:
    return _part("number", value_template=value, min=least, max=most, step=1, **_command(wish))


def _select(value: str, options: Mapping[str, str]) -> Component:
    """Choose among spoken names; the state tells their ids."""
    names: dict[str, str] = {}
    for name, id_ in options.items():
        names.setdefault(id_, name)
    return _part("select", options=[*options], value_template=_lookup(value, names), **_command(f"'{value} ' ~ value"))


def _text(value: str, **more: Json) -> Component:
    return _part("sensor", value_template=f"{{{{ (value_json.{value} or 'None')[:{LONGEST}] }}}}", **more)


def _enum(value: str, words: type[Power | Phase]) -> Component:
    options: list[Json] = [word.value for word in words]
    return _part("sensor", value_template=f"{{{{ value_json.{value} }}}}", device_class="enum", options=options)


def _measure(value: str, unit: str, *, device_class: str | None) -> Component:
    template, kind = f"{{{{ value_json.{value} }}}}", {"device_class": device_class} if device_class else {}
    return _part("sensor", value_template=template, unit_of_measurement=unit, state_class="measurement", **kind)


def _binary(value: str, kind: str) -> Component:
    template = f"{{{{ 'None' if {value} is none else 'ON' if {value} else 'OFF' }}}}"
    return _part("binary_sensor", value_template=template, device_class=kind)


def _lookup(value: str, words: Mapping[str, str]) -> str:
    return f"{{{{ {json.dumps(words, ensure_ascii=False)}.get(value_json.{value}) }}}}"
