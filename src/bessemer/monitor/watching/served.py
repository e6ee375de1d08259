"""What servers have done with a model in a span of time, from the counters beside the prediction log."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bessemer.monitor.watching.watched import Watched
from bessemer.package.prediction_log.operations import LAG, Interval, added, read_operations


@dataclass(frozen=True)
class Served:
    """Sums over all processes of the servers that share the log.

    done: by the names of the server's statistics (see `Interval.done`).
    cpu: seconds of CPU, where a process has several models this one's share by rows; NaN where it is not known.
    memory: the most bytes that a process had. waiting: the most requests that waited at once in a process.
    starts: how many processes began; slowest: seconds that the slowest of them took until it could answer.
    refused: by status, what was refused before a model saw it (of all models). dropped: records that were lost.
    unreadable: lines of the days' files that could not be read.
    """

    done: Mapping[str, Any]
    cpu: float = math.nan
    memory: int = 0
    waiting: int = 0
    starts: int = 0
    slowest: float = 0.0
    refused: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    unreadable: int = 0

    def count(self, name: str) -> float:
        return float(self.done.get(name, 0))

    @property
    def requests(self) -> float:
        """Those that were answered, or failed by the server's fault."""
        return self.count("requests") + self.count("failed") + self.count("late")


def served(watched: Watched) -> Served | None:
    """What was done in a window; None where no server has written anything."""
    window = watched.window
    since, until = (_seconds(moment) - LAG for moment in (window.start, window.end))
    odd: Counter[str] = Counter()
    found = summed(read_operations(watched.log, watched.name, watched.model.version, since, until, odd))
    return None if found is None else replace(found, unreadable=odd.total())


def summed(intervals: Iterable[Interval]) -> Served | None:
    """The sum of intervals; None where there are none."""
    found = list(intervals)
    if not found:
        return None
    used = [each.cpu * each.share for each in found if not math.isnan(each.cpu)]
    starts = [each.cold_start for each in found if each.cold_start is not None]
    return Served(
        added(found),
        sum(used) if used else math.nan,
        max(each.memory for each in found),
        max(each.waiting for each in found),
        len(starts),
        max(starts, default=0.0),
        _together(each.refused for each in found),
        _together(each.dropped for each in found),
    )


def _together(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in counts:
        for name, count in each.items():
            found[name] = found.get(name, 0) + count
    return found


def _seconds(moment: dt.datetime) -> float:
    return moment.replace(tzinfo=dt.UTC).timestamp()
