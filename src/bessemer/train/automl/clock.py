"""The budget: seconds of wall clock or of CPU time, whichever is less."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """What is used and left of a budget.

    On a machine of its own a stage uses wall clock: several threads burn CPU time faster than that. On a shared
    machine the wall clock runs on while others have the cores; there CPU time is the measure, so that a budget
    buys the same learning. Neither is ever above the budget.

    Args:
        budget: seconds.
        spent: seconds that earlier, killed runs of the same work have used.
        wall, cpu: what tells the time.

    `reserve` is what nothing may be started in: the seconds that the end will take.

    >>> clock = Clock(60.0, spent=20.0)
    >>> clock.reserve = 10.0
    >>> round(clock.left())
    30
    """

    def __init__(
        self,
        budget: float,
        spent: float = 0.0,
        wall: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.process_time,
    ) -> None:
        self.budget, self.reserve, self._spent = budget, 0.0, spent
        self._wall, self._cpu = wall, cpu
        self._began = wall(), cpu()

    def used(self) -> float:
        """Seconds since the start, and those that were spent before."""
        wall, cpu = self._began
        return self._spent + min(self._wall() - wall, self._cpu() - cpu)

    def left(self) -> float:
        """Seconds that fits may still use; below 0 when the end is late."""
        return self.budget - self.reserve - self.used()
