"""Infrared in neutral form: a carrier and a list of mark/space durations. Codecs are added around it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Signal:
    """carrier in Hz (0 = unmodulated), durations in µs starting with a mark; repeat: what a held key appends."""

    carrier: int
    durations: tuple[int, ...]
    repeat: tuple[int, ...] = ()
