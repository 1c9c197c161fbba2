"""Small protocols between the rings.

Adapters are `Ear`s and `Executor`s, runtime gives `Clock` and `Link`, the engine is the `Desk` that the page and
the command line talk to.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from homebridge_svc.core.events import CommandHeard, Event
from homebridge_svc.core.model import Ability, DeviceView, Json, Now, PlugAbility
from homebridge_svc.core.orders import Answer, Decision, Order, Outcome
from homebridge_svc.wire.ir import Signal


class Clock(Protocol):
    """The only source of time (rule 1)."""

    def now(self) -> Now:
        """Read all clocks."""

    async def sleep(self, seconds: float) -> None:
        """Wait `seconds` of policy time (scaled by --speed)."""

    def real(self, seconds: float) -> float:
        """Policy seconds as real seconds, for `loop.call_later`."""

    def policy(self, unix: float) -> float:
        """Unix seconds of a caller's clock as this one counts them."""


class Ear(Protocol):
    """Anything that listens or polls until it is cancelled; reconnects by itself, never raises a peer's fault."""

    async def run(self) -> None:
        """Listen until cancelled."""


class Executor(Protocol):
    """A hand on the wire: one order within its deadline, then a report; neither retries nor decides.

    Raises: the DeviceError leaves of errors.py; the worker turns them into outcomes.
    """

    async def execute(self, order: Order) -> Outcome:
        """Carry out one order."""


class PlugDriver(Ear, Executor, Protocol):
    """A plug: reports PlugReported and EndpointChanged, executes SwitchOn, SwitchOff, ReadState."""

    @property
    def ability(self) -> PlugAbility:
        """What this plug can do."""


class ProjectorChannel(Ear, Executor, Protocol):
    """One way to a projector: reports ProjectorReported and EndpointChanged, executes what it declares."""

    @property
    def ability(self) -> Ability:
        """What this channel can carry, in which state, and how it confirms."""


class Blaster(Ear, Protocol):
    """An infrared transmitter."""

    async def send(self, signal: Signal, *, repeats: int = 0) -> None:
        """Send one signal; returns when the transmitter took it. Raises DeviceError leaves."""


@dataclass(frozen=True, slots=True)
class Message:
    """One MQTT message as the link saw it; see events.Delivery for age_bound and packet."""

    topic: str
    payload: bytes
    retained: bool
    qos: int
    packet_id: int
    dup_flag: bool
    age_bound: float


Handler = Callable[[Message], None]


class Link(Protocol):
    """The one MQTT connection, shared. Handlers are called on the loop and must not block or raise."""

    def subscribe(self, topic_filter: str, handler: Handler, *, qos: int = 0) -> None:
        """Register before `run`; the link (re-)subscribes on every connect. Commands use qos=1."""

    def on_connect(self, callback: Callable[[], Awaitable[None]]) -> None:
        """Called after every (re)connect, when subscriptions stand."""

    async def publish(self, topic: str, payload: str | bytes, *, qos: int = 0, retain: bool = False) -> None:
        """Publish within 2 s. Raises Unreachable when the broker is away, OutcomeUnknown when QoS 1 got no ack."""


class Hooks(Protocol):
    """Where voice/webhook mounts its hooks; the web server serves them as POST /hook/<name>."""

    def mount(self, name: str, hook: Callable[[bytes, Mapping[str, str]], str]) -> None:
        """`hook(body, headers)` posts an event and returns its id, or raises WireError (400) / Refused (401)."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every adapter is given. `post` never blocks; it returns False when commands overflow (rule 8)."""

    post: Callable[[Event], bool]
    clock: Clock
    new_id: Callable[[], str]
    state_dir: Path
    link: Link | None = None
    blasters: Mapping[str, Blaster] = field(default_factory=dict)
    hooks: Hooks | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One journal row: what happened, in the order it happened."""

    utc: float  # unix seconds
    chain: str | None  # the command's or event's id
    kind: str  # heard · nonsense · due · decided · refused · sent · confirmed · failed · changed · answered · announced
    device: str | None
    text: str
    data: Mapping[str, Json] = field(default_factory=dict)


class Chronicle(Protocol):
    """The journal as the page and `explain` read it; it alone feeds them (rule 9)."""

    def recent(self, limit: int = 100) -> list[Row]:
        """Newest first."""

    def chain(self, chain_id: str | None) -> list[Row]:
        """All rows of one chain, oldest first; None: the newest command's. A unique prefix of an id will do."""


class Audience(Protocol):
    """Somebody who is told after each event: the journal, the page, MQTT. Must not block and not raise."""

    def told(self, event: Event, decision: Decision, views: Mapping[str, DeviceView]) -> None:
        """Take what happened; `views` is every device as it now stands."""


class Desk(Protocol):
    """What the page, the API and hooks may ask of the running engine."""

    @property
    def chronicle(self) -> Chronicle:
        """The journal."""

    def snapshot(self) -> dict[str, DeviceView]:
        """Every device as it stands."""

    async def ask(self, command: CommandHeard, *, wait: float) -> list[Answer]:
        """Post a command; return its answers after `wait` real seconds at most, or at the final one."""

    def changes(self) -> AsyncIterator[None]:
        """Yield whenever a snapshot or the journal changed (coalesced)."""

    def figures(self) -> Mapping[str, float]:
        """Counters and gauges for /metrics, by Prometheus name."""
