"""Getting a projector on and off: which channel next, until evidence says that it happened.

Theory of operation. At most one `Errand` (towards ON or OFF) exists, and at most one power order is in flight, which
is the transition lock: a second "on" joins the errand, an opposite wish replaces it and waits for the order in flight.
`pursue` is called after every event and does the next thing, or nothing:

1. The goal is reached when the belief says so (power table), never because a call returned (rule 10).
2. Without mains only the plug can help, whatever the configured order says.
3. BOOTING and WAKING take no orders: wait. COOLING: wait, unless a channel can wake it from there.
4. Otherwise the next channel in the configured order that can carry the order in this state. What certainly failed,
   or may have failed, passes to the next channel at once; what was taken has its confirm time first.
5. An order that a wrong belief makes harmful (a toggle; a plug cycle) waits until earlier orders can no longer take
   effect, and goes only on evidence that is younger than they are.
6. UNKNOWN: look first. The second round tries what was unreachable in the first; then the errand has failed.
7. A set-up that can see nothing gives each order its time and says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from homebridge_svc.core.channels import (
    ORDER_LIFE,
    PLUG_WITHIN,
    UNREACHABLE,
    Probes,
    carriers,
    needs_certainty,
    state_of,
    unfit,
    within,
)
from homebridge_svc.core.errand import (
    CYCLE_DARK,
    HAPPENED,
    LOST,
    PLUG_CONFIRM,
    PLUG_PAUSE,
    PLUG_TRIES,
    ROUNDS,
    Ended,
    Errand,
)
from homebridge_svc.core.evidence import DOWN, FRESH, NEVER, Sign, SleepWindow
from homebridge_svc.core.model import Power
from homebridge_svc.core.orders import Outcome, Result, Say, Sleep, SwitchOff, SwitchOn, Wake
from homebridge_svc.core.power_table import CUT_FRESH, Belief, may_cut

if TYPE_CHECKING:
    from homebridge_svc.core.events import OrderFinished
    from homebridge_svc.core.model import Now, ProjectorSpec
    from homebridge_svc.core.orders import Action, Decision, Order


@dataclass(slots=True)
class PowerDrive:
    """The errands of one projector, and the lock on its power orders."""

    spec: ProjectorSpec
    belief: Belief
    probes: Probes
    errand: Errand | None = None
    flight: tuple[Order, str] | None = None  # the power order under way and its channel

    # -- wishes --------------------------------------------------------------------------------------------------

    def want(self, goal: Power, command: str | None, now: Now, out: Decision) -> None:
        """Start an errand, or join the one that has the same goal; an opposite one is superseded."""
        if self.errand is not None and self.errand.goal is goal:
            if command is not None:
                self.errand.commands.append(command)
                out.note(command, self.spec.key, "power drive 0", "joins the errand under way")
            return
        self.drop(f"power {goal.value} was asked for", "已有新的开关机指令", out)
        plan = self.spec.power_on if goal is Power.ON else self.spec.power_off
        self.errand = Errand(goal, [] if command is None else [command], now.mono, list(plan))

    def drop(self, why: str, zh: str, out: Decision) -> None:
        """End the errand because something newer counts."""
        if self.errand is not None:
            self._answer(out, Say.SUPERSEDED, why, zh)
            self.errand = None

    # -- facts ---------------------------------------------------------------------------------------------------

    def finished(self, event: OrderFinished, now: Now, out: Decision) -> bool:
        """Take note of the end of our power order; False when it was another one."""
        if self.flight is None or self.flight[0].id != event.order.id:
            return False
        self._landed(event.outcome, now, out)
        return True

    def expire(self, now: Now, out: Decision) -> None:
        """An order whose end nobody reports may have happened."""
        if self.flight is not None and now.mono >= self.flight[0].expires + LOST:
            self._landed(Outcome(Result.UNKNOWN, "its end was never reported"), now, out)

    def _landed(self, outcome: Outcome, now: Now, out: Decision) -> None:
        if self.flight is None:
            return
        (order, channel), self.flight = self.flight, None
        happened, errand, belief = outcome.result in HAPPENED, self.errand, self.belief
        detail = f": {outcome.detail}" if outcome.detail else ""
        out.note(order.command, self.spec.key, "power drive 4", f"{channel}: {outcome.result.value}{detail}")
        seconds = PLUG_CONFIRM if channel == "plug" else self._confirm(channel)
        match order.action:
            case Wake() | SwitchOn():
                if happened:
                    belief.wake_until = now.mono + seconds
                else:
                    belief.not_woken()
            case Sleep() if belief.sleep is not None:
                taken = outcome.result is Result.DONE
                window = SleepWindow(belief.sleep.sent, now.mono + seconds, taken, belief.sleep.answering)
                belief.sleep = window if happened else None
            case _:
                pass
        if errand is None or (errand.goal is Power.ON) is isinstance(order.action, Sleep):
            return
        errand.last_power = now.mono
        errand.sent |= happened
        errand.tried.append(f"{channel}: {outcome.result.value}{detail}")
        errand.retry |= outcome.result in (Result.UNREACHABLE, *HAPPENED)
        errand.window = now.mono + seconds if outcome.result is Result.DONE else NEVER
        if isinstance(order.action, SwitchOff):
            errand.cycle_at, errand.window = (now.mono + CYCLE_DARK, NEVER) if happened else (None, NEVER)
        elif channel == "plug" and outcome.result is not Result.DONE:
            errand.window = now.mono + (PLUG_CONFIRM if happened else PLUG_PAUSE)

    # -- the next thing ------------------------------------------------------------------------------------------

    def pursue(self, now: Now, out: Decision) -> Ended | None:  # noqa: PLR0911  one way out per rule
        """Do the next thing for the errand."""
        errand, phase = self.errand, self.belief.phase
        if errand is None or self.flight is not None:
            return None
        if self._reached(errand):
            return self._succeed(errand, out)
        if errand.cycle_at is not None:
            if phase is Power.BOOTING:
                errand.cycle_at = None
            elif now.mono >= errand.cycle_at:
                errand.cycle_at = None
                self._plug_on(errand, now, out)
            return None
        if self._must_wait(errand, now.mono):
            return None
        if errand.goal is Power.OFF and errand.sent and self.belief.facts.blind:
            self.belief.take(Sign.SLEEP_SENT_BLIND, now.mono)
            return self._succeed(errand, out)
        if phase is Power.CUT:
            if errand.plug_tries >= PLUG_TRIES or self.spec.plug is None:
                return self._fail(errand, out)
            self._plug_on(errand, now, out)
            return None
        return self._next_channel(errand, now, out)

    def _reached(self, errand: Errand) -> bool:
        if errand.goal is Power.OFF:
            return self.belief.phase in DOWN
        return self.belief.phase in (Power.ON, Power.LIGHT_OFF) and self.belief.sleep is None

    def _must_wait(self, errand: Errand, mono: float) -> bool:
        phase = self.belief.phase
        if mono < errand.window or phase is Power.BOOTING:
            return True
        sleeping = self.belief.sleep is not None
        if errand.goal is Power.OFF:
            return phase is Power.WAKING or (sleeping and not errand.sent)
        if phase is Power.COOLING:
            return not carriers(self.spec, self.spec.power_on, Wake, Power.COOLING)
        return sleeping or (phase is Power.WAKING and not errand.sent)  # an earlier errand's order may take effect

    def _next_channel(self, errand: Errand, now: Now, out: Decision) -> Ended | None:
        action: Action = Wake() if errand.goal is Power.ON else Sleep()
        if self.belief.phase is Power.UNKNOWN and not self._looked(errand.begun, errand, now, out):
            return None
        while True:
            while errand.plan:
                name = errand.plan[0]
                if self._too_early(name, action, errand, now, out):
                    return None
                errand.plan.pop(0)
                why_not = self._why_not(name, action, errand, now)
                if why_not is None:
                    self._send(name, action, errand, now, out)
                    return None
                errand.tried.append(f"{name}: {why_not}")
                errand.retry |= why_not == UNREACHABLE
                out.note(errand.command, self.spec.key, "power drive 4", f"passed over {name}: {why_not}")
            if errand.round < ROUNDS and errand.retry:
                errand.round, errand.retry = errand.round + 1, False
                errand.plan = list(self.spec.power_on if errand.goal is Power.ON else self.spec.power_off)
                continue
            if self.belief.phase is Power.WAKING or self.belief.sleep is not None:
                return None  # the last order may still take effect
            return self._fail(errand, out)

    def _too_early(self, name: str, action: Action, errand: Errand, now: Now, out: Decision) -> bool:
        """Tell whether this channel must wait: until earlier orders can no longer take effect, or for a look."""
        ability = self.spec.channels.get(name)
        if name == "plug_cycle":
            if self.belief.phase is Power.WAKING:
                return True
            return not self._looked(max(errand.begun, errand.last_power, now.mono - CUT_FRESH), errand, now, out)
        if ability is None or type(action) not in ability.carries or not needs_certainty(ability, type(action)):
            return False
        if self.belief.phase is Power.WAKING or self.belief.sleep is not None:
            return True
        return not self._sure(errand, now.mono) and not self._looked(
            max(errand.begun, errand.last_power), errand, now, out
        )

    def _why_not(self, name: str, action: Action, errand: Errand, now: Now) -> str | None:
        """Say why this channel is passed over; None when it is used."""
        facts, phase = self.belief.facts, self.belief.phase
        if name in ("plug", "plug_cycle"):
            if self.spec.plug is None:
                return "it has no plug"
            if errand.plug_tries:
                return "the plug was tried already"
            if name == "plug":
                return "its mains are on already" if facts.plug_on or phase is Power.OFF else None
            return self.why_not_cut(now.mono)
        reachable = facts.up.get(name) is not False or errand.round > 1
        ability = self.spec.channels.get(name)
        why_not = unfit(ability, type(action), state_of(phase), reachable=reachable)
        if why_not is None and ability and needs_certainty(ability, type(action)) and not self._sure(errand, now.mono):
            return "its state is not certain enough for that"
        return why_not

    def why_not_cut(self, mono: float) -> str | None:
        """Say why the mains must not be cut after the last look; None when they may (rule 10)."""
        if self.spec.plug_meters and self.belief.facts.watts_at < self.probes.begun:
            return "its plug did not tell its watts when it was asked"
        return may_cut(self.belief, mono)

    def _sure(self, errand: Errand, mono: float) -> bool:
        """Tell whether fresh evidence, younger than our last power order, shows the phase we believe in."""
        affirmed = self.belief.facts.affirmed(self.belief.phase, mono)
        return affirmed > errand.last_power and mono - affirmed <= FRESH

    def _looked(self, since: float, errand: Errand, now: Now, out: Decision) -> bool:
        """Tell whether a look since then is complete; begin one if there is none."""
        if self.probes.begun < since:
            self.probes.begin(now, out, "look before acting", errand.command)
        return self.probes.looked_since(since)

    # -- orders --------------------------------------------------------------------------------------------------

    def _send(self, name: str, action: Action, errand: Errand, now: Now, out: Decision) -> None:
        if name == "plug":
            self._plug_on(errand, now, out)
            return
        if name == "plug_cycle":
            self.switch(SwitchOff(), now, out, channel=name, command=errand.command, why="plug cycle: off, 10 s, on")
            return
        until = now.mono + ORDER_LIFE + LOST + self._confirm(name)  # corrected when its outcome comes
        if isinstance(action, Wake):
            self.belief.take(Sign.WAKE_SENT, now.mono)
            self.belief.wake_until = until
        else:
            self.belief.sleep = SleepWindow(now.mono, until, taken=False, answering=self.belief.facts.live())
        ability = self.spec.channels[name]
        why = f"power {errand.goal.value} by {name}"
        out.note(errand.command, self.spec.key, "power drive 4", f"chosen: {name}, it can carry this now")
        order = out.order(
            f"{self.spec.key}.{name}",
            action,
            command=errand.command,
            reason=why,
            expires=now.mono + ORDER_LIFE,
            within=within(ability, type(action)),
            slot=f"{self.spec.key}.power",
        )
        self.flight = (order, name)

    def _plug_on(self, errand: Errand, now: Now, out: Decision) -> None:
        errand.plug_tries += 1
        if self.belief.phase is not Power.CUT and self.belief.take(Sign.WAKE_SENT, now.mono):
            self.belief.wake_until = now.mono + ORDER_LIFE + LOST + PLUG_CONFIRM
        why = "power on by its mains (it boots on AC)"
        self.switch(SwitchOn(), now, out, channel="plug", command=errand.command, why=why)

    def switch(
        self, action: SwitchOn | SwitchOff, now: Now, out: Decision, *, channel: str, command: str | None, why: str
    ) -> None:
        """Send a power order to the plug."""
        if self.spec.plug is None:
            return
        out.note(command, self.spec.key, "power drive 2", why)
        order = out.order(
            self.spec.plug,
            action,
            command=command,
            reason=why,
            expires=now.mono + ORDER_LIFE,
            within=PLUG_WITHIN,
            slot=f"{self.spec.key}.mains",
        )
        self.flight = (order, channel)

    def _confirm(self, channel: str) -> float:
        """Seconds until the effect of a power order over this channel must be seen."""
        ability = self.spec.channels.get(channel)
        if ability is None:
            return PLUG_CONFIRM
        facts = self.belief.facts
        only_watts = not any(a.sees_power or a.replies for a in self.spec.channels.values())
        if self.belief.phase is Power.LIGHT_OFF and only_watts and not facts.blind:
            return max(ability.confirm_s, self.spec.cool_down)  # its watts tell only when the fan has stopped
        return ability.confirm_s

    # -- the end -------------------------------------------------------------------------------------------------

    def _succeed(self, errand: Errand, out: Decision) -> Ended:
        on, blind = errand.goal is Power.ON, self.belief.facts.blind
        if blind and errand.sent:
            why, zh = "sent; this set-up cannot confirm", "已发出，本机无法确认结果"
        elif not errand.sent and not errand.tried:
            why, zh = f"it is {errand.goal.value} already", "已经是开着的" if on else "已经是关着的"
        elif on and self.belief.phase is Power.LIGHT_OFF:
            why, zh = "it is up, with its light off", "投影仪已开机，光源关闭"
        elif on:
            why, zh = "it is on", "投影仪已打开"
        else:
            why, zh = "it is off", "投影仪已关闭"
        self._answer(out, Say.DONE, why, zh)
        self.errand = None
        return Ended(errand.goal, good=True)

    def _fail(self, errand: Errand, out: Decision) -> Ended:
        tried = "; ".join(dict.fromkeys(errand.tried)) or "no channel is configured for it"
        why = f"it did not go {errand.goal.value}: {tried}"
        self._answer(out, Say.FAILED, why, "没能打开投影仪" if errand.goal is Power.ON else "没能关闭投影仪")
        self.errand = None
        return Ended(errand.goal, good=False)

    def _answer(self, out: Decision, say: Say, why: str, zh: str) -> None:
        for command in self.errand.commands if self.errand is not None else ():
            out.answer(command, self.spec.key, say, why, zh)

    def deadline(self, mono: float) -> float | None:
        """When `pursue` or `expire` has something to do by time alone."""
        times: list[float | None] = []
        if self.flight is not None:
            times.append(self.flight[0].expires + LOST)
        if self.errand is not None:
            times += [self.errand.cycle_at, self.errand.window if self.errand.window > mono else None]
        return min((time for time in times if time is not None), default=None)
