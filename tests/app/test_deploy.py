"""What lands on a Pi: install.sh, run below a directory of its own; the unit, as systemd reads it; the broker."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt
import pytest
from support.broker import HOST, eventually, needs_broker, real_broker

from homebridge_svc.app import STOP_WITHIN

HERE = Path(__file__).parents[2]
DEPLOY = HERE / "deploy"
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
PR_SET_MDWE = 65

# An interpreter that is real in everything but pip, which writes down what it was asked for and makes a program.
PYTHON = """\
#!/bin/bash
case "$1 $2" in
  "-m venv") mkdir -p "${{@: -1}}/bin" && ln -sf "$0" "${{@: -1}}/bin/python" && cp {pip} "${{@: -1}}/bin/pip" ;;
  "-m pip") ;;
  *) exec {real} "$@" ;;
esac
"""
PIP = """\
#!/bin/bash
echo "$@" >>{log}
install -m 755 /dev/null "${{0%/*}}/homebridge-svc"
"""


class Checkout:
    """A copy of what install.sh reads, a place to install to, and a Python."""

    def __init__(self, directory: Path) -> None:
        self.source = directory / "checkout"
        self.root = directory / "pi"
        self.log = directory / "pip.log"
        self.python = directory / "python"
        for part in ("deploy", "config", "homebridge_svc", "scripts"):
            shutil.copytree(HERE / part, self.source / part, ignore=shutil.ignore_patterns("__pycache__"))
        for part in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(HERE / part, self.source)
        pip = directory / "pip"
        pip.write_text(PIP.format(log=self.log))
        self.python.write_text(PYTHON.format(pip=pip, real=sys.executable))
        for program in (pip, self.python):
            program.chmod(0o755)

    def install(self, *options: str, python: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.source / "deploy" / "install.sh", "--prefix", self.root, *options],
            env={**os.environ, "PYTHON": str(python or self.python)},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def installs(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def files(self) -> dict[str, tuple[str, int, bytes]]:
        """Every path with its mode, its time and what it holds."""
        return {
            str(path.relative_to(self.root)): (
                stat.filemode(path.lstat().st_mode),
                path.lstat().st_mtime_ns,
                path.read_bytes() if path.is_file() else b"",
            )
            for path in self.root.rglob("*")
        }

    def mode(self, path: str) -> str:
        return oct((self.root / path).stat().st_mode & 0o7777)

    @property
    def unit(self) -> Path:
        return self.root / "etc/systemd/system/homebridge-svc.service"


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


# ---- install.sh ----------------------------------------------------------------------------------------------------


def test_it_installs_this_checkout_with_the_pinned_versions_and_guards_what_is_secret(checkout: Checkout) -> None:
    result = checkout.install()
    assert result.returncode == 0, result.stderr
    assert checkout.installs() == [
        "install --quiet --no-input --disable-pip-version-check -c scripts/constraints.txt .[demo]"
    ]
    assert checkout.mode("etc/homebridge_svc") == "0o750"
    assert checkout.mode("etc/homebridge_svc/homebridge.toml") == "0o640"
    assert checkout.mode("etc/homebridge_svc/web_token") == "0o600"
    assert checkout.mode("var/lib/homebridge_svc") == "0o700"
    assert re.fullmatch(r"[0-9a-f]{48}\n", (checkout.root / "etc/homebridge_svc/web_token").read_text())
    config = (checkout.root / "etc/homebridge_svc/homebridge.toml").read_text()
    assert config == (HERE / "config" / "homebridge.example.toml").read_text()
    assert (checkout.root / "etc/homebridge_svc/ir/living_room.toml").exists()
    start = (
        f"ExecStart={checkout.root}/opt/homebridge_svc/bin/homebridge-svc run -c {checkout.root}/etc/homebridge_svc/"
    )
    assert start in checkout.unit.read_text()
    assert "@" not in re.sub(r"(?m)^#.*|@(system-service|privileged|resources)", "", checkout.unit.read_text())


def test_twice_changes_nothing(checkout: Checkout) -> None:
    checkout.install()
    before = checkout.files()
    result = checkout.install()
    assert result.returncode == 0
    assert checkout.files() == before
    assert "Everything was up to date" in result.stdout
    assert "已是最新" in result.stdout


def test_an_upgrade_changes_the_program_and_the_unit_but_nothing_that_is_yours(checkout: Checkout) -> None:
    checkout.install()
    etc = checkout.root / "etc/homebridge_svc"
    (etc / "homebridge.toml").write_text("version = 1\n")
    (etc / "ir/living_room.toml").write_text("# learnt\n")
    token = (etc / "web_token").read_text()
    with (checkout.source / "homebridge_svc/app.py").open("a") as file:
        file.write("# newer\n")
    with (checkout.source / "deploy/homebridge-svc.service.in").open("a") as file:
        file.write("# newer\n")
    result = checkout.install()
    assert "homebridge-svc.service" in result.stdout
    assert len(checkout.installs()) == 2
    assert checkout.unit.read_text().endswith("# newer\n")
    assert (etc / "homebridge.toml").read_text() == "version = 1\n"
    assert (etc / "ir/living_room.toml").read_text() == "# learnt\n"
    assert (etc / "web_token").read_text() == token


def test_uninstall_keeps_what_is_yours_unless_purged(checkout: Checkout) -> None:
    checkout.install()
    result = checkout.install("--uninstall")
    assert result.returncode == 0, result.stderr
    assert not checkout.unit.exists()
    assert not (checkout.root / "opt/homebridge_svc").exists()
    assert not (checkout.root / "usr/local/bin/homebridge-svc").exists()
    assert (checkout.root / "etc/homebridge_svc/web_token").exists()
    assert (checkout.root / "var/lib/homebridge_svc").exists()
    assert checkout.install("--uninstall", "--purge").returncode == 0
    assert not (checkout.root / "etc/homebridge_svc").exists()
    assert not (checkout.root / "var/lib/homebridge_svc").exists()
    assert checkout.install("--uninstall", "--purge").returncode == 0, "nothing there is no error"


def test_no_python_that_is_new_enough(checkout: Checkout, tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    result = checkout.install(python=old)
    assert result.returncode == 1
    assert "apt install python3 python3-venv" in result.stderr
    assert "需要 Python 3.11" in result.stderr
    assert not (checkout.root / "etc").exists(), "nothing half done"


def test_packages_that_cannot_be_had_leave_the_old_program_in_place(checkout: Checkout) -> None:
    checkout.install()
    pip = checkout.root / "opt/homebridge_svc/bin/pip"
    pip.write_text("#!/bin/sh\nexit 1\n")
    with (checkout.source / "homebridge_svc/app.py").open("a") as file:
        file.write("# newer\n")
    result = checkout.install()
    assert result.returncode == 1
    assert "apt install gcc python3-dev" in result.stderr
    assert (checkout.root / "opt/homebridge_svc/bin/homebridge-svc").exists()


@pytest.mark.parametrize("options", [["--purge"], ["--frobnicate"]])
def test_wrong_options_do_nothing(checkout: Checkout, options: list[str]) -> None:
    result = checkout.install(*options)
    assert result.returncode == 1
    assert re.search("[一-鿿]", result.stderr)
    assert not list(checkout.root.iterdir())


def test_help_names_every_option(checkout: Checkout) -> None:
    text = checkout.install("--help").stdout
    for word in ("--no-start", "--uninstall", "--purge", "--prefix", "PYTHON", "/var/lib/homebridge_svc"):
        assert word in text
    assert "#" not in text


def test_the_script_is_sound_bash() -> None:
    subprocess.run(["bash", "-n", DEPLOY / "install.sh"], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", DEPLOY / "install.sh"], check=True)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_with_the_real_pip_the_program_runs(checkout: Checkout) -> None:
    result = checkout.install(python=Path(sys.executable))
    if result.returncode and re.search("No matching distribution|Could not find|connection", result.stderr):
        pytest.skip("pip cannot get packages here")
    assert result.returncode == 0, result.stderr
    before = checkout.files()
    assert checkout.install(python=Path(sys.executable)).returncode == 0
    assert checkout.files() == before
    program = checkout.root / "opt/homebridge_svc/bin/homebridge-svc"
    checked = subprocess.run(
        [program, "check", "-c", checkout.root / "etc/homebridge_svc/homebridge.toml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 2
    assert "mqtt_password" in checked.stderr, "what is left to do is to write the secrets"
    assert "web_token" not in checked.stderr


# ---- the unit ------------------------------------------------------------------------------------------------------


def settings(unit: str) -> Iterator[tuple[str, str]]:
    for line in unit.splitlines():
        name, found, value = line.partition("=")
        if found and not line.startswith("#"):
            yield name, value


@needs_systemd
def test_systemd_finds_nothing_wrong_with_the_unit(checkout: Checkout) -> None:
    checkout.install()
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", checkout.unit],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


@needs_systemd
def test_the_unit_is_hardened(checkout: Checkout) -> None:
    checkout.install()
    said = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", checkout.unit],
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"Overall exposure level .*: ([0-9.]+)", said.stdout)
    assert found, said.stderr
    assert float(found[1]) <= 2.0
    assert said.returncode == 0


def test_a_stop_has_time_to_switch_the_pump_off_while_the_broker_is_there() -> None:
    unit = dict(settings((DEPLOY / "homebridge-svc.service.in").read_text()))
    assert float(unit["TimeoutStopSec"]) >= STOP_WITHIN + 8, "good-byes follow the OFF"
    assert "mosquitto.service" in unit["After"].split(), "stopped in the reverse order"
    assert unit["KillMode"] == "mixed"
    assert (unit["Type"], unit["Restart"], unit["StartLimitIntervalSec"]) == ("notify", "always", "0")
    assert unit["StateDirectory"] == "homebridge_svc"


@pytest.mark.slow
async def test_no_part_of_the_program_needs_memory_that_is_both_written_and_run(tmp_path: Path) -> None:
    """MemoryDenyWriteExecute: cryptography's cffi, SQLite, python-miio and all others, through a whole evening."""
    starter = tmp_path / "starter.py"
    starter.write_text(
        "import ctypes, os, sys\n"
        f"if ctypes.CDLL(None).prctl({PR_SET_MDWE}, 1, 0, 0, 0): sys.exit(77)\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'homebridge_svc', *sys.argv[1:]])\n"
    )
    demo = await asyncio.create_subprocess_exec(
        *(sys.executable, str(starter), "demo", "--scenario", "evening"),
        *("--exit", "--json", "--speed", "20", "--port", "0"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(demo.communicate(), 110)
    if demo.returncode == 77:
        pytest.skip("this kernel cannot deny it to a process (6.3 can)")
    assert demo.returncode == 0, (out, err)


# ---- mosquitto -----------------------------------------------------------------------------------------------------


USERS = ("homebridge", "scenes", "homeassistant", "zigbee2mqtt", "tasmota")


@asynccontextmanager
async def house(directory: Path, more: str = "") -> AsyncIterator[int]:
    """A real mosquitto with the files that ship, but for paths and port; everybody's password is their name."""
    passwords = directory / "homebridge.passwd"
    passwords.touch()
    for user in USERS:
        maker = await asyncio.create_subprocess_exec("mosquitto_passwd", "-b", str(passwords), user, user)
        assert await maker.wait() == 0
    passwords.chmod(0o644)
    acl = (DEPLOY / "mosquitto" / "homebridge.acl").read_text().replace("#topic", "topic")  # the examples too
    (directory / "homebridge.acl").write_text(acl + more)
    conf = (DEPLOY / "mosquitto" / "homebridge.conf").read_text().replace("/etc/mosquitto/", f"{directory}/")
    lines = [line for line in conf.splitlines() if line and not line.startswith(("#", "listener"))]
    assert "listener 1883" in conf.splitlines()
    async with real_broker(directory, *lines) as broker:
        yield broker.port


class Client:
    """One user of the broker; `heard` grows."""

    def __init__(self, port: int, user: str) -> None:
        self.heard: list[str] = []
        self._mqtt = aiomqtt.Client(HOST, port, username=user, password=user)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Client]:
        async with self._mqtt:
            await self._mqtt.subscribe("#", 1)
            task = asyncio.create_task(self._listen())
            try:
                yield self
            finally:
                task.cancel()

    async def say(self, *topics: str) -> None:
        for topic in topics:
            await self._mqtt.publish(topic, "x", qos=1)

    async def _listen(self) -> None:
        async for message in self._mqtt.messages:
            self.heard.append(str(message.topic))


def heard_by(clients: Iterable[Client]) -> set[str]:
    return {topic for client in clients for topic in client.heard}


DAEMON_SAYS = (
    "homebridge_svc/status",
    "homebridge_svc/link/homebridge_svc",
    "homebridge_svc/doctor/link/homebridge_svc-doctor",
    "homebridge_svc/living_room/state",
    "homebridge_svc/living_room/result",
    "homebridge_svc/event",
    "homebridge_svc/announce",
    "homeassistant/device/homebridge_svc_bathroom/config",
    "zigbee2mqtt/pump/set",
    "zigbee2mqtt/pump/get",
    "cmnd/bedroom_plug/Backlog",
    "cmnd/bedroom_plug/Power1",
    "cmnd/bedroom_ir/IRSend",
    "shellyplus1pm-a8032ab1/rpc",
)
DAEMON_HEARS = (
    "homeassistant/status",
    "homeassistant/device/homebridge_svc_old/config",
    "homebridge_svc/bathroom/set",
    "homebridge_svc/say",
    "xiaoai/scene",
    "zigbee2mqtt/pump",
    "zigbee2mqtt/pump/availability",
    "stat/bedroom_plug/RESULT",
    "tele/bedroom_plug/LWT",
    "shellyplus1pm-a8032ab1/online",
    "shellyplus1pm-a8032ab1/events/rpc",
    "homebridge_svc_pump_plug/rpc",
)
DAEMON_NEED_NOT = (
    "zigbee2mqtt/bridge/request/permit_join",
    "homeassistant/light/kitchen/config",
    "homeassistant/status",
    "xiaoai/scene",
    "stat/bedroom_plug/RESULT",
    "another/house",
)


@pytest.mark.peer
@needs_broker
async def test_the_daemon_may_say_what_it_says_and_no_more(tmp_path: Path) -> None:
    async with house(tmp_path) as port:
        everybody = [Client(port, user) for user in ("homeassistant", "zigbee2mqtt", "tasmota", "homebridge")]
        daemon = everybody[-1]
        async with everybody[0].listening(), everybody[1].listening(), everybody[2].listening(), daemon.listening():
            await daemon.say(*DAEMON_NEED_NOT, *DAEMON_SAYS)
            expected = {topic for topic in DAEMON_SAYS if not topic.startswith("shelly")}  # no Shelly listens here
            await eventually(lambda: expected <= heard_by(everybody), "everything that it may say arrives")
            assert not heard_by(everybody) & set(DAEMON_NEED_NOT)


@pytest.mark.peer
@needs_broker
async def test_the_daemon_hears_what_it_must_and_no_more(tmp_path: Path) -> None:
    anything = "user tasmota\ntopic readwrite #\n"
    async with house(tmp_path, anything) as port, Client(port, "homebridge").listening() as daemon:
        async with Client(port, "tasmota").listening() as anybody:
            await anybody.say("zigbee2mqtt/bridge/info", "another/house", "cmnd/bedroom_plug/Power1", *DAEMON_HEARS)
            await eventually(lambda: set(DAEMON_HEARS) <= set(daemon.heard), "everything that it must hear arrives")
        assert set(daemon.heard) == set(DAEMON_HEARS)


@pytest.mark.peer
@needs_broker
async def test_who_says_scenes_says_nothing_else_and_strangers_stay_out(tmp_path: Path) -> None:
    async with house(tmp_path) as port, Client(port, "homebridge").listening() as daemon:
        async with Client(port, "scenes").listening() as button:
            await button.say(
                "homebridge_svc/bathroom/set", "zigbee2mqtt/pump/set", "homebridge_svc/say", "xiaoai/scene"
            )
            await eventually(lambda: daemon.heard, "the scene arrives")
            await daemon.say("homebridge_svc/bathroom/state")
            await eventually(lambda: len(daemon.heard) > 1, "the daemon hears itself")
        assert daemon.heard == ["xiaoai/scene", "homebridge_svc/bathroom/state"]
        assert button.heard == []
        with pytest.raises(aiomqtt.MqttError):
            async with aiomqtt.Client(HOST, port):
                pass
