"""The commands that talk to the running daemon, against a real server over loopback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from support.web import TOKEN, LittleDesk, serving
from typer.testing import CliRunner, Result

from homebridge_svc.cli import app
from homebridge_svc.cli.client import ABSENT, FAILED, WRONG, address, daemon_of
from homebridge_svc.errors import ConfigError

Run = Callable[..., Awaitable[Result]]


def test_a_wrong_log_level_is_a_sentence(tmp_path: Path) -> None:
    ended = CliRunner().invoke(app, ["run", "-c", str(tmp_path / "none.toml"), "--log-level", "loud"])
    assert ended.exit_code == 2
    assert "'loud' is not one of" in ended.output


def test_a_crash_shows_no_variables() -> None:
    """They may hold secrets, and standard error is the system's journal."""
    assert app.pretty_exceptions_show_locals is False


def config(folder: Path, listen: str) -> Path:
    """A file of which only [web] may matter: the rest is not even valid."""
    secret = folder / "web_token"
    secret.write_text(TOKEN + "\n")
    secret.chmod(0o600)
    file = folder / "homebridge.toml"
    file.write_text(f'[web]\nlisten = "{listen}"\ntoken = {{ file = "web_token" }}\n[plugs]\nodd = 1\n')
    return file


async def invoke(*args: object) -> Result:
    """As typed in a terminal; in a thread, because commands bring their own loop."""
    return await asyncio.to_thread(CliRunner().invoke, app, [str(arg) for arg in args])


@pytest.fixture
def desk() -> LittleDesk:
    return LittleDesk()


@pytest.fixture
async def file(desk: LittleDesk, tmp_path: Path) -> AsyncIterator[Path]:
    async with serving(desk) as (server, _):
        yield config(tmp_path, f"127.0.0.1:{server.port}")


async def test_send_prints_the_answers_and_ends_well(file: Path, desk: LittleDesk) -> None:
    result = await invoke("send", "-c", file, "living_room.power", "on")
    assert result.exit_code == 0
    *answers, why = result.stdout.splitlines()
    assert answers == [
        "accepted: woken over udp, it boots  好的，正在开机",
        "done: adb says the screen is on  已开",
    ]
    assert why.endswith(f"explain -c {file} {desk.asked[0].id}")
    assert [(heard.device, heard.text) for heard in desk.asked] == [("living_room", "power on")]


async def test_send_takes_values_that_begin_with_a_minus(file: Path, desk: LittleDesk) -> None:
    await invoke("send", "-c", file, "living_room.volume", "-2")
    assert desk.asked[0].text == "volume -2"


async def test_send_as_json(file: Path) -> None:
    result = await invoke("send", "-c", file, "lamp.off", "--json")
    assert json.loads(result.stdout)["answers"][0]["say"] == "done"


async def test_a_refusal_is_exit_code_1(file: Path) -> None:
    result = await invoke("send", "-c", file, "lamp.dance")
    assert result.exit_code == FAILED
    assert "refused: nobody taught me 'dance'" in result.stdout


async def test_what_names_no_device_is_a_phrase(file: Path, desk: LittleDesk) -> None:
    await invoke("send", "-c", file, "看电影")
    assert [(heard.device, heard.text) for heard in desk.asked] == [(None, "看电影")]


async def test_no_answer_in_time_is_said(file: Path, desk: LittleDesk) -> None:
    desk.silent = True
    result = await invoke("send", "-c", file, "lamp.on", "--wait", "0.1")
    assert result.exit_code == FAILED
    assert "not answered within 0.1 s" in result.stderr


@pytest.mark.parametrize("command", [["send", "lamp.on"], ["explain"]])
async def test_no_daemon_is_exit_code_3_and_plain_words(tmp_path: Path, command: list[str]) -> None:
    file = config(tmp_path, "127.0.0.1:9")
    result = await invoke(command[0], "-c", file, *command[1:])
    assert result.exit_code == ABSENT
    assert result.stderr.strip() == "the daemon does not answer at http://127.0.0.1:9: is it running?"


async def test_another_program_at_the_port(tmp_path: Path) -> None:
    async def web_shop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>")
        writer.close()

    async with await asyncio.start_server(web_shop, "127.0.0.1", 0) as server:
        file = config(tmp_path, f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        result = await invoke("explain", "-c", file)
    assert result.exit_code == ABSENT
    assert "it is not the daemon" in result.stderr


async def test_a_wrong_file_is_exit_code_2(tmp_path: Path) -> None:
    file = tmp_path / "homebridge.toml"
    result = await invoke("explain", "-c", file)
    assert (result.exit_code, "No such file" in result.stderr) == (WRONG, True)
    file.write_text('[web]\nlisten = 7\ntokn = "x"\n')
    result = await invoke("explain", "-c", file)
    assert result.exit_code == WRONG
    assert "web.listen" in result.stderr
    assert "web.tokn" in result.stderr
    file.write_bytes(b"\xff[[[")
    assert (await invoke("explain", "-c", file)).exit_code == WRONG


async def test_explain_prints_the_chain(file: Path) -> None:
    await invoke("send", "-c", file, "bathroom.run", "3m", "--wait", "0.1")
    result = await invoke("explain", "-c", file)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("id1  2025-11-21")
    steps = [line.split() for line in lines[1:]]
    assert [words[2] for words in steps if words[0].startswith("+")] == ["heard", "decided", "sent", "answered"]
    assert "pump cycle 2" in result.stdout
    assert json.loads((await invoke("explain", "-c", file, "id1", "--json")).stdout)["chain"] == "id1"
    assert (await invoke("explain", "-c", file, "../state")).exit_code == FAILED


async def test_link_tells_how_to_listen_wider(file: Path) -> None:
    result = await invoke("link", "-c", file)
    assert result.exit_code == FAILED
    assert 'listen = "0.0.0.0:' in result.stderr


async def test_link_prints_address_and_code_but_never_the_token(desk: LittleDesk, tmp_path: Path) -> None:
    async with serving(desk) as (server, _):
        file = config(tmp_path, f"0.0.0.0:{server.port}")  # met at 127.0.0.1
        result = await invoke("link", "-c", file)
        as_json = json.loads((await invoke("link", "-c", file, "--json")).stdout)
    assert result.exit_code == 0
    assert f":{server.port}/login?code=" in result.stdout
    assert "▀" in result.stdout
    assert as_json["expires_in"] == 600
    assert TOKEN not in result.output


def test_where_a_daemon_is_met(tmp_path: Path) -> None:
    assert daemon_of(config(tmp_path, "0.0.0.0:8377")).url == "http://127.0.0.1:8377"
    assert daemon_of(config(tmp_path, "[::]:8377")).url == "http://[::1]:8377"
    assert daemon_of(config(tmp_path, "192.168.1.10:80")).url == "http://192.168.1.10:80"
    assert address("fd00::1", 80) == "http://[fd00::1]:80"
    assert TOKEN not in repr(daemon_of(config(tmp_path, "127.0.0.1:8377")))
    with pytest.raises(ConfigError, match="cannot be read"):
        daemon_of(tmp_path / "nowhere.toml")
