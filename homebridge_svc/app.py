"""Composition root: configuration → objects → tasks. The only module that knows everyone.

Order of start: state file, web server (so that the page can say what is the matter), then in one task group the
engine (whose first event makes every pump go off), the MQTT link, the adapters. Ready is told once the engine has
handled its first event and the page listens; it does not wait for brokers or devices, which may be away for hours.

Order of stop: core is told, the OFFs leave and are read back, then the page closes, MQTT says offline, the journal
and the state file are written.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from homebridge_svc import __version__, adapters
from homebridge_svc.adapters.schedule import Timetable
from homebridge_svc.adapters.voice.mqtt_set import SetTopics
from homebridge_svc.config import devices
from homebridge_svc.config.load import Loaded
from homebridge_svc.config.model import Config
from homebridge_svc.core.home import Home
from homebridge_svc.core.hot_water.loop import Pipe, purge_time
from homebridge_svc.core.model import HomeSpec, PlugSpec, ProjectorSpec, PumpSpec, ScheduleWindow, SensorSpec
from homebridge_svc.core.timetable import Calendar
from homebridge_svc.engine import Engine
from homebridge_svc.ports import Audience, Blaster, Ear, Executor, PlugDriver, ProjectorChannel, Surroundings
from homebridge_svc.publish.chronicle import ChronicleWriter
from homebridge_svc.publish.desk import FrontDesk
from homebridge_svc.publish.home_assistant import Discovery
from homebridge_svc.publish.mqtt import MqttPublisher
from homebridge_svc.runtime import registry
from homebridge_svc.runtime.broker import EmbeddedBroker
from homebridge_svc.runtime.clock import SystemClock, new_id
from homebridge_svc.runtime.journal import Journal
from homebridge_svc.runtime.machine import note_boot
from homebridge_svc.runtime.mqtt_line import Account
from homebridge_svc.runtime.mqtt_link import MqttLink
from homebridge_svc.runtime.redact import Redactor
from homebridge_svc.runtime.store import Store
from homebridge_svc.runtime.systemd import Notifier
from homebridge_svc.runtime.workers import Worker
from homebridge_svc.web.server import WebServer

log = logging.getLogger(__name__)

STOP_WITHIN = 8.0  # real seconds that the OFFs get at a stop; the unit's TimeoutStopSec is larger
LAST_WORDS = 1.0  # real seconds that the last states get to be told
MIXING = 1.2  # real pipes mix: a purge takes longer than the plain volume (1.1 to 1.5)


def entries() -> dict[registry.Kind, dict[str, registry.Entry]]:
    """Everything that registered itself below adapters/."""
    return registry.load(adapters)


def drivers() -> dict[str, dict[str, type[BaseModel]]]:
    """{kind: {driver: Options}}, as config.load wants it."""
    return {kind: {name: entry.options for name, entry in found.items()} for kind, found in entries().items()}


@dataclass(slots=True)
class Running:
    """What a caller may look at once the daemon is ready. port: where the page listens."""

    engine: Engine
    desk: FrontDesk
    port: int


async def serve(
    loaded: Loaded,
    *,
    state_dir: Path,
    stop: asyncio.Event,
    clock: SystemClock,
    redactor: Redactor,
    dry_run: bool = False,
    notifier: Notifier | None = None,
    on_ready: Callable[[Running], None] = lambda _: None,
) -> None:
    """Run the daemon until `stop` is set. Raises ConfigError, OSError (the page's address is taken)."""
    config = loaded.config
    notifier = notifier or Notifier()
    for secret in loaded.secrets:
        redactor.add(secret.get_secret_value())
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(Store(state_dir / "state.sqlite3"))
        await note_boot(store)
        journal = await stack.enter_async_context(Journal(store, redactor))
        engine = Engine(clock=clock, store=store, new_id=new_id, petted=notifier.watchdog)
        figures = {"homebridge_mqtt_connected": 0.0}
        desk = FrontDesk(engine.post, journal, lambda: {**engine.figures(), **figures, **_counted(link)})
        web = WebServer(
            config.web.host,
            config.web.port,
            desk=desk,
            clock=clock,
            token=config.web.token,
            new_id=new_id,
            names=config.web.names,
            version=__version__,
        )
        if config.mqtt is not None and config.mqtt.embedded:
            await stack.enter_async_context(EmbeddedBroker(config.mqtt.host, config.mqtt.port))
        link = _link(config, clock, lambda up, _why: figures.update(homebridge_mqtt_connected=float(up)))
        parts = Parts(config, Surroundings(engine.post, clock, new_id, state_dir, link=link, hooks=web))
        spec = parts.spec(dry_run=dry_run)
        audience: list[Audience] = [ChronicleWriter(journal, clock), desk]
        ears = [*parts.ears(), Timetable(spec.pumps, config.timezone, parts.surroundings)]
        publisher = None
        if link is not None and config.mqtt is not None:
            SetTopics(config.mqtt.base_topic, link, parts.surroundings)
            publisher = _publisher(config, spec, link, clock)
            audience.append(publisher)
            ears += [link, publisher]
        workers = {
            endpoint: Worker(endpoint, executor, clock, engine.finished)
            for endpoint, executor in parts.executors.items()
        }
        engine.attach(Home(spec, Calendar(config.timezone)), workers, audience)
        await stack.enter_async_context(web)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(engine.run(), name="engine")]
            tasks += [group.create_task(worker.run(), name=f"worker {name}") for name, worker in workers.items()]
            tasks += [group.create_task(ear.run(), name=type(ear).__name__) for ear in [*ears, web]]
            await engine.started()
            notifier.ready()
            log.info(
                "ready: the page listens on %s port %d%s", config.web.host, web.port, " (dry run)" if dry_run else ""
            )
            on_ready(Running(engine, desk, web.port))
            await stop.wait()
            log.info("stopping: pumps go off first")
            notifier.stopping()
            if not await engine.stop(STOP_WITHIN):
                log.error(
                    "a pump did not confirm that it is off: look after it; the first thing at the next start is OFF"
                )
            if publisher is not None:
                with suppress(TimeoutError):
                    await asyncio.wait_for(publisher.settle(), LAST_WORDS)
            for task in tasks:
                task.cancel()


def _counted(link: MqttLink | None) -> dict[str, float]:
    return {f"homebridge_mqtt_{name}_total": number for name, number in link.counts.items()} if link else {}


def _link(config: Config, clock: SystemClock, on_state: Callable[[bool, str], None]) -> MqttLink | None:
    mqtt = config.mqtt
    if mqtt is None:
        return None
    account = Account(
        mqtt.host,
        mqtt.port,
        client_id=mqtt.base_topic.replace("/", "-"),  # stable: the broker keeps our queue under it (rule 6)
        tls=ssl.create_default_context(cafile=mqtt.ca) if mqtt.tls else None,
        username=mqtt.username,
        password=mqtt.password.get_secret_value() if mqtt.password else None,
    )
    return MqttLink(account, clock, mqtt.base_topic, on_state, begin_with_3_1_1=mqtt.embedded)


def _publisher(config: Config, spec: HomeSpec, link: MqttLink, clock: SystemClock) -> MqttPublisher:
    discovery = None
    base = config.mqtt.base_topic if config.mqtt else ""
    if config.home_assistant.discovery:
        discovery = Discovery(
            spec,
            base=base,
            prefix=config.home_assistant.discovery_prefix,
            version=__version__,
            language=config.home_assistant.language,
        )
    publisher = MqttPublisher(link, clock, base=base, discovery=discovery)
    publisher.listen()
    return publisher


class Parts:
    """The adapters that one configuration asks for, and what core must know of them."""

    def __init__(self, config: Config, surroundings: Surroundings) -> None:
        found = entries()
        self._config = config
        self.blasters: dict[str, Blaster] = {
            key: found["blaster"][table.driver].cls(key, table, surroundings) for key, table in config.blasters.items()
        }
        self.surroundings = Surroundings(
            surroundings.post,
            surroundings.clock,
            surroundings.new_id,
            surroundings.state_dir,
            link=surroundings.link,
            blasters=self.blasters,
            hooks=surroundings.hooks,
        )
        self.plugs: dict[str, PlugDriver] = {
            key: found["plug"][table.driver].cls(key, table, self.surroundings) for key, table in config.plugs.items()
        }
        self.sensors: dict[str, Ear] = {
            key: found["sensor"][table.driver].cls(key, table, self.surroundings)
            for key, table in config.sensors.items()
        }
        self.channels: dict[str, dict[str, ProjectorChannel]] = {
            key: {
                driver: found["projector"][driver].cls(key, options, self.surroundings)
                for driver, options in projector.channels.items()
            }
            for key, projector in config.projectors.items()
        }
        self.voices: list[Ear] = [
            found["voice"][table.driver].cls(f"voice[{number}]", table, self.surroundings)
            for number, table in enumerate(config.voice)
        ]

    @property
    def executors(self) -> Mapping[str, Executor]:
        """Who carries out the orders of which endpoint."""
        channels = {f"{key}.{name}": channel for key, found in self.channels.items() for name, channel in found.items()}
        return {**self.plugs, **channels}

    def ears(self) -> Iterator[Ear]:
        """Everything that has to run."""
        yield from self.blasters.values()
        yield from self.plugs.values()
        yield from self.sensors.values()
        yield from self.voices
        for channels in self.channels.values():
            yield from channels.values()

    def spec(self, *, dry_run: bool) -> HomeSpec:
        """What core must know."""
        config = self._config
        return HomeSpec(
            config.timezone,
            projectors={key: self._projector(key, table) for key, table in config.projectors.items()},
            pumps={key: self._pump(key, table) for key, table in config.pumps.items()},
            plugs={
                key: PlugSpec(key, table.name or key, self.plugs[key].ability) for key, table in config.plugs.items()
            },
            sensors={
                key: SensorSpec(key, table.name or key, stale_after=table.stale_after)
                for key, table in config.sensors.items()
            },
            phrases=config.phrases,
            dry_run=dry_run,
        )

    def _projector(self, key: str, table: devices.Projector) -> ProjectorSpec:
        return ProjectorSpec(
            key,
            table.name or key,
            aliases=table.aliases,
            plug=table.plug,
            plug_meters=table.plug is not None and self.plugs[table.plug].ability.meters,
            channels={name: channel.ability for name, channel in self.channels[key].items()},
            power_on=table.ways_on,
            power_off=table.ways_off,
            orders=table.ways_rest,
            cut_after=table.cut_after,
            on_above=table.on_above,
            off_below=table.off_below,
            boot_time=table.boot_time,
            cool_down=table.cool_down,
            unexplained_boot=table.unexplained_boot == "off",
            inputs=table.inputs,
            apps=table.apps,
            volume_max=table.volume_max,
        )

    def _pump(self, key: str, table: devices.Pump) -> PumpSpec:
        ability = self.plugs[table.plug].ability
        temperature = table.stop.temperature
        heat: dict[str, Any] = {}
        if temperature is not None:
            heat = {
                "stop_sensor": temperature.sensor,
                "stop_at": temperature.at,
                "stop_min_rise": temperature.min_rise,
            }
        return PumpSpec(
            key,
            table.name or key,
            table.plug,
            aliases=table.aliases,
            plug_meters=ability.meters,
            dead_man=ability.dead_man,
            heater=table.heater,
            max_run=table.max_run,
            min_rest=table.rest,
            watts_below=table.stop.watts_below,
            purge_time=_purge(table.pipe),
            unattended_without_dead_man=table.unattended_without_dead_man,
            quiet_from=table.quiet.start if table.quiet else None,
            quiet_to=table.quiet.end if table.quiet else None,
            schedule=tuple(ScheduleWindow(w.days, int(w.start), int(w.end), w.every) for w in table.schedule),
            **heat,
        )


def _purge(pipe: devices.Pipe | None) -> float | None:
    if pipe is None:
        return None
    runs = [run for run in (pipe.supply, pipe.back) if run is not None]
    return purge_time([Pipe(run.length, run.kind, run.insulation) for run in runs], pipe.flow, MIXING)
