"""A projector: facts in, orders out.

Theory of operation. Every event is taken in as a fact (core/evidence.py); the power table (core/power_table.py, rows
with numbers) turns the signs of all facts into one belief; the power drive (core/power_drive.py) closes the gap
between that belief and a wish for ON or OFF, channel by channel, and cuts mains when that is safe; everything else
that a person may want waits in line in core/wishes.py. `_after` does these in this order after each event, until
nothing moves any more. What stands here are the rules that join them:

1. `desired` is what a person last wanted, by word or by hand. A change that no order of ours explains is a person's
   wish: it becomes `desired` and is never reversed (rule 11).
2. Mains that return (rule 12) look different from a hand: the *plug itself* was away while the projector was off and
   comes back on, with the projector booting at its first reading (or, without a meter, with mains that had been cut).
   That, and a boot found after the whole machine restarted (`memory["machine.rebooted"]`), ends in soft off and cut,
   unless the owner configured otherwise. A plug that was reachable when it went on was switched on by a person.
3. "Off" cancels all that waits; "on" while off is under way waits until it is clear that it is off, then wakes it.
4. A wish that meets UNKNOWN has a look taken first; where nobody can tell, the channels that may act blindly do.
5. Reads are repeated every 2 s while something changes or facts contradict each other, never at rest.
6. Remembered over a restart are `desired` and the last resting phase; belief itself starts as UNKNOWN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from homebridge_svc.core.channels import Probes
from homebridge_svc.core.evidence import DOWN, FRESH, NEVER, UP_AND_RUNNING, Facts, Sign
from homebridge_svc.core.intents import PowerWish, SetPower
from homebridge_svc.core.mains import Mains
from homebridge_svc.core.model import Power
from homebridge_svc.core.orders import (
    ChooseInput,
    LaunchApp,
    LightOff,
    LightOn,
    PressKeys,
    PutMute,
    PutVolume,
    Result,
    Say,
)
from homebridge_svc.core.power_drive import PowerDrive
from homebridge_svc.core.power_table import Belief, Step, may_cut
from homebridge_svc.core.projector_view import view
from homebridge_svc.core.wishes import Door, Wishes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homebridge_svc.core.events import EndpointChanged, OrderFinished, PlugReported, ProjectorReported
    from homebridge_svc.core.intents import ProjectorIntent
    from homebridge_svc.core.model import DeviceView, Json, Now, ProjectorSpec
    from homebridge_svc.core.orders import Action, Decision

LOOK = 6.0  # s for which a wish waits until it is known whether the projector is on
CONTRADICTION = 30.0  # s after a change for which contradicting facts are looked into
RESTING = frozenset({Power.ON, Power.LIGHT_OFF, Power.OFF, Power.CUT})
PASSES = 6  # a bound for `_after`; two or three are usual


class Projector:
    """One projector with all its channels. All times are policy seconds."""

    def __init__(self, spec: ProjectorSpec) -> None:
        self._spec = spec
        self._facts = Facts(spec)
        self._belief = Belief(spec, self._facts)
        self._probes = Probes(spec, self._facts)
        self._drive = PowerDrive(spec, self._belief, self._probes)
        self._mains = Mains(self._drive)
        self._wishes = Wishes(spec, self._facts)
        self._desired: Power | None = None
        self._remembered: dict[str, Json] = {}
        self._rested: Power | None = None
        self._vanished = False  # the plug went away while the projector was off, and is not back yet
        self._returned_until = NEVER  # until when a boot is put down to mains that returned
        self._asked_at = NEVER  # when a wish met UNKNOWN
        self._why = ("nothing is known yet", "尚无信息")
        self._deadline: float | None = None

    # -- events --------------------------------------------------------------------------------------------------

    def start(self, memory: Mapping[str, Json], now: Now, out: Decision) -> None:
        """Begin with what was remembered. `memory["machine.rebooted"]` True: mains may have been away."""
        remembered = memory.get(f"projector.{self._spec.key}")
        if isinstance(remembered, dict):
            self._desired = _power(remembered.get("desired"))
            self._rested = _power(remembered.get("phase"))
            self._remembered = remembered
        if memory.get("machine.rebooted") is True and self._rested in DOWN and self._desired is not Power.ON:
            self._returned_until = now.mono + self._spec.boot_time + LOOK
        self._probes.begin(now, out, "the daemon starts: look", None)
        self._after(now, out)

    def wish(self, intent: ProjectorIntent, command: str, now: Now, out: Decision) -> None:
        """Serve a person's or a program's wish; it is answered now, and once more when it has ended."""
        match intent:
            case SetPower(power=PowerWish.ON):
                self._want_on(command, now, out)
            case SetPower(power=PowerWish.OFF):
                out.answer(command, self._spec.key, Say.ACCEPTED, "power off", "好的，正在关机")
                self._wishes.cancel(Say.SUPERSEDED, "power off was asked for after it", "已改为关机", out)
                self._desired = Power.OFF
                self._drive.want(Power.OFF, command, now, out)
            case _:
                if self._belief.phase is Power.UNKNOWN:
                    self._look_for_wish(command, now, out)
                self._wishes.accept(intent, command, self._door(now.mono), now, out)
        self._after(now, out)

    def plug(self, event: PlugReported, now: Now, out: Decision) -> None:
        """Take in a fact of its plug."""
        self._facts.plug_reported(event, now.mono)
        self._after(now, out, from_plug=True)
        if not event.retained and (event.on is False or self._facts.band(now.mono) is Sign.FAINT):
            self._returned_until = NEVER  # whatever comes now, it did not boot by itself

    def report(self, event: ProjectorReported, now: Now, out: Decision) -> None:
        """Take in what one of its channels saw."""
        if event.channel in self._spec.channels:
            self._facts.reported(event, now.mono)
            self._after(now, out)

    def endpoint(self, event: EndpointChanged, now: Now, out: Decision) -> None:
        """Take in that its plug or one of its channels became reachable or not."""
        channel = event.endpoint.removeprefix(f"{self._spec.key}.")
        if event.endpoint == self._spec.plug:
            if not event.up and self._belief.phase in (Power.OFF, Power.CUT) and self._drive.errand is None:
                self._vanished = self._desired is not Power.ON
            elif event.up and self._vanished:
                self._vanished, self._returned_until = False, now.mono + self._spec.boot_time
            self._facts.plug_endpoint(event.up, now.mono)
        elif channel in self._spec.channels:
            self._facts.channel(channel, event.up, now.mono)
        else:
            return
        if event.up and self._belief.phase is Power.UNKNOWN:
            self._probes.begin(now, out, "it became reachable: look", None)
        self._after(now, out)

    def finished(self, event: OrderFinished, now: Now, out: Decision) -> None:
        """Take in the end of one of its orders; others are ignored."""
        order, done = event.order, event.outcome.result is Result.DONE
        channel = order.endpoint.removeprefix(f"{self._spec.key}.")
        if self._probes.finished(event):
            if channel in self._spec.channels and done:
                self._facts.answered(channel, now.mono)
        elif not self._drive.finished(event, now, out):
            self._taken(self._wishes.finished(event, self._belief.phase, now, out), now, out)
        if channel in self._spec.channels and event.outcome.result in (Result.UNREACHABLE, Result.UNKNOWN):
            self._facts.unheard(channel)
        self._after(now, out)

    def tick(self, now: Now, out: Decision) -> None:
        """Do what is due by time alone."""
        self._after(now, out)

    # -- questions -----------------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """When `tick` is wanted, mono."""
        return self._deadline

    def cut_allowed(self, now: Now) -> str | None:
        """Why its mains must not be cut now; None when they may (rule 10)."""
        return may_cut(self._belief, now.mono)

    def view(self, now: Now) -> DeviceView:
        """What people may see (core/projector_view.py)."""
        return view(self._belief, self._desired, self._wishes.waiting, self._why, now)

    # -- after each event ----------------------------------------------------------------------------------------

    def _after(self, now: Now, out: Decision, *, from_plug: bool = False) -> None:
        """Belief, drive, wishes, reads: until nothing moves."""
        self._drive.expire(now, out)
        self._probes.expire(now.mono)
        for _ in range(PASSES):
            before = (self._belief.phase, len(out.orders), self._drive.errand)
            self._moved(self._belief.settle(now.mono), now, out, from_plug=from_plug)
            ended = self._drive.pursue(now, out)
            if ended is not None and not ended.good:
                self._desired = _settled(self._belief.phase)
                if ended.goal is Power.ON:
                    self._wishes.cancel(Say.FAILED, "the projector did not come on", "投影仪没能打开", out)
            self._wishes.serve(self._door(now.mono), self._belief.phase, now, out)
            self._mains.cut(now, out)
            if before == (self._belief.phase, len(out.orders), self._drive.errand):
                break
        if self._changing(now.mono):
            coming = self._belief.phase in (Power.WAKING, Power.BOOTING)
            self._probes.repeat(now, out, everything=coming)
        self._remember(out)
        self._deadline = self._next(now.mono)

    def _moved(self, steps: list[Step], now: Now, out: Decision, *, from_plug: bool = False) -> None:
        """Write down each change of belief, and adopt those that no order of ours explains."""
        for step in steps:
            row = step.row
            command = self._drive.errand.command if self._drive.errand is not None else None
            if row is None:
                out.note(command, self._spec.key, "power table 0", f"{step.now.value} again: it was not woken")
                continue
            self._why = (row.why, row.zh)
            text = f"{step.was.value} -> {step.now.value}: {row.why}"
            out.note(command, self._spec.key, f"power table {row.number}", text)
            if step.now in UP_AND_RUNNING and step.was not in UP_AND_RUNNING:
                self._came_up(step, now, out, from_plug=from_plug)
            elif step.now in DOWN and step.was not in DOWN:
                self._went_down(step, out)

    def _came_up(self, step: Step, now: Now, out: Decision, *, from_plug: bool) -> None:
        """Rules 11 and 12: whose wish is it that it runs?"""
        errand, key = self._drive.errand, self._spec.key
        if step.was is Power.WAKING or errand is not None:
            return
        if self._spec.unexplained_boot and now.mono < self._returned_until and (from_plug or step.was is Power.UNKNOWN):
            self._returned_until = NEVER
            self._belief.take(Sign.MAINS_RETURNED, now.mono)
            self._desired = Power.OFF
            out.note(None, key, "semantics 12", "mains came back and it booted; nobody wanted that: soft off")
            out.announce(
                key,
                "Mains came back and the projector started by itself; it is switched off",
                "来电后投影仪自动开机，正在关闭",
            )
            self._drive.want(Power.OFF, None, now, out)
            return
        if self._desired is not Power.ON:
            out.note(None, key, "semantics 11", "it is on without an order of ours: a person wants it on")
        self._desired = Power.ON

    def _went_down(self, step: Step, out: Decision) -> None:
        """Rule 11: was it a person who switched it off?"""
        errand, key = self._drive.errand, self._spec.key
        self._facts.input = self._facts.app = None
        if errand is not None and errand.goal is Power.OFF:
            return
        if errand is not None and not self._by_hand(step):
            return
        if errand is not None:
            self._drive.drop("it was switched off by hand", "已被手动关闭", out)
        if not self._belief.ours and self._desired is Power.ON:
            out.note(None, key, "semantics 11", "it went off without an order of ours: a person wants it off")
        self._desired = Power.OFF
        if step.was is not Power.UNKNOWN:
            self._wishes.cancel(Say.SUPERSEDED, "the projector was switched off", "投影仪已被关闭", out)

    def _by_hand(self, step: Step) -> bool:
        """Tell whether it went off by a hand although an errand wants it on: not our cycle, not a missing boot."""
        if self._belief.ours or (self._drive.errand is not None and self._drive.errand.cycle_at is not None):
            return False
        if step.now is Power.CUT:
            return self._drive.flight is None and step.was in UP_AND_RUNNING
        return step.was in (Power.ON, Power.LIGHT_OFF) or self._facts.bright_at > step.since

    def _taken(self, action: Action | None, now: Now, out: Decision) -> None:
        """An order was taken: what follows from it, until the projector's own reports say more."""
        match action:
            case LightOff():
                self._moved(self._belief.take(Sign.LIGHT_OFF_TAKEN, now.mono), now, out)
            case LightOn():
                self._moved(self._belief.take(Sign.LIGHT_ON_TAKEN, now.mono), now, out)
            case PutVolume(level=level):
                self._facts.volume, self._facts.volume_at = level, now.mono
            case PutMute(on=on):
                self._facts.muted, self._facts.muted_at = on, now.mono
            case ChooseInput(name=name):
                self._facts.input = name
            case LaunchApp(package=package):
                self._facts.app = package
            case PressKeys():
                self._facts.volume_at = NEVER  # they may have moved it; channels look again by themselves
            case _:
                pass

    # -- small rules ---------------------------------------------------------------------------------------------

    def _want_on(self, command: str, now: Now, out: Decision) -> None:
        self._desired = Power.ON
        self._returned_until = NEVER
        if self._belief.phase is Power.LIGHT_OFF and self._drive.errand is None:
            self._wishes.accept(SetPower(PowerWish.LIGHT_ON), command, Door.OPEN, now, out)
            return
        out.answer(command, self._spec.key, Say.ACCEPTED, "power on", "好的，正在开机")
        self._drive.want(Power.ON, command, now, out)

    def _look_for_wish(self, command: str, now: Now, out: Decision) -> None:
        if self._probes.begun < now.mono - LOOK:
            self._probes.begin(now, out, "a wish came and its state is not known: look", command)
        self._asked_at = now.mono

    def _door(self, mono: float) -> Door:
        """What a wish meets now."""
        phase, errand = self._belief.phase, self._drive.errand
        if errand is not None:
            if errand.goal is Power.OFF:
                return Door.SHUT
            return Door.OPEN if phase in (Power.ON, Power.LIGHT_OFF) and self._belief.sleep is None else Door.OPENING
        if phase in (Power.ON, Power.LIGHT_OFF):
            return Door.OPEN
        if phase in (Power.WAKING, Power.BOOTING):
            return Door.OPENING
        if phase is Power.UNKNOWN:
            looking = not self._probes.looked_since(self._probes.begun) and mono < self._asked_at + LOOK
            return Door.UNSURE if looking else Door.OPEN
        return Door.SHUT

    def _changing(self, mono: float) -> bool:
        """Tell whether something changes, or facts contradict a young belief: then reads are repeated."""
        belief = self._belief
        if belief.phase in (Power.WAKING, Power.BOOTING, Power.COOLING) or belief.sleep is not None:
            return True
        errand, young = self._drive.errand, mono < belief.since + CONTRADICTION
        return errand is not None or (belief.phase is Power.OFF and young and self._facts.answering() is not None)

    def _next(self, mono: float) -> float | None:
        times = [
            self._belief.deadline(mono),
            self._drive.deadline(mono),
            self._mains.due(mono),
            self._wishes.deadline(),
            self._probes.deadline(),
            self._probes.next_at if self._changing(mono) else None,
            self._asked_at + LOOK,
            self._facts.watts_at + FRESH,
        ]
        return min((time for time in times if time is not None and time > mono), default=None)

    def _remember(self, out: Decision) -> None:
        """Write down what a restart must know, and only when it changed."""
        if self._belief.phase in RESTING:
            self._rested = self._belief.phase
        memory: dict[str, Json] = {
            "desired": self._desired.value if self._desired is not None else None,
            "phase": self._rested.value if self._rested is not None else None,
        }
        if memory != self._remembered:
            self._remembered = memory
            out.remember[f"projector.{self._spec.key}"] = memory


def _power(value: Json) -> Power | None:
    """A remembered word as a power state; None for anything else."""
    return Power(value) if isinstance(value, str) and value in set(Power) else None


def _settled(phase: Power) -> Power | None:
    """What an ended errand leaves as desired: what is."""
    if phase in UP_AND_RUNNING:
        return Power.ON
    return Power.OFF if phase in DOWN else None
