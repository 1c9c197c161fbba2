"""Wishes for a projector that runs, or soon will: volume, mute, input, app, keys, light.

Theory of operation. A wish is answered `accepted` or `refused` at once and once more when it has ended. It waits in
line while the projector comes up, and lives `wish_lives` at most (rule 5). Two lanes, sound and picture, keep the
order of what was said without letting one wait for the other; in each lane one order is under way at a time:

1. Of the waiting, a later absolute wish of the same kind supersedes the earlier one; steps and keys never do (rule 7).
2. The channels of `orders` are tried as configured, unreachable ones last; what certainly failed goes to the next one.
3. An outcome that is unknown goes to the next channel only when twice is as good as once; else the wish has failed.
4. Where no channel sets a volume, known volume and keys do; without fresh knowledge the wish fails and says why.
5. When the projector goes off, what waits has failed: nothing is carried out at the next start.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from homebridge_svc.core import wish_meaning
from homebridge_svc.core.channels import ORDER_LIFE, state_of, unfit, within
from homebridge_svc.core.model import Power
from homebridge_svc.core.orders import Outcome, PressKeys, Result, Say
from homebridge_svc.core.wish_meaning import Already, No

if TYPE_CHECKING:
    from homebridge_svc.core.events import OrderFinished
    from homebridge_svc.core.evidence import Facts
    from homebridge_svc.core.intents import ProjectorIntent
    from homebridge_svc.core.model import Now, ProjectorSpec
    from homebridge_svc.core.orders import Action, Decision, Order

LOST = 60.0  # s after its expiry that an order without an outcome counts as lost
NOT_SENT = frozenset({Result.FAILED, Result.UNREACHABLE, Result.UNSUPPORTED})


class Door(StrEnum):
    """What a wish meets."""

    OPEN = "it takes orders"
    OPENING = "it comes up"
    UNSURE = "whether it is on is not known, a look is under way"
    SHUT = "it is off"


@dataclass(slots=True)
class Wish:
    """A wish with its way through the channels."""

    intent: ProjectorIntent
    command: str
    dies: float
    action: Action | None = None
    plan: list[str] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    order: Order | None = None
    channel: str = ""

    @property
    def text(self) -> str:
        """What was wished, in a few words."""
        return wish_meaning.text(self.intent)

    @property
    def lane(self) -> str:
        """Where it stands in line."""
        return wish_meaning.lane(self.intent)


class Wishes:
    """The waiting and the running wishes of one projector."""

    def __init__(self, spec: ProjectorSpec, facts: Facts) -> None:
        self._spec = spec
        self._facts = facts
        self._waiting: list[Wish] = []
        self._running: dict[str, Wish] = {}  # by lane

    @property
    def waiting(self) -> list[str]:
        """Texts of what waits."""
        return [wish.text for wish in self._waiting]

    def accept(self, intent: ProjectorIntent, command: str, door: Door, now: Now, out: Decision) -> None:
        """Answer at once: refused, or accepted and put in line."""
        key, wish = self._spec.key, Wish(intent, command, now.mono + self._spec.wish_lives)
        no = No("it is off", "投影仪没有打开") if door is Door.SHUT else wish_meaning.refusal(intent, self._spec)
        if no is not None:
            out.note(command, key, "semantics 5", f"refused {wish.text}: {no.why}")
            out.answer(command, key, Say.REFUSED, no.why, no.zh)
            return
        waits = door is Door.OPENING
        out.answer(
            command,
            key,
            Say.ACCEPTED,
            f"{wish.text}: as soon as it is on" if waits else wish.text,
            "等开机后执行" if waits else "好的",
        )
        out.note(command, key, "semantics 5", f"{wish.text}: {door.value}")
        kind = wish_meaning.kind(intent)
        for old in [old for old in self._waiting if kind is not None and wish_meaning.kind(old.intent) == kind]:
            self._waiting.remove(old)
            self._end(old, Say.SUPERSEDED, f"{wish.text} was asked for after it", "已被新的命令取代", out)
        self._waiting.append(wish)

    def serve(self, door: Door, phase: Power, now: Now, out: Decision) -> None:
        """Start what may start and end what is too late."""
        for wish in list(self._running.values()):
            if wish.order is not None and now.mono >= wish.order.expires + LOST:
                self._landed(wish, Outcome(Result.UNKNOWN, "its end was never reported"), phase, now, out)
        for wish in [wish for wish in self._waiting if now.mono >= wish.dies]:
            self._waiting.remove(wish)
            self._end(wish, Say.EXPIRED, f"{wish.text} waited too long", "等待超时，没有执行", out)
        if door is Door.SHUT:
            self.cancel(Say.FAILED, "the projector is off", "投影仪没有打开", out)
        if door is Door.OPEN:
            for wish in list(self._waiting):
                if wish.lane not in self._running:
                    self._waiting.remove(wish)
                    self._start(wish, phase, now, out)

    def cancel(self, say: Say, why: str, zh: str, out: Decision) -> None:
        """End everything that waits; what is under way ends by its outcome."""
        for wish in self._waiting:
            self._end(wish, say, why, zh, out)
        self._waiting.clear()

    def finished(self, event: OrderFinished, phase: Power, now: Now, out: Decision) -> Action | None:
        """Take note of an order's end; return the action when it was taken."""
        for wish in list(self._running.values()):
            if wish.order is not None and wish.order.id == event.order.id:
                return self._landed(wish, event.outcome, phase, now, out)
        return None

    def deadline(self) -> float | None:
        """When `serve` has something to do by time alone."""
        times = [wish.dies for wish in self._waiting]
        times += [wish.order.expires + LOST for wish in self._running.values() if wish.order is not None]
        return min(times, default=None)

    def _start(self, wish: Wish, phase: Power, now: Now, out: Decision) -> None:
        match wish_meaning.action(wish.intent, self._spec, self._facts, phase, now.mono):
            case No(why=why, zh=zh):
                self._end(wish, Say.FAILED, why, zh, out)
            case Already():
                self._end(wish, Say.DONE, f"{wish.text}: it is so already", "已经是这样了", out)
            case action:
                wish.action = action
                wish.plan = sorted(self._spec.orders, key=lambda name: self._facts.up.get(name) is False)
                self._running[wish.lane] = wish
                self._next(wish, phase, now, out)

    def _next(self, wish: Wish, phase: Power, now: Now, out: Decision) -> None:
        """Send the wish over the next channel that can carry it, or end it."""
        while wish.plan and wish.action is not None and now.mono < wish.dies:
            name = wish.plan.pop(0)
            ability = self._spec.channels.get(name)
            why_not = unfit(ability, type(wish.action), state_of(phase), reachable=True)
            if ability is None or why_not is not None:
                wish.tried.append(f"{name}: {why_not}")
                out.note(wish.command, self._spec.key, "wishes 2", f"passed over {name}: {why_not}")
                continue
            out.note(wish.command, self._spec.key, "wishes 2", f"chosen: {name}, it can carry this now")
            wish.channel = name
            wish.order = out.order(
                f"{self._spec.key}.{name}",
                wish.action,
                command=wish.command,
                reason=wish.text,
                expires=min(now.mono + ORDER_LIFE, wish.dies),
                within=within(ability, type(wish.action)),
                slot=None if isinstance(wish.action, PressKeys) else f"{self._spec.key}.{type(wish.action).__name__}",
            )
            return
        del self._running[wish.lane]
        why = "; ".join(wish.tried) or "no channel is left, or its time is over"
        if phase in (Power.UNKNOWN, Power.WAKING):
            why = f"it is not known whether it is on ({why})"
        self._end(wish, Say.FAILED, f"{wish.text} did not reach it: {why}", "没有成功", out)

    def _landed(self, wish: Wish, outcome: Outcome, phase: Power, now: Now, out: Decision) -> Action | None:
        wish.order = None
        result, detail = outcome.result, f": {outcome.detail}" if outcome.detail else ""
        wish.tried.append(f"{wish.channel}: {result.value}{detail}")
        if result in NOT_SENT or (result is Result.UNKNOWN and not isinstance(wish.action, PressKeys)):
            out.note(wish.command, self._spec.key, "wishes 3", f"{wish.tried[-1]}; next channel")
            self._next(wish, phase, now, out)
            return None
        del self._running[wish.lane]
        match result:
            case Result.DONE if self._spec.channels[wish.channel].replies:
                self._end(wish, Say.DONE, f"{wish.text} by {wish.channel}", "完成", out)
            case Result.DONE:
                self._end(wish, Say.DONE, f"{wish.text} sent by {wish.channel}, which cannot confirm", "已发出", out)
            case Result.EXPIRED:
                self._end(wish, Say.EXPIRED, f"{wish.text} came too late", "太迟了，没有执行", out)
            case Result.DISPLACED:
                self._end(wish, Say.SUPERSEDED, "a newer one took its place", "已被新的命令取代", out)
            case _:
                why = f"{wish.text}: it may have happened, so it is not repeated{detail}"
                self._end(wish, Say.FAILED, why, "不确定是否成功，没有重试", out)
        return wish.action if result is Result.DONE else None

    def _end(self, wish: Wish, say: Say, why: str, zh: str, out: Decision) -> None:
        out.answer(wish.command, self._spec.key, say, why, zh)
