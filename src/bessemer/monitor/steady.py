"""Watching that a lost disk does not end: it says so once, and goes on when the disk is there again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from duckdb import OperationalError

from bessemer.core.errors import EnvironmentFault

if TYPE_CHECKING:
    from bessemer.monitor.store import Kept
    from bessemer.monitor.watch import Watch


#: What a disk, a lock or a database of the machine may do.
FAULTS = (EnvironmentFault, OSError, OperationalError)


class Steady:
    """Ticks of a watch, one after the other.

    Args:
        say: is told in a sentence when windows cannot be looked at or kept, and when they can again.

    What was not kept is looked at again: no window is lost by it.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say, self._failing, self._other = say, False, set[str]()

    def tick(self, watch: Watch, now: dt.datetime) -> Iterator[Kept]:
        """As `Watch.tick`."""
        try:
            yield from watch.tick(now)
        except FAULTS as error:
            if not self._failing:
                self._say(f"windows cannot be kept: {error}\n  it will be tried again")
            self._failing = True
        else:
            if self._failing:
                self._say("windows are kept again")
            self._failing = False

    def do(self, what: str, action: Callable[[], object]) -> None:
        """Something beside windows, such as writing metrics to a file; it is told once that it cannot be done."""
        try:
            action()
        except FAULTS as error:
            if what not in self._other:
                self._say(f"{what}: {error}\n  it will be tried again")
            self._other.add(what)
        else:
            self._other.discard(what)
