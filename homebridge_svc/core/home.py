"""The flat: routes every event to the machines it concerns and puts their orders through the last gate.

`handle(event, now)` is the only way in; all that follows from the event stands in the `Decision` that it returns.
`next_deadline()` says when it wants to be told the time. Neither reads a clock nor touches a wire.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, assert_never

from homebridge_svc.core.events import (
    CommandHeard,
    EndpointChanged,
    Event,
    Heartbeat,
    NonsenseHeard,
    OrderFinished,
    PlugReported,
    ProjectorReported,
    ScheduleDue,
    SensorReported,
    Started,
    Stopping,
    TimeReached,
)
from homebridge_svc.core.hot_water.cycle import Pump
from homebridge_svc.core.intents import ResetPump, RunPump, StopPump, SwitchPlug
from homebridge_svc.core.interpret import Interpreter, Objection, Step
from homebridge_svc.core.model import DeviceView
from homebridge_svc.core.orders import Answer, Decision, Say
from homebridge_svc.core.plug import Plug
from homebridge_svc.core.projector import Projector
from homebridge_svc.core.safety import Gate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from homebridge_svc.core.model import HomeSpec, Now
    from homebridge_svc.core.timetable import Calendar

VERBS = {
    "projector": "power, volume, mute, input, app, key",
    "pump": "run, stop, reset",
    "plug": "on, off",
    "sensor": "nothing",
}
SPOKEN = ("scene:", "hook:")  # origins where a person gets no other answer than what we announce


@dataclass(slots=True)
class _Scene:
    """A command of several steps: it is done when all are, failed when one is."""

    command: str
    open: set[str]
    bad: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Reading:
    value: float | None = None
    mono: float = -math.inf
    up: bool = True


class Home:
    """All machines of one flat."""

    def __init__(self, spec: HomeSpec, calendar: Calendar) -> None:
        self._spec = spec
        self._interpreter = Interpreter(spec)
        owners = spec.owners()
        self._plugs = {key: Plug(plug, owners.get(key)) for key, plug in spec.plugs.items()}
        self._projectors = {key: Projector(projector) for key, projector in spec.projectors.items()}
        self._pumps = {key: Pump(pump, calendar) for key, pump in spec.pumps.items()}
        self._readings = {key: _Reading() for key in spec.sensors}
        self._gate = Gate(spec, calendar)
        self._scenes: dict[str, _Scene] = {}  # step id -> its scene
        self._spoken: set[str] = set()  # commands that somebody said and that are not answered for good
        self._stopping = False

    def handle(self, event: Event, now: Now) -> Decision:  # noqa: C901, PLR0912  one arm per kind of event
        """Everything that follows from one event at this time."""
        out = Decision(cause=event.id)
        self._gate.observe(event)
        match event:
            case CommandHeard():
                self._command(event, now, out)
            case NonsenseHeard():
                out.note(event.id, event.device, "interpret", f"nonsense from {event.origin}: {event.problem}")
                if event.has_id:
                    out.answer(event.id, event.device, Say.REFUSED, event.problem, "听不懂这条命令")
            case PlugReported():
                self._plug(event, now, out)
            case ProjectorReported():
                if projector := self._projectors.get(event.projector):
                    projector.report(event, now, out)
            case SensorReported():
                self._sensor(event, now, out)
            case EndpointChanged():
                self._endpoint(event, now, out)
            case OrderFinished():
                for machine in self._all():
                    machine.finished(event, now, out)
                if plug := self._plugs.get(event.order.endpoint):
                    plug.finished(event, out)
            case ScheduleDue():
                self._due(event, now, out)
            case TimeReached() | Heartbeat():
                self._tick(now, out)
            case Started():
                self._interpreter.restore(event.memory.get("seen"), now)
                for machine in self._all():
                    machine.start(event.memory, now, out)
            case Stopping():
                self._stopping = True
                for pump in self._pumps.values():
                    pump.stop_all(now, out)
            case _:
                assert_never(event)
        self._fold_scenes(out)
        self._say_failures(out)
        self._pass_gate(now, out)
        return out

    def next_deadline(self) -> float | None:
        """When `TimeReached` is wanted, mono seconds; None: nothing is due."""
        deadlines = [machine.next_deadline() for machine in (*self._all(), *self._plugs.values())]
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def views(self, now: Now) -> dict[str, DeviceView]:
        """Every device as it stands, by key."""
        views = {view.key: view for view in (machine.view(now) for machine in self._all())}
        views |= {key: plug.view() for key, plug in self._plugs.items()}
        for key, sensor in self._spec.sensors.items():
            reading = self._readings[key]
            fresh = reading.value is not None and reading.up and now.mono - reading.mono <= sensor.stale_after
            views[key] = DeviceView(
                key, "sensor", sensor.name, available=fresh, state={"value": reading.value, "unit": sensor.unit}
            )
        return views

    def _all(self) -> Iterator[Projector | Pump]:
        yield from self._projectors.values()
        yield from self._pumps.values()

    # -- commands ------------------------------------------------------------------------------------------------

    def _command(self, event: CommandHeard, now: Now, out: Decision) -> None:
        objection = self._interpreter.guard(event, now)
        if objection is None and self._stopping:
            objection = Objection(Say.REFUSED, "stopping", "the daemon is stopping", "服务正在停止")
        if objection is not None:
            self._object(event, objection, out)
            return
        if event.delivery.has_id or event.delivery.packet is not None:
            out.remember["seen"] = self._interpreter.seen  # a broker may redeliver it after our restart
        try:
            steps = self._interpreter.meaning(event)
        except ValueError as why:
            self._object(event, Objection(Say.REFUSED, "interpret", str(why), f"听不懂「{event.text[:40]}」"), out)
            return
        objection = self._interpreter.twin(event, steps, now)
        if objection is not None:
            self._object(event, objection, out)
            return
        if event.origin.startswith(SPOKEN):
            self._spoken |= {step.id for step in steps}
        if len(steps) > 1:
            scene = _Scene(event.id, {step.id for step in steps})
            self._scenes |= {step.id: scene for step in steps}
            out.answer(event.id, None, Say.ACCEPTED, f"{len(steps)} steps", "好的")
        for step in steps:
            out.note(step.id, step.device, "interpret", f"{event.text[:80]!r} means {step.device}: {step.text}")
            self._wish(step, event, now, out)

    def _object(self, event: CommandHeard, objection: Objection, out: Decision) -> None:
        out.note(event.id, event.device, objection.rule, objection.why)
        out.answer(event.id, event.device, objection.say, objection.why, objection.zh)
        if event.origin.startswith(SPOKEN) and not event.delivery.retained and objection.say is not Say.DUPLICATE:
            self._spoken.add(event.id)

    def _wish(self, step: Step, event: CommandHeard, now: Now, out: Decision) -> None:
        key, intent = step.device, step.intent
        match intent:
            case SwitchPlug() if key in self._plugs:
                self._plugs[key].wish(intent, step.id, now, out)
            case RunPump() if key in self._pumps and (other := self._heater_serves(key, now)):
                why = f"{other} is running on the same heater: they take turns"
                out.note(step.id, key, "semantics 21", why)
                out.answer(step.id, key, Say.REFUSED, why, "同一台热水器正在给另一路供水，请稍后再试")
            case RunPump() | StopPump() | ResetPump() if key in self._pumps:
                self._pumps[key].wish(intent, step.id, event.person, now, out)
            case SwitchPlug() | RunPump() | StopPump() | ResetPump():
                self._misfit(step, out)
            case _ if key in self._projectors:
                self._projectors[key].wish(intent, step.id, now, out)
            case _:
                self._misfit(step, out)

    def _due(self, event: ScheduleDue, now: Now, out: Decision) -> None:
        pump = self._pumps.get(event.pump)
        if pump is None:
            return
        if other := self._heater_serves(event.pump, now):
            out.note(event.id, event.pump, "semantics 21", f"left out: {other} is running on the same heater")
            return
        pump.due(event, now, out)

    def _heater_serves(self, key: str, now: Now) -> str | None:
        """Which other pump is running on the same heater (rule 21); None: the heater is free."""
        heater = self._spec.pumps[key].heater
        for other, spec in self._spec.pumps.items():
            shared = other != key and heater is not None and spec.heater == heater
            if shared and self._pumps[other].view(now).state["phase"] in ("starting", "running"):
                return other
        return None

    def _misfit(self, step: Step, out: Decision) -> None:
        kinds: dict[str, Mapping[str, object]] = {
            "projector": self._projectors,
            "pump": self._pumps,
            "plug": self._plugs,
            "sensor": self._readings,
        }
        kind = next((kind for kind, things in kinds.items() if step.device in things), None)
        if kind is None:
            known = ", ".join(sorted({*self._projectors, *self._pumps, *self._plugs}))
            out.answer(
                step.id, step.device, Say.REFUSED, f"there is no {step.device!r} here; known: {known}", "没有这个设备"
            )
        else:
            why = f"{step.device} is a {kind}; it understands: {VERBS[kind]}"
            out.answer(step.id, step.device, Say.REFUSED, why, "这个设备不支持这个命令")

    def _fold_scenes(self, out: Decision) -> None:
        """Answer for the whole scene when its last step has ended."""
        for answer in list(out.answers):
            scene = self._scenes.get(answer.command) if answer.say.final else None
            if scene is None:
                continue
            del self._scenes[answer.command]
            scene.open.discard(answer.command)
            if answer.say is not Say.DONE:
                scene.bad.append(f"{answer.device}: {answer.why}")
            if not scene.open:
                say = Say.FAILED if scene.bad else Say.DONE
                why = "; ".join(scene.bad) or "every step is done"
                out.answers.append(Answer(scene.command, None, say, why, "没有全部完成" if scene.bad else "全部完成"))

    def _say_failures(self, out: Decision) -> None:
        """The speaker's own 好的 only says "heard": what was then refused or failed is said aloud."""
        for answer in out.answers:
            if answer.say is Say.DUPLICATE:
                continue  # the original's last answer is still to come
            if answer.say.final and answer.command in self._spoken:
                self._spoken.discard(answer.command)
                said = any(told.device == answer.device for told in out.announcements)  # by the machine, in its words
                if answer.say in (Say.REFUSED, Say.EXPIRED, Say.FAILED) and not said:
                    out.announce(answer.device, answer.why, answer.zh or answer.why)

    # -- facts ---------------------------------------------------------------------------------------------------

    def _plug(self, event: PlugReported, now: Now, out: Decision) -> None:
        plug = self._plugs.get(event.plug)
        if plug is None:
            return
        plug.report(event, out)
        if plug.owner in self._projectors:
            self._projectors[plug.owner].plug(event, now, out)
        elif plug.owner in self._pumps:
            self._pumps[plug.owner].plug(event, now, out)

    def _sensor(self, event: SensorReported, now: Now, out: Decision) -> None:
        reading = self._readings.get(event.sensor)
        if reading is None:
            return
        reading.value = event.value
        if not event.retained:  # history is shown, and is no reading of now
            reading.mono, reading.up = now.mono, True
        for pump in self._pumps.values():
            pump.sensor(event, now, out)

    def _endpoint(self, event: EndpointChanged, now: Now, out: Decision) -> None:
        key = event.endpoint.partition(".")[0]
        plug = self._plugs.get(key)
        if plug is not None:
            plug.endpoint(event)
            key = plug.owner or key
        if key in self._readings:
            self._readings[key].up = event.up
        if key in self._projectors:
            self._projectors[key].endpoint(event, now, out)
        elif key in self._pumps:
            self._pumps[key].endpoint(event, now, out)

    def _tick(self, now: Now, out: Decision) -> None:
        for machine in self._all():
            machine.tick(now, out)
        for plug in self._plugs.values():
            plug.tick(now, out)

    # -- the last gate -------------------------------------------------------------------------------------------

    def _pass_gate(self, now: Now, out: Decision) -> None:
        orders = []
        for order in out.orders:
            refusal = self._gate.check(order, now, lambda plug: self._why_not_cut(plug, now))
            if refusal is None:
                orders.append(order)
            else:
                out.refusals.append(refusal)
        out.orders = orders

    def _why_not_cut(self, plug: str, now: Now) -> str | None:
        """Why the mains of this plug may not be cut now; None when they may, or when no projector hangs on it."""
        owner = self._plugs[plug].owner if plug in self._plugs else None
        return self._projectors[owner].cut_allowed(now) if owner in self._projectors else None
