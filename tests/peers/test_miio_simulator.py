"""Our plug adapter against python-miio's own MIoT simulator: a peer that shares no line with our emulator.

The simulator exists in python-miio 0.6.0.dev0 only, which does not fit beside 0.5.12: it lives in an environment of
its own, where scripts/install-peers puts it, or HOMEBRIDGE_MIIO_SIMULATOR names its `miiocli`. It always binds port
54321 of every address, so this test runs alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.udp_things import Desk, running, until

from homebridge_svc.adapters.plugs.miio import MiioPlug, Options
from homebridge_svc.core.events import PlugReported
from homebridge_svc.core.orders import ReadState, Result, SwitchOff, SwitchOn
from homebridge_svc.wire import miio

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "homebridge_svc"
MIIOCLI = os.environ.get("HOMEBRIDGE_MIIO_SIMULATOR") or str(CACHE / "python-miio-0.6.0.dev0" / "bin" / "miiocli")
MODEL = "cuco.plug.v2eur"

pytestmark = [
    pytest.mark.peer,
    pytest.mark.alone,
    pytest.mark.skipif(
        shutil.which(MIIOCLI) is None,
        reason="no python-miio 0.6.0.dev0: not in the cache, and HOMEBRIDGE_MIIO_SIMULATOR names no miiocli",
    ),
]


def _service(siid: int, name: str, *properties: dict[str, object]) -> dict[str, object]:
    kind = f"urn:miot-spec-v2:service:{name}:0000{siid:04x}:cuco-v2eur:1"
    return {"iid": siid, "type": kind, "description": name, "properties": list(properties)}


def _property(piid: int, name: str, kind: str, *, writable: bool, most: int | None = None) -> dict[str, object]:
    described: dict[str, object] = {
        "iid": piid,
        "type": f"urn:miot-spec-v2:property:{name}:0000{piid:04x}:cuco-v2eur:1",
        "description": name,
        "format": kind,
        "access": ["read", "write"] if writable else ["read"],
    }
    return {**described, "value-range": [0, most, 1]} if most is not None else described


SCHEMA = {
    "type": "urn:miot-spec-v2:device:outlet:0000a002:cuco-v2eur:1",
    "description": "outlet",
    "services": [
        _service(2, "switch", _property(1, "on", "bool", writable=True)),
        _service(11, "power", _property(2, "electric-power", "uint16", writable=False, most=3000)),
        _service(
            14,
            "delay",
            _property(1, "delay", "bool", writable=True),
            _property(2, "delay-time", "uint32", writable=True, most=86_400),
            _property(3, "delay-remain-time", "uint32", writable=False, most=86_400),
        ),
    ],
}


@pytest.fixture
async def simulator(tmp_path: Path) -> AsyncIterator[None]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("0.0.0.0", miio.PORT))  # noqa: S104  as the simulator does
        except OSError:
            pytest.skip("port 54321 is in use on this machine")
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps(SCHEMA))
    arguments = ("devtools", "miot-simulator", "--file", str(schema), "--model", MODEL)
    process = await asyncio.create_subprocess_exec(
        MIIOCLI, *arguments, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 10)


@pytest.mark.usefixtures("simulator")
async def test_the_adapter_and_an_independent_plug_understand_each_other() -> None:
    desk = Desk()
    options = Options.model_validate({"host": "127.0.0.1", "token": "0" * 32, "model": MODEL})
    plug = MiioPlug("pump_plug", options, desk.surroundings)
    async with running(plug):
        await until(lambda: desk.of(PlugReported), within=20)
        watts = desk.of(PlugReported)[-1].watts
        assert watts is not None
        assert 0 <= watts <= 3000
        for action, on in ((SwitchOn(dead_man=360.0), True), (SwitchOff(), False), (SwitchOn(), True)):
            assert (await plug.execute(desk.order("pump_plug", action))).result is Result.DONE
            await plug.execute(desk.order("pump_plug", ReadState()))
            assert desk.of(PlugReported)[-1].on is on
