"""What sensors and meters prove during a run, and when they are not believed (rules 10, 18, 20).

A thermometer may be stale, jump, or not move at all; it may lie in a warm room. Its word ends a run only if it is
fresh, has reached the absolute value, and has either risen since the start or seen so much water pass that the
supply must have been purged. A refused reading is simply not there: silence falls back to time.
A meter tells a dead pump (low from the start), a thermostat that has shut the flow (low after having been high), and
a relay that is stuck (high though it is off).
"""

from __future__ import annotations

import math
from collections import deque

from homebridge_svc.core.hot_water.words import Said, span
from homebridge_svc.core.model import Now, PumpSpec

STALE = 60.0  # seconds
FASTEST = 5.0  # kelvin a second: water behind a pipe's wall is slower
PLAUSIBLE = (-30.0, 120.0)  # degrees Celsius
RISES = 1.0  # kelvin: less than this is "no rise"
DRAW_FALL = (
    3.0  # kelvin within DRAW_WINDOW; standing water falls at most 1.5 K a minute (PEX 16 bare, 35 K above the room)
)
DRAW_WINDOW = 60.0  # seconds
UNKNOWN_PURGE = 60.0  # seconds of pumping taken for a purge where no pipe is described
DEAD_FOR = 5.0  # seconds of low watts until the pump counts as dead
STUCK_SHARE = 0.3  # of the normal watts: above this it runs
LEARN_AFTER = 8.0  # seconds: a motor's first watts are not its normal ones


class Thermometer:
    """The stop sensor's readings; `begin` opens a run."""

    def __init__(self, spec: PumpSpec) -> None:
        self._spec = spec
        self._readings: deque[tuple[float, float]] = deque(maxlen=64)  # (mono, degrees), accepted ones
        self._base: float | None = None
        self._moved = False

    def read(self, value: float, now: Now) -> str | None:
        """Take a reading; say why it is refused, or None."""
        low, high = PLAUSIBLE
        if not low <= value <= high:  # NaN too
            return f"{value:g} °C is no water"
        if self._readings:
            at, last = self._readings[-1]
            if abs(value - last) > FASTEST * max(1.0, now.mono - at):
                return f"from {last:.1f} to {value:.1f} °C within {now.mono - at:.1f} s is no water"
        self._readings.append((now.mono, value))
        if self._base is None:
            self._base = value
        self._moved = self._moved or value != self._base
        return None

    def fresh(self, now: Now) -> float | None:
        """Return the temperature, if there is one not older than a minute."""
        if not self._readings or now.mono - self._readings[-1][0] > STALE:
            return None
        return self._readings[-1][1]

    def begin(self, now: Now) -> None:
        """Open a run: the rise counts from here."""
        self._base, self._moved = self.fresh(now), False

    def rise(self, now: Now) -> float | None:
        """Kelvin since the run began, or None without fresh readings."""
        value = self.fresh(now)
        return None if value is None or self._base is None else value - self._base

    def warm(self, ran: float, now: Now) -> Said | None:
        """Say that hot water has come (rule 20), or None."""
        value, rise = self.fresh(now), self.rise(now)
        if value is None or rise is None or value < self._spec.stop_at:
            return None
        if rise < self._spec.stop_min_rise and ran < self.purge:
            return None
        took = span(ran)
        return Said(f"{value:.1f} °C ({rise:+.1f} K) after {took.en}", f"水温{value:.1f}度，用了{took.zh}")

    @property
    def purge(self) -> float:
        """Seconds of pumping after which the supply must have been purged, rise or not."""
        return self._spec.purge_time or UNKNOWN_PURGE

    def unlit(self, now: Now) -> bool:
        """Tell, after twice the purge time, that fresh readings show neither heat nor a rise."""
        value, rise = self.fresh(now), self.rise(now)
        return value is not None and rise is not None and rise < RISES and value < self._spec.stop_at

    def doubt(self, now: Now) -> Said | None:
        """Say at a run's end why its temperature was of no use, or None."""
        if self.fresh(now) is None:
            return Said("no fresh temperature", "没有新的水温读数")
        return None if self._moved else Said("the temperature did not move at all", "水温读数一直没有变化")

    def drawing(self, now: Now) -> bool:
        """Tell that the temperature falls faster than standing water can: somebody draws (rule 18)."""
        value = self.fresh(now)
        recent = [degrees for at, degrees in self._readings if now.mono - at <= DRAW_WINDOW]
        return value is not None and max(recent, default=value) - value >= DRAW_FALL


class Meter:
    """The plug's watts; `begin` opens a run. Without a meter it never says anything."""

    def __init__(self, spec: PumpSpec) -> None:
        self._spec = spec
        self.watts: float | None = None
        self._at = -math.inf
        self._confirmed: float | None = None  # mono: ON was seen
        self._low_since: float | None = None
        self._high = False

    def read(self, watts: float, now: Now) -> None:
        """Take a reading; nonsense is not one."""
        if not 0.0 <= watts < math.inf:
            return
        self.watts, self._at = watts, now.mono
        if self._confirmed is None:
            return
        if watts >= self._spec.watts_dry:
            self._low_since = None
        elif self._low_since is None:
            self._low_since = now.mono
        self._high = self._high or (self._spec.watts_below is not None and watts >= self._spec.watts_below)

    def begin(self) -> None:
        """Open a run that is not confirmed yet."""
        self._confirmed, self._low_since, self._high = None, None, False

    def confirmed(self, now: Now) -> None:
        """ON was seen: from here on low watts mean something."""
        self._confirmed = self._low_since = now.mono

    def end(self) -> None:
        """Close the run."""
        self._confirmed = None

    def look_at(self) -> float | None:
        """When (mono) a read-back will tell whether the pump is dead; None while nothing hints at it."""
        return None if self._low_since is None or not self._spec.plug_meters else self._low_since + DEAD_FOR

    def dead(self, now: Now) -> bool:
        """Tell that watts are known, low, and have been so for five seconds."""
        if not self._spec.plug_meters or self._low_since is None or self.watts is None:
            return False
        lasted = self._at - self._low_since >= DEAD_FOR and now.mono - self._at < STALE
        return lasted and self.watts < self._spec.watts_dry

    def shut(self) -> Said | None:
        """Say that the watts fell below the thermostat's mark after having been above it, or None."""
        mark = self._spec.watts_below
        if mark is None or self.watts is None or not self._high or self.watts >= mark:
            return None
        return Said(f"the thermostat opened ({self.watts:g} W)", f"温控阀已断开（{self.watts:g}瓦）")

    def normal(self, now: Now, known: float | None) -> float | None:
        """Return the running watts as learnt so far, with this reading taken in."""
        running = self._confirmed is not None and now.mono - self._confirmed >= LEARN_AFTER and self._at == now.mono
        if not running or self.watts is None or self.watts < max(self._spec.watts_dry, self._spec.watts_below or 0.0):
            return known
        return self.watts if known is None else 0.9 * known + 0.1 * self.watts

    def flows(self, since: float, normal: float | None) -> bool:
        """Tell that a reading later than `since` (mono) shows a running motor."""
        mark = self._spec.watts_dry if normal is None else STUCK_SHARE * normal
        return self.watts is not None and self._at >= since and self.watts > mark
