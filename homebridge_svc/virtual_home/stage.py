"""The virtual flat: two projectors, a hot-water loop, and every device that the daemon reaches them by.

    living_room   XGIMI with ADB and UDP behind a miIO plug with a meter: boots when mains return
    bedroom       a projector without any network: Tasmota plug with a meter, infrared receiver at its USB port
    bathroom      recirculation pump behind a Zigbee plug, thermometer on the return pipe, tankless gas heater

Each has an address of its own in 127.0.0.0/8 (rule 23). The daemon is given a configuration file like any owner's
(`write_config`) and knows nothing more of this place.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from homebridge_svc.runtime.clock import SystemClock
from homebridge_svc.virtual_home.adbd import Adbd
from homebridge_svc.virtual_home.android import Android
from homebridge_svc.virtual_home.hand import Hand
from homebridge_svc.virtual_home.ir_receiver import IrReceiver
from homebridge_svc.virtual_home.miio_plug import MiioPlug
from homebridge_svc.virtual_home.mqtt_peer import Broker, MqttPeer
from homebridge_svc.virtual_home.mqtt_plug import MqttPlug, ZigbeePlug
from homebridge_svc.virtual_home.mqtt_sensor import MqttSensor
from homebridge_svc.virtual_home.mqtt_tasmota import TasmotaPlug
from homebridge_svc.virtual_home.projector_body import ProjectorBody
from homebridge_svc.virtual_home.water import WaterLoop
from homebridge_svc.virtual_home.xgimi_udp import XgimiUdp
from homebridge_svc.wire import adb
from homebridge_svc.wire.mqtt_values import Json

HOMES = 50_000  # virtual homes that fit beside each other into 127.50.0.0 … 127.249.249.255
TOKEN = bytes.fromhex("00112233445566778899aabbccddeeff")  # of an emulated plug; opens nothing
BASE = "homebridge_svc"
SCENES = "xiaoai/scene"
CODES = {
    "power_off": 0x08,
    "ok": 0x15,
    "volume_up": 0x02,
    "volume_down": 0x03,
    "mute": 0x09,
    "back": 0x1A,
    "home": 0x0F,
}
IR_ADDRESS = 0x04

CONFIG = """\
# Written by `homebridge-svc demo`: the virtual flat, as an owner would describe it.
version = 1
timezone = "Asia/Shanghai"
clock = "trusted"

[mqtt]
url = "{mqtt}"

[web]
listen = "{web}"

[[voice]]
driver = "mqtt"
topic = "xiaoai/scene"
[voice.phrases]
"看电影" = ["living_room.power on", "living_room.input hdmi1", "living_room.volume 12"]
"只听音乐" = ["living_room.power light_off"]
"关投影仪" = ["living_room.power off"]
"我要洗澡" = ["bathroom.run"]
"停热水" = ["bathroom.stop"]
"卧室看电影" = ["bedroom.power on", "bedroom.volume +2"]
"关卧室投影" = ["bedroom.power off"]

[plugs.cinema_plug]
name = "客厅投影插座"
driver = "miio"
host = "{miio}"
model = "cuco.plug.v2eur"
token = {{ file = "cinema_plug_token" }}

[plugs.bedroom_plug]
name = "卧室投影插座"
driver = "mqtt"
profile = "tasmota"
topic = "bedroom_plug"

[plugs.pump_plug]
name = "热水泵插座"
driver = "mqtt"
profile = "zigbee2mqtt"
topic = "zigbee2mqtt/pump"

[blasters.bedroom_ir]
driver = "mqtt"
profile = "tasmota"
topic = "bedroom_ir"

[projectors.living_room]
name = "客厅投影"
aliases = ["投影仪"]
plug = "cinema_plug"
cut_after = "2m"
boot_time = "60s"
volume_max = 30
[projectors.living_room.inputs]
"HDMI 1" = "hdmi1"
"HDMI 2" = "hdmi2"
[projectors.living_room.apps]
"哔哩哔哩" = "com.xiaodianshi.tv.yst"
[projectors.living_room.adb]
host = "{projector}"
port = {adb_port}
[projectors.living_room.udp]
host = "{projector}"
local = "{local}"

[projectors.bedroom]
name = "卧室投影"
plug = "bedroom_plug"
cut_after = "2m"
boot_time = "40s"
[projectors.bedroom.ir]
blaster = "bedroom_ir"
codes = "bedroom_ir.toml"

[sensors.return_temperature]
name = "回水温度"
driver = "mqtt"
profile = "zigbee2mqtt"
topic = "zigbee2mqtt/return"
field = "temperature"

[heaters.gas]
kind = "tankless_gas"
outlet = "45 °C"
ignition_flow = "2.5 L/min"

[pumps.bathroom]
name = "热水"
plug = "pump_plug"
heater = "gas"
max_run = "5m"
[pumps.bathroom.stop]
temperature = {{ sensor = "return_temperature", at = "36 °C", min_rise = "5 K" }}
[pumps.bathroom.pipe]
supply = {{ length = "20 m", kind = "ppr25", insulation = "9 mm" }}
return = {{ length = "20 m", kind = "ppr20", insulation = "9 mm" }}
flow = "5 L/min"
"""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where things are. Several virtual homes on one machine take different `home` numbers, 0 … HOMES - 1."""

    broker: Broker
    home: int = 0
    adb_port: int = 5555

    @property
    def local(self) -> str:
        """The daemon's own address, to which projectors answer."""
        return self._at(1)

    @property
    def projector(self) -> str:
        """The living room's projector."""
        return self._at(20)

    @property
    def miio(self) -> str:
        """Its plug."""
        return self._at(31)

    def _at(self, number: int) -> str:
        return f"127.{50 + self.home // 250}.{self.home % 250}.{number}"


class Stage:
    """`async with Stage(…)`: all devices stand; `connected` waits until they have found the broker."""

    def __init__(self, addresses: Addresses, clock: SystemClock) -> None:
        self._addresses = addresses
        self._clock = clock
        self._stack = AsyncExitStack()
        broker, mono = addresses.broker, self._mono
        self.bodies = {
            "living_room": ProjectorBody(mono, mains=False, boot_time=25.0),
            "bedroom": ProjectorBody(mono, mains=False, boot_time=20.0),
        }
        living, bedroom = self.bodies["living_room"], self.bodies["bedroom"]
        self.water = WaterLoop(mono)
        self.android = Android(living, clock)
        self.adbd = Adbd(self.android, addresses.projector, addresses.adb_port)
        self.udp = XgimiUdp(addresses.projector, living)
        self.cinema_plug = MiioPlug(
            addresses.miio,
            TOKEN,
            "cuco.plug.v2eur",
            mono,
            sleep=clock.sleep,
            watts=lambda: living.watts,
            on_change=living.set_mains,
        )
        self.bedroom_plug = TasmotaPlug(
            broker, clock, "bedroom_plug", watts=lambda: bedroom.watts, on_change=bedroom.set_mains
        )
        self.pump_plug = ZigbeePlug(
            broker, clock, "zigbee2mqtt/pump", watts=lambda: self.water.watts, on_change=self.water.switch
        )
        self.sensor = MqttSensor(
            broker, clock, "zigbee2mqtt/return", profile="zigbee2mqtt", temperature=lambda: self.water.back
        )
        taught = {(IR_ADDRESS, command): name for name, command in CODES.items()}
        self.receiver = IrReceiver(broker, clock, "bedroom_ir", profile="tasmota", taught=taught, body=bedroom)
        self.hand = Hand(broker, clock, base=BASE)
        self.peers: Mapping[str, MqttPeer] = {
            "bedroom_plug": self.bedroom_plug,
            "pump_plug": self.pump_plug,
            "return_temperature": self.sensor,
            "bedroom_ir": self.receiver,
            "hand": self.hand,
        }

    async def __aenter__(self) -> Self:
        """Start every device."""
        for device in (self.adbd, self.udp, self.cinema_plug):
            await self._stack.enter_async_context(device)
        tasks = [asyncio.create_task(peer.run(), name=f"virtual {name}") for name, peer in self.peers.items()]
        self._stack.push_async_callback(_cancel, tasks)
        return self

    async def connected(self, within: float) -> None:
        """Wait until they are all on MQTT. Raises TimeoutError after `within` real seconds."""
        async with asyncio.timeout(within):
            await asyncio.gather(*(peer.ready.wait() for peer in self.peers.values()))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop them all."""
        await self._stack.aclose()

    def trust(self, public_key: Path) -> None:
        """Somebody accepts this ADB key on the projector's screen; the file as `pair adb` writes it."""
        self.adbd.keys.append(adb.decode_public_key(public_key.read_bytes()))

    def write_config(self, directory: Path, *, mqtt: str, web: str) -> Path:
        """Write the owner's file and its secrets (mode 0600) into `directory`; return the file."""
        at = self._addresses
        text = CONFIG.format(
            mqtt=mqtt,
            web=web,
            miio=at.miio,
            projector=at.projector,
            adb_port=self.adbd.port,
            local=at.local,
        )
        _write(directory / "cinema_plug_token", TOKEN.hex())
        codes = "\n".join(
            f"{name} = {{ nec = {{ address = {IR_ADDRESS}, command = {command} }} }}" for name, command in CODES.items()
        )
        _write(directory / "bedroom_ir.toml", codes + "\n")
        _write(directory / "homebridge.toml", text)
        return directory / "homebridge.toml"

    def facts(self) -> dict[str, Json]:
        """The truth, by name: what scenarios check."""
        found: dict[str, Json] = {}
        for key, body in self.bodies.items():
            found |= {
                f"{key}.state": body.state.value,
                f"{key}.volume": body.volume,
                f"{key}.input": body.input,
                f"{key}.app": body.app,
                f"{key}.keys": len(body.keys),
                f"{key}.violent_cuts": body.violent_cuts,
            }
        found |= {
            "cinema_plug.on": self.cinema_plug.on,
            "bedroom_plug.on": self.bedroom_plug.contact,
            "pump.on": self.water.on,
            "pump.starts": self.water.starts,
            "pump.longest_run": round(self.water.longest_run, 1),
            "tap": round(self.water.tap, 1),
            "return": round(self.water.back, 1),
        }
        return found

    def hands(self) -> dict[str, Callable[[], None]]:
        """What a hand can do besides speaking, by name."""
        living, bedroom = self.bodies["living_room"], self.bodies["bedroom"]
        plugs: dict[str, MiioPlug | MqttPlug] = {
            "cinema_plug": self.cinema_plug,
            "bedroom_plug": self.bedroom_plug,
            "pump_plug": self.pump_plug,
        }
        return {
            **{f"press {name}": plug.press for name, plug in plugs.items()},
            "remote living_room off": living.sleep,
            "remote living_room on": living.wake,
            "remote living_room louder": lambda: living.press("volume_up"),
            "remote bedroom off": bedroom.sleep,
            "remote bedroom on": bedroom.wake,
            "adb freeze": self.adbd.freeze,
            "adb thaw": self.adbd.thaw,
            "adb drop": self.adbd.drop,
            "udp deaf": lambda: setattr(self.udp.faults, "dead", True),
            "udp hears": lambda: setattr(self.udp.faults, "dead", False),
            "heater breaks": lambda: setattr(self.water.heater, "broken", True),
            "pump runs dry": lambda: setattr(self.water, "dry", True),
            "pump jams": lambda: setattr(self.water, "jammed", True),
            "sensor lies": lambda: setattr(self.sensor, "lie", 85.0),
            **{f"unplug {name}": peer.unplug for name, peer in self.peers.items()},
            **{f"replug {name}": peer.replug for name, peer in self.peers.items()},
        }

    def _mono(self) -> float:
        return self._clock.now().mono


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _write(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
