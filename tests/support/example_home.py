"""A small home in TOML with drivers of its own: what the tests of configuration stand on."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from homebridge_svc.config.context import Drivers
from homebridge_svc.config.secrets import Secret
from homebridge_svc.config.units import ConfigFile, Seconds

MQTT_PASSWORD = "broker-horse-battery-staple"
PLUG_TOKEN = "0123456789abcdef0123456789abcdef"
WEB_TOKEN = "page-horse-battery-staple"
SECRETS = (MQTT_PASSWORD, PLUG_TOKEN, WEB_TOKEN)
ENVIRON = {"MQTT_PASSWORD": MQTT_PASSWORD}


class SceneOptions(BaseModel, extra="forbid"):
    topic: str


class HookOptions(BaseModel, extra="forbid"):
    name: str


class MiioOptions(BaseModel, extra="forbid"):
    host: Annotated[str, Field(description="the plug's address")]
    token: Secret
    poll: Seconds = 2.0


class MqttPlugOptions(BaseModel, extra="forbid"):
    profile: Literal["zigbee2mqtt", "statestream"]
    topic: str

    def problems_as_actuator(self) -> str | None:
        return "statestream only reports" if self.profile == "statestream" else None


class TopicOptions(BaseModel, extra="forbid"):
    topic: str


class HostOptions(BaseModel, extra="forbid"):
    host: str
    port: Annotated[int, Field(ge=1, le=65_535)] = 5555


class InfraredOptions(BaseModel, extra="forbid"):
    blaster: str
    codes: ConfigFile


DRIVERS: Drivers = {
    "voice": {"mqtt": SceneOptions, "webhook": HookOptions},
    "plug": {"miio": MiioOptions, "mqtt": MqttPlugOptions},
    "blaster": {"mqtt": TopicOptions},
    "sensor": {"mqtt": TopicOptions},
    "projector": {"adb": HostOptions, "udp": HostOptions, "ir": InfraredOptions},
}

HOME = """\
version = 1
timezone = "Asia/Shanghai"

[mqtt]
url = "mqtt://homebridge@192.168.1.10:1883"
password = { env = "MQTT_PASSWORD" }

[web]
listen = "0.0.0.0:8377"
token = { file = "web_token" }

[[voice]]
driver = "mqtt"
topic = "xiaoai/scene"
[voice.phrases]
"看电影" = ["living_room.power on", "living_room.volume 12"]
"我要洗澡" = ["bathroom.run"]

[plugs.cinema_plug]
driver = "miio"
host = "192.168.1.31"
token = { file = "plug_token" }

[plugs.pump_plug]
driver = "mqtt"
profile = "zigbee2mqtt"
topic = "zigbee2mqtt/pump"

[plugs.lamp]
driver = "mqtt"
name = "台灯"
profile = "statestream"
topic = "lamp"

[blasters.bridge]
driver = "mqtt"
topic = "bridge"

[sensors.return_temperature]
driver = "mqtt"
topic = "zigbee2mqtt/return"

[projectors.living_room]
name = "客厅投影"
aliases = ["投影仪"]
plug = "cinema_plug"
power_on = ["udp", "plug_cycle"]
cut_after = "30m"
[projectors.living_room.udp]
host = "192.168.1.20"
[projectors.living_room.adb]
host = "192.168.1.20"
[projectors.living_room.ir]
blaster = "bridge"
codes = "ir/living_room.toml"
[projectors.living_room.apps]
"哔哩哔哩" = "com.xiaodianshi.tv.yst"

[heaters.gas]
kind = "tankless_gas"
outlet = "45 °C"
ignition_flow = "2.5 L/min"

[pumps.bathroom]
name = "热水"
plug = "pump_plug"
heater = "gas"
max_run = "5m"
quiet = { from = "22:30", to = "06:00" }
[pumps.bathroom.stop]
temperature = { sensor = "return_temperature", at = "36 °C", min_rise = "5 K" }
watts_below = "10 W"
[pumps.bathroom.pipe]
supply = { length = "20 m", kind = "ppr25", insulation = "9 mm" }
return = { length = "20 m", kind = "ppr20", insulation = "9 mm" }
[[pumps.bathroom.schedule]]
days = "workdays"
from = "06:40"
to = "07:30"
every = "20m"
"""


def secret_file(path: Path, value: str) -> Path:
    """Write a secret as its owner should."""
    path.write_text(value + "\n")
    path.chmod(0o600)
    return path


def furnish(directory: Path, text: str = HOME) -> Path:
    """Write the home and what it refers to; return the file."""
    secret_file(directory / "plug_token", PLUG_TOKEN)
    secret_file(directory / "web_token", WEB_TOKEN)
    (directory / "ir").mkdir(exist_ok=True)
    (directory / "ir" / "living_room.toml").touch()
    file = directory / "home.toml"
    file.write_text(text)
    return file
