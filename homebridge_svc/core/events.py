"""Facts, in the past tense: the only thing that enters `Home.handle`. Every one carries an id and its time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from datetime import datetime

    from homebridge_svc.core.model import Json, Now, Power
    from homebridge_svc.core.orders import Order, Outcome


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a command came: what the guards of rules 6 and 7 need.

    age_bound: the message is at most this old, in seconds, as far as the link can tell (0 on a live line).
    packet: (topic, packet id, payload digest) of a QoS 1 message flagged DUP or not; None where there is none.
    caller: who sent it, for the clock offset of rule 6; sent_at: the caller's unix time.
    has_id: the id is the caller's own (a repeated id is a duplicate), not minted here.
    """

    retained: bool = False
    dup_flag: bool = False
    packet: tuple[str, int, str] | None = None
    age_bound: float = 0.0
    caller: str = ""
    sent_at: float | None = None
    has_id: bool = False


@dataclass(frozen=True, slots=True)
class CommandHeard:
    """Somebody said something. `text` is a command ("power on"), or a phrase when `device` is None.

    person is False for automation that nobody stands beside (schedule, learner): rule 15.
    """

    id: str
    at: Now
    origin: str  # "mqtt" "home_assistant" "scene:xiaoai/scene" "web" "hook:name" "cli"
    text: str
    device: str | None = None
    delivery: Delivery = field(default_factory=Delivery)
    person: bool = True


@dataclass(frozen=True, slots=True)
class NonsenseHeard:
    """Bytes on a command way that mean nothing; `id` answers the caller where it gave one."""

    id: str
    at: Now
    origin: str
    device: str | None
    problem: str
    has_id: bool = False


@dataclass(frozen=True, slots=True)
class PlugReported:
    """A plug said what it does. None: this message did not say. retained: it is history, not a change."""

    id: str
    at: Now
    plug: str
    on: bool | None = None
    watts: float | None = None
    retained: bool = False


@dataclass(frozen=True, slots=True)
class ProjectorReported:
    """A channel saw the projector. power is None when this report does not tell."""

    id: str
    at: Now
    projector: str
    channel: str
    power: Power | None = None  # only OFF, ON, LIGHT_OFF or BOOTING
    app: str | None = None
    volume: int | None = None
    muted: bool | None = None
    identity: str | None = None


@dataclass(frozen=True, slots=True)
class SensorReported:
    """A sensor's value in its unit, already free of the driver's own error codes."""

    id: str
    at: Now
    sensor: str
    value: float
    retained: bool = False


@dataclass(frozen=True, slots=True)
class EndpointChanged:
    """An endpoint became reachable or not ("cinema_plug", "living_room.adb"); `why` is for people."""

    id: str
    at: Now
    endpoint: str
    up: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class OrderFinished:
    """An order's outcome came back."""

    id: str
    at: Now
    order: Order
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class ScheduleDue:
    """A timetable slot came. planned_at: its UTC time; local_date: ISO date in the home's zone (rule 2)."""

    id: str
    at: Now
    pump: str
    slot: str
    planned_at: datetime
    local_date: str


@dataclass(frozen=True, slots=True)
class TimeReached:
    """`next_deadline()` has come."""

    id: str
    at: Now


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The engine still turns: its processing pets the watchdog."""

    id: str
    at: Now


@dataclass(frozen=True, slots=True)
class Started:
    """The first event after a start. memory: what the store remembered, by key."""

    id: str
    at: Now
    memory: dict[str, Json]


@dataclass(frozen=True, slots=True)
class Stopping:
    """The daemon is asked to end: pumps go off, nothing new begins."""

    id: str
    at: Now


Event: TypeAlias = (
    CommandHeard
    | NonsenseHeard
    | PlugReported
    | ProjectorReported
    | SensorReported
    | EndpointChanged
    | OrderFinished
    | ScheduleDue
    | TimeReached
    | Heartbeat
    | Started
    | Stopping
)
