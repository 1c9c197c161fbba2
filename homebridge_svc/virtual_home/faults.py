"""What may go wrong on a wire: emulators send and receive through a `Faults`."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass(slots=True)
class Faults:
    """Settable while the emulator runs. Probabilities 0 … 1; `delay` in real seconds, drawn uniformly from 0 to it.

    refuse: connections or calls are turned down. half_open: connections are accepted, then nothing is ever said.
    dead: nothing is heard or said at all.
    """

    seed: int = 1
    lose: float = 0.0
    delay: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    garble: float = 0.0
    refuse: bool = False
    half_open: bool = False
    dead: bool = False
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311  reproducible faults, not secrets

    def through(self, data: bytes) -> list[tuple[float, bytes]]:
        """What becomes of one datagram or message: (delay in real seconds, bytes) for each copy that arrives."""
        if self.dead or self._random.random() < self.lose:
            return []
        if data and self._random.random() < self.garble:
            at = self._random.randrange(len(data))
            data = data[:at] + bytes([data[at] ^ (1 << self._random.randrange(8))]) + data[at + 1 :]
        delay = self._random.uniform(0.0, self.delay)
        if self._random.random() < self.reorder:
            delay += 0.05  # later than what is sent right after it
        copies = 2 if self._random.random() < self.duplicate else 1
        return [(delay, data)] * copies
