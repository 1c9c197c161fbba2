"""One projector machine around a simulated body: wires with delays and faults, a meter, a hand, restarts.

No sockets and no real time: `advance` plays events in order. What must never happen is asserted where it would
happen, at the order that would do it.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from homebridge_svc.core.events import EndpointChanged, OrderFinished, PlugReported, ProjectorReported
from homebridge_svc.core.intents import ProjectorIntent
from homebridge_svc.core.model import Ability, Json, Now, Power, ProjectorSpec
from homebridge_svc.core.orders import (
    Action,
    Answer,
    ChooseInput,
    Decision,
    LaunchApp,
    LightOff,
    LightOn,
    Note,
    Order,
    Outcome,
    PressKeys,
    PutMute,
    PutVolume,
    ReadState,
    Result,
    Say,
    Sleep,
    SwitchOff,
    SwitchOn,
    Wake,
)
from homebridge_svc.core.projector import Projector
from homebridge_svc.virtual_home.projector_body import Body, ProjectorBody

KEY, PLUG = "cinema", "cinema_plug"
EPOCH = datetime(2025, 1, 1, 12, tzinfo=UTC)
UP = frozenset({Power.ON, Power.LIGHT_OFF})
ANY = frozenset(Power)
POLL = 5.0  # s between an adapter's own looks
DEAF_AFTER = 2.0  # s until an order to a silent peer has failed

ADB = Ability(
    carries={
        ReadState: ANY,
        Wake: frozenset({Power.OFF, Power.UNKNOWN}),
        Sleep: UP | {Power.UNKNOWN},
        PressKeys: UP,
        PutVolume: UP,
        PutMute: UP,
        ChooseInput: UP,
        LaunchApp: UP,
    },
    replies=True,
    confirm_s=10.0,
    sees_power=True,
)
UDP = Ability(
    carries={
        ReadState: ANY,
        Sleep: UP | {Power.UNKNOWN},
        PressKeys: UP,
        LightOff: frozenset({Power.ON}),
        LightOn: frozenset({Power.LIGHT_OFF}),
    },
    replies=True,
    confirm_s=10.0,
    sees_power=True,
)
UDP_IN_STANDBY = replace(UDP, sees_power=False)  # answers in its sleep, so its answers tell little
IR = Ability(  # discrete codes
    carries={Wake: ANY - {Power.CUT}, Sleep: UP | {Power.UNKNOWN}, PressKeys: UP | {Power.UNKNOWN}},
    replies=False,
    confirm_s=20.0,
)
IR_TOGGLE = Ability(carries={Wake: frozenset({Power.OFF}), Sleep: UP, PressKeys: UP}, replies=False, confirm_s=20.0)
REMOTE = Ability(carries={Wake: frozenset({Power.OFF, Power.UNKNOWN})}, replies=False, confirm_s=25.0)  # like BLE

Fault = str  # "" · lost · unreachable · failed · unknown · unknown_done · unsupported · late


def spec(**changes: Any) -> ProjectorSpec:  # noqa: ANN401  any field of ProjectorSpec
    """A projector with everything, unless `changes` say otherwise."""
    values: dict[str, Any] = {
        "key": KEY,
        "name": "客厅投影",
        "plug": PLUG,
        "plug_meters": True,
        "channels": {"adb": ADB, "udp": UDP, "ir": IR},
        "power_on": ("plug", "adb", "ir", "plug_cycle"),
        "power_off": ("udp", "adb", "ir"),
        "orders": ("adb", "udp", "ir"),
        "cut_after": 300.0,
        "cool_down": 60.0,
        "inputs": {"电脑": "hdmi1"},
        "apps": {"哔哩哔哩": "com.bili"},
        "volume_max": 30,
    }
    return ProjectorSpec(**(values | changes))


@dataclass(order=True)
class _Due:
    at: float
    number: int
    act: Callable[[], None] = field(compare=False)


class House:
    """The machine, the body, and the wires between them."""

    def __init__(
        self,
        projector: ProjectorSpec,
        *,
        mains: bool = True,
        asleep_network: bool = False,
        auto_boot: bool = True,
        memory: Mapping[str, Json] | None = None,
    ) -> None:
        self.spec = projector
        self.mono = 1000.0
        self.body = ProjectorBody(
            lambda: self.mono, mains=mains, asleep_network=asleep_network, auto_boot=auto_boot, cool_time=20.0
        )
        if not mains:
            self.body.mains = True
            self.body.set_mains(False)
        self.faults: dict[str, list[Fault]] = {}  # per endpoint, used up one by one
        self.always: dict[str, Fault] = {}
        self.away: set[str] = set()  # endpoints that nobody reaches
        self.lose_reports = False
        self.noise = 0.0
        self.answers: list[Answer] = []
        self.notes: list[Note] = []
        self.orders: list[Order] = []
        self.announced: list[str] = []
        self.memory: dict[str, Json] = dict(memory or {})
        self.live: dict[str, bool] = {}
        self.open_orders: dict[str, Order] = {}
        self.asked: list[str] = []
        self.hand_on_at: float = float("-inf")
        self.mains_were_away = False
        self._queue: list[_Due] = []
        self._count = 0
        self.machine = Projector(projector)
        self._call(lambda now, out: self.machine.start(self.memory, now, out))
        self._at(0.2, self._poll)

    # -- playing time --------------------------------------------------------------------------------------------

    def now(self) -> Now:
        return Now(EPOCH + timedelta(seconds=self.mono), self.mono)

    def advance(self, seconds: float) -> None:
        """Play everything that happens in the next `seconds`."""
        end, events = self.mono + seconds, 0
        while True:
            deadline = self.machine.next_deadline()
            assert deadline is None or deadline > self.mono - 1e-9, "a deadline in the past spins the loop"
            due = self._queue[0].at if self._queue else end + 1
            at = min(due, deadline if deadline is not None else end + 1)
            if at > end:
                break
            events += 1
            assert events < 50 * (seconds + 100), "the machine spins"
            self.mono = max(self.mono, at)
            if at == due:
                heapq.heappop(self._queue).act()
            else:
                self._call(self.machine.tick)
        self.mono = end

    def until(self, phase: Power, within: float) -> float:
        """Advance until the machine believes in `phase`; return how long that took."""
        begun = self.mono
        while self.phase() is not phase:
            assert self.mono - begun < within, f"still {self.phase()} after {within} s: {self.view['why']}"
            self.advance(0.5)
        return self.mono - begun

    def restart(self, *, rebooted: bool = False) -> None:
        """The daemon dies and starts anew; orders under way still happen, their outcomes are lost."""
        self.open_orders.clear()
        self.asked = []
        self.answers = []
        self.live = {}
        self.machine = Projector(self.spec)
        self.memory["machine.rebooted"] = rebooted
        self.mains_were_away |= rebooted
        self._call(lambda now, out: self.machine.start(self.memory, now, out))
        self._poll(again=False)

    # -- people --------------------------------------------------------------------------------------------------

    def wish(self, intent: ProjectorIntent) -> str:
        """Say something; return the command's id."""
        command = f"c{len(self.asked)}-{self._count}"
        self.asked.append(command)
        self._call(lambda now, out: self.machine.wish(intent, command, now, out))
        return command

    def said(self, command: str) -> list[Say]:
        return [answer.say for answer in self.answers if answer.command == command]

    def why(self, command: str) -> str:
        return next(answer.why for answer in reversed(self.answers) if answer.command == command)

    def remote(self, on: bool) -> None:
        """A hand on the stock remote."""
        if on:
            self.body.wake()
            self.hand_on_at = self.mono
        else:
            self.body.sleep()

    def button(self, on: bool) -> None:
        """A hand on the plug; what it does to a running projector is the person's own affair."""
        self.body.set_mains(on)
        self.body.violent_cuts = 0
        if on:
            self.hand_on_at = self.mono
        self.plug_reports()

    # -- what one sees -------------------------------------------------------------------------------------------

    @property
    def view(self) -> Mapping[str, Json]:
        return self.machine.view(self.now()).state

    def phase(self) -> Power:
        return Power(str(self.view["phase"]))

    def sent(self, *kinds: type[Action], to: str | None = None) -> list[Order]:
        """Orders that left (all kinds but reads when none is named)."""
        return [
            order
            for order in self.orders
            if (isinstance(order.action, kinds) if kinds else not isinstance(order.action, ReadState))
            and to in (None, order.endpoint.removeprefix(f"{KEY}."))
        ]

    # -- wires ---------------------------------------------------------------------------------------------------

    def plug_reports(self, *, retained: bool = False) -> None:
        if self.spec.plug is None or PLUG in self.away or (self.lose_reports and not retained):
            return
        watts = max(0.0, self.body.watts + self.noise) if self.spec.plug_meters else None
        event = PlugReported(self._id(), self.now(), PLUG, self.body.mains, watts, retained)
        self._call(lambda now, out: self.machine.plug(event, now, out))

    def channel_reports(self, name: str) -> None:
        ability = self.spec.channels[name]
        awake = self.body.awake
        power = (Power.ON if awake else Power.OFF) if ability.sees_power else None
        volume = self.body.volume if name == "adb" else None
        muted = self.body.muted if name == "adb" else None
        event = ProjectorReported(self._id(), self.now(), KEY, name, power, volume=volume, muted=muted)
        self._call(lambda now, out: self.machine.report(event, now, out))

    def endpoint(self, endpoint: str, up: bool) -> None:
        if self.live.get(endpoint) is not up:
            self.live[endpoint] = up
            self.mains_were_away |= endpoint == PLUG and not up
            event = EndpointChanged(self._id(), self.now(), endpoint, up)
            self._call(lambda now, out: self.machine.endpoint(event, now, out))

    def _poll(self, *, again: bool = True) -> None:
        """What adapters do by themselves."""
        if self.spec.plug is not None:
            self.endpoint(PLUG, PLUG not in self.away)
            self.plug_reports()
        for name, ability in self.spec.channels.items():
            if ability.replies:
                up = self._hears(name)
                self.endpoint(f"{KEY}.{name}", up)
                if up and not self.lose_reports:
                    self.channel_reports(name)
        if again:
            self._at(POLL, self._poll)

    def _execute(self, order: Order) -> None:
        name = order.endpoint.removeprefix(f"{KEY}.")
        queue, fault = self.faults.get(name, []), self.always.get(name, "")
        if isinstance(order.action, ReadState):
            fault = fault if fault in ("unreachable", "unknown") else ""
        elif queue:
            fault = queue.pop(0)
        if fault == "late":
            self._at(order.expires - self.mono + 1.0, lambda: self._finish(order, Result.EXPIRED))
            return
        if not self._hears(name) or fault == "unreachable":
            self._at(DEAF_AFTER, lambda: self._finish(order, Result.UNREACHABLE))
        elif fault in ("failed", "unsupported"):
            self._at(0.1, lambda: self._finish(order, Result(fault)))
        else:
            self._at(0.1, lambda: self._carry_out(order, name, fault))

    def _carry_out(self, order: Order, name: str, fault: Fault) -> None:
        assert self.mono <= order.expires
        if not self._hears(name):
            self._at(DEAF_AFTER, lambda: self._finish(order, Result.UNKNOWN))
            return
        if fault not in ("lost", "unknown"):
            self._effect(order.action, name)
        result = Result.UNKNOWN if fault.startswith("unknown") else Result.DONE
        self._at(DEAF_AFTER if result is Result.UNKNOWN else 0.0, lambda: self._finish(order, result))

    def _effect(self, action: Action, name: str) -> None:  # noqa: C901, PLR0912  one arm per action
        body = self.body
        match action:
            case SwitchOn():
                body.set_mains(True)
            case SwitchOff():
                body.set_mains(False)
                if self.mono - self.hand_on_at < DEAF_AFTER or not self.spec.plug_meters:
                    body.violent_cuts = 0  # `_check` has judged what could be known
            case Wake():
                body.wake()
            case Sleep():
                body.sleep()
            case LightOff() | LightOn():
                body.light(isinstance(action, LightOn))
            case PressKeys(keys=keys):
                for key in keys:
                    body.press(key)
            case PutVolume(level=level) if body.awake:
                body.volume = level
            case PutMute(on=on) if body.awake:
                body.muted = on
            case ChooseInput(name=chosen) if body.awake:
                body.input = chosen
            case LaunchApp(package=package) if body.awake:
                body.app = package
            case _:
                pass
        if name == PLUG:
            self.plug_reports()
        elif isinstance(action, ReadState):
            self.channel_reports(name)

    def _finish(self, order: Order, result: Result) -> None:
        if self.open_orders.pop(order.id, None) is None:
            return  # from before a restart
        event = OrderFinished(self._id(), self.now(), order, Outcome(result))
        self._call(lambda now, out: self.machine.finished(event, now, out))

    def _hears(self, name: str) -> bool:
        """An order over this endpoint would reach somebody."""
        if name in self.away:
            return False
        if name not in self.spec.channels or not self.spec.channels[name].replies:
            return True
        return self.body.awake if self.spec.channels[name] is UDP else self.body.listening

    # -- the engine's part ---------------------------------------------------------------------------------------

    def _call(self, act: Callable[[Now, Decision], None]) -> None:
        now, out = self.now(), Decision(cause=self._id())
        act(now, out)
        self.memory |= out.remember
        self.notes += out.notes
        self.announced += [announcement.text for announcement in out.announcements]
        for answer in out.answers:
            assert answer.why
            assert answer.zh
            assert not any(a.say.final for a in self.answers if a.command == answer.command), "two final answers"
            self.answers.append(answer)
        for order in out.orders:
            self._check(order, now)
            self.orders.append(order)
            self.open_orders[order.id] = order
            self._execute(order)

    def _check(self, order: Order, now: Now) -> None:
        """What no order may ever do."""
        assert order.expires > now.mono
        if isinstance(order.action, Wake | SwitchOn):
            assert order.command is not None, "nobody asked for that"
        if isinstance(order.action, Sleep) and order.command is None:
            assert self.mains_were_away, "a change by hand was reversed"
        if order.command is not None and not isinstance(order.action, ReadState):
            finals = [answer for answer in self.answers if answer.command == order.command and answer.say.final]
            assert not finals, "an order for a command that has ended"
        if isinstance(order.action, SwitchOff):
            assert self.machine.cut_allowed(now) is None, "the gate would refuse this cut"
            freshly_woken = now.mono - self.hand_on_at < 1.0 or (
                not self.spec.plug_meters and now.mono - self.hand_on_at <= self.body.boot_time + POLL
            )  # nobody can see that yet
            assert self.body.state in (Body.ASLEEP, Body.DARK) or freshly_woken, f"a violent cut: {self.body.state}"
        power = [o for o in self.open_orders.values() if isinstance(o.action, Wake | Sleep | SwitchOn | SwitchOff)]
        if isinstance(order.action, Wake | Sleep | SwitchOn | SwitchOff):
            assert not power, "two power orders in flight"
        name = order.endpoint.removeprefix(f"{KEY}.")
        if name in self.spec.channels:
            carried = self.spec.channels[name].carries[type(order.action)]
            if Power.UNKNOWN not in carried:
                assert self.phase() is not Power.UNKNOWN, "a toggle in UNKNOWN"

    def check_answers(self) -> None:
        """Every command was answered at once, and has exactly one final answer by now."""
        finals = Counter(answer.command for answer in self.answers if answer.say.final)
        for command in self.asked:
            assert finals[command] == 1, (command, self.said(command), self.view)

    def _at(self, seconds: float, act: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._queue, _Due(self.mono + seconds, self._count, act))

    def _id(self) -> str:
        self._count += 1
        return f"e{self._count}"
