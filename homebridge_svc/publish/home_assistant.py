"""What Home Assistant is told about us: one discovery payload per device, and nothing to configure over there.

Each device is a retained `<prefix>/device/<id>/config` (device discovery, Home Assistant 2024.11 or newer) whose
components read their values from `<base>/<device>/state` and command `<base>/<device>/set`. There is no MQTT media
player, so a projector is a switch, selects, a number, buttons and sensors. Ids come from keys and never change;
names may. Commands carry an id and the sender's time (rule 4), so that none acts late or twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from homebridge_svc.core.model import HomeSpec, Json, Power, ProjectorSpec, PumpSpec

ORIGIN: Final = "homebridge_svc"
EVENTS: Final = ("heard", "answered", "announced")  # event types on <base>/event
KEYS: Final = ("ok", "back", "home", "menu", "up", "down", "left", "right", "play_pause")
_STAMP: Final = (
    '"id": "ha-{{ (now().timestamp() * 1000) | int }}-{{ range(100000) | random }}", '
    '"at": {{ now().timestamp() }}, "by": "home_assistant"}'
)
NAMES: Final = {  # component -> (Chinese, English)
    "power": ("电源", "Power"),
    "light": ("画面", "Picture"),
    "mute": ("静音", "Mute"),
    "volume": ("音量", "Volume"),
    "input": ("输入", "Input"),
    "app": ("应用", "App"),
    "phase": ("状态", "State"),
    "watts": ("功率", "Power draw"),
    "why": ("原因", "Why"),
    "reachable": ("在线", "Reachable"),
    "run": ("热水", "Hot water"),
    "minutes": ("运行时长", "Run for"),
    "running": ("运行中", "Running"),
    "remaining": ("剩余时间", "Remaining"),
    "temperature": ("回水温度", "Return temperature"),
    "last_stop": ("上次停止原因", "Last stop"),
    "today": ("今日运行", "Run today"),
    "locked": ("锁定", "Locked out"),
    "reset": ("解除锁定", "Reset"),
    "finished": ("运行结束", "Run finished"),
    "switch": ("开关", "Switch"),
    "value": ("读数", "Reading"),
    "events": ("事件", "Events"),
    "key_ok": ("确定", "OK"),
    "key_back": ("返回", "Back"),
    "key_home": ("主页", "Home"),
    "key_menu": ("菜单", "Menu"),
    "key_up": ("上", "Up"),
    "key_down": ("下", "Down"),
    "key_left": ("左", "Left"),
    "key_right": ("右", "Right"),
    "key_play_pause": ("播放/暂停", "Play/pause"),
}

Component = dict[str, Json]


class Discovery:
    """Builds the payloads for one home. language: "zh" or "en", the names of the entities."""

    def __init__(self, spec: HomeSpec, *, base: str, prefix: str, version: str, language: str) -> None:
        self._spec = spec
        self._base = base
        self._prefix = prefix
        self._version = version
        self._column = 0 if language == "zh" else 1
        self._node = re.sub(r"[^A-Za-z0-9_-]", "_", base)

    @property
    def status_topic(self) -> str:
        """Home Assistant's birth message; it is not retained, so everything is published again after it."""
        return f"{self._prefix}/status"

    @property
    def configs(self) -> str:
        """The filter under which all device configurations stand, to find our own stale ones."""
        return f"{self._prefix}/device/+/config"

    def stale(self, topic: str, payload: Json) -> bool:
        """Whether a retained configuration is one of ours for a device that is no more."""
        if topic in self.payloads() or not isinstance(payload, dict):
            return False
        origin = payload.get("o")
        ours = isinstance(origin, dict) and origin.get("name") == ORIGIN
        return ours and topic.startswith(f"{self._prefix}/device/{self._node}_")

    def payloads(self) -> dict[str, dict[str, Json]]:
        """Topic and payload of every device."""
        found = {self._topic("hub"): self._device("hub", "homebridge_svc", self._hub(), own_availability=False)}
        for key, projector in self._spec.projectors.items():
            found[self._topic(key)] = self._device(key, projector.name, dict(self._projector(projector)))
        for key, pump in self._spec.pumps.items():
            found[self._topic(key)] = self._device(key, pump.name, dict(self._pump(pump)))
        owned = self._spec.owners()
        for key, plug in self._spec.plugs.items():
            if key not in owned:
                found[self._topic(key)] = self._device(key, plug.name, dict(self._plug(key, plug.ability.acts)))
        for key, sensor in self._spec.sensors.items():
            reading = self._sensor("value", "value", unit=sensor.unit, kind="temperature")
            found[self._topic(key)] = self._device(key, sensor.name, {"value": reading})
        return found

    def _projector(self, spec: ProjectorSpec) -> Iterator[tuple[str, Component]]:
        yield "power", self._switch("power", "{{ value_json.power }}", "power {{ value }}")
        lit = "{{ {'on': 'on', 'light_off': 'off'}.get(value_json.phase) }}"
        yield "light", self._switch("light", lit, "power light_{{ value }}")
        yield "mute", self._switch("mute", "{{ 'on' if value_json.muted else 'off' }}", "mute {{ value }}")
        yield (
            "volume",
            self._component("number", "volume", "volume", do="volume {{ value | int }}")
            | {"min": 0, "max": spec.volume_max, "step": 1},
        )
        if spec.inputs:
            options: list[Json] = [*spec.inputs]
            yield "input", self._component("select", "input", "input", do="input {{ value }}") | {"options": options}
        if spec.apps:
            options = [*spec.apps]
            yield "app", self._component("select", "app", "app", do="app {{ value }}") | {"options": options}
        for key in KEYS:
            yield f"key_{key}", self._component("button", f"key_{key}", None, do=f"key {key}")
        phases: list[Json] = [power.value for power in Power]
        yield "phase", self._sensor("phase", "phase", kind="enum") | {"options": phases}
        yield "why", self._sensor("why", "why")
        if spec.plug_meters:
            yield "watts", self._sensor("watts", "watts", unit="W", kind="power")
        yield "reachable", self._binary("reachable", "value_json.available", kind="connectivity")

    def _pump(self, spec: PumpSpec) -> Iterator[tuple[str, Component]]:
        running = "{{ 'on' if value_json.running else 'off' }}"
        yield "run", self._switch("run", running, "{{ 'run' if value == 'on' else 'stop' }}")
        yield (
            "minutes",
            self._component("number", "minutes", None, do="run {{ value | int }}m")
            | {
                "min": 1,
                "max": max(1, int(spec.max_run // 60)),
                "step": 1,
                "mode": "box",
                "unit_of_measurement": "min",
            },
        )
        yield "running", self._binary("running", "value_json.running", kind="running")
        yield "remaining", self._sensor("remaining", "remaining_s", unit="s", kind="duration")
        if spec.stop_sensor:
            yield "temperature", self._sensor("temperature", "temperature", unit="°C", kind="temperature")
        if spec.plug_meters:
            yield "watts", self._sensor("watts", "watts", unit="W", kind="power")
        yield "last_stop", self._sensor("last_stop", "last_stop")
        today = self._sensor("today", "run_seconds_today", unit="s", kind="duration")
        yield "today", today | {"state_class": "total_increasing"}
        yield "locked", self._binary("locked", "value_json.locked", kind="problem")
        yield "reset", self._component("button", "reset", None, do="reset")
        finished = self._component("event", "finished", None)
        yield "finished", finished | {"event_types": ["run_finished"], "state_topic": f"{self._base}/~/event"}

    def _plug(self, _key: str, acts: bool) -> Iterator[tuple[str, Component]]:
        on = "{{ 'on' if value_json.on else 'off' }}"
        yield "switch", self._switch("switch", on, "{{ value }}") if acts else self._binary("switch", "value_json.on")
        yield "watts", self._sensor("watts", "watts", unit="W", kind="power")

    def _hub(self) -> dict[str, Component]:
        types: list[Json] = [*EVENTS]
        events = self._component("event", "events", None)
        return {"events": events | {"event_types": types, "state_topic": f"{self._base}/event"}}

    # -- components: "~" in a topic stands for the device's key until _device fills it in ----------------------------

    def _component(self, platform: str, part: str, value: str | None, *, do: str | None = None) -> Component:
        component: Component = {"p": platform, "name": self._name(part)}
        if value is not None:
            component |= {
                "state_topic": f"{self._base}/~/state",
                "value_template": f"{{{{ value_json.{value} if value_json.{value} is not none else '' }}}}"
                if platform in ("sensor", "number")
                else f"{{{{ value_json.{value} }}}}",
            }
        if do is not None:
            wish = re.sub(r"{{\s*(.+?)\s*}}", r"' ~ (\1) ~ '", f"'{do}'")
            component |= {
                "command_topic": f"{self._base}/~/set",
                "command_template": f'{{"do": {{{{ ({wish}) | to_json }}}}, {_STAMP}',
                "qos": 1,
            }
        return component

    def _switch(self, part: str, state: str, do: str) -> Component:
        return self._component("switch", part, "power", do=do) | {
            "value_template": state,
            "payload_on": "on",
            "payload_off": "off",
            "state_on": "on",
            "state_off": "off",
        }

    def _sensor(self, part: str, value: str, *, unit: str | None = None, kind: str | None = None) -> Component:
        component = self._component("sensor", part, value)
        if unit is not None:
            component["unit_of_measurement"] = unit
        if kind is not None:
            component["device_class"] = kind
        if unit is not None and part != "remaining":
            component["state_class"] = "measurement"
        return component

    def _binary(self, part: str, value: str, *, kind: str | None = None) -> Component:
        component = self._component("binary_sensor", part, "power") | {
            "value_template": f"{{{{ 'ON' if {value} else 'OFF' }}}}"
        }
        return component | ({"device_class": kind} if kind else {})

    def _device(
        self, key: str, name: str, components: dict[str, Component], *, own_availability: bool = True
    ) -> dict[str, Json]:
        availability: list[Json] = [{"topic": f"{self._base}/status"}]
        if own_availability:
            there = "{{ 'online' if value_json.available else 'offline' }}"
            availability.append({"topic": f"{self._base}/{key}/state", "value_template": there})
        cmps: dict[str, Json] = {}
        for part, component in components.items():
            filled: Component = {
                field: value.replace("~", key) if field.endswith("_topic") and isinstance(value, str) else value
                for field, value in component.items()
            }
            whole = part == "reachable"  # it must stay readable while the device is not
            filled["availability"] = availability[:1] if whole else availability
            filled["availability_mode"] = "all"
            filled["unique_id"] = f"{self._node}_{key}_{part}"
            filled["default_entity_id"] = f"{component['p']}.{self._node}_{key}_{part}"
            cmps[part] = filled
        return {
            "dev": {
                "identifiers": [f"{self._node}_{key}"],
                "name": name,
                "manufacturer": ORIGIN,
                "sw_version": self._version,
            },
            "o": {"name": ORIGIN, "sw_version": self._version},
            "cmps": cmps,
        }

    def _topic(self, key: str) -> str:
        return f"{self._prefix}/device/{self._node}_{key}/config"

    def _name(self, part: str) -> str:
        return NAMES[part][self._column]
