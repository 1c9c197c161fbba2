"""From what was heard to what is meant: the guards of rules 6 and 7, then phrases and commands to wishes.

Theory of operation. A command passes four guards in this order, the first that objects ends it:

    1. retained        it is history, never a wish                                   (rule 7)
    2. seen before     its own id, or the same packet redelivered with DUP           (rule 7)
    3. stale           older than FRESH seconds                                      (rule 6)
    4. same content    from another source within TWIN seconds, state-like only      (rule 7)

Age is the larger of what the link can vouch for and what the caller's own `at` says (core/callers.py): a wrong clock
can make a message older, never lock the family out.
"""

from __future__ import annotations

import math
import unicodedata
from collections import OrderedDict
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from homebridge_svc.core.callers import FRESH, Callers
from homebridge_svc.core.commands import parse, parse_line
from homebridge_svc.core.intents import Intent, PressKey, StepVolume
from homebridge_svc.core.orders import Say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from homebridge_svc.core.events import CommandHeard
    from homebridge_svc.core.model import HomeSpec, Json, Now

TWIN = 3.0  # seconds: the same sentence heard by two sources is one (rule 7)
REMEMBERED = 1024  # ids and packets kept in memory
STORED = 32  # of them, the newest survive a restart: a broker redelivers what was not acknowledged
REDELIVERY = 60.0  # seconds: a session that is resumed later has ended, and its packet ids mean something else
SENTENCES = 64  # contents kept for guard 4


@dataclass(frozen=True, slots=True)
class Step:
    """One wish of a command. id: the command's own, or `<command>.<n>` when a phrase has several; text: its words."""

    id: str
    device: str
    intent: Intent
    text: str


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a command does not act."""

    say: Say
    rule: str
    why: str
    zh: str


class Interpreter:
    """Guards and meanings; remembers what it has heard."""

    def __init__(self, spec: HomeSpec) -> None:
        self._spec = spec
        self._phrases = {normalise(phrase): commands for phrase, commands in spec.phrases.items()}
        self._seen: OrderedDict[str, float] = OrderedDict()  # mark -> mono
        self._callers = Callers()
        self._recent: OrderedDict[tuple[str, str], tuple[str, float]] = OrderedDict()  # content -> (origin, mono)

    def restore(self, memory: Json, now: Now) -> None:
        """Take back what `seen` gave before a restart; anything else is ignored."""
        if isinstance(memory, list):
            self._remember((mark for mark in memory if isinstance(mark, str)), now)

    @property
    def seen(self) -> list[Json]:
        """The newest marks, oldest first, to be stored."""
        newest: list[Json] = list(islice(reversed(self._seen), STORED))
        return newest[::-1]

    def guard(self, event: CommandHeard, now: Now) -> Objection | None:
        """None when the command may act. Marks it as seen either way."""
        delivery = event.delivery
        if delivery.retained:
            return Objection(Say.REFUSED, "semantics 7", "a retained message is history, not a wish", "保留消息不执行")
        id_ = f"id {event.id}" if delivery.has_id else ""
        packet = "packet {} {} {}".format(*delivery.packet) if delivery.packet is not None else ""
        redelivered = delivery.dup_flag and now.mono - self._seen.get(packet, -math.inf) <= REDELIVERY
        known = id_ in self._seen or redelivered
        self._remember(filter(None, (id_, packet)), now)
        if known:
            return Objection(Say.DUPLICATE, "semantics 7", "this command was heard before", "这条命令已经收到过")
        age = max(delivery.age_bound, self._age(event) + now.mono - event.at.mono)  # it also waited in our own inbox
        if age > FRESH:
            return Objection(
                Say.EXPIRED,
                "semantics 6",
                f"it is {age:.0f} s old; after {FRESH:.0f} s nothing acts",
                "命令已过期，没有执行",
            )
        return None

    def twin(self, event: CommandHeard, steps: Iterable[Step], now: Now) -> Objection | None:
        """Say duplicate when another source has just said the same and all of it is state-like (rule 7)."""
        steps = list(steps)
        if any(isinstance(step.intent, PressKey | StepVolume) for step in steps):
            return None
        content = (" ".join(step.device for step in steps), repr([step.intent for step in steps]))
        before = self._recent.pop(content, None)
        devices = {step.device for step in steps}
        for other in [other for other in self._recent if devices & set(other[0].split())]:
            del self._recent[other]  # something else was wanted of it since: the same again is a new wish
        self._recent[content] = (event.origin, now.mono)
        while len(self._recent) > SENTENCES:
            self._recent.popitem(last=False)
        if before is None or before[0] == event.origin or now.mono - before[1] > TWIN:
            return None
        self._recent[content] = before  # a third source is compared with the first as well
        return Objection(
            Say.DUPLICATE,
            "semantics 7",
            f"{before[0]} said the same {now.mono - before[1]:.1f} s ago",
            "同一句话已经执行",
        )

    def meaning(self, event: CommandHeard) -> list[Step]:
        """Read the wishes of a command. Raises ValueError with a sentence for people."""
        if event.device is not None:
            return [Step(event.id, event.device, parse(event.text), event.text)]
        commands = self._phrases.get(normalise(event.text))
        if commands is None:
            if "." not in event.text:
                known = "、".join(list(self._spec.phrases)[:8])
                raise ValueError(f"nobody taught me {event.text[:40]!r}" + (f"; known: {known}" if known else ""))
            commands = (event.text,)
        ids = [event.id] if len(commands) == 1 else [f"{event.id}.{number}" for number in range(1, len(commands) + 1)]
        return [Step(id_, *parse_line(text), text.partition(".")[2]) for id_, text in zip(ids, commands, strict=True)]

    def _age(self, event: CommandHeard) -> float:
        delivery = event.delivery
        if delivery.sent_at is None:
            return 0.0
        return self._callers.age(delivery.caller, delivery.sent_at, event.at.mono)

    def _remember(self, marks: Iterable[str], now: Now) -> None:
        for mark in marks:
            self._seen.pop(mark, None)
            self._seen[mark] = now.mono
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)


def normalise(phrase: str) -> str:
    """A phrase as it is compared: full-width forms folded, lower case, without spaces and punctuation."""
    folded = unicodedata.normalize("NFKC", phrase).casefold()
    return "".join(char for char in folded if not unicodedata.category(char).startswith(("P", "Z", "C")))
