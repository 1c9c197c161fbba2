"""Every scenario that ships, played by the real command: broker, devices, daemon and page on loopback sockets."""

import asyncio
import json
import sys

import pytest

from homebridge_svc.virtual_home import scenario


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", scenario.names())
async def test_every_check_of_the_scenario_holds(name: str) -> None:
    demo = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "homebridge_svc", "demo", "--scenario", name),
        *("--exit", "--json", "--speed", "20", "--port", "0"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(demo.communicate(), 170)
    assert out, err.decode()
    played = json.loads(out)
    failed = [
        f"{step['title']['en']}: {check['check']} (seen {check['seen']})"
        for step in played["steps"]
        for check in step["checks"]
        if not check["ok"]
    ]
    assert not failed, err.decode()
    assert played["held"]
    assert len(played["steps"]) == len(scenario.read(name).steps)
    assert demo.returncode == 0


def test_every_scenario_is_told_in_both_languages() -> None:
    for name in scenario.names():
        story = scenario.read(name)
        for title in (story.title, *(step.title for step in story.steps)):
            assert title["en"], name
            assert title["zh"], name
        assert all(step.check for step in story.steps), "a step that checks nothing shows nothing"
