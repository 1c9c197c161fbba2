"""The power table: which sign turns which belief about a projector into which other one.

Theory of operation. `Belief` holds one phase (`model.Power`) and when it began. `settle` looks at the signs that
stand now (core/evidence.py) and applies the first row of `TABLE` that fits, until none does. A row fits when

* the phase is one of its `phases`;
* its sign stands, and its newest evidence came more than `grace` after the phase began (old news, and what was under
  way when the phase began, cannot overturn a newer belief);
* the sign has stood for at least `hold` (one strange reading is not a change).

`grace` may name a duration that belongs to the projector or to the order under way (`Wait`). `deadline` says when the
next row may become ripe by time alone, so nothing polls. The rows are data: `diagram` draws them.

Doubt always falls to the safe side: what might be on is not off (rule 10), UNKNOWN allows no cut, and a light engine
that is off is not a power-off (rule 13). `may_cut` is the one place that says whether mains may go.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from homebridge_svc.core.evidence import FRESH, NEVER, UP_AND_RUNNING, Facts, Sign, SleepWindow
from homebridge_svc.core.model import Power

if TYPE_CHECKING:
    from homebridge_svc.core.model import ProjectorSpec

SETTLE = 10.0  # s: reports that were under way when something changed have arrived by then
METER_SETTLE = 15.0  # s: the same for watts; some meters average over ten seconds
FAINT_HOLD = 10.0  # s of low watts before an unexpected off is believed
BOOT_FAINT_HOLD = 20.0  # s of low watts after the mains came: it does not boot by itself
CUT_FRESH = 10.0  # s: the reading that a cut rests on is at most this old


class Wait(StrEnum):
    """Durations that are not constants."""

    BOOT = "boot_time"
    BOOT_AND_SETTLE = "boot_time and 10 s"
    COOL = "cool_down"
    COOL_TWICE = "twice cool_down"
    WAKE = "the confirm time of the order to wake"


@dataclass(frozen=True, slots=True)
class Row:
    """One numbered transition; see the module's theory of operation."""

    number: int
    phases: frozenset[Power]
    sign: Sign
    to: Power
    why: str
    zh: str
    grace: float | Wait = 0.0
    hold: float = 0.0


def _rows() -> tuple[Row, ...]:
    """Build the table; the order of rows is their precedence."""
    off, waking, booting, on = Power.OFF, Power.WAKING, Power.BOOTING, Power.ON
    light_off, cooling, cut, unknown = Power.LIGHT_OFF, Power.COOLING, Power.CUT, Power.UNKNOWN
    up, down = {on, light_off}, {cooling, off, cut}
    lines: tuple[tuple[set[Power], Sign, Power, str, str, float | Wait, float], ...] = (
        # mains
        (set(Power) - {cut}, Sign.MAINS_OFF, cut, "the plug is off", "插座已断电", 0, 0),
        ({cut}, Sign.MAINS_ON, booting, "mains have come, it boots", "已通电，正在开机", 0, 0),
        ({unknown, on}, Sign.MAINS_RETURNED, booting, "mains have come back, it boots", "恢复供电，正在开机", 0, 0),
        # what our own orders lead to
        ({off, cooling, unknown}, Sign.WAKE_SENT, waking, "an order to wake has left", "已发出唤醒指令", 0, 0),
        (up | {unknown}, Sign.SLEEP_SENT_BLIND, cooling, "soft off was sent", "已发出关机指令", 0, 0),
        ({on}, Sign.LIGHT_OFF_TAKEN, light_off, "its light is off, the system is up", "光源已关，系统仍在运行", 0, 0),
        ({light_off}, Sign.LIGHT_ON_TAKEN, on, "its light is on again", "光源已打开", 0, 0),
        ({on}, Sign.DIM_AFTER_SLEEP, cooling, "watts fell after soft off", "关机后功率已下降", 0, 0),
        (up | {unknown}, Sign.FAINT_AFTER_SLEEP, off, "it sleeps: low watts", "已关机(功率很低)", 0, 0),
        (up | {unknown}, Sign.SILENT_AFTER_SLEEP, cooling, "it fell silent after soft off", "关机后已无应答", 0, 0),
        # what the projector says
        ({unknown, waking, booting}, Sign.SAYS_ON, on, "it says that it is on", "投影仪报告已开机", 0, 0),
        (down, Sign.SAYS_ON, on, "it says that it is on", "投影仪报告已开机", SETTLE, 0),
        (
            {unknown, waking, booting, on},
            Sign.SAYS_LIGHT_OFF,
            light_off,
            "it says: light off",
            "投影仪报告光源已关",
            0,
            0,
        ),
        (down, Sign.SAYS_LIGHT_OFF, light_off, "it says: light off", "投影仪报告光源已关", SETTLE, 0),
        ({unknown, waking}, Sign.SAYS_BOOTING, booting, "it says that it boots", "投影仪报告正在开机", 0, 0),
        (down, Sign.SAYS_BOOTING, booting, "it says that it boots", "投影仪报告正在开机", SETTLE, 0),
        (up | {unknown}, Sign.SAYS_OFF, cooling, "it says that it is off", "投影仪报告已关机", 0, 0),
        ({booting}, Sign.SAYS_OFF, cooling, "it booted into standby", "开机后进入待机", SETTLE, 0),
        # what its watts say
        ({unknown}, Sign.BRIGHT, on, "it draws the watts of a lamp", "功率显示已开机", 0, 0),
        ({off, waking}, Sign.BRIGHT, booting, "it draws watts, it boots", "功率上升，正在开机", 0, 0),
        ({cooling}, Sign.BRIGHT, booting, "it draws watts again", "功率再次上升", METER_SETTLE, 0),
        ({light_off}, Sign.BRIGHT, on, "it draws the watts of a lamp", "功率显示光源已打开", METER_SETTLE, 0),
        ({booting}, Sign.BRIGHT, on, "it draws watts and had time to boot", "已过开机时间", Wait.BOOT, 0),
        ({unknown, cooling}, Sign.FAINT, off, "it sleeps: low watts", "已关机(功率很低)", 0, 0),
        (up, Sign.FAINT, off, "it sleeps: low watts", "已关机(功率很低)", 0, FAINT_HOLD),
        ({booting}, Sign.FAINT, off, "low watts: it does not boot", "功率很低，没有开机", 0, BOOT_FAINT_HOLD),
        ({waking}, Sign.FAINT, off, "low watts: it did not wake", "功率很低，没有唤醒", Wait.WAKE, 0),
        (
            {off},
            Sign.DIM,
            unknown,
            "more watts than asleep, fewer than on",
            "功率不高不低，状态不明",
            0,
            BOOT_FAINT_HOLD,
        ),
        ({cooling}, Sign.DIM, unknown, "no fan runs that long", "散热时间过长，状态不明", Wait.COOL_TWICE, 0),
        # answers of channels that cannot tell power
        ({unknown, waking, booting}, Sign.ANSWERS, on, "it answers", "投影仪有应答", 0, 0),
        (
            {booting},
            Sign.ANSWERS_ONLY,
            on,
            "it answers and had time to boot",
            "投影仪有应答，已过开机时间",
            Wait.BOOT,
            0,
        ),
        ({unknown}, Sign.ANSWERS_ONLY, on, "it answers, and nothing says off", "投影仪有应答", 0, SETTLE),
        (down, Sign.CAME_UP, on, "it answers again", "投影仪恢复应答", SETTLE, 0),
        # time
        (
            {booting},
            Sign.BLIND,
            on,
            "it had time to boot; nothing here can see more",
            "已过开机时间(无法确认)",
            Wait.BOOT,
            0,
        ),
        ({booting}, Sign.TIME, unknown, "it has not answered in time", "超过开机时间仍无应答", Wait.BOOT_AND_SETTLE, 0),
        (
            {waking},
            Sign.BLIND,
            booting,
            "it had time to wake; nothing here can see more",
            "已发出唤醒(无法确认)",
            Wait.WAKE,
            0,
        ),
        (up, Sign.UNHEARD, unknown, "nothing has been heard of it for long", "很久没有收到它的消息", 0, FRESH),
        ({waking}, Sign.TIME, unknown, "nothing was seen of the wake", "唤醒后没有反应", Wait.WAKE, 0),
        ({cooling}, Sign.TOLD_OFF, off, "it said off, and the fan had its time", "已关机并完成散热", Wait.COOL, 0),
        ({cooling}, Sign.LIKELY_OFF, off, "silent since our soft off: asleep", "关机后一直无应答", Wait.COOL, 0),
        (
            {cooling},
            Sign.NO_METER,
            unknown,
            "nothing here can tell whether it sleeps",
            "无法确认是否已关机",
            Wait.COOL,
            0,
        ),
    )
    return tuple(Row(n, frozenset(p), s, t, why, zh, g, h) for n, (p, s, t, why, zh, g, h) in enumerate(lines, 1))


TABLE = _rows()


def diagram() -> str:
    """Draw the table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2"]
    lines += [
        f"    {phase.value} --> {row.to.value}: {row.number} {row.sign.value}"
        for row in TABLE
        for phase in Power
        if phase in row.phases
    ]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Step:
    """One change of belief; `since` is when `was` began. row: None where an order to wake certainly did not happen."""

    was: Power
    now: Power
    since: float
    row: Row | None


@dataclass(slots=True)
class Belief:
    """What we believe of a projector's power, and the windows in which our own orders may still take effect.

    wake_until, sleep: until when an effect of our order to wake (of our soft off) is expected.
    ours: it went off by our own soft off, seen to work.
    """

    spec: ProjectorSpec
    facts: Facts
    phase: Power = Power.UNKNOWN
    since: float = NEVER
    entered_by: Sign | None = None
    before_wake: tuple[Power, float, Sign | None] | None = None
    wake_until: float = NEVER
    sleep: SleepWindow | None = None
    ours: bool = False

    def settle(self, mono: float) -> list[Step]:
        """Apply rows until none is ripe; at most one per phase, so that contradicting facts cannot spin."""
        if self.sleep is not None and mono >= self.sleep.until:
            self.sleep = None
        steps: list[Step] = []
        while len(steps) < len(Power):
            row = next((row for row, ripe in self._ripening(mono) if ripe <= mono), None)
            if row is None:
                break
            steps.append(self._become(row, mono))
        return steps

    def take(self, sign: Sign, mono: float) -> list[Step]:
        """Apply the row of a sign that comes from our own order."""
        row = next((row for row in TABLE if row.sign is sign and self.phase in row.phases), None)
        if row is None:
            return []
        if row.to is Power.WAKING:
            self.before_wake = (self.phase, self.since, self.entered_by)
        return [self._become(row, mono)]

    def not_woken(self) -> list[Step]:
        """The order to wake certainly did not happen: what was believed before stands again."""
        self.wake_until = NEVER
        if self.phase is not Power.WAKING or self.before_wake is None:
            return []
        step = Step(Power.WAKING, self.before_wake[0], self.since, None)
        self.phase, self.since, self.entered_by = self.before_wake
        return [step]

    def deadline(self, mono: float) -> float | None:
        """When the next row becomes ripe by time alone."""
        times = [ripe for _, ripe in self._ripening(mono) if ripe > mono]
        if self.sleep is not None:
            times.append(self.sleep.until)
        return min(times, default=None)

    def _ripening(self, mono: float) -> list[tuple[Row, float]]:
        """Rows that fit now or will fit by time alone, each with when it is ripe."""
        signs = self.facts.signs(mono, self.sleep)
        if self.entered_by is not Sign.SILENT_AFTER_SLEEP:
            signs.pop(Sign.LIKELY_OFF, None)
        found: list[tuple[Row, float]] = []
        for row in TABLE:
            if self.phase not in row.phases or row.sign not in signs:
                continue
            seen, earliest = signs[row.sign], self.since + self._seconds(row.grace)
            if row.sign is Sign.CAME_UP and seen.since <= self.since:
                continue  # it was there all along
            if seen.at > earliest:
                found.append((row, max(earliest, seen.since + row.hold)))
        return found

    def _become(self, row: Row, mono: float) -> Step:
        step = Step(self.phase, row.to, self.since, row)
        if row.to in UP_AND_RUNNING or row.to in (Power.WAKING, Power.UNKNOWN):
            self.ours = False
        elif self.phase in UP_AND_RUNNING or self.phase is Power.UNKNOWN:
            self.ours = self.sleep is not None
        if row.to not in (Power.ON, Power.LIGHT_OFF, Power.UNKNOWN):
            self.sleep = None  # its effect has come, or something newer counts
        self.phase, self.since, self.entered_by = row.to, mono, row.sign
        return step

    def _seconds(self, grace: float | Wait) -> float:
        match grace:
            case Wait.BOOT:
                return self.spec.boot_time
            case Wait.BOOT_AND_SETTLE:
                return self.spec.boot_time + SETTLE
            case Wait.COOL:
                return self.spec.cool_down
            case Wait.COOL_TWICE:
                return 2 * self.spec.cool_down
            case Wait.WAKE:
                return max(0.0, self.wake_until - self.since)
            case _:
                return grace


def may_cut(belief: Belief, mono: float) -> str | None:
    """Say why the mains must not be cut now; None when they may (rules 10 and 13)."""
    if belief.phase is Power.CUT:
        return None
    if belief.phase is not Power.OFF:
        return f"it is not known to be off: {belief.phase.value}"
    return _not_proven(belief, mono) or _not_silent(belief)


def _not_proven(belief: Belief, mono: float) -> str | None:
    """Proof of off: low watts, just read; without a meter its own word and the time of its fan."""
    spec, facts = belief.spec, belief.facts
    if not spec.plug_meters:
        told = facts.told_off_at is not None and mono - facts.told_off_at >= spec.cool_down
        return None if told else "no meter, and it has not told us that it sleeps"
    if not facts.fresh(mono, CUT_FRESH):
        return f"no reading of its watts in the last {CUT_FRESH:.0f} s"
    if facts.band(mono) is not Sign.FAINT:
        return f"it draws {facts.watts:g} W"
    return None if mono - facts.band_since >= FAINT_HOLD else "its watts are low only since a moment"


def _not_silent(belief: Belief) -> str | None:
    """Silence: nobody says on, and nobody answers, unless our own soft off was seen to work."""
    speaker = belief.facts.says_on()
    if speaker is not None:
        return f"it says over {speaker} that it is on"
    speaker = belief.facts.answering()
    return None if speaker is None or belief.ours else f"it still answers over {speaker}"
