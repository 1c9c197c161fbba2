"""The other one: a real Home Assistant with mqtt, androidtv and automations that do what our daemon is asked to do.

It gets the leanest set-up that does the job: no default_config, no recorder, no discovery, and the integration's
fastest way to press a key (`androidtv.adb_command`).
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from common import Json, Process, Projector, free_port

from homebridge_svc.virtual_home.mqtt_peer import Broker

CACHED = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "homebridge_svc/home-assistant-2025.4.4/bin"
KEY, SWITCH, DONE, PLUG = "bench/ha/key", "bench/ha/switch", "bench/ha/done", "zigbee2mqtt/ha_plug/set"

CONFIGURATION = """\
http:
  server_host: 127.0.0.1
  server_port: {web}
logger:
  default: warning
automation:
  - id: switch
    mode: queued
    triggers:
      - trigger: mqtt
        topic: {switch}
    actions:
      - action: mqtt.publish
        data:
          topic: {plug}
          payload: '{{"state": "{{{{ trigger.payload }}}}"}}'
      - action: mqtt.publish
        data:
          topic: {done}
          payload: "done"
"""
PRESS_KEY = """\
  - id: key
    mode: queued
    triggers:
      - trigger: mqtt
        topic: {key}
    actions:
      - action: androidtv.adb_command
        target:
          entity_id: media_player.{name}
        data:
          command: "{{{{ trigger.payload }}}}"
      - action: mqtt.publish
        data:
          topic: {done}
          payload: "done"
"""


def find(*, wanted: bool) -> tuple[Path | None, Json]:
    """(its bin directory or None, what the result says about it)."""
    place, words = _find() if wanted else (None, "Home Assistant was left out by --alone")
    return place, {"skipped": words} if place is None else {"version": words}


def _find() -> tuple[Path | None, str]:
    named = os.environ.get("HOMEBRIDGE_HOME_ASSISTANT")
    place = Path(named) if named else CACHED
    python = place / "python"
    if not (place / "hass").exists():
        return None, f"no Home Assistant in {place}: scripts/install-peers makes one where a Python 3.13 starts"
    asked = subprocess.run(
        [python, "-c", "import platform, homeassistant.const as c; print(c.__version__, platform.python_version())"],
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode:
        return None, f"{python} does not start"
    version, _, runs_on = asked.stdout.strip().partition(" ")
    return place, f"{version} (Python {runs_on})"


def configure(directory: Path, broker: Broker, *, projector: Projector | None, key: Path) -> None:
    """Write its configuration; projector: its own emulated one, None: MQTT only."""
    entries = [_entry("mqtt", "mqtt", {"broker": broker.host, "port": broker.port, "discovery": False}, None)]
    text = CONFIGURATION
    if projector is not None:
        data = {"host": projector.host, "port": projector.port, "device_class": "androidtv", "adbkey": str(key)}
        entries.append(_entry("androidtv", "bench", {**data, "name": "bench projector"}, "00:88:99:aa:bb:cc"))
        text += PRESS_KEY
    storage = directory / ".storage"
    storage.mkdir(parents=True)
    (directory / "configuration.yaml").write_text(
        text.format(web=free_port(), switch=SWITCH, key=KEY, done=DONE, plug=PLUG, name="bench_projector")
    )
    kept = {"version": 1, "minor_version": 5, "key": "core.config_entries", "data": {"entries": entries}}
    (storage / "core.config_entries").write_text(json.dumps(kept))


def process(place: Path, directory: Path) -> Process:
    """It, ready to start."""
    return Process(
        place / "hass", "-c", directory, "--skip-pip", log=directory / "hass.log", environment={"PYTHONPATH": ""}
    )


def _entry(domain: str, title: str, data: Json, unique_id: str | None) -> Json:
    return {
        "created_at": "2025-01-01T00:00:00+00:00",
        "modified_at": "2025-01-01T00:00:00+00:00",
        "data": data,
        "disabled_by": None,
        "discovery_keys": {},
        "domain": domain,
        "entry_id": f"bench{domain}",
        "minor_version": 2,
        "options": {"discovery": False} if domain == "mqtt" else {},
        "pref_disable_new_entities": False,
        "pref_disable_polling": False,
        "source": "user",
        "subentries": [],
        "title": title,
        "unique_id": unique_id,
        "version": 1,
    }
