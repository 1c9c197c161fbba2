"""The pump's cycle as data: phases, cues, and the numbered rules that lead from one phase to the next.

Theory of operation. The relay is the only thing we move, and we believe it only when it is read back. Hence two
phases of doubt around the run: STARTING (ON has left, nobody has seen it) and STOPPING (OFF has left, nobody has
seen it). In doubt the pump counts as on: rule 6 ends a start that is not confirmed with OFF, and nothing leaves
STOPPING but a confirmed off (rules 13, 14). Every way into a run goes through STARTING, every way out of it through
STOPPING, and a daemon that begins knows nothing, so it begins in STOPPING (rule 1).

    IDLE --ask, slot, hand--> STARTING --on seen--> RUNNING
    STARTING --not seen, not sent, stop, hand--> STOPPING
    RUNNING --warm, thermostat, time, fault, stop, hand--> STOPPING
    STOPPING --off seen--> RESTING --> IDLE
    STOPPING --off seen, locked--> LOCKED_OUT --reset, time--> RESTING

RESTING refuses automatic runs only; persons wait out a floor of 60 s (rule 15). LOCKED_OUT does too, except that a
dead pump is tried by nobody for half an hour. What a cue needs to be given (limits, evidence) is judged in cycle.py;
the table says what follows from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """Where the cycle stands; the words stand in the view's state."""

    IDLE = "idle"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    RESTING = "resting"
    LOCKED_OUT = "locked_out"


class Cue(StrEnum):
    """What happened, as far as the cycle is concerned."""

    DAEMON_STARTS = "daemon starts"
    ASKED = "asked"
    DUE = "due"
    HAND_ON = "switched on by hand"
    ON_SEEN = "on seen"
    ON_NOT_SEEN = "on not seen"
    ON_NOT_SENT = "on not sent"
    ENOUGH = "enough"
    FAULT = "fault"
    HAND_OFF = "switched off by hand"
    STOP = "stop"
    STILL_ON = "still on"
    OFF_SEEN = "off seen"
    OFF_SEEN_LOCKED = "off seen, locked"
    OFF_IGNORED = "off ignored"
    RESTED = "rested"
    UNLOCKED = "unlocked"
    DAEMON_STOPS = "daemon stops"


@dataclass(frozen=True, slots=True)
class Rule:
    """In one of `phases`, `cue` leads to `to`. Entering STOPPING orders OFF."""

    number: int
    phases: frozenset[Phase]
    cue: Cue
    to: Phase
    why: str


EVERY = frozenset(Phase)
OFF = frozenset({Phase.IDLE, Phase.RESTING, Phase.LOCKED_OUT})  # confirmed off
ON = frozenset({Phase.STARTING, Phase.RUNNING})

RULES = (
    Rule(1, EVERY, Cue.DAEMON_STARTS, Phase.STOPPING, "at the daemon's start OFF goes first, whatever is believed"),
    Rule(2, OFF, Cue.ASKED, Phase.STARTING, "a person asked, and no limit forbids it"),
    Rule(3, frozenset({Phase.IDLE}), Cue.DUE, Phase.STARTING, "an automatic run is due, and nothing speaks against it"),
    Rule(4, OFF, Cue.HAND_ON, Phase.STARTING, "switched on by hand: a wish, kept under the same limits (semantics 11)"),
    Rule(5, frozenset({Phase.STARTING}), Cue.ON_SEEN, Phase.RUNNING, "the plug was read back on"),
    Rule(6, frozenset({Phase.STARTING}), Cue.ON_NOT_SEEN, Phase.STOPPING, "not read back: it counts as on"),
    Rule(7, frozenset({Phase.STARTING}), Cue.ON_NOT_SENT, Phase.STOPPING, "the ON did not happen: make sure of it"),
    Rule(8, ON, Cue.ENOUGH, Phase.STOPPING, "a stop signal came"),
    Rule(9, ON, Cue.FAULT, Phase.STOPPING, "the pump or the heater does not do its work"),
    Rule(10, ON, Cue.HAND_OFF, Phase.STOPPING, "switched off by hand: a wish, nothing is started again"),
    Rule(11, EVERY - {Phase.STOPPING}, Cue.STOP, Phase.STOPPING, "somebody said stop"),
    Rule(12, OFF, Cue.STILL_ON, Phase.STOPPING, "it is on and must not be"),
    Rule(13, frozenset({Phase.STOPPING}), Cue.OFF_SEEN, Phase.RESTING, "the plug was read back off"),
    Rule(14, frozenset({Phase.STOPPING}), Cue.OFF_SEEN_LOCKED, Phase.LOCKED_OUT, "off, and locked"),
    Rule(15, frozenset({Phase.STOPPING}), Cue.OFF_IGNORED, Phase.STOPPING, "three OFFs, and it is still on"),
    Rule(16, frozenset({Phase.RESTING}), Cue.RESTED, Phase.IDLE, "the rest is over"),
    Rule(17, frozenset({Phase.LOCKED_OUT}), Cue.UNLOCKED, Phase.RESTING, "the lock-out has ended"),
    Rule(18, EVERY, Cue.DAEMON_STOPS, Phase.STOPPING, "the daemon ends: the pump is left off"),
)

TABLE: Mapping[tuple[Phase, Cue], Rule] = {(phase, rule.cue): rule for rule in RULES for phase in rule.phases}
