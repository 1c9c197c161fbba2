"""`pair adb`: the key is made, a person accepts it, and says so in two languages."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.adb import home
from typer.testing import CliRunner

from homebridge_svc.cli.pair import pair, pair_adb
from homebridge_svc.errors import Unreachable


async def test_it_makes_a_key_and_waits_for_the_person(tmp_path: Path) -> None:
    async with home() as here:
        here.daemon.accept_new_keys = None  # the question stands on the screen
        said: list[str] = []
        key = tmp_path / "state" / "adbkey"
        pairing = asyncio.create_task(pair_adb(here.daemon.host, here.daemon.port, key, say=said.append))
        await asyncio.sleep(0.6)
        assert not pairing.done()
        here.daemon.accept_new_keys = True
        assert (await pairing).serial == "XGIMI0012345"
        assert key.stat().st_mode & 0o777 == 0o600
        text = "\n".join(said)
        assert "Always allow" in text
        assert "一律允许" in text


async def test_a_key_that_is_there_is_kept_and_works_again(tmp_path: Path) -> None:
    async with home() as here:
        here.daemon.accept_new_keys = True
        key = tmp_path / "adbkey"
        await pair_adb(here.daemon.host, here.daemon.port, key, say=lambda _: None)
        before = key.read_bytes()
        here.daemon.accept_new_keys = False
        await pair_adb(here.daemon.host, here.daemon.port, key, say=lambda _: None)
        assert key.read_bytes() == before


@pytest.mark.parametrize("answer", [None, False])
async def test_nobody_accepting_ends_in_time(tmp_path: Path, answer: bool | None) -> None:
    async with home() as here:
        here.daemon.accept_new_keys = answer
        pairing = pair_adb(here.daemon.host, here.daemon.port, tmp_path / "k", say=lambda _: None, ask_seconds=0.5)
        with pytest.raises(Unreachable):
            await asyncio.wait_for(pairing, 8)


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    result = CliRunner().invoke(pair, ["adb", "127.77.2.1", "--port", "1", "--key", str(tmp_path / "adbkey")])
    assert result.exit_code == 1
    assert "not paired" in result.output
    assert CliRunner().invoke(pair, ["adb", "127.77.2.1"], env={"STATE_DIRECTORY": ""}).exit_code == 2
    assert (tmp_path / "adbkey.pub").exists()
