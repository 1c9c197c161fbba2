"""`doctor` meets every device of the virtual flat on real wires, says how to mend what is wrong, and moves nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.broker import HOST, RestartableBroker, eventually, free_port, needs_broker, real_broker
from support.flat import Flat
from typer.testing import CliRunner, Result

from homebridge_svc.app import drivers
from homebridge_svc.cli import app
from homebridge_svc.cli.checkup import examine
from homebridge_svc.cli.findings import Finding, Verdict
from homebridge_svc.config.load import load
from homebridge_svc.runtime.clock import SystemClock
from homebridge_svc.virtual_home.projector_body import Body

pytestmark = needs_broker

LOOK = 2.5  # real seconds; the silent are silent for longer
READING = ("getprop", "dumpsys", "cat", "date", "settings get", "wm", "cmd media_session volume --get", "media volume")

Findings = dict[str, Finding]


async def look(file: Path, *, clock: SystemClock | None = None, state: Path | None = None) -> Findings:
    """What is found, by thing; every line is told in both languages, and what is wrong comes with advice in both."""
    found = await examine(
        load(file, drivers()),
        state or file.parent / "state",
        clock or SystemClock(trusted=True),
        lambda _done, _total: None,
        look_for=LOOK,
    )
    for finding in found:
        assert finding.en, finding
        assert finding.zh, finding
        assert (finding.verdict is not Verdict.BAD) or (finding.advice.en and finding.advice.zh), finding
    return {finding.thing: finding for finding in found}


async def invoke(*args: object) -> Result:
    """As typed in a terminal; in a thread, because the command brings its own loop."""
    return await asyncio.to_thread(CliRunner().invoke, app, [str(arg) for arg in args])


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def bad(found: Findings) -> set[str]:
    return {thing for thing, finding in found.items() if finding.verdict is Verdict.BAD}


async def awake(flat: Flat) -> None:
    """The living room's projector has booted."""
    (flat.directory / "state").chmod(0o700)
    flat.stage.cinema_plug.press()
    await eventually(lambda: flat.stage.bodies["living_room"].state is Body.AWAKE, "it boots")


async def test_when_all_is_well_it_says_so_of_each_and_moves_nothing(tmp_path: Path) -> None:
    async with Flat(tmp_path, speed=60) as flat, flat.broker.overheard("#") as heard:
        await awake(flat)
        before = flat.stage.facts()
        keys = list(flat.stage.bodies["living_room"].keys)
        began, heard_before = time.monotonic(), len(heard)
        result = await invoke("doctor", "-c", flat.config, "--json")
        took = time.monotonic() - began
        after, said = flat.stage.facts(), [(topic, text) for topic, text, _ in heard[heard_before:]]
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert answer["ok"]
    assert {line["thing"]: line["verdict"] for line in answer["findings"]} == dict.fromkeys(
        [
            *("clock", "state directory", "page", "mqtt", "voice[0]"),
            *("plugs.cinema_plug", "plugs.bedroom_plug", "plugs.pump_plug", "blasters.bedroom_ir"),
            *("projectors.living_room.adb", "projectors.living_room.udp", "projectors.bedroom.ir"),
            *("sensors.return_temperature", "pumps.bathroom"),
        ],
        "ok",
    )
    assert took < 8, "nobody is waited for who has answered"
    moving = {"adb.orders", "tap", "return"}  # questions count there as well; water cools by itself
    assert {k: v for k, v in after.items() if k not in moving} == {k: v for k, v in before.items() if k not in moving}
    assert flat.stage.bodies["living_room"].keys == keys
    odd = [command for _, command in flat.stage.android.executed if not command.startswith(READING)]
    assert not odd, "only questions"
    assert not [topic for topic, _ in said if topic.endswith("/set")]
    assert not [(topic, text) for topic, text in said if topic.startswith("cmnd/") and "Power" in topic and text]
    ours = {topic for topic, _ in said if topic.startswith("homebridge_svc/")}
    assert ours
    assert all(topic.startswith("homebridge_svc/doctor/") for topic in ours), "the daemon's own topics stay untouched"


async def test_people_read_marks_words_and_advice(tmp_path: Path) -> None:
    async with Flat(tmp_path, speed=60) as flat:
        await awake(flat)
        (flat.directory / "state" / "adbkey").unlink()
        result = await invoke("doctor", "-c", flat.config)
    assert result.exit_code == 1
    assert "✓ plugs.cinema_plug  on, 95 W · 开，95 W" in result.stdout
    assert "✗ projectors.living_room.adb  no usable ADB key" in result.stdout
    assert (
        f"→ switch the projector on, then: homebridge-svc pair adb {flat.stage.adbd.host} -c {flat.config}"
        in result.stdout
    )
    assert "并在投影画面上点允许" in result.stdout


async def test_a_projector_that_is_off_excuses_its_channels(tmp_path: Path) -> None:
    async with Flat(tmp_path, speed=60) as flat:
        found = await look(flat.config)
    assert found["projectors.living_room.adb"].verdict is Verdict.NOTE
    assert found["projectors.living_room.udp"].verdict is Verdict.NOTE
    assert "switch it on" in found["projectors.living_room.udp"].advice.en
    assert not bad(found)


async def test_a_projector_that_draws_watts_but_is_silent_fails(tmp_path: Path) -> None:
    async with Flat(tmp_path, speed=60) as flat:
        await awake(flat)
        flat.stage.udp.faults.dead = True
        await flat.stage.adbd.stop()
        found = await look(flat.config)
    assert bad(found) == {"projectors.living_room.adb", "projectors.living_room.udp"}
    assert "refused" in found["projectors.living_room.adb"].en
    assert "developer options" in found["projectors.living_room.adb"].advice.en
    assert "GMUI" in found["projectors.living_room.udp"].advice.en


async def test_a_key_that_the_projector_does_not_know_asks_nobody(tmp_path: Path) -> None:
    async with Flat(tmp_path, speed=60) as flat:
        await awake(flat)
        flat.stage.adbd.keys.clear()
        flat.stage.adbd.accept_new_keys = True  # a question on the screen would be answered
        found = await look(flat.config)
        assert flat.stage.adbd.keys == []
    assert bad(found) == {"projectors.living_room.adb"}
    assert "pair adb" in found["projectors.living_room.adb"].advice.en


async def test_no_broker_fails_once_and_leaves_the_rest_unasked(tmp_path: Path) -> None:
    async with Flat(tmp_path, speed=60) as flat:
        await awake(flat)
        await flat.broker.stop()
        found = await look(flat.config)
    assert bad(found) == {"mqtt"}
    assert "systemctl status mosquitto" in found["mqtt"].advice.en
    assert "没有 broker" in found["plugs.pump_plug"].zh
    assert found["plugs.cinema_plug"].verdict is Verdict.OK, "it needs no broker"


async def test_a_broker_inside_the_daemon_needs_the_daemon(tmp_path: Path) -> None:
    async with Flat(tmp_path, speed=60) as flat:
        change(flat.config, f"mqtt://{HOST}:{flat.broker.port}", f"embedded:{free_port()}")
        found = await look(flat.config)
    assert "inside the daemon" in found["mqtt"].advice.en


async def test_a_wrong_password_is_said_and_never_shown(tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    maker = await asyncio.create_subprocess_exec(
        "mosquitto_passwd", "-b", "-c", str(passwords), "homebridge", "right one"
    )
    assert await maker.wait() == 0
    passwords.chmod(0o644)
    async with real_broker(tmp_path, "allow_anonymous false", f"password_file {passwords}") as broker:
        secret = tmp_path / "mqtt_password"
        secret.write_text("the wrong one")
        secret.chmod(0o600)
        file = small(tmp_path, broker, 'password = { file = "mqtt_password" }')
        found = await look(file)
        secret.write_text("right one")
        assert (await look(file))["mqtt"].verdict is Verdict.OK
    assert "user name or password" in found["mqtt"].en
    assert "mosquitto_passwd" in found["mqtt"].advice.en
    assert "the wrong one" not in str(found)


def small(folder: Path, broker: RestartableBroker, mqtt: str = "", rest: str = "") -> Path:
    """A file with a broker and a page, and whatever else."""
    file = folder / "homebridge.toml"
    file.write_text(
        f'version = 1\ntimezone = "Asia/Shanghai"\n[mqtt]\nurl = "mqtt://homebridge@{HOST}:{broker.port}"\n{mqtt}\n'
        f'[web]\nlisten = "{HOST}:{free_port()}"\n{rest}'
    )
    return file


async def test_a_wrong_token_of_a_mi_plug(tmp_path: Path) -> None:
    async with Flat(tmp_path, speed=60) as flat:
        (flat.directory / "cinema_plug_token").write_text("ff" * 16)
        result = await invoke("doctor", "-c", flat.config)
    assert result.exit_code == 1
    assert "is the token right?" in result.stdout
    assert "a plug gets a new token whenever it is added to Mi Home again" in result.stdout
    assert "ff" * 16 not in result.output


async def test_what_is_gone_and_what_was_never_there(tmp_path: Path) -> None:
    async with Flat(tmp_path, speed=60) as flat:
        flat.stage.pump_plug.unplug()
        flat.stage.sensor.unplug()
        change(flat.config, 'topic = "bedroom_plug"', 'topic = "bedrom_plug"')
        await asyncio.sleep(0.3)  # the wills have to reach the broker
        found = await look(flat.config)
    assert bad(found) == {"plugs.pump_plug", "sensors.return_temperature", "plugs.bedroom_plug"}
    assert "mains" in found["plugs.pump_plug"].advice.en
    assert "mosquitto_sub" in found["plugs.bedroom_plug"].advice.en


async def test_watts_that_cannot_be(tmp_path: Path) -> None:
    async with Flat(tmp_path, speed=60) as flat:
        flat.stage.cinema_plug.watts = lambda: 1800.0
        flat.stage.cinema_plug.press()
        found = await look(flat.config)
    assert bad(found) >= {"plugs.cinema_plug"}
    assert "1800 W: that cannot be" in found["plugs.cinema_plug"].en
    assert "scale" in found["plugs.cinema_plug"].advice.en


async def test_watts_that_the_adapter_does_not_believe(tmp_path: Path) -> None:
    async with Flat(tmp_path, speed=60) as flat:
        flat.stage.cinema_plug.watts = lambda: 95_000.0
        flat.stage.cinema_plug.press()
        found = await look(flat.config)
    assert "tells no watts" in found["plugs.cinema_plug"].en
    assert "scale" in found["plugs.cinema_plug"].advice.en
    assert "implausible" in found["noticed"].en


async def test_a_meter_that_says_nothing(tmp_path: Path) -> None:
    async with Flat(tmp_path, speed=60) as flat:
        change(flat.config, 'topic = "bedroom_plug"', 'topic = "bedroom_plug"\nwatts_topic = "nobody/speaks/here"')
        found = await look(flat.config)
    assert bad(found) == {"plugs.bedroom_plug"}
    assert "TelePeriod 10" in found["plugs.bedroom_plug"].advice.en


async def test_complaints_of_the_adapters_are_told_as_well(tmp_path: Path) -> None:
    async with Flat(tmp_path, speed=60) as flat:
        flat.stage.sensor.lie = 85.0
        flat.stage.sensor.publish()
        found = await look(flat.config)
    assert "error code" in found["noticed"].en
    assert found["noticed"].verdict is Verdict.NOTE


async def test_a_running_daemon_is_no_fault(tmp_path: Path) -> None:
    async with Flat(tmp_path, speed=60) as flat:
        await flat.start()
        await awake(flat)
        async with flat.broker.overheard("homebridge_svc/status") as heard:
            result = await invoke("doctor", "-c", flat.config, "--json")
        await flat.stop()
    lines = {line["thing"]: line for line in json.loads(result.stdout)["findings"]}
    assert result.exit_code == 0, result.stdout
    assert "a daemon runs" in lines["page"]["en"]
    assert "the running daemon holds the port" in lines["projectors.living_room.udp"]["en"]
    assert [text for _, text, _ in heard] == ["online"], "nobody else says its status"


async def test_another_program_at_the_pages_port(tmp_path: Path) -> None:
    async with real_broker(tmp_path) as broker:
        file = small(tmp_path, broker)
        port = int(file.read_text().rpartition(":")[2].partition('"')[0])
        async with await asyncio.start_server(lambda _r, w: w.close(), HOST, port):
            found = await look(file)
    assert bad(found) == {"page"}
    assert "not to be had" in found["page"].en


SCHEDULED = """
[plugs.pump_plug]
driver = "mqtt"
profile = "generic"
preset = "esphome"
topic = "cellar"
channel = "pump"
[pumps.bathroom]
plug = "pump_plug"
[[pumps.bathroom.schedule]]
from = "06:40"
to = "07:30"
"""


@pytest.mark.parametrize(
    ("rewrite", "sentence"),
    [
        (lambda text: text, "cannot switch itself off"),
        (
            lambda text: text.replace('"generic"\npreset = "esphome"', '"zigbee2mqtt"').replace(
                'channel = "pump"\n', ""
            ),
            "timer is not proven",
        ),
    ],
)
async def test_scheduled_runs_that_will_be_refused(
    tmp_path: Path, rewrite: Callable[[str], str], sentence: str
) -> None:
    async with real_broker(tmp_path) as broker:
        found = await look(small(tmp_path, broker, rest=rewrite(SCHEDULED)))
        flag = rewrite(SCHEDULED).replace("[pumps.bathroom]", "[pumps.bathroom]\nunattended_without_dead_man = true")
        assert (await look(small(tmp_path, broker, rest=flag)))["pumps.bathroom"].verdict is Verdict.OK
    assert sentence in found["pumps.bathroom"].en
    assert "unattended_without_dead_man" in found["pumps.bathroom"].advice.en


async def test_clock_and_state_directory(tmp_path: Path) -> None:
    async with real_broker(tmp_path) as broker:
        file = small(tmp_path, broker, rest=SCHEDULED)
        (tmp_path / "a file").write_text("")
        unsynced = SystemClock(marker=tmp_path / "no marker")
        found = await look(file, clock=unsynced, state=tmp_path / "a file" / "state")
        assert {"clock", "state directory"} <= bad(found)
        assert "timedatectl" in found["clock"].advice.en
        file.write_text(file.read_text().partition("[plugs")[0])
        open_to_all = tmp_path / "open"
        open_to_all.mkdir(mode=0o755)
        found = await look(file, clock=unsynced, state=open_to_all)
    assert found["clock"].verdict is Verdict.NOTE, "without a schedule nobody waits for it"
    assert "chmod 700" in found["state directory"].advice.en


async def test_a_wrong_file_is_exit_code_2(tmp_path: Path) -> None:
    file = tmp_path / "homebridge.toml"
    file.write_text('version = 1\ntimezone = "Mars/Base"\n')
    result = await invoke("doctor", "-c", file)
    assert result.exit_code == 2
    assert "is not a time zone" in result.stderr


NOBODY = """
version = 1
timezone = "UTC"
[mqtt]
url = "mqtt://127.0.0.1:{port}"
[web]
listen = "127.0.0.1:{port}"
[plugs.nobody]
driver = "miio"
host = "127.77.254.9"
model = "cuco.plug.v3"
token = {{ file = "token" }}
"""


async def test_it_ends_within_twelve_seconds_whatever_is_silent(tmp_path: Path) -> None:
    """A broker and a page that take the connection and never say a word, and a plug at an address where nobody is."""

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.read()  # until the other side has had enough
        writer.close()

    async with await asyncio.start_server(mute, HOST, 0) as silent:
        token = tmp_path / "token"
        token.write_text("00" * 16)
        token.chmod(0o600)
        file = tmp_path / "homebridge.toml"
        file.write_text(NOBODY.format(port=silent.sockets[0].getsockname()[1]))
        began = time.monotonic()
        result = await invoke("doctor", "-c", file)
        assert time.monotonic() - began < 13
    assert result.exit_code == 1
    assert "✗ mqtt" in result.stdout
    assert "✗ page" in result.stdout
    assert "✗ plugs.nobody" in result.stdout
