"""A real Home Assistant finds the flat, shows it, moves it, and comes through its own and the daemon's restarts.

The daemon is the real command in a process of its own, the flat is the virtual home at the speed of life (Home
Assistant's times are real ones, and rule 6 compares them), only with a projector that boots quickly.
"""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.home_assistant import HomeAssistant, forget, needs_home_assistant
from support.mqtt import Mosquitto, mosquitto, needs_mosquitto, publish, until

from homebridge_svc.runtime.adb_session import make_key
from homebridge_svc.runtime.clock import SystemClock
from homebridge_svc.virtual_home.projector_body import Body
from homebridge_svc.virtual_home.stage import HOMES, SCENES, Addresses, Stage

pytestmark = [pytest.mark.peer, pytest.mark.slow, needs_home_assistant, needs_mosquitto]

PROJECTOR, PUMP, BEDROOM = "homebridge_svc-living_room", "homebridge_svc-bathroom", "homebridge_svc-bedroom"
DEVICES = {"homebridge_svc", PROJECTOR, PUMP, BEDROOM, "homebridge_svc-return_temperature"}
REST = {  # when nothing is on
    f"{PROJECTOR}-power": "off",
    f"{PROJECTOR}-phase": "cut",
    f"{PROJECTOR}-light": "off",
    f"{PROJECTOR}-reachable": "on",
    f"{PROJECTOR}-volume": "unknown",
    f"{PROJECTOR}-input": "unknown",
    f"{PROJECTOR}-app": "unknown",
    f"{BEDROOM}-power": "off",
    f"{PUMP}-run": "off",
    f"{PUMP}-running": "off",
    f"{PUMP}-remaining": "0",
    f"{PUMP}-locked": "off",
    f"{PUMP}-minutes": "unknown",
    "homebridge_svc-online": "on",
}


OLD_SENSOR = "homebridge_svc-return_temperature"
ODD_NAME = r"""{{ "B" }} {% \ 站 }}"""
AWAKE = {  # a projector that plays, a pump at rest
    f"{PROJECTOR}-power": "on",
    f"{PROJECTOR}-phase": "on",
    f"{PROJECTOR}-light": "on",
    f"{PROJECTOR}-watts": "95.0",
    f"{PROJECTOR}-volume": "12",
    f"{PROJECTOR}-mute": "on",
    f"{PROJECTOR}-reachable": "on",
    f"{BEDROOM}-power": "off",
    f"{PUMP}-run": "off",
    f"{PUMP}-reachable": "on",
    "homebridge_svc-online": "on",
}


class Daemon:
    """`homebridge-svc run` in a process of its own."""

    def __init__(self, config: Path) -> None:
        self.log = config.with_name("daemon.log")
        self._config = config
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "homebridge_svc", "run", "-c", str(self._config)), stderr=log
            )

    async def stop(self) -> None:
        if self._process is not None:
            assert self._process.returncode is None, self.log.read_text(encoding="utf-8")[-5000:]
            self._process.terminate()
            await asyncio.wait_for(self._process.wait(), 20)
            self._process = None

    async def kill(self) -> None:
        """Pull its mains."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()
        self._process = None

    def edit(self, old: str, new: str) -> None:
        """Change the owner's file."""
        text = self._config.read_text(encoding="utf-8")
        assert old in text
        self._config.write_text(text.replace(old, new), encoding="utf-8")


@contextlib.asynccontextmanager
async def flat(directory: Path, broker: Mosquitto) -> AsyncIterator[tuple[Stage, Daemon]]:
    """The virtual home and a daemon for it, not started yet."""
    async with Stage(Addresses(broker.address, os.getpid() % HOMES), SystemClock(trusted=True)) as stage:
        for body in stage.bodies.values():
            body.boot_time = body.cool_time = 3.0
        config = stage.write_config(directory, mqtt=f"mqtt://127.0.0.1:{broker.port}", web="127.0.0.1:0")
        make_key(directory / "state" / "adbkey", "homebridge_svc test")
        stage.trust(directory / "state" / "adbkey.pub")
        daemon = Daemon(config)
        try:
            await stage.connected(10)
            yield stage, daemon
        finally:
            await daemon.stop()


async def shows(home_assistant: HomeAssistant, wanted: dict[str, str], within: float = 20.0) -> None:
    def wrong() -> dict[str, str | None]:
        return {id_: home_assistant.state(id_) for id_, state in wanted.items() if home_assistant.state(id_) != state}

    await until(lambda: not wrong(), within=within, what=lambda: f"{wanted}, but {wrong()}\n{home_assistant.tail()}")


@pytest.mark.timeout(150)
async def test_home_assistant_finds_shows_and_moves_the_flat_and_survives_restarts(tmp_path: Path) -> None:
    (tmp_path / "ha").mkdir()
    async with mosquitto(tmp_path) as broker, flat(tmp_path, broker) as (stage, daemon):
        home_assistant = HomeAssistant(tmp_path / "ha", broker.port)
        try:
            await home_assistant.start()
            await daemon.start()
            await all_is_discovered(home_assistant)
            await the_projector_obeys(home_assistant, stage)
            await what_happened_is_an_event(home_assistant, stage)
            await the_pump_obeys(home_assistant, stage)
            await what_is_unplugged_is_unavailable(home_assistant, stage)
            before = deeds(stage)
            await it_comes_back_after_its_own_restart(home_assistant, broker)
            await it_comes_back_after_our_restart(home_assistant, daemon)
            await what_is_no_longer_configured_disappears(home_assistant, daemon)
            assert deeds(stage) == before, "a restart moved something"
            await the_projector_goes_to_sleep(home_assistant, stage)
            await what_is_not_known_is_unknown(home_assistant, stage, broker)
            assert home_assistant.complaints() == []
            await it_would_have_complained(home_assistant, broker)
        finally:
            await home_assistant.stop()


async def all_is_discovered(home_assistant: HomeAssistant) -> None:
    await home_assistant.discovers(lambda devices, entities: devices == DEVICES and REST.keys() <= entities)
    devices = await home_assistant.devices()
    assert devices[PROJECTOR]["name"] == "客厅投影"
    assert devices[PUMP]["model"] == "pump"
    await shows(home_assistant, REST)


async def the_projector_obeys(home_assistant: HomeAssistant, stage: Stage) -> None:
    body = stage.bodies["living_room"]
    await home_assistant.call("switch.turn_on", f"{PROJECTOR}-power")
    await shows(home_assistant, {f"{PROJECTOR}-power": "on", f"{PROJECTOR}-phase": "on"}, 30)
    assert body.state is Body.AWAKE
    await shows(home_assistant, {f"{PROJECTOR}-volume": "15", f"{PROJECTOR}-light": "on", f"{PROJECTOR}-watts": "95.0"})

    await home_assistant.call("number.set_value", f"{PROJECTOR}-volume", value=12)
    await home_assistant.call("select.select_option", f"{PROJECTOR}-input", option="HDMI 2")
    await home_assistant.call("switch.turn_on", f"{PROJECTOR}-mute")
    await shows(
        home_assistant, {f"{PROJECTOR}-volume": "12", f"{PROJECTOR}-input": "HDMI 2", f"{PROJECTOR}-mute": "on"}
    )
    assert (body.volume, body.input, body.muted) == (12, "hdmi2", True)

    await home_assistant.call("select.select_option", f"{PROJECTOR}-app", option="哔哩哔哩")
    await home_assistant.call("button.press", f"{PROJECTOR}-key_ok")
    await shows(home_assistant, {f"{PROJECTOR}-app": "哔哩哔哩"})
    await until(lambda: body.keys[-1:] == ["ok"], within=10, what=lambda: f"{body.keys}")

    await home_assistant.call("switch.turn_off", f"{PROJECTOR}-light")
    await shows(home_assistant, {f"{PROJECTOR}-light": "off", f"{PROJECTOR}-phase": "light_off"})
    assert stage.facts()["living_room.state"] == "light_off"
    await home_assistant.call("switch.turn_on", f"{PROJECTOR}-light")
    await shows(home_assistant, {f"{PROJECTOR}-light": "on", f"{PROJECTOR}-phase": "on", f"{PROJECTOR}-power": "on"})


async def what_happened_is_an_event(home_assistant: HomeAssistant, stage: Stage) -> None:
    stage.hand.say(SCENES, "没有这一句")
    events = "homebridge_svc-events"
    await until(lambda: home_assistant.attributes(events).get("event_type") == "announced", within=10)
    assert home_assistant.attributes(events)["zh"]


async def the_pump_obeys(home_assistant: HomeAssistant, stage: Stage) -> None:
    await home_assistant.call("switch.turn_on", f"{PUMP}-run")
    await shows(home_assistant, {f"{PUMP}-run": "on", f"{PUMP}-running": "on", f"{PUMP}-phase": "running"})
    assert stage.water.on
    await home_assistant.call("number.set_value", f"{PUMP}-minutes", value=4)
    await home_assistant.call("switch.turn_off", f"{PUMP}-run")
    await shows(home_assistant, {f"{PUMP}-run": "off", f"{PUMP}-phase": "resting", f"{PUMP}-remaining": "0"})
    assert not stage.water.on
    assert stage.water.starts == 1
    await until(lambda: home_assistant.attributes(f"{PUMP}-finished").get("event_type") == "run_finished")
    finished = home_assistant.attributes(f"{PUMP}-finished")
    assert finished["seconds"] >= 0
    assert home_assistant.state(f"{PUMP}-last_stop") == finished["zh"]


async def what_is_unplugged_is_unavailable(home_assistant: HomeAssistant, stage: Stage) -> None:
    stage.pump_plug.unplug()
    await shows(home_assistant, {f"{PUMP}-run": "unavailable", f"{PUMP}-reachable": "off", f"{PROJECTOR}-power": "on"})
    stage.pump_plug.replug()
    await shows(home_assistant, {f"{PUMP}-run": "off", f"{PUMP}-reachable": "on"})


async def it_comes_back_after_its_own_restart(home_assistant: HomeAssistant, broker: Mosquitto) -> None:
    known = await home_assistant.look_up()
    await home_assistant.stop()
    await forget(broker.port, "homeassistant/#", "homebridge_svc/+/state")  # so that only its birth can bring them back
    await home_assistant.start()
    await shows(home_assistant, AWAKE, 20)
    assert await home_assistant.look_up() == known
    assert (await home_assistant.devices()).keys() == DEVICES


async def it_comes_back_after_our_restart(home_assistant: HomeAssistant, daemon: Daemon) -> None:
    await daemon.kill()
    gone = dict.fromkeys((*REST, f"{PUMP}-reachable"), "unavailable") | {"homebridge_svc-online": "off"}
    await shows(home_assistant, gone)
    await daemon.start()
    await shows(home_assistant, AWAKE)


async def what_is_no_longer_configured_disappears(home_assistant: HomeAssistant, daemon: Daemon) -> None:
    known = await home_assistant.look_up()
    await daemon.stop()
    daemon.edit("客厅投影", "大投影")
    daemon.edit('"HDMI 1" = "hdmi1"\n"HDMI 2" = "hdmi2"\n', "")  # the table stays, and is empty
    daemon.edit('"living_room.input hdmi1", ', "")
    daemon.edit('"哔哩哔哩"', f"'{ODD_NAME}'")
    daemon.edit("[sensors.return_temperature]\nname", "[sensors.return_pipe]\nname")
    daemon.edit('sensor = "return_temperature"', 'sensor = "return_pipe"')
    await daemon.start()
    pipe = "homebridge_svc-return_pipe"
    old = {f"{PROJECTOR}-input", f"{OLD_SENSOR}-value", f"{OLD_SENSOR}-reachable"}
    await home_assistant.discovers(
        lambda devices, entities: devices == DEVICES - {OLD_SENSOR} | {pipe} and not old & entities
    )
    assert (await home_assistant.devices())[PROJECTOR]["name"] == "大投影"
    new = {f"{pipe}-value", f"{pipe}-reachable"}
    left = await home_assistant.look_up()
    assert {id_: left[id_] for id_ in left if id_ not in new} == {id_: known[id_] for id_ in known if id_ not in old}
    await shows(home_assistant, AWAKE | {f"{PROJECTOR}-app": ODD_NAME})


async def the_projector_goes_to_sleep(home_assistant: HomeAssistant, stage: Stage) -> None:
    await home_assistant.call("switch.turn_off", f"{PROJECTOR}-power")
    await shows(home_assistant, {f"{PROJECTOR}-power": "off", f"{PROJECTOR}-light": "off"}, 30)
    await until(lambda: stage.bodies["living_room"].state is Body.ASLEEP, within=15)
    assert stage.bodies["living_room"].violent_cuts == 0


async def what_is_not_known_is_unknown(home_assistant: HomeAssistant, stage: Stage, broker: Mosquitto) -> None:
    for device, state in stage.hand.states.copy().items():
        nothing = dict.fromkeys(state) | {"available": True}
        await publish(broker, f"homebridge_svc/{device}/state", json.dumps(nothing))
    parts = ("power", "phase", "watts", "why")
    await shows(home_assistant, {f"{BEDROOM}-{part}": "unknown" for part in parts})
    await shows(home_assistant, {f"{PUMP}-{part}": "unknown" for part in ("run", "running", "phase", "last_stop")})


async def it_would_have_complained(home_assistant: HomeAssistant, broker: Mosquitto) -> None:
    # the state of an entity that it knows, with a phase that it does not know
    state = '{"phase": "dancing", "available": true}'
    await publish(broker, "homebridge_svc/bedroom/state", state)
    await until(lambda: "dancing" in f"{home_assistant.complaints()}", within=10, what=home_assistant.tail)


def deeds(stage: Stage) -> dict[str, object]:
    """What the flat has been through; nothing of it may change without a wish."""
    facts = stage.facts()
    return {name: facts[name] for name in facts if not name.startswith(("tap", "return", "pump.longest"))}
