"""Our daemon as a process of its own, with as much configuration as a bench needs."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from common import HOST, Process, Projector

from homebridge_svc.virtual_home.mqtt_peer import Broker

SWITCH, KEY, PLUG = "homebridge_svc/free_plug/set", "homebridge_svc/living_room/set", "zigbee2mqtt/free_plug/set"
RESULTS = "homebridge_svc/+/result"
TOKEN = "00112233445566778899aabbccddeeff"  # noqa: S105  of an emulated plug; opens nothing

MODEL = "cuco.plug.v2eur"

CONFIG = """\
version = 1
timezone = "Asia/Shanghai"
clock = "trusted"
[mqtt]
url = "mqtt://{broker}"
[web]
listen = "127.0.0.1:0"
[plugs.free_plug]
driver = "mqtt"
profile = "zigbee2mqtt"
topic = "zigbee2mqtt/free_plug"
"""
PROJECTOR = """\
[projectors.living_room.adb]
host = "{host}"
port = {port}
key = "{key}"
"""
MIIO = """\
[plugs.cinema_plug]
driver = "miio"
host = "{host}"
model = "{model}"
token = {{ file = "cinema_plug_token" }}
"""


def configure(
    directory: Path, broker: Broker, *, projector: Projector | None, key: Path, miio: str | None = None
) -> None:
    """Write its configuration. projector: its own emulated one; miio: host of an emulated Mi plug."""
    directory.mkdir(exist_ok=True)
    text = CONFIG.format(broker=f"{HOST}:{broker.port}")
    if miio is not None:
        secret = directory / "cinema_plug_token"
        with os.fdopen(os.open(secret, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(TOKEN)
        text += MIIO.format(host=miio, model=MODEL)
    if projector is not None:
        text += PROJECTOR.format(host=projector.host, port=projector.port, key=key)
    (directory / "homebridge.toml").write_text(text)


def process(directory: Path, notify: Path | None = None) -> Process:
    """It, ready to start. notify: address of the socket on which a service manager would wait for READY."""
    command = (sys.executable, "-m", "homebridge_svc", "run", "-c", directory / "homebridge.toml")
    return Process(
        *command,
        "--log-level",
        "warning",
        log=directory / "daemon.log",
        environment={"NOTIFY_SOCKET": str(notify or "")},
    )


def command(do: str, number: int) -> str:
    """A request as programs send it: with an id, so that two of the same are two."""
    return json.dumps({"do": do, "id": f"bench-{number}"})


def is_final(payload: bytes) -> bool:
    """Whether an answer on RESULTS says that it is done."""
    return bool(json.loads(payload)["result"] == "done")


def on(number: int) -> str:
    """A command for the plug."""
    return command("on", number)
