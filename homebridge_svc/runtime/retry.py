"""Jittered exponential back-off: how long to wait before the next attempt.

Jitter keeps a flat full of devices from knocking on a broker in step after a power cut.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """An endless iterator of waits in seconds: about `first`, doubling up to `ceiling`, each scaled by 0.5 … 1."""

    first: float = 0.5
    ceiling: float = 30.0
    chance: random.Random = field(default_factory=random.Random)
    _next: float = field(default=0.0, init=False)

    def __iter__(self) -> Backoff:
        return self

    def __next__(self) -> float:
        full = self._next or self.first
        self._next = min(self.ceiling, full * 2)
        return full * self.chance.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Begin again at `first`: what was tried last was good for long enough."""
        self._next = 0.0
