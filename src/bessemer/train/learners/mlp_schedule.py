"""How far training is, what follows from that, and how it ends in time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

#: Share of the time left that is planned with; the rest is for judging, saving and a machine that gets slower.
_PLANNED = 0.85
#: Steps after which their speed is known well enough to choose the waves of the learning rate.
_MEASURED = 10


def learning_rate(progress: float, cycles: int) -> float:
    """The factor of the highest rate: `cycles` waves, each twice as long as the one before, ending at 0 (coslog).

    >>> [round(learning_rate(p, 4), 3) for p in (0, 0.05, 1 / 15, 0.7, 1)]
    [0.0, 0.324, 0.0, 0.995, 0.0]
    """
    return 0.5 * (1 - math.cos(2 * math.pi * math.log2(1 + (2**cycles - 1) * min(progress, 1.0))))


def regularisation(progress: float) -> float:
    """The factor of dropout and weight decay: 1 in the first half, then a half cosine down to 0 (flat_cos).

    >>> regularisation(0.3), round(regularisation(0.75), 3), regularisation(1.0)
    (1.0, 0.5, 0.0)
    """
    return 1.0 if progress <= 0.5 else 0.5 * (1 + math.cos(math.pi * (2 * min(progress, 1.0) - 1)))


def cycles_of(epochs: float) -> int:
    """Waves of the learning rate: the four of RealMLP need room."""
    return 4 if epochs >= 64 else 2 if epochs >= 16 else 1


@dataclass
class Progress:
    """Training's way from 0 to 1.

    Without a limit on time every step is worth the same, whatever the machine does. With one, the way that is left is
    divided among the steps that fit, so that the learning rate always comes down before the time is over.

    total: steps that were asked for.
    per_epoch: steps of an epoch.
    step, at: steps done, and the progress after them.
    cycles: of the learning rate; 0 until they are known, which counts as one.
    """

    total: int
    per_epoch: int
    step: int = 0
    at: float = 0.0
    cycles: int = 0

    def begin(self, time_left: Callable[[], float]) -> None:
        """Start the clock, also after a kill."""
        self._time_left = time_left
        self._steps, self._seconds = 0, 0.0
        self._since = time.monotonic()
        if not self.cycles and math.isinf(time_left()):
            self.cycles = cycles_of(self.total / self.per_epoch)

    @property
    def rate(self) -> float:
        """The factor of the learning rate."""
        return learning_rate(self.at, self.cycles or 1)

    @property
    def out_of_time(self) -> bool:
        return self._time_left() <= 0

    @property
    def finished(self) -> bool:
        return self.at >= 1 or self.step >= self.total

    def advance(self) -> None:
        """One step was done."""
        self.step += 1
        left = self._time_left()
        if math.isinf(left):
            self.at = self.step / self.total
            return
        self._steps += 1
        each = (time.monotonic() - self._since) / self._steps
        steps = min(self.total - self.step, max(0.0, _PLANNED * left) / each)
        if not self.cycles and self._steps >= _MEASURED:
            self.cycles = cycles_of((steps + self.step) / self.per_epoch)
        self.at = min(1.0, self.at + (1 - self.at) / (steps + 1))
