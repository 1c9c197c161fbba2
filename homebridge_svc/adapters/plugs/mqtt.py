"""Plugs, relays and sockets that speak MQTT: zigbee2mqtt, Tasmota, Shelly, ESPHome, Home Assistant's statestream, any.

Theory of operation. Subscriptions are registered once; every message is decoded by the profile's codec and becomes
facts: what the relay and the meter say (PlugReported; a retained replay is marked as history, rule 7), and whether the
device is reachable (EndpointChanged, on change). After every connect, and when the device comes back, its state is
asked for, so that belief never hangs on a message we missed. An order is one message at QoS 1: DONE means that the
broker took it; whether the relay moved is told by the device's own words only (rule 10). Reading is finished when the
device has told what was asked, or did not within a second: an OFF may be waiting behind it.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, StringConstraints, model_validator

from homebridge_svc.config.problems import wrong
from homebridge_svc.config.topics import Topic
from homebridge_svc.config.units import SECONDS, Seconds, between
from homebridge_svc.core.events import PlugReported
from homebridge_svc.core.model import PlugAbility
from homebridge_svc.core.orders import Order, Outcome, ReadState, Result, SwitchOff, SwitchOn
from homebridge_svc.errors import ConfigError, DeviceError, Unsupported, WireError
from homebridge_svc.ports import Message, Surroundings
from homebridge_svc.runtime.logs import OncePerKind
from homebridge_svc.runtime.presence import Presence
from homebridge_svc.runtime.registry import adapter
from homebridge_svc.wire.mqtt_plugs import PRESETS, PROFILES, PlugReading, PlugWire, Publish, zigbee2mqtt
from homebridge_svc.wire.mqtt_values import Place

log = logging.getLogger(__name__)

ANSWER = 1.0  # real seconds that a device has to answer when its state is read
SILENT_METER = 60.0  # seconds of "on" without watts after which the owner is told once

Channel = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$"), Field(coerce_numbers_to_str=True)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Path = Annotated[str, StringConstraints(max_length=200)]


class Options(BaseModel, extra="forbid"):
    """`[plugs.X] driver = "mqtt"`. The lower half is for `profile = "generic"`, or to add a meter to any profile."""

    profile: Literal["zigbee2mqtt", "tasmota", "shelly", "generic"]
    preset: Annotated[Literal["esphome", "shelly1", "statestream"] | None, Field(description="for generic")] = None
    topic: Annotated[Topic | None, Field(description="zigbee2mqtt/<name>, Tasmota's own topic, Shelly's prefix")] = None
    channel: Annotated[Channel | None, Field(description='gang "l1", relay 2, switch id, ESPHome object')] = None
    meters: Annotated[bool | None, Field(description="false for a relay of a metering profile without meter")] = None
    off_wait_time: Annotated[Seconds, between(SECONDS, 0, 6_553)] | None = None
    watts_scale: Annotated[float, Field(gt=0, le=1_000, allow_inf_nan=False)] = 1.0

    state_topic: Topic | None = None
    state_path: Path = ""
    state_on: Word = "ON"
    state_off: Word = "OFF"
    command_topic: Topic | None = None
    payload_on: Word = "ON"
    payload_off: Word = "OFF"
    watts_topic: Topic | None = None
    watts_path: Path = ""
    availability_topic: Topic | None = None
    availability_path: Path = ""
    available: Word = "online"
    unavailable: Word = "offline"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        generic = self.profile == "generic"
        if self.preset is not None and not generic:
            raise wrong("a preset belongs to the generic profile", 'profile = "generic"')
        if generic and self.preset is None:
            if self.state_topic is None or self.topic is not None:
                raise wrong("the generic profile is told by state_topic, not topic", "or choose a preset")
        elif self.topic is None:
            raise wrong("topic is missing", 'like topic = "zigbee2mqtt/pump"', "缺少 topic")
        elif {"state_topic", "command_topic", "availability_topic"} & self.model_fields_set:
            raise wrong("the profile knows its topics itself", 'leave them out, or use profile = "generic"')
        if self.preset == "esphome" and self.channel is None:
            raise wrong("channel is missing", "the object id of the ESPHome switch")
        numbered = self.profile in ("tasmota", "shelly") or self.preset == "shelly1"
        if numbered and self.channel is not None and not (self.channel.isascii() and self.channel.isdecimal()):
            raise wrong("channel must be a number here", "relay 1, 2, … of Tasmota, switch 0, 1, … of Shelly")
        if self.profile == "tasmota" and self.channel is not None and not 1 <= int(self.channel) <= 32:  # noqa: PLR2004
            raise wrong("Tasmota's relays are 1 … 32")
        if self.off_wait_time is not None and self.profile != "zigbee2mqtt":
            raise wrong("off_wait_time belongs to zigbee2mqtt")
        return self

    def problems_as_actuator(self) -> str | None:
        """Why nothing may hang on this plug that has to be switched; None when it can be."""
        if self.preset == "statestream":
            return "statestream only reports; it has no way to be switched"
        if self.profile == "generic" and self.preset is None and self.command_topic is None:
            return "it has no command_topic, so it only reports"
        return None


def wire(key: str, options: Options) -> PlugWire:
    """The plug's topics and messages, from the profile or as the owner spelled them out."""
    reply = f"homebridge_svc_{key}"  # Shelly answers to `<src>/rpc`; one per plug, so that answers find their asker
    channel = options.channel or ""
    if options.topic is None:
        plug = _spelled_out(options)
    elif options.profile == "zigbee2mqtt":
        wait = None if options.off_wait_time is None else round(options.off_wait_time)
        plug = zigbee2mqtt(options.topic, channel, off_wait_time=wait)
    else:
        profile = PRESETS[options.preset] if options.preset is not None else PROFILES[options.profile]
        plug = profile(options.topic, channel, reply)
    if options.watts_topic is not None:
        plug = dataclasses.replace(plug, watts=(Place(options.watts_topic, options.watts_path),))
    return dataclasses.replace(plug, watts_scale=options.watts_scale)


def _spelled_out(options: Options) -> PlugWire:
    state, command, availability = options.state_topic or "", options.command_topic, options.availability_topic
    return PlugWire(
        states=(Place(state, options.state_path),),
        availability=(Place(availability, options.availability_path),) if availability else (),
        on=options.state_on.lower(),
        off=options.state_off.lower(),
        switch_on=Publish(command, options.payload_on) if command else None,
        switch_off=Publish(command, options.payload_off) if command else None,
        online=frozenset({options.available.lower()}),
        offline=frozenset({options.unavailable.lower()}),
    )


@adapter(
    "mqtt",
    kind="plug",
    options=Options,
    title="MQTT plugs: zigbee2mqtt, Tasmota, Shelly, ESPHome, statestream, generic",
    tried="against emulators through mosquitto",
    peer="mqtt_plug",
)
class MqttPlug:
    """One plug on the shared MQTT connection; endpoint = its key."""

    def __init__(self, key: str, options: Options, surroundings: Surroundings) -> None:
        if surroundings.link is None:
            raise ConfigError(f"plugs.{key}", "needs a broker", "add [mqtt] with its url")
        self._key = key
        self._home = surroundings
        self._link = surroundings.link
        self._wire = wire(key, options)
        self._ability = PlugAbility(
            acts=self._wire.switch_on is not None,
            meters=bool(self._wire.watts) if options.meters is None else options.meters,
            dead_man=self._wire.armed is not None,
        )
        self._junk = OncePerKind(log)
        self._ask = asyncio.Event()
        self._untold: set[str] = set()  # what a read still waits for: "on", "watts"
        self._told = asyncio.Event()
        self._presence = Presence(key, surroundings, log)
        self._told_up = False  # its availability topic has spoken; from then on only it decides
        self._on = False
        self._metered_at = 0.0
        for topic in self._wire.topics:
            self._link.subscribe(topic, self._heard)
        self._link.on_connect(self._connected)

    @property
    def ability(self) -> PlugAbility:
        """What this plug can do."""
        return self._ability

    async def run(self) -> None:
        """Ask for the state when it may have been missed, and watch over the meter, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_asking(), name=f"{self._key}: ask")
            if self._ability.meters:
                group.create_task(self._watch_meter(), name=f"{self._key}: meter")

    async def execute(self, order: Order) -> Outcome:
        """Publish one order. Raises Unreachable, OutcomeUnknown, Unsupported."""
        match order.action:
            case SwitchOn(dead_man):
                message = self._wire.switch(True, dead_man)
            case SwitchOff():
                message = self._wire.switch(False)
            case ReadState():
                if not self._wire.reads:
                    raise Unsupported("this publisher reports by itself and cannot be asked")
                return await self._ask_and_wait()
            case _:
                raise Unsupported(f"a plug cannot {type(order.action).__name__}")
        await self._link.publish(message.topic, message.payload, qos=1)
        return Outcome(Result.DONE, "the broker took it")

    async def _ask_and_wait(self) -> Outcome:
        self._untold = {"on", "watts"} if self._ability.meters else {"on"}
        self._told.clear()
        await self._read()
        try:
            async with asyncio.timeout(ANSWER):
                await self._told.wait()
        except TimeoutError:
            return Outcome(Result.DONE, f"asked, but it did not tell {' and '.join(sorted(self._untold))}")
        return Outcome(Result.DONE, "it has told")

    async def _read(self) -> None:
        for message in self._wire.reads:
            await self._link.publish(message.topic, message.payload, qos=1)

    async def _connected(self) -> None:
        self._ask.set()

    async def _keep_asking(self) -> None:
        while True:
            await self._ask.wait()
            self._ask.clear()
            with contextlib.suppress(DeviceError):  # the broker went away again: the next connect asks again
                await self._read()

    async def _watch_meter(self) -> None:
        """Tell the owner once when a plug that should meter is on and says no watts: Tasmota's period is 300 s."""
        while True:
            await self._home.clock.sleep(SILENT_METER)
            if self._on and self._home.clock.now().mono - self._metered_at >= SILENT_METER:
                log.warning(
                    "%s: on, but no watts for %.0f s; Tasmota: PowerDelta 5 and TelePeriod 10; "
                    "zigbee2mqtt: reporting of power; without a meter: meters = false",
                    self._key,
                    SILENT_METER,
                )
                return

    def _heard(self, message: Message) -> None:
        try:
            reading = self._wire.decode(message.topic, message.payload)
        except WireError as error:
            self._junk(str(error), "%s: %s, on %s", self._key, error, message.topic)
            return
        if reading is None:
            return
        if reading.problem:
            self._junk(reading.problem, "%s: %s, on %s", self._key, reading.problem, message.topic)
        self._note_availability(reading, retained=message.retained)
        if reading.on is None and reading.watts is None:
            return
        now = self._home.clock.now()
        if reading.on is not None:
            if reading.on and not self._on:
                self._metered_at = now.mono
            self._on = reading.on
        if reading.watts is not None:
            self._metered_at = now.mono
        self._home.post(
            PlugReported(
                id=self._home.new_id(),
                at=now,
                plug=self._key,
                on=reading.on,
                watts=reading.watts,
                retained=message.retained,
            )
        )
        if not message.retained:
            self._untold -= {name for name, said in (("on", reading.on), ("watts", reading.watts)) if said is not None}
            if not self._untold:
                self._told.set()

    def _note_availability(self, reading: PlugReading, *, retained: bool) -> None:
        if reading.available is not None:
            self._told_up = True
            self._become(reading.available, "it says so" if reading.available else "its publisher says it is away")
        elif not self._told_up and not retained:
            self._become(True, "it spoke")

    def _become(self, up: bool, why: str) -> None:
        if up and self._presence.up is False:
            self._ask.set()
        self._presence.become(up, why)
