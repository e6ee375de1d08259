"""What a network may do before it is an error: how long, how often, how slow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, sleep
from typing import TypeVar

from bessemer.core.errors import DataError

T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """connect, read: seconds until a connection stands, and between two pieces of an answer.

    attempts: how often in a row without any progress. most: how often at all. first_wait: seconds before the second
    attempt; twice as long before each further one, up to longest_wait. longest_wait: also the most that a server may
    ask for (Retry-After). slowest: bytes that must come in `read` seconds.
    """

    connect: float = 10.0
    read: float = 60.0
    attempts: int = 4
    most: int = 100
    first_wait: float = 0.5
    longest_wait: float = 120.0
    slowest: int = 1024


class Passing(Exception):
    """What may be over at the next attempt.

    wait: the seconds that the server asks for. reached: how far it came, so that one that comes further each time is
    not given up.
    """

    def __init__(self, why: str, *, wait: float | None = None, reached: int = 0) -> None:
        super().__init__(why)
        self.wait, self.reached = wait, reached


class TooSlow(Passing):
    """Something comes, but so little that it counts for nothing."""


def persist(action: Callable[[], T], what: str, patience: Patience) -> T:
    """What `action` gives, tried again while it raises `Passing`.

    Raises:
        DataError: it did so too often, or the server asks for more time than there is.

    >>> persist(lambda: 7, "a", Patience())
    7
    """
    failures = best = 0
    for attempt in range(1, patience.most + 1):
        try:
            return action()
        except Passing as passing:
            failures = 1 if passing.reached > best else failures + 1
            best = max(best, passing.reached)
            own = min(patience.first_wait * 2 ** (failures - 1), patience.longest_wait)
            wait = own if passing.wait is None else passing.wait
            if wait > patience.longest_wait:
                raise DataError(
                    f"'{what}' cannot be read",
                    why=f"{passing}; the server asks to wait {wait:,.0f} s",
                    fix=f"run again then; up to {patience.longest_wait:,.0f} s are waited for",
                ) from passing
            if failures >= patience.attempts or attempt == patience.most:
                raise DataError(
                    f"'{what}' cannot be read",
                    why=f"{passing}; tried {attempt} times" if attempt > 1 else str(passing),
                    fix="check the address and the network, then run again: it goes on where it was",
                ) from passing
        sleep(wait)
    raise AssertionError("unreachable")


class Pace:
    """Whether a stream is faster than the slowest that is waited for; a server that drips holds no run up."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._since, self._bytes = monotonic(), 0

    def came(self, size: int) -> None:
        """Note what came.

        Raises:
            TooSlow: it was too little for too long.
        """
        self._bytes += size
        now = monotonic()
        if now - self._since >= self._patience.read:
            if self._bytes < self._patience.slowest:
                raise TooSlow(f"only {self._bytes} bytes in {now - self._since:,.0f} s")
            self._since, self._bytes = now, 0
