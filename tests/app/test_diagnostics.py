"""`diagnostics` holds what a bug report needs, and none of the secrets that were planted for it to find."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from support.web import LittleDesk, serving
from typer.testing import CliRunner, Result

from homebridge_svc.cli import app
from homebridge_svc.cli.peek import read_state_file
from homebridge_svc.errors import StoreError
from homebridge_svc.ports import Row
from homebridge_svc.runtime.journal import Journal
from homebridge_svc.runtime.redact import Redactor
from homebridge_svc.runtime.store import Store

WEB_TOKEN = "the family token"  # as the server of support.web has it
PLUG_TOKEN = "ffeeddccbbaa99887766554433221100"
PASSWORD = "correct horse"
BEARER = "eyJhbGciOi.planted"
USERINFO = "homebridge-user"
PLANTED = (WEB_TOKEN, PLUG_TOKEN, PASSWORD, BEARER, USERINFO, "hunter2")


def write(folder: Path, listen: str) -> Path:
    for name, value in (("web_token", WEB_TOKEN), ("plug_token", PLUG_TOKEN), ("mqtt_password", PASSWORD)):
        (folder / name).write_text(value + "\n")
        (folder / name).chmod(0o600)
    file = folder / "homebridge.toml"
    file.write_text(
        f"""
version = 1
timezone = "Asia/Shanghai"
[mqtt]
url = "mqtt://{USERINFO}@192.168.1.10:1883"
password = {{ file = "mqtt_password" }}
[web]
listen = "{listen}"
token = {{ file = "web_token" }}
[plugs.cinema_plug]
driver = "miio"
host = "192.168.1.31"
model = "cuco.plug.v3"
token = {{ file = "plug_token" }}
"""
    )
    return file


async def remember(folder: Path) -> None:
    """A state file as a careless daemon would have left it: nothing in it was hidden."""
    async with Store(folder / "state" / "state.sqlite3") as store, Journal(store, Redactor()) as journal:
        await store.remember({"pump.on_since": 17, "note": f"login with {PASSWORD}"})
        for number in range(30):
            journal.append(Row(1000.0 + number, f"c{number}", "heard", "cinema_plug", f"row {number}"))
        journal.append(
            Row(2000.0, "last", "failed", "cinema_plug", f"token {PLUG_TOKEN}", {"auth": f"Bearer {BEARER}"})
        )
    with sqlite3.connect(folder / "state" / "state.sqlite3") as db:  # past the journal's own redaction
        db.execute(
            "INSERT INTO journal (utc, chain, kind, device, text, data) VALUES (?, ?, ?, ?, ?, ?)",
            (2001.0, "x", "failed", None, "amqp://me:hunter2@10.0.0.1 is away", json.dumps({"password": "hunter2"})),
        )


async def invoke(*args: object) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, ["diagnostics", *(str(arg) for arg in args)])


def read(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


async def test_everything_is_in_it_and_no_secret(tmp_path: Path) -> None:
    await remember(tmp_path)
    desk = LittleDesk()
    desk.change("living_room", why=f"the plug says {PLUG_TOKEN}", app=f"http://{USERINFO}:hunter2@box/")
    async with serving(desk) as (server, _):
        result = await invoke("-c", write(tmp_path, f"127.0.0.1:{server.port}"), "--rows", 10)
    found = read(result)
    for secret in PLANTED:
        assert secret not in result.output
    assert found["config"]["mqtt"] == {
        "url": "mqtt://***@192.168.1.10:1883", "password": "***", "ca": None, "base_topic": "homebridge_svc",
    }  # fmt: skip
    assert found["config"]["plugs"]["cinema_plug"]["host"] == "192.168.1.31"
    assert found["program"]["libraries"]["aiohttp"]
    assert any(line.startswith("plug miio:") for line in found["program"]["supported"])
    assert found["state"]["memory"]["pump.on_since"] == 17
    assert [row["chain"] for row in found["journal"][-3:]] == ["c29", "last", "x"]
    assert len(found["journal"]) == 10
    assert found["daemon"]["healthz"] == "ok\n"
    assert found["daemon"]["state"]["devices"]["living_room"]["state"]["why"] == "the plug says ***"
    assert "homebridge_heartbeat_age_seconds 1" in found["daemon"]["metrics"]
    assert "names and addresses of your flat" in result.stderr


async def test_without_daemon_and_state_it_says_so(tmp_path: Path) -> None:
    found = read(await invoke("-c", write(tmp_path, "127.0.0.1:9")))
    assert "there is no" in found["state"]["problem"]
    assert found["journal"] == []
    assert "not to be had" in found["daemon"]["state"]


async def test_a_file_that_is_not_right_gives_its_errors_and_nothing_that_may_hold_secrets(tmp_path: Path) -> None:
    await remember(tmp_path)
    file = write(tmp_path, "127.0.0.1:9")
    file.write_text(file.read_text() + 'tokn = "hunter2"\n')
    result = await invoke("-c", file)
    found = read(result)
    assert found["config"]["errors"][0]["path"] == "plugs.cinema_plug.tokn"
    assert "left out" in found["journal"]
    for secret in PLANTED:
        assert secret not in result.output


async def test_a_damaged_or_newer_state_file_stays_as_it_is(tmp_path: Path) -> None:
    await remember(tmp_path)
    path = tmp_path / "state" / "state.sqlite3"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    newer = read_state_file(path, 5)
    assert newer is not None
    assert (newer.schema, len(newer.rows)) == (99, 5)
    path.write_bytes(b"this is no database at all, but as long as one might well be" * 20)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="cannot be read"):
        read_state_file(path, 5)
    found = read(await invoke("-c", write(tmp_path, "127.0.0.1:9")))
    assert "cannot be read" in found["state"]["problem"]
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.glob("*aside*")] == []


async def test_it_reads_beside_a_daemon_that_writes(tmp_path: Path) -> None:
    async with Store(tmp_path / "state.sqlite3") as store:
        await store.remember({"alive": True})
        state = await asyncio.to_thread(read_state_file, tmp_path / "state.sqlite3", 5)
        assert state is not None
        assert state.memory == {"alive": True}
        await store.remember({"alive": False})
