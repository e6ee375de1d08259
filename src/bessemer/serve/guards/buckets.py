"""Rate limits: a token bucket a client, in memory that does not grow.

A bucket is one number, the time at which it is full again (the generic cell rate algorithm, ITU-T I.371).
A bucket whose time has passed is as good as none, so those are dropped first when there are too many.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from threading import Lock

from bessemer.serve.guards.principal import Rate

_TRIES = 4


class Buckets:
    """The buckets of up to `most` clients. Where more ask at once, the oldest ones begin anew with a full bucket.

    >>> buckets = Buckets(most=100)
    >>> [buckets.take("a", Rate(1.0, 2), now=0.0) for _ in range(3)]
    [0.0, 0.0, 1.0]
    """

    def __init__(self, most: int) -> None:
        self._most = most
        # A plain dict looks for its first entry past all that were removed, which a flood of addresses makes slow.
        self._full: OrderedDict[str, float] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._full)

    def take(self, name: str, rate: Rate, now: float) -> float:
        """Take one request out of a bucket: 0.0 where it was there, else the seconds until it will be.

        now: seconds of a clock that never goes back.
        """
        step = 1.0 / rate.per_second
        with self._lock:
            full = self._full.get(name)
            if full is None:
                if len(self._full) >= self._most:
                    self._make_room(now)
                self._full[name] = now + step
                return 0.0
            after = (full if full > now else now) + step
            wait = after - now - rate.burst * step
            if wait > 1e-9:  # below a nanosecond it is the rounding of the sum
                return wait
            self._full[name] = after
            return 0.0

    def left(self, name: str, rate: Rate, now: float) -> tuple[int, int]:
        """How many requests a bucket has left, and in how many whole seconds it has one more (0: it is full)."""
        missing = max(0.0, self._full.get(name, now) - now) * rate.per_second
        left = max(0, math.floor(rate.burst - missing + 1e-9))
        if left >= rate.burst:
            return rate.burst, 0
        return left, math.ceil((left + 1 - rate.burst + missing) / rate.per_second)

    def wait(self, name: str, rate: Rate, now: float) -> float:
        """The seconds until a request could be taken, 0.0 where it could now; takes nothing."""
        step = 1.0 / rate.per_second
        return max(0.0, self._full.get(name, now) - now + step - rate.burst * step - 1e-9)

    def _make_room(self, now: float) -> None:
        """Drop a bucket: one that is full among the first few, else the first. The others go to the end."""
        for _ in range(_TRIES):
            name = next(iter(self._full))
            if self._full[name] <= now:
                break
            self._full.move_to_end(name)
        self._full.popitem(last=False)
