"""Infrared in neutral form, and what turns remotes' notations into it: NEC, Pronto hex, raw durations.

A `Signal` is a carrier and mark/space durations. Signals made here end in a space, so that a frame and its repeats can
be strung together (`train`). Transmitters' own notations are in wire/ir_blasters.py.

NEC on the air: leader 9000/4500 µs, then 32 bits, each a mark of 562 µs and a space of 562 (0) or 1687 µs (1), least
significant bit first: address, its complement, command, its complement; an end mark. The extended form sends a 16-bit
address, low byte first, in place of address and complement. A held key repeats 9000/2250/562 every 108 ms.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from homebridge_svc.errors import WireError

CARRIER = 38_000  # Hz, NEC's
PERIOD = 108_000  # µs from one NEC frame to the next
LEADER, LEADER_GAP, REPEAT_GAP, UNIT, ONE_GAP = 9_000, 4_500, 2_250, 562, 1_687  # µs
NEC_LENGTH = 67  # marks and spaces of a frame, without the space that follows it
PRONTO_CLOCK = 0.241246  # µs per count of Pronto's frequency word
TOLERANCE = 0.25  # receivers stretch marks and shorten spaces by up to 150 µs
LONGEST = 1_024  # durations in one signal
LONGEST_DURATION = 1_000_000  # µs
LAST_GAP = 40_000  # µs, what ends a raw signal that does not say: longer than any gap inside a frame
_PRONTO_WORD = re.compile(r"[0-9A-Fa-f]{4}")


@dataclass(frozen=True, slots=True)
class Signal:
    """carrier in Hz (0 = unmodulated), durations in µs starting with a mark; repeat: what a held key appends."""

    carrier: int
    durations: tuple[int, ...]
    repeat: tuple[int, ...] = ()

    def train(self, repeats: int = 0) -> tuple[int, ...]:
        """The durations of one press with `repeats` repetitions; without a repeat frame the whole is sent again."""
        return self.durations + (self.repeat or self.durations) * repeats


@dataclass(frozen=True, slots=True)
class Nec:
    """A decoded NEC press. address: 8 bits, or 16 in the extended form. repeats: repeat frames that followed."""

    address: int
    command: int
    repeats: int = 0


def nec(address: int, command: int) -> Signal:
    """NEC for `address` 0 … 0xFFFF (above 0xFF: extended) and `command` 0 … 0xFF. Raises WireError outside."""
    if not 0 <= address <= 0xFFFF or not 0 <= command <= 0xFF:  # noqa: PLR2004  the fields' widths
        raise WireError("a NEC address is 0 … 0xFFFF and a command 0 … 0xFF")
    durations = [LEADER, LEADER_GAP]
    for byte in nec_bytes(address, command):
        for bit in range(8):
            durations += (UNIT, ONE_GAP if byte >> bit & 1 else UNIT)
    durations.append(UNIT)
    repeat = (LEADER, REPEAT_GAP, UNIT)
    return Signal(CARRIER, (*durations, PERIOD - sum(durations)), (*repeat, PERIOD - sum(repeat)))


def nec_bytes(address: int, command: int) -> bytes:
    """The four bytes of a NEC frame in the order of sending."""
    high = address >> 8 if address > 0xFF else ~address & 0xFF  # noqa: PLR2004  a byte
    return bytes((address & 0xFF, high, command, ~command & 0xFF))


def decode_nec(durations: Sequence[int]) -> Nec | None:
    """What a NEC receiver makes of it, ± 25 %; None when it is not NEC."""
    if len(durations) < NEC_LENGTH or not (_near(durations[0], LEADER) and _near(durations[1], LEADER_GAP)):
        return None
    frame = bytearray(4)
    for bit in range(32):
        mark, space = durations[2 + 2 * bit], durations[3 + 2 * bit]
        if not _near(mark, UNIT) or not (_near(space, UNIT) or _near(space, ONE_GAP)):
            return None
        frame[bit // 8] |= _near(space, ONE_GAP) << bit % 8
    low, high, command, complement = frame
    if not _near(durations[NEC_LENGTH - 1], UNIT) or command ^ complement != 0xFF:  # noqa: PLR2004  a byte
        return None
    return Nec(low if low ^ high == 0xFF else low | high << 8, command, _repeats(durations[NEC_LENGTH:]))  # noqa: PLR2004


def pronto(text: str) -> Signal:
    """Learned Pronto hex, `0000 <frequency> <once pairs> <repeat pairs> …`. Raises WireError saying what is wrong."""
    words = text.split()
    if len(words) > LONGEST + 4 or not all(map(_PRONTO_WORD.fullmatch, words)):
        raise WireError("Pronto hex is groups of four hex digits")
    numbers = [int(word, 16) for word in words]
    if len(numbers) < 6:  # noqa: PLR2004  the four of the head and a pair
        raise WireError("the Pronto code is too short")
    kind, frequency, once, again, *counts = numbers
    if kind != 0:
        raise WireError(f"only learned Pronto codes (0000 …) are understood, not {kind:04X}")
    if frequency == 0:
        raise WireError("the Pronto code has no frequency")
    if len(counts) != 2 * (once + again):
        raise WireError(f"the Pronto code announces {2 * (once + again)} durations and has {len(counts)}")
    period = frequency * PRONTO_CLOCK
    durations = tuple(max(1, round(count * period)) for count in counts)
    first, rest = durations[: 2 * once], durations[2 * once :]
    return _checked(Signal(round(1e6 / period), first or rest, rest))


def to_pronto(signal: Signal) -> str:
    """Learned Pronto hex of a signal that ends in a space. Raises WireError when it cannot be written so."""
    if signal.carrier <= 0 or len(signal.durations) % 2 or len(signal.repeat) % 2:
        raise WireError("Pronto hex needs a carrier, and pairs of mark and space")
    frequency = round(1e6 / (signal.carrier * PRONTO_CLOCK))
    period = frequency * PRONTO_CLOCK
    counts = [min(0xFFFF, max(1, round(duration / period))) for duration in signal.durations + signal.repeat]
    head = (0, frequency, len(signal.durations) // 2, len(signal.repeat) // 2)
    return " ".join(f"{number:04X}" for number in (*head, *counts))


def raw(durations: Sequence[int], carrier: int = CARRIER) -> Signal:
    """Durations in µs starting with a mark; a closing space is added where there is none. Raises WireError."""
    closing = (LAST_GAP,) if len(durations) % 2 else ()
    return _checked(Signal(carrier, (*durations, *closing)))


def _checked(signal: Signal) -> Signal:
    if signal.carrier and not 10_000 <= signal.carrier <= 500_000:  # noqa: PLR2004  Hz; remotes use 30 to 60 kHz, one 455
        raise WireError(f"a carrier of {signal.carrier} Hz is not one of a remote control")
    if not 2 <= len(signal.durations) <= LONGEST:  # noqa: PLR2004  a mark and a space
        raise WireError(f"a signal has 2 … {LONGEST} durations")
    if not all(0 < duration <= LONGEST_DURATION for duration in signal.durations + signal.repeat):
        raise WireError(f"a duration is 1 … {LONGEST_DURATION} µs")
    return signal


def _near(measured: int, nominal: int) -> bool:
    return abs(measured - nominal) <= nominal * TOLERANCE


def _repeats(after: Sequence[int]) -> int:
    count = 0
    while len(after) >= 4 * (count + 1):
        _, leader, gap, mark = after[4 * count : 4 * count + 4]
        if not (_near(leader, LEADER) and _near(gap, REPEAT_GAP) and _near(mark, UNIT)):
            break
        count += 1
    return count
