"""What is known about one projector: its facts with their times, and what each of them means.

A fact never says what the projector *is*; it gives a `Sign`. Signs are levels, not edges: they stand as long as the
facts behind them stand, so a lost or late message delays a conclusion but never inverts it. Each sign carries when
its newest evidence came (`at`) and since when it holds without a break (`since`); core/power_table.py compares both
with the age of the present belief, so that old evidence cannot overturn a newer belief.

Silence is no evidence of off (rule 10): a channel that goes away takes its "on" with it, and leaves nothing behind.
A reading that is retained, or older than `FRESH`, says nothing about now.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from homebridge_svc.core.model import Power

if TYPE_CHECKING:
    from homebridge_svc.core.events import PlugReported, ProjectorReported
    from homebridge_svc.core.model import ProjectorSpec

FRESH = 90.0  # s: plugs report at least once a minute; an older reading says nothing about now
NEVER = float("-inf")
STANDS = float("inf")  # the `at` of a sign that is read off the present, not off a message

UP_AND_RUNNING = frozenset({Power.BOOTING, Power.ON, Power.LIGHT_OFF})
DOWN = frozenset({Power.COOLING, Power.OFF, Power.CUT})


class Sign(StrEnum):
    """What facts and time may mean; the power table turns signs into beliefs."""

    MAINS_OFF = "the plug says off"
    MAINS_ON = "the plug says on"
    BRIGHT = "watts above on_above"
    DIM = "watts between off_below and on_above"
    FAINT = "watts below off_below, and no channel says that it is on"
    SAYS_ON = "a channel says on"
    SAYS_LIGHT_OFF = "a channel says light off"
    SAYS_BOOTING = "a channel says booting"
    SAYS_OFF = "a channel says off"
    ANSWERS = "a channel that cannot tell power answers"
    ANSWERS_ONLY = "such a channel answers, and those that could tell are silent"
    CAME_UP = "such a channel was away and answers again"
    DIM_AFTER_SLEEP = "watts fell after our soft off"
    FAINT_AFTER_SLEEP = "watts fell below off_below after our soft off"
    SILENT_AFTER_SLEEP = "what answered before our soft off is silent after it"
    TOLD_OFF = "it told us that it is off, and no meter knows better"
    LIKELY_OFF = "silent ever since our soft off, and no meter knows better"
    BLIND = "this set-up can see nothing"
    UNHEARD = "no fresh watts, and nobody answers, though somebody could"
    NO_METER = "no fresh watts"
    TIME = "time passed"
    WAKE_SENT = "our order to wake has left"
    SLEEP_SENT_BLIND = "our soft off has left, and nothing can confirm it"
    LIGHT_OFF_TAKEN = "our light-off order was taken"
    LIGHT_ON_TAKEN = "our light-on order was taken"
    MAINS_RETURNED = "mains were away and have come back"


WORDS = {
    Power.ON: Sign.SAYS_ON,
    Power.LIGHT_OFF: Sign.SAYS_LIGHT_OFF,
    Power.BOOTING: Sign.SAYS_BOOTING,
    Power.OFF: Sign.SAYS_OFF,
}


@dataclass(frozen=True, slots=True)
class Seen:
    """A sign's newest evidence (`at`, or STANDS), and since when it holds without a break; both `Now.mono`."""

    at: float
    since: float


@dataclass(frozen=True, slots=True)
class SleepWindow:
    """Our soft off left at `sent`; until `until` its effect is expected. taken: the channel's layer took it.

    answering: the channels that answered when it left.
    """

    sent: float
    until: float
    taken: bool
    answering: frozenset[str]


@dataclass(slots=True)
class Facts:
    """All facts about one projector. Times are `Now.mono` of the event that brought them."""

    spec: ProjectorSpec
    plug_up: bool | None = None
    plug_on: bool | None = None
    plug_at: float = NEVER
    watts: float | None = None
    watts_at: float = NEVER
    band_since: float = NEVER
    bright_at: float = NEVER
    up: dict[str, bool] = field(default_factory=dict)
    words: dict[str, tuple[Power, float]] = field(default_factory=dict)
    answered_at: float = NEVER
    came_up: dict[str, float] = field(default_factory=dict)
    went_down_at: float = NEVER
    lost_at: float = NEVER
    told_off_at: float | None = None
    volume: int | None = None
    volume_at: float = NEVER
    muted: bool | None = None
    muted_at: float = NEVER
    input: str | None = None
    app: str | None = None

    def plug_reported(self, event: PlugReported, mono: float) -> None:
        """Take in what the plug says; retained messages are history."""
        if event.retained:
            return
        if event.on is not None:
            if event.on and self.plug_on is False:
                self.told_off_at = None  # what it said before the mains went says nothing any more
            self.plug_on, self.plug_at = event.on, mono
            if not event.on:
                self._dark()
        if event.watts is not None and self.plug_on is not False:
            before = self.band(mono)
            self.watts, self.watts_at = event.watts, mono
            after = self.band(mono)
            if after is not before:
                self.band_since = mono
            if after is Sign.BRIGHT:
                self.told_off_at, self.bright_at = None, mono

    def plug_endpoint(self, up: bool, mono: float) -> None:
        """Take in that the plug became reachable or not: away, nothing it said before is known to hold."""
        self.plug_up = up
        if not up:
            self.plug_on, self.watts = None, None
            self.lost_at = mono

    def reported(self, event: ProjectorReported, mono: float) -> None:
        """Take in what a channel saw."""
        ability = self.spec.channels.get(event.channel)
        if event.power is not None:
            self.words[event.channel] = (event.power, mono)
            if event.power is Power.OFF:
                self.told_off_at = mono if self.told_off_at is None else self.told_off_at
            else:
                self.told_off_at = None
        elif ability is not None and not ability.sees_power:
            self.answered_at = mono
        if event.volume is not None:
            self.volume, self.volume_at = event.volume, mono
        if event.muted is not None:
            self.muted, self.muted_at = event.muted, mono
        self.app = event.app if event.app is not None else self.app

    def channel(self, name: str, up: bool, mono: float) -> None:
        """Take in that a channel became reachable or not."""
        was = self.up.get(name)
        self.up[name] = up
        if not up:
            self.unheard(name)
            self.came_up.pop(name, None)
            self.went_down_at = self.lost_at = mono
            return
        ability = self.spec.channels[name]
        if ability.replies and not ability.sees_power:
            self.answered_at = mono
            if not was:
                self.came_up[name] = mono
                self.told_off_at = None

    def answered(self, name: str, mono: float) -> None:
        """Take in that a channel answered a read."""
        ability = self.spec.channels[name]
        if ability.replies and not ability.sees_power:
            self.answered_at = mono

    def unheard(self, name: str) -> None:
        """Forget that a channel said "on": it does not answer any more. Its "off" stays said."""
        if name in self.words and self.words[name][0] is not Power.OFF:
            del self.words[name]

    def fresh(self, mono: float, within: float = FRESH) -> bool:
        """Tell whether there is a reading of the watts of the last `within` seconds."""
        return self.spec.plug_meters and self.watts is not None and mono - self.watts_at <= within

    def band(self, mono: float) -> Sign | None:
        """FAINT, DIM or BRIGHT by the fresh watts; None when there are none, or the mains are off."""
        if self.plug_on is False or not self.fresh(mono) or self.watts is None:
            return None
        if self.watts > self.spec.on_above:
            return Sign.BRIGHT
        return Sign.FAINT if self.watts < self.spec.off_below else Sign.DIM

    def says_on(self) -> str | None:
        """Name a channel whose last word is that it runs."""
        return next((name for name, (power, _) in self._heard().items() if power is not Power.OFF), None)

    def answering(self) -> str | None:
        """Name a channel that answers and does not say "off": then the projector is not silent (rule 10)."""
        for name, ability in self.spec.channels.items():
            speaks = ability.replies or ability.sees_power
            if speaks and self.up.get(name) and self.words.get(name, (None,))[0] is not Power.OFF:
                return name
        return self.says_on()

    def live(self) -> frozenset[str]:
        """Channels that answer now."""
        return frozenset(n for n, a in self.spec.channels.items() if (a.replies or a.sees_power) and self.up.get(n))

    @property
    def blind(self) -> bool:
        """Nothing of this set-up can ever confirm anything."""
        return not self.spec.plug_meters and not any(a.replies or a.sees_power for a in self.spec.channels.values())

    def affirmed(self, phase: Power, mono: float) -> float:
        """When the newest evidence came that it is in `phase`; NEVER for phases that evidence cannot show."""
        band = self.band(mono)
        words = dict(sorted(self._heard().values(), key=lambda word: word[1]))
        watts_at = self.watts_at
        match phase:
            case Power.ON:
                return max(words.get(Power.ON, NEVER), self.answered_at, watts_at if band is Sign.BRIGHT else NEVER)
            case Power.LIGHT_OFF:
                return max(words.get(Power.LIGHT_OFF, NEVER), self.answered_at, watts_at if band is Sign.DIM else NEVER)
            case Power.OFF:
                return max(words.get(Power.OFF, NEVER), watts_at if band is Sign.FAINT else NEVER)
            case _:
                return NEVER

    def signs(self, mono: float, sleep: SleepWindow | None) -> dict[Sign, Seen]:
        """Every sign that stands now. While the plug says off, nothing else counts."""
        now = Seen(STANDS, NEVER)
        if self.plug_on is False:
            return {Sign.MAINS_OFF: Seen(self.plug_at, self.plug_at), Sign.TIME: now}
        found = {Sign.TIME: now}
        if self.plug_on:
            found[Sign.MAINS_ON] = Seen(self.plug_at, self.plug_at)
        heard = self._heard()
        if heard:
            power, at = max(heard.values(), key=lambda word: word[1])
            found[WORDS[power]] = Seen(at, at)
        band = self.band(mono)
        if band is not None and not (band is Sign.FAINT and self.says_on()):
            found[band] = Seen(self.watts_at, self.band_since)
        found |= self._answers(band)
        if band is None:
            found |= self._without_meter()
        if sleep is not None:
            found |= self._after_sleep(mono, sleep, found)
        return found

    def _heard(self) -> dict[str, tuple[Power, float]]:
        """Words that count: an "on" that overtook the news that its channel is away does not."""
        return {
            name: word for name, word in self.words.items() if word[0] is Power.OFF or self.up.get(name) is not False
        }

    def _answers(self, band: Sign | None) -> dict[Sign, Seen]:
        """Signs by channels that cannot tell power. Some answer in their sleep: whoever can tell knows better."""
        if band is Sign.FAINT or any(self.words.get(name, (None,))[0] is Power.OFF for name in self.live()):
            return {}
        better = band is None and any(ability.sees_power for ability in self.spec.channels.values())
        came_up = max(self.came_up.values(), default=NEVER)
        found = {Sign.CAME_UP: Seen(STANDS, came_up)} if self.came_up else {}
        if not better:
            found[Sign.ANSWERS] = Seen(self.answered_at, came_up)
        elif self.told_off_at is None:
            found[Sign.ANSWERS_ONLY] = Seen(self.answered_at, came_up)
        return found

    def _without_meter(self) -> dict[Sign, Seen]:
        """Signs that count only where no fresh watts know better."""
        now = Seen(STANDS, NEVER)
        found = {Sign.NO_METER: now}
        if self.blind:
            return found | {Sign.BLIND: now}
        if not self.answering():
            found |= {Sign.LIKELY_OFF: now, Sign.UNHEARD: Seen(STANDS, max(self.lost_at, self.watts_at))}
        if self.told_off_at is not None and not self.says_on():
            found[Sign.TOLD_OFF] = now
        return found

    def _after_sleep(self, mono: float, sleep: SleepWindow, found: dict[Sign, Seen]) -> dict[Sign, Seen]:
        """Signs that our soft off took effect."""
        after: dict[Sign, Seen] = {}
        for sign, effect in ((Sign.DIM, Sign.DIM_AFTER_SLEEP), (Sign.FAINT, Sign.FAINT_AFTER_SLEEP)):
            if sign in found and found[sign].at > sleep.sent:
                after[effect] = found[sign]
        silent = sleep.taken and sleep.answering and not (sleep.answering & self.live()) and not self.says_on()
        if silent and self.band(mono) is not Sign.BRIGHT:
            after[Sign.SILENT_AFTER_SLEEP] = Seen(self.went_down_at, self.went_down_at)
        return after

    def _dark(self) -> None:
        """Without mains nothing runs: every earlier word and reading is void."""
        self.watts = None
        self.words.clear()
        self.told_off_at = None
