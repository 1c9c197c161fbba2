"""How old a message is by its caller's clock, which may be wrong (rule 6).

Theory of operation. What arrives late can be told from what a wrong clock stamped by the smallest (arrival − at) ever
seen: all above it was spent on the way. Arrival is counted on our monotonic clock, so that a step of our own wall
clock (a Pi without battery before NTP) moves nothing. Callers' clocks are stepped and put right as well, drift, and
several of them may speak under one name; a single minimum would then refuse the family for ever. So:

1. a message within FRESH of a known offset is of that clock, and this much old; a quicker one corrects the offset;
2. one that is quicker than all by more than that shows a clock that was put back or forward: what was known is void;
3. one that is later than all by more than that is too old. But when another comes at least FRESH later with the same
   delay, it was no queue (a queue lets go of everything at once): it is a clock, and its offset is known from then on.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

FRESH = 15.0  # seconds: older never acts (rule 6)
SAME = 3.0  # seconds by which two messages of one clock differ on their way
DRIFT = 2e-4  # seconds a second that an unguided clock may go wrong
CLOCKS = 4  # clocks under one name, the newest
CALLERS = 64  # callers that are remembered, the least recently heard forgotten first


@dataclass(slots=True)
class _Caller:
    """offsets: arrival − at of each clock, seconds; doubt: (delay, mono) of the first message that rule 3 refused."""

    offsets: list[float] = field(default_factory=list)
    doubt: tuple[float, float] | None = None

    def age(self, delay: float, mono: float) -> float:
        near = min((offset for offset in self.offsets if abs(delay - offset) <= FRESH), default=None)
        if near is not None:
            self.offsets[self.offsets.index(near)] = min(near, delay)
            return max(0.0, delay - near)
        least = min(self.offsets, default=None)
        if least is None or delay < least:
            self.offsets = [delay]
            return 0.0
        if self.doubt is None or abs(delay - self.doubt[0]) > SAME + DRIFT * (mono - self.doubt[1]):
            self.doubt = (delay, mono)
        elif mono - self.doubt[1] >= FRESH:
            self.offsets, self.doubt = [*self.offsets, delay][-CLOCKS:], None
            return 0.0
        return delay - least


class Callers:
    """The clocks of all callers."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, _Caller] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def age(self, caller: str, sent_at: float, mono: float) -> float:
        """Seconds since the caller's clock showed `sent_at` (unix), as far as it can be believed; at least 0."""
        found = self._known.pop(caller, None) or _Caller()
        self._known[caller] = found
        if len(self._known) > CALLERS:
            self._known.popitem(last=False)
        return found.age(mono - sent_at, mono)
