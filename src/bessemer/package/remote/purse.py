"""How many rows somebody else's model may be asked for: in all, and a second."""

from __future__ import annotations

import time
from collections.abc import Callable


class SpentError(Exception):
    """The purse does not hold so many questions more."""


class Purse:
    """Counts the rows that are asked for, and waits where they would come too fast.

    most: rows in all; None where there is no bound. per_second: rows a second, in the long run; None likewise.

    >>> purse = Purse(most=3)
    >>> purse.take(2)
    >>> purse.take(2)
    Traceback (most recent call last):
    bessemer.package.remote.purse.SpentError: 2 of 3 questions are asked
    """

    def __init__(
        self,
        most: int | None = None,
        per_second: float | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.most, self._per_second = most, per_second
        self._sleep, self._clock, self._free = sleep, clock, clock()
        self.asked = 0

    def take(self, rows: int) -> None:
        """Pay for rows that are asked for next.

        Raises:
            SpentError: there is not enough left; nothing was taken.
        """
        if self.most is not None and self.asked + rows > self.most:
            raise SpentError(f"{self.asked} of {self.most} questions are asked")
        self.asked += rows
        if self._per_second is None:
            return
        now = self._clock()
        if self._free > now:
            self._sleep(self._free - now)
        self._free = max(self._free, now) + rows / self._per_second
