"""Which channel carries an order now, and reading a projector's state over all of them.

Abilities are data (core/model.py); `verdict` compares one with the present belief and says in a sentence why a channel
is used or passed over. `explain` prints these sentences.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from homebridge_svc.core.evidence import NEVER
from homebridge_svc.core.model import Power
from homebridge_svc.core.orders import ReadState, Wake

if TYPE_CHECKING:
    from collections.abc import Iterable

    from homebridge_svc.core.events import OrderFinished
    from homebridge_svc.core.evidence import Facts
    from homebridge_svc.core.model import Ability, Now, ProjectorSpec
    from homebridge_svc.core.orders import Action, Decision

ORDER_LIFE = 15.0  # s: older than that never acts (rule 6)
FALL_BACK = 2.0  # real s: a channel that should answer and does not is passed over within this time
ONE_WAY = 5.0  # real s for a channel without replies to hand an order over
PLUG_WITHIN = 5.0  # real s
UNREACHABLE = "it is not reachable"
PROBE_EVERY = 2.0  # s between reads while something changes
PROBE_LIFE = 5.0  # s after which a read is not worth waiting for


def within(ability: Ability, action: type[Action]) -> float:
    """Real seconds that a channel gets: fall-back comes within 2 s where replies are due (rule 5)."""
    if ability.replies:
        return min(ability.reply_s, FALL_BACK)
    return max(ONE_WAY, ability.confirm_s) if action is Wake else ONE_WAY


def state_of(phase: Power) -> Power:
    """The power state in which a channel must carry an order: while it may be waking, nothing is known."""
    return Power.UNKNOWN if phase is Power.WAKING else phase


def needs_certainty(ability: Ability, action: type[Action]) -> bool:
    """Tell whether a wrong belief makes this order harmful, as with a toggle: it is not carried in UNKNOWN."""
    return Power.UNKNOWN not in ability.carries.get(action, frozenset())


def unfit(ability: Ability | None, action: type[Action], state: Power, *, reachable: bool) -> str | None:
    """Say why a channel cannot carry this action in this state; None when it can."""
    if ability is None:
        return "there is no such channel"
    if action not in ability.carries:
        return f"it cannot carry {action.__name__}"
    if state not in ability.carries[action]:
        return f"it cannot carry {action.__name__} in state {state.value}"
    if not reachable and ability.replies:
        return UNREACHABLE
    return None


def carriers(spec: ProjectorSpec, names: Iterable[str], action: type[Action], state: Power | None = None) -> list[str]:
    """Channels that carry `action` in `state` (None: in any state), in the given order."""
    able = [name for name in names if name in spec.channels and action in spec.channels[name].carries]
    return [name for name in able if state is None or state in spec.channels[name].carries[action]]


@dataclass(slots=True)
class Probes:
    """Reads under way (ReadState to the plug and to channels that answer); at most one per endpoint."""

    spec: ProjectorSpec
    facts: Facts
    pending: dict[str, tuple[str, float]] = field(default_factory=dict)  # order id -> (endpoint, until when)
    look: set[str] = field(default_factory=set)  # the order ids that the last `begin` waits for
    begun: float = NEVER
    next_at: float = NEVER

    def begin(self, now: Now, out: Decision, why: str, command: str | None) -> None:
        """Look at everything that can be seen now."""
        self.send(now, out, why, command, everything=True)
        self.begun = now.mono
        self.look = set(self.pending)

    def looked_since(self, mono: float) -> bool:
        """Tell whether a look that began at or after `mono` is complete."""
        return self.begun >= mono and not (self.look & self.pending.keys())

    def repeat(self, now: Now, out: Decision, *, everything: bool) -> None:
        """Read again when the last read is PROBE_EVERY old; called while something changes, never at rest."""
        if now.mono >= self.next_at:
            self.send(now, out, "something changes: look", None, everything=everything)

    def send(self, now: Now, out: Decision, why: str, command: str | None, *, everything: bool) -> None:
        """Read every endpoint that has no read under way. everything: unreachable channels, too."""
        busy = {endpoint for endpoint, _ in self.pending.values()}
        self.next_at = now.mono + PROBE_EVERY
        for endpoint, seconds in self._sources(everything):
            if endpoint not in busy:
                order = out.order(
                    endpoint,
                    ReadState(),
                    command=command,
                    reason=why,
                    expires=now.mono + PROBE_LIFE,
                    within=seconds,
                    slot=f"{endpoint}.read",
                )
                self.pending[order.id] = (endpoint, now.mono + PROBE_LIFE)

    def finished(self, event: OrderFinished) -> bool:
        """Take note that a read ended; False when it was none of ours."""
        return self.pending.pop(event.order.id, None) is not None

    def expire(self, mono: float) -> None:
        """Stop waiting for reads that nobody reported the end of."""
        self.pending = {key: probe for key, probe in self.pending.items() if mono < probe[1]}

    def deadline(self) -> float | None:
        """When `expire` has something to do."""
        return min((until for _, until in self.pending.values()), default=None)

    def _sources(self, everything: bool) -> list[tuple[str, float]]:
        found: list[tuple[str, float]] = []
        if self.spec.plug is not None and self.facts.plug_up is not False:
            found.append((self.spec.plug, FALL_BACK))
        for name, ability in self.spec.channels.items():
            reads = (ability.sees_power or ability.replies) and ReadState in ability.carries
            if reads and (everything or self.facts.up.get(name) is not False):
                found.append((f"{self.spec.key}.{name}", within(ability, ReadState)))
        return found
