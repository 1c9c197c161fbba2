"""A plug as such: what it says, and switching it when it belongs to no projector and no pump.

1. a wish sends one order, latest wins; it is done when the plug says so       (rule 10)
2. no word within CONFIRM seconds: failed, and we say that it may have happened
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from homebridge_svc.core.model import DeviceView
from homebridge_svc.core.orders import Result, Say, SwitchOff, SwitchOn

if TYPE_CHECKING:
    from homebridge_svc.core.events import EndpointChanged, OrderFinished, PlugReported
    from homebridge_svc.core.intents import SwitchPlug
    from homebridge_svc.core.model import Now, PlugSpec
    from homebridge_svc.core.orders import Decision

CONFIRM = 5.0  # seconds until the plug must have said that it switched


@dataclass(slots=True)
class _Wish:
    command: str
    on: bool
    deadline: float


class Plug:
    """One plug; `owner` is the projector or pump that decides about it."""

    def __init__(self, spec: PlugSpec, owner: str | None) -> None:
        self.owner = owner
        self._spec = spec
        self._on: bool | None = None
        self._watts: float | None = None
        self._up = True
        self._wish: _Wish | None = None

    def wish(self, intent: SwitchPlug, command: str, now: Now, out: Decision) -> None:
        """Serve `on` or `off` from a person or a program."""
        key = self._spec.key
        if self.owner is not None:
            out.answer(
                command, key, Say.REFUSED, f"{key} belongs to {self.owner}: ask that one", "这个插座由别的设备管理"
            )
            return
        if not self._spec.ability.acts:
            out.answer(command, key, Say.REFUSED, f"{key} can only be read", "这个插座只能读取")
            return
        self._end(out, Say.SUPERSEDED, "a newer command came", "已被新的命令取代")
        out.answer(command, key, Say.ACCEPTED, "switching", "好的")
        self._wish = _Wish(command, intent.on, now.mono + CONFIRM)
        out.order(
            key,
            SwitchOn() if intent.on else SwitchOff(),
            command=command,
            reason="asked for",
            expires=now.mono + CONFIRM,
            within=CONFIRM,
            slot=f"{key}.relay",
        )

    def report(self, event: PlugReported, out: Decision) -> None:
        """Take note of what the plug says."""
        if event.on is not None:
            self._on = event.on
        if event.watts is not None:
            self._watts = event.watts
        if self._wish is not None and event.on is self._wish.on and not event.retained:
            self._end(out, Say.DONE, "the plug says so", "完成")

    def endpoint(self, event: EndpointChanged) -> None:
        """Take note of whether it can be reached."""
        self._up = event.up

    def finished(self, event: OrderFinished, out: Decision) -> None:
        """An order that certainly failed ends its wish at once; anything else waits for the plug's word."""
        if self._wish is None or event.order.command != self._wish.command:
            return
        if event.outcome.result not in (Result.DONE, Result.UNKNOWN, Result.DISPLACED):
            self._end(out, Say.FAILED, event.outcome.detail or event.outcome.result, "没有成功")

    def tick(self, now: Now, out: Decision) -> None:
        """Give up waiting for the plug's word."""
        if self._wish is not None and now.mono >= self._wish.deadline:
            self._end(
                out, Say.FAILED, f"no word from the plug in {CONFIRM:.0f} s; it may have happened", "插座没有回应"
            )

    def next_deadline(self) -> float | None:
        """When `tick` is due, mono seconds."""
        return self._wish.deadline if self._wish else None

    def view(self) -> DeviceView:
        """What people may see."""
        state = {"on": self._on, "watts": self._watts, "owner": self.owner}
        return DeviceView(self._spec.key, "plug", self._spec.name, self._up, state)

    def _end(self, out: Decision, say: Say, why: str, zh: str) -> None:
        if self._wish is not None:
            out.answer(self._wish.command, self._spec.key, say, why, zh)
            self._wish = None
