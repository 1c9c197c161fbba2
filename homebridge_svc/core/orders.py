"""Imperatives: what core decided. Orders go to endpoints; outcomes come back as events.

A `Decision` is all that one event led to. Machines fill it through its methods, `Home` puts its orders through the
last gate, and the engine carries it out: orders first (a durable one waits for what is to be remembered), then the
notes, answers and announcements are told.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from homebridge_svc.core.model import Json

KEYS = frozenset(
    {
        "ok", "back", "home", "menu", "settings", "up", "down", "left", "right",
        "volume_up", "volume_down", "mute", "play", "pause", "play_pause", "stop", "next", "previous",
        "rewind", "fast_forward", "source", "autofocus", "focus_in", "focus_out",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SwitchOn:
    """Close a relay. dead_man: seconds after which the relay opens by itself, armed in the same message."""

    dead_man: float | None = None


@dataclass(frozen=True, slots=True)
class SwitchOff:
    """Open a relay."""


@dataclass(frozen=True, slots=True)
class ReadState:
    """Report the state now (as PlugReported / ProjectorReported), then finish."""


@dataclass(frozen=True, slots=True)
class Wake:
    """Wake a sleeping projector."""


@dataclass(frozen=True, slots=True)
class Sleep:
    """Soft off: idempotent where the channel allows it."""


@dataclass(frozen=True, slots=True)
class LightOff:
    """Light engine off, system up."""


@dataclass(frozen=True, slots=True)
class LightOn:
    """Light engine on again."""


@dataclass(frozen=True, slots=True)
class PressKeys:
    """Press these keys of KEYS one after the other, in one go."""

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PutVolume:
    """Absolute volume, 0 … the projector's maximum."""

    level: int


@dataclass(frozen=True, slots=True)
class PutMute:
    """Mute on or off."""

    on: bool


@dataclass(frozen=True, slots=True)
class ChooseInput:
    """Switch to an input by its id ("hdmi1")."""

    name: str


@dataclass(frozen=True, slots=True)
class LaunchApp:
    """Start an Android package."""

    package: str


Action: TypeAlias = (
    SwitchOn
    | SwitchOff
    | ReadState
    | Wake
    | Sleep
    | LightOff
    | LightOn
    | PressKeys
    | PutVolume
    | PutMute
    | ChooseInput
    | LaunchApp
)


@dataclass(frozen=True, slots=True)
class Order:
    """One imperative for one endpoint.

    expires: `Now.mono` after which it must not be carried out any more (rule 6); the worker checks before it
    sends, ADB lets the device check as well. within: real seconds that the executor gets once it began.
    slot: state-like orders with one slot are latest-wins among the unsent; None: all are carried out in turn.
    sticky: an unsent sticky order is never displaced (the OFF of a pump, rule 8).
    durable: wait until this decision's `remember` entries are on disk ("on since" before the ON).
    """

    id: str
    endpoint: str  # "cinema_plug" or "living_room.adb"
    action: Action
    command: str | None  # the command whose chain this belongs to
    reason: str
    expires: float
    within: float = 5.0
    slot: str | None = None
    sticky: bool = False
    durable: bool = False


class Result(StrEnum):
    """How an order ended on its own layer. Whether its effect happened is told by facts only (rule 10)."""

    DONE = "done"  # the peer, or where there is no reply the network, took it
    FAILED = "failed"  # it certainly did not happen
    UNREACHABLE = "unreachable"  # nothing reached the device
    UNKNOWN = "unknown"  # it may have happened: never blindly repeated
    EXPIRED = "expired"  # too late, not carried out
    UNSUPPORTED = "unsupported"
    DISPLACED = "displaced"  # a newer order of the same slot took its place, unsent


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one order with a sentence for people."""

    result: Result
    detail: str = ""


class Say(StrEnum):
    """Kinds of answer on `…/result` (rule 5)."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    EXPIRED = "expired"
    DUPLICATE = "duplicate"
    BUSY = "busy"
    DONE = "done"
    FAILED = "failed"
    SUPERSEDED = "superseded"

    @property
    def final(self) -> bool:
        """No further answer follows this one."""
        return self is not Say.ACCEPTED


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer to one command. why is a sentence, zh the same for the household."""

    command: str
    device: str | None
    say: Say
    why: str
    zh: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The last gate said no to an order (core/safety.py)."""

    order: Order
    rule: str
    why: str


@dataclass(frozen=True, slots=True)
class Note:
    """One step of the chain that `explain` prints: what was decided for `device` and by which rule."""

    command: str | None
    device: str | None
    rule: str  # "semantics 18", "power table 4", "pump cycle 7"
    text: str


@dataclass(frozen=True, slots=True)
class Announcement:
    """A sentence for people, spoken or shown."""

    device: str | None
    text: str
    zh: str
    alarm: bool = False


@dataclass(slots=True)
class Decision:
    """All that one event led to; filled by the machines, carried out by the engine."""

    cause: str  # the event's id: order ids are derived from it, so that chains can be followed
    orders: list[Order] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    announcements: list[Announcement] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    remember: dict[str, Json] = field(default_factory=dict)  # written at once; value None forgets the key

    def order(
        self,
        endpoint: str,
        action: Action,
        *,
        command: str | None,
        reason: str,
        expires: float,
        within: float = 5.0,
        slot: str | None = None,
        sticky: bool = False,
        durable: bool = False,
    ) -> Order:
        """Add an order and return it; its id is `<cause>-<n>`."""
        order = Order(
            id=f"{self.cause}-{len(self.orders) + 1}",
            endpoint=endpoint,
            action=action,
            command=command,
            reason=reason,
            expires=expires,
            within=within,
            slot=slot,
            sticky=sticky,
            durable=durable,
        )
        self.orders.append(order)
        return order

    def answer(self, command: str | None, device: str | None, say: Say, why: str, zh: str = "") -> None:
        """Answer a command; a None command (nobody asked) is answered to nobody."""
        if command is not None:
            self.answers.append(Answer(command, device, say, why, zh))

    def note(self, command: str | None, device: str | None, rule: str, text: str) -> None:
        """Write down why."""
        self.notes.append(Note(command, device, rule, text))

    def announce(self, device: str | None, text: str, zh: str, *, alarm: bool = False) -> None:
        """Tell people."""
        self.announcements.append(Announcement(device, text, zh, alarm))
