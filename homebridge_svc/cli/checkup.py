"""Meets everything that a configuration names and moves nothing: the work behind `doctor`.

Theory of operation. The daemon's own adapters are made from the file (app.Parts) and run; a `Witness` stands where
the engine would and takes what they report. No order is given. The line to the broker is a client of its own with a
base topic of its own, so that a daemon that runs keeps its session, its last will and its status.

Who has given evidence is done with. Silence is judged at the end only: a datagram may be lost, a radio may sleep.
A projector that is off is silent by nature, so its plug's watts excuse its channels.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from homebridge_svc.app import Parts
from homebridge_svc.cli.client import Daemon
from homebridge_svc.cli.evidence import Evidence, Page, Situation
from homebridge_svc.cli.findings import Finding, note
from homebridge_svc.cli.machine import of_this_machine
from homebridge_svc.cli.peek import fetch_text
from homebridge_svc.cli.verdicts import of_devices
from homebridge_svc.config.load import Loaded
from homebridge_svc.config.model import Config
from homebridge_svc.core.events import EndpointChanged, Event, PlugReported, ProjectorReported, SensorReported
from homebridge_svc.errors import ConfigError, DeviceError
from homebridge_svc.ports import Surroundings
from homebridge_svc.runtime.clock import SystemClock, new_id
from homebridge_svc.runtime.logs import OURS
from homebridge_svc.runtime.mqtt_line import Account
from homebridge_svc.runtime.mqtt_link import MqttLink
from homebridge_svc.runtime.redact import Redactor

LOOK_FOR = 9.0  # real seconds for everybody to give evidence; closing takes 2 more at most

Settled = Callable[[Evidence], bool]
Told = Callable[[int, int], None]  # (so many have given evidence, of so many)


async def examine(
    loaded: Loaded, state_dir: Path, clock: SystemClock, told: Told, *, look_for: float = LOOK_FOR
) -> list[Finding]:
    """Look at everything; one finding each, in the order of the file, without secrets. Raises ConfigError."""
    redactor = Redactor()
    for secret in loaded.secrets:
        redactor.add(secret.get_secret_value())
    config, witness = loaded.config, Witness(Evidence())
    link = _link(config, clock, witness)
    around = Surroundings(witness.post, clock, new_id, state_dir, link=link, hooks=_Nowhere())
    parts = Parts(config, around)
    with _overheard() as noticed:
        ears = [*parts.ears(), *([link] if link is not None else [])]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ear.run(), name=type(ear).__name__) for ear in ears]
            page, _ = await asyncio.gather(_page(config), witness.wait(_expected(config, parts), told, look_for))
            for task in tasks:
                task.cancel()
    where = Situation(loaded, parts, state_dir, witness.evidence, page)
    found = [*of_this_machine(where, clock.now()), *of_devices(where)]
    found += [note("noticed", text, "另外注意到") for text in dict.fromkeys(noticed)]
    return [finding.hidden(redactor) for finding in found]


class Witness:
    """Stands where the engine would: takes what is reported and decides nothing."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self._something = asyncio.Event()

    def post(self, event: Event) -> bool:
        """Take one event; commands are for the daemon, not for us."""
        evidence = self.evidence
        match event:
            case EndpointChanged():
                evidence.ends[event.endpoint] = event
            case PlugReported():
                evidence.add_plug(event)
            case ProjectorReported():
                evidence.projectors[f"{event.projector}.{event.channel}"] = event
            case SensorReported():
                evidence.sensors[event.sensor] = event
            case _:
                return True
        self._something.set()
        return True

    def line(self, up: bool, why: str) -> None:
        """The line to the broker changed."""
        self.evidence.line = (up, why)
        self._something.set()

    async def wait(self, expected: list[Settled], told: Told, within: float) -> None:
        """Wait until every expectation holds, at most so many real seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while True:
                    done = sum(holds(self.evidence) for holds in expected)
                    told(done, len(expected))
                    if done == len(expected):
                        return
                    self._something.clear()
                    await self._something.wait()


class _Nowhere:
    """Hooks that nobody calls."""

    def mount(self, name: str, hook: Callable[[bytes, Mapping[str, str]], str]) -> None:
        """Take the hook and forget it."""


def _expected(config: Config, parts: Parts) -> list[Settled]:
    """What settles it, for every thing that can be heard at all."""
    expected: list[Settled] = [partial(Evidence.knows_line)] if config.mqtt is not None else []
    expected += [partial(Evidence.knows_plug, key=k, meters=p.ability.meters) for k, p in parts.plugs.items()]
    expected += [partial(Evidence.knows_sensor, key=key) for key in config.sensors]
    expected += [
        partial(Evidence.knows_channel, end=f"{key}.{name}")
        for key, channels in parts.channels.items()
        for name, channel in channels.items()
        if channel.ability.replies
    ]
    return expected


def _link(config: Config, clock: SystemClock, witness: Witness) -> MqttLink | None:
    """A line of our own: another client id, another base topic. Raises ConfigError: the certificate is no good."""
    mqtt = config.mqtt
    if mqtt is None:
        return None
    try:
        tls = ssl.create_default_context(cafile=mqtt.ca) if mqtt.tls else None
    except (OSError, ssl.SSLError) as problem:
        raise ConfigError("mqtt.ca", f"cannot be used: {problem}", "a PEM file of your certificate authority") from None
    account = Account(
        mqtt.host,
        mqtt.port,
        client_id=mqtt.base_topic.replace("/", "-") + "-doctor",
        tls=tls,
        username=mqtt.username,
        password=mqtt.password.get_secret_value() if mqtt.password else None,
    )
    return MqttLink(account, clock, f"{mqtt.base_topic}/doctor", witness.line, begin_with_3_1_1=mqtt.embedded)


async def _page(config: Config) -> Page:
    """Who answers where the page should be."""
    web = config.web
    daemon = Daemon(web.host, web.port, web.token, web.loopback)
    try:
        health = await fetch_text(daemon, "/healthz")
    except DeviceError:
        return Page(None)
    try:
        return Page(health.strip(), (await daemon.call("GET", "/api/state"))["devices"])
    except (DeviceError, KeyError):  # a daemon with another token, or no daemon at all
        return Page(health.strip())


class _Notes(logging.Handler):
    """Keeps what adapters complain of while we look; that there is no broker has a line of its own."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        line = record.getMessage()
        if not line.startswith("MQTT: no connection"):
            self.lines.append(line)


@contextlib.contextmanager
def _overheard() -> Iterator[list[str]]:
    """Our own warnings, as a list that grows."""
    notes, ours = _Notes(), logging.getLogger(OURS)
    ours.addHandler(notes)
    try:
        yield notes.lines
    finally:
        ours.removeHandler(notes)
