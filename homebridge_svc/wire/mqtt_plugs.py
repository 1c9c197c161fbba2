"""Plugs and relays that speak MQTT: what each publisher says and wants to hear, as data.

Theory of operation. A profile is a function from (topic, channel) to a `PlugWire`: the places where state, watts and
availability stand, and the messages that switch, arm and ask. Decoding is the same for all of them. A message that
says nothing about this plug decodes to None; one that is partly junk keeps its good part and names the rest in
`problem`; one that is nothing but junk raises WireError.

Dead-men (rule 16: armed in one message with the ON, seconds rounded up, so never shorter than asked):
* zigbee2mqtt: `on_time`, whole seconds, at most 6553 (16 bits of 0.1 s on the air). "Support depends on firmware".
* shelly: `toggle_after`. A repeated ON restarts it; an OFF drops it.
* tasmota: `PulseTime<n>`. Every change of the relay restarts the timer when it becomes on and drops it when it becomes
  off, so an early OFF needs no more than `Power<n> OFF` and stays off. But the *setting* persists on the device, over
  restarts too: from then on an ON by hand, by a wall switch or by another controller also switches itself off after
  the last armed time. For a pump's relay that is wanted (a person's run gets a dead-man too); a relay that must stay
  on when switched by hand should not be armed from here. With `PowerOnState 5` Tasmota turns the meaning round (the
  timer switches *on*): never use it on a relay that is armed.
  Backlog runs its commands about 0.2 s apart (SetOption34) and an OFF that arrives in between overtakes the ON: the
  relay then runs until its dead-man, or until the OFF is sent again because the relay still says ON.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from homebridge_svc.errors import Unsupported, WireError
from homebridge_svc.wire.mqtt_values import Payload, Place, excerpt, number, word

T = TypeVar("T", bool, float)

MAX_WATTS = 25_000.0  # a socket carries 16 A; beyond any plug or relay the number is a fault
TASMOTA_LONGEST = 64_900 - 100  # seconds
ZIGBEE_LONGEST = 6_553  # seconds
SHELLY_LONGEST = 86_400  # seconds; our own bound

ONLINE = frozenset({"online", "true", "available", "on", "off"})  # statestream's state is its availability
OFFLINE = frozenset({"offline", "false", "unavailable"})
UNTOLD = frozenset({"", "unknown", "unavailable"})  # states that say nothing about the relay


@dataclass(frozen=True, slots=True)
class Publish:
    """One message to send, at QoS 1, never retained (a retained command would be replayed for ever)."""

    topic: str
    payload: str


@dataclass(frozen=True, slots=True)
class PlugReading:
    """What one message told. None: it did not say. problem: what in it was junk."""

    on: bool | None = None
    watts: float | None = None
    available: bool | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PlugWire:
    """One plug on the wire.

    on, off: the words of its state, lower case. switch_on, switch_off: None for publishers that cannot act.
    armed: the ON with a dead-man of so many seconds; None where the device has no timer of its own.
    refusals: places where the device complains about our command.
    """

    states: tuple[Place, ...]
    watts: tuple[Place, ...] = ()
    availability: tuple[Place, ...] = ()
    on: str = "on"
    off: str = "off"
    switch_on: Publish | None = None
    switch_off: Publish | None = None
    armed: Callable[[float], Publish] | None = None
    reads: tuple[Publish, ...] = ()
    refusals: tuple[Place, ...] = ()
    watts_scale: float = 1.0
    online: frozenset[str] = ONLINE
    offline: frozenset[str] = OFFLINE

    @property
    def topics(self) -> tuple[str, ...]:
        """What to subscribe to, each once."""
        places = (*self.states, *self.watts, *self.availability, *self.refusals)
        return tuple(dict.fromkeys(place.topic for place in places))

    def decode(self, topic: str, payload: bytes) -> PlugReading | None:
        """What a message on `topic` says; None when nothing about this plug. Raises WireError: nothing but junk."""
        if not payload:  # a retained message was cleared
            return None
        body = Payload(payload)
        problems: list[str] = []
        reading = PlugReading(
            on=_first(self.states, topic, body, self._relay, problems),
            watts=_first(self.watts, topic, body, self._watts, problems),
            available=_first(self.availability, topic, body, self._available, problems),
        )
        refused = [body.at(place.path) for place in self.refusals if place.topic == topic]
        problems.extend(f"the device answered {excerpt(str(said))}" for said in refused if said is not None)
        if reading == PlugReading():
            if problems:
                raise WireError(problems[0])
            return None
        return PlugReading(reading.on, reading.watts, reading.available, "; ".join(problems))

    def switch(self, on: bool, dead_man: float | None = None) -> Publish:
        """The message that closes or opens the relay. Raises Unsupported: it cannot act, or has no such timer."""
        message = self.switch_on if on else self.switch_off
        if message is None:
            raise Unsupported("this publisher only reports; it has no way to be switched")
        if on and dead_man is not None:
            if self.armed is None:
                raise Unsupported("this plug has no timer of its own to arm")
            return self.armed(dead_man)
        return message

    def _relay(self, body: Payload, path: str) -> bool | None:
        value = body.at(path)
        said = None if value is None else word(value)
        if said is None or said in UNTOLD:
            return None
        if said not in (self.on, self.off):
            raise WireError(f"the state is neither {self.on!r} nor {self.off!r}")
        return said == self.on

    def _watts(self, body: Payload, path: str) -> float | None:
        value = body.at(path)
        if value is None or (not path and word(value) in UNTOLD):
            return None
        if path and isinstance(value, str):
            raise WireError("a str stands where watts should")
        return number(value, 0.0, MAX_WATTS / self.watts_scale) * self.watts_scale

    def _available(self, body: Payload, path: str) -> bool | None:
        value = body.at_or_text(path) if path else body.text
        said = None if value is None else word(value)
        if said is None or said == "unknown":
            return None
        if said not in self.online and said not in self.offline:
            raise WireError("the availability is neither online nor offline")
        return said in self.online


Profile = Callable[[str, str, str], PlugWire]


def zigbee2mqtt(topic: str, channel: str = "", _reply: str = "", *, off_wait_time: int | None = None) -> PlugWire:
    """`<topic>` is "zigbee2mqtt/<name>", the name may hold "/"; channel is a gang: "l1", "left"."""
    gang = f"_{channel}" if channel else ""
    state = f"state{gang}"

    def armed(seconds: float) -> Publish:
        wish: dict[str, str | int] = {state: "ON", "on_time": _whole(seconds, ZIGBEE_LONGEST)}
        if off_wait_time is not None:
            wish["off_wait_time"] = off_wait_time
        return Publish(f"{topic}/set", _json(wish))

    watts = (Place(topic, f"power{gang}"), Place(topic, "power")) if gang else (Place(topic, "power"),)
    return PlugWire(
        states=(Place(topic, state),),
        watts=watts,
        availability=(Place(f"{topic}/availability", "state"),),
        switch_on=Publish(f"{topic}/set", _json({state: "ON"})),
        switch_off=Publish(f"{topic}/set", _json({state: "OFF"})),
        armed=armed,
        reads=(Publish(f"{topic}/get", _json({state: ""})),),
    )


def tasmota(topic: str, channel: str = "", _reply: str = "") -> PlugWire:
    """`<topic>` is the device's own topic, without cmnd/stat/tele; channel 1 … 32 for more than one relay."""
    n = channel or "1"
    names = ("POWER", "POWER1") if n == "1" else (f"POWER{n}",)  # one relay alone is not numbered
    sensed = (Place(f"tele/{topic}/SENSOR", "ENERGY.Power"), Place(f"stat/{topic}/STATUS10", "StatusSNS.ENERGY.Power"))
    each = tuple(Place(place.topic, f"{place.path}.{int(n) - 1}") for place in sensed)  # meters per relay: a list
    return PlugWire(
        states=(
            *(Place(f"stat/{topic}/{name}") for name in names),
            *(Place(f"stat/{topic}/RESULT", name) for name in names),
            *(Place(f"tele/{topic}/STATE", name) for name in names),
        ),
        watts=(*each, *sensed),
        availability=(Place(f"tele/{topic}/LWT"),),
        switch_on=Publish(f"cmnd/{topic}/Power{n}", "ON"),
        switch_off=Publish(f"cmnd/{topic}/Power{n}", "OFF"),
        armed=lambda seconds: Publish(f"cmnd/{topic}/Backlog", f"PulseTime{n} {pulse_time(seconds)}; Power{n} ON"),
        reads=(Publish(f"cmnd/{topic}/Power{n}", ""), Publish(f"cmnd/{topic}/Status", "10")),
        refusals=(Place(f"stat/{topic}/RESULT", "Command"),),  # {"Command":"Unknown"}
    )


def shelly(topic: str, channel: str = "", reply: str = "homebridge_svc") -> PlugWire:
    """Gen 2 and later; `<topic>` is the prefix ("shellyplus1pm-a8032ab1"). Replies come on `<reply>/rpc`.

    NotifyStatus holds only what changed, so every part may be missing.
    """
    n = int(channel or "0")

    def call(method: str, **more: bool | int) -> Publish:
        return Publish(f"{topic}/rpc", _json({"id": 1, "src": reply, "method": method, "params": {"id": n, **more}}))

    return PlugWire(
        states=(Place(f"{topic}/events/rpc", f"params.switch:{n}.output"), Place(f"{reply}/rpc", "result.output")),
        watts=(Place(f"{topic}/events/rpc", f"params.switch:{n}.apower"), Place(f"{reply}/rpc", "result.apower")),
        availability=(Place(f"{topic}/online"),),
        on="true",
        off="false",
        switch_on=call("Switch.Set", on=True),
        switch_off=call("Switch.Set", on=False),
        armed=lambda seconds: call("Switch.Set", on=True, toggle_after=_whole(seconds, SHELLY_LONGEST)),
        reads=(call("Switch.GetStatus"),),
        refusals=(Place(f"{reply}/rpc", "error.message"),),
    )


def esphome(topic: str, channel: str = "", _reply: str = "") -> PlugWire:
    """`<topic>` is the node's name, channel the switch's object id; watts need their own topic."""
    base = f"{topic}/switch/{channel}"
    return PlugWire(
        states=(Place(f"{base}/state"),),
        availability=(Place(f"{topic}/status"),),
        switch_on=Publish(f"{base}/command", "ON"),
        switch_off=Publish(f"{base}/command", "OFF"),
    )


def shelly1(topic: str, channel: str = "", _reply: str = "") -> PlugWire:
    """Shelly gen 1; `<topic>` is "shellies/<id>"."""
    base = f"{topic}/relay/{channel or '0'}"
    return PlugWire(
        states=(Place(base),),
        watts=(Place(f"{base}/power"),),
        availability=(Place(f"{topic}/online"),),
        switch_on=Publish(f"{base}/command", "on"),
        switch_off=Publish(f"{base}/command", "off"),
    )


def statestream(topic: str, _channel: str = "", _reply: str = "") -> PlugWire:
    """Home Assistant's mqtt_statestream; `<topic>` is "<base>/switch/<object>". It reads and cannot act."""
    return PlugWire(states=(Place(f"{topic}/state"),), availability=(Place(f"{topic}/state"),))


PROFILES: dict[str, Profile] = {"zigbee2mqtt": zigbee2mqtt, "tasmota": tasmota, "shelly": shelly}
PRESETS: dict[str, Profile] = {"esphome": esphome, "shelly1": shelly1, "statestream": statestream}


def pulse_time(seconds: float) -> int:
    """Tasmota's PulseTime: 1 … 111 are tenths, 112 … 64900 are seconds + 100. Raises Unsupported beyond."""
    whole = _whole(seconds, TASMOTA_LONGEST)
    return 10 * whole if whole <= 11 else whole + 100  # noqa: PLR2004  the two ranges meet between 11 and 12 s


def _whole(seconds: float, longest: int) -> int:
    if not 0 < seconds <= longest:
        raise Unsupported(f"this plug's own timer reaches from 1 to {longest} s")
    return math.ceil(seconds)


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _first(
    places: tuple[Place, ...], topic: str, body: Payload, read: Callable[[Payload, str], T | None], problems: list[str]
) -> T | None:
    for place in places:
        if place.topic == topic:
            try:
                value = read(body, place.path)
            except WireError as error:
                problems.append(str(error))
                continue
            if value is not None:
                return value
    return None
