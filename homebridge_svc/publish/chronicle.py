"""Writes the journal: heard → meant → decided → sent → confirmed, one row a step, under the id of its chain.

Facts that come by themselves are written when they change something, so a meter that reports every second fills no
card; probes are not written at all. A retry is written when something about it is new: an OFF that is repeated every
minute to a plug that is away for a week is one row, and its failing another. The log tells the same.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from homebridge_svc.core.events import CommandHeard, EndpointChanged, Event, NonsenseHeard, OrderFinished, ScheduleDue
from homebridge_svc.core.model import DeviceView, Json
from homebridge_svc.core.orders import Action, Decision, Order, ReadState, Result
from homebridge_svc.ports import Clock, Row
from homebridge_svc.runtime.journal import Journal

log = logging.getLogger(__name__)

TOLD = {  # the parts of a view whose change is worth a row; figures that flow are not
    "projector": ("phase", "desired", "volume", "muted", "input", "app"),
    "pump": ("phase", "locked", "last_stop"),
    "plug": ("on",),
    "sensor": (),
}


class ChronicleWriter:
    """An audience that turns what happened into rows."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._before: dict[str, dict[str, Json]] = {}
        self._noted: dict[str | None, dict[str, str]] = {}  # device -> rule -> text, since the device changed
        self._steps: dict[tuple[str, str], tuple[str | None, str]] = {}  # (what, endpoint) -> (command, text)

    def told(self, event: Event, decision: Decision, views: Mapping[str, DeviceView]) -> None:
        """Take what happened."""
        chain = self._heard(event)
        for note in decision.notes:
            told = self._noted.setdefault(note.device, {})
            if note.command or chain or told.get(note.rule) != note.text:
                self._row(note.command or chain or event.id, "decided", note.device, f"{note.text} [{note.rule}]")
            told[note.rule] = note.text
        for order in decision.orders:
            text = f"{name(order.action)} to {order.endpoint}: {order.reason}"
            if self._is_news("order", order, text):
                self._row(order.command or event.id, "sent", order.endpoint, text, order=order.id)
        for refusal in decision.refusals:
            order = refusal.order
            text = f"{name(order.action)} to {order.endpoint} refused: {refusal.why} [{refusal.rule}]"
            if self._is_news("order", order, text):
                self._row(order.command or event.id, "refused", order.endpoint, text)
        self._changes(chain or event.id, views)
        for answer in decision.answers:
            text = f"{answer.say}: {answer.why}"
            self._row(answer.command, "answered", answer.device, text, say=answer.say.value, zh=answer.zh)
        for said in decision.announcements:
            self._row(chain or event.id, "announced", said.device, said.text, zh=said.zh, alarm=said.alarm)

    def _heard(self, event: Event) -> str | None:
        """Write what came in, where it is worth a row; return the chain that it belongs to."""
        match event:
            case CommandHeard():
                self._row(event.id, "heard", event.device, f"{event.text!r} from {event.origin}")
                return event.id
            case NonsenseHeard():
                self._row(event.id, "nonsense", event.device, f"nonsense from {event.origin}: {event.problem}")
                return event.id
            case ScheduleDue():
                self._row(event.id, "due", event.pump, f"timetable slot {event.slot} of {event.local_date}")
                return event.id
            case EndpointChanged():
                text = f"{event.endpoint} is {'there' if event.up else 'gone'}" + (
                    f": {event.why}" if event.why else ""
                )
                self._row(event.id, "changed", event.endpoint, text)
            case OrderFinished(order=order, outcome=outcome):
                kind = "confirmed" if outcome.result is Result.DONE else "failed"
                detail = f" ({outcome.detail})" if outcome.detail else ""
                text = f"{name(order.action)} to {order.endpoint}: {outcome.result}{detail}"
                if self._is_news("outcome", order, text):
                    self._row(order.command or order.id, kind, order.endpoint, text)
                return None if isinstance(order.action, ReadState) else order.command
            case _:
                pass
        return None

    def _is_news(self, what: str, order: Order, text: str) -> bool:
        """Tell whether the last row of this kind about the endpoint said something else; reads never are."""
        if isinstance(order.action, ReadState):
            return False
        before = self._steps.get((what, order.endpoint))
        self._steps[what, order.endpoint] = (order.command, text)
        return before != (order.command, text)

    def _changes(self, chain: str, views: Mapping[str, DeviceView]) -> None:
        for key, view in views.items():
            state: dict[str, Json] = {part: view.state.get(part) for part in TOLD[view.kind]}
            before = self._before.get(key)
            if state != before:
                self._before[key] = state
                self._noted.pop(key, None)
                if before is not None:
                    text = ", ".join(
                        f"{part} {_word(before[part])} → {_word(value)}"
                        for part, value in state.items()
                        if value != before[part]
                    )
                    self._row(chain, "changed", key, text)

    def _row(self, chain: str, kind: str, device: str | None, text: str, **data: Json) -> None:
        log.log(
            logging.WARNING if data.get("alarm") else logging.INFO, "%s %s %s: %s", chain, kind, device or "-", text
        )
        self._journal.append(Row(self._clock.now().utc.timestamp(), chain, kind, device, text, data))


def name(action: Action) -> str:
    """An action as people read it: `PutVolume level=12`."""
    fields = [f"{field}={getattr(action, field)}" for field in action.__dataclass_fields__]
    return " ".join([type(action).__name__, *fields])


def _word(value: Json) -> str:
    if value is None:
        return "?"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
