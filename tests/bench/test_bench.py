"""The benches run and say what they found; the figures themselves are nobody's business here."""

import asyncio
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"

pytestmark = [
    pytest.mark.peer,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("mosquitto") is None, reason="mosquitto is not installed"),
]


async def run(bench: str, *arguments: str) -> dict[str, Any]:
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, str(SCRIPTS / "benches" / f"{bench}.py"), "--alone", "--json", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(program.communicate(), 110)
    assert program.returncode == 0, err.decode()
    result: dict[str, Any] = json.loads(out)
    assert result["bench"] == bench
    assert result["machine"]["python"]
    assert result["machine"]["cores"] >= 1
    assert "--alone" in result["home_assistant"]["skipped"], "what is left out is said, with the reason"
    assert "ratio" not in result
    return result


def assert_figure(figure: dict[str, float], n: int) -> None:
    assert figure["n"] == n
    assert 0 < figure["min"] <= figure["p50"] <= figure["p99"]


async def test_latency_is_measured_on_both_paths() -> None:
    result = await run("latency", "--n", "7")
    for path in ("adb", "plug"):
        assert_figure(result[path]["ours_ms"], 7)
    assert result["lost"] == {"homebridge_svc": 0}


async def test_footprint_is_measured_with_and_without_mi_plugs() -> None:
    result = await run("footprint", "--starts", "1", "--idle", "1")
    for kind in ("served_s", "ready_s", "cpu_s"):
        assert_figure(result["start"]["ours"][kind], 1)
    memory = result["memory"]
    assert 0 < memory["ours"]["proportional_mb"] <= memory["ours"]["resident_mb"]
    assert memory["ours"]["resident_mb"] < memory["ours_with_miio"]["resident_mb"]
    assert result["idle_percent"]["ours"] >= 0
    assert result["idle_s"] == 1


async def test_a_bench_that_does_not_exist_is_answered_with_those_that_do() -> None:
    program = await asyncio.create_subprocess_exec(str(SCRIPTS / "bench"), "speed", stdout=asyncio.subprocess.PIPE)
    out, _ = await program.communicate()
    assert program.returncode == 2
    assert b"latency" in out
    assert b"footprint" in out
