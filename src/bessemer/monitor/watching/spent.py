"""How many requests were bad in the spans of time that an objective looks at.

The counters of the last days are read minute by minute at each window. Those of the hours before are read once, and
then kept as sums: of a period of thirty days a window reads three.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bessemer.monitor.slo import WINDOWS, Objective
from bessemer.monitor.watching.watched import Watched
from bessemer.package.prediction_log.operations import read_operations
from bessemer.stats.arrays import Ints

_MINUTE, _HOUR = 60.0, 3600
#: Bad requests and all of them, by objective and span of time (seconds).
Counts = Mapping[tuple[str, float], tuple[int, int]]


@dataclass
class Past:
    """Sums of the hours that are older than every window of an alert.

    until: Unix time; what was written up to it counts. hours: hour since 1970 -> a pair (bad, all) an objective.
    upto: hours before it are in `hours`, or had no requests; 0: none is known.
    """

    objectives: Sequence[Objective]
    period: float
    until: float
    upto: int = 0
    hours: dict[int, list[list[int]]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, objectives: Sequence[Objective], period: float, until: float, memory: Mapping[str, Any]
    ) -> Past:
        """As it is remembered: of other objectives, or another period, nothing is."""
        past = cls(objectives, period, until)
        if memory.get("of") == past._of():
            past.upto = memory["upto"]
            past.hours = {int(hour): sums for hour, sums in memory["hours"].items()}
        return past

    def memory(self) -> dict[str, Any]:
        """At most a pair an objective for each hour of the period."""
        return {
            "of": self._of(),
            "upto": self.upto,
            "hours": {str(h): sums for h, sums in self.hours.items()},
        }

    def counts(self, watched: Watched) -> Counts:
        """What is in the log and in memory, added up; hours that have become old go into memory.

        The period's first hour counts whole or not at all.
        """
        spans = sorted({*WINDOWS, self.period})
        recent = self.until - WINDOWS[-1]
        first, upto = math.floor((self.until - self.period) / _HOUR) + 1, math.floor(recent / _HOUR)
        self.upto = min(self.upto, upto)  # the clock was set back
        since = max(self.upto, first) * _HOUR
        ages = np.zeros((len(self.objectives), 2, math.ceil(WINDOWS[-1] / _MINUTE)), dtype=np.int64)
        between = np.zeros((len(self.objectives), 2), dtype=np.int64)
        self.hours = {hour: sums for hour, sums in self.hours.items() if first <= hour < self.upto}
        for each in read_operations(watched.log, watched.name, None, since, self.until):
            if not each.done:
                continue
            found = np.array([objective.counted(each.done) for objective in self.objectives])
            if each.time > recent:
                ages[:, :, int((self.until - each.time) // _MINUTE)] += found
            elif (hour := math.ceil(each.time / _HOUR) - 1) < upto:
                self._add(hour, found)
            else:
                between += found
        self.upto = upto
        old = sum((np.array(sums) for sums in self.hours.values()), between)
        return {
            (objective.label, seconds): self._sum(ages[place], old[place], seconds)
            for place, objective in enumerate(self.objectives)
            for seconds in spans
        }

    def _add(self, hour: int, found: Ints) -> None:
        known = self.hours.get(hour, np.zeros_like(found))
        self.hours[hour] = (np.array(known) + found).tolist()

    def _sum(self, ages: Ints, old: Ints, seconds: float) -> tuple[int, int]:
        bad, total = ages[:, : math.ceil(seconds / _MINUTE)].sum(axis=1)
        if seconds > WINDOWS[-1]:
            bad, total = bad + old[0], total + old[1]
        return int(bad), int(total)

    def _of(self) -> list[Any]:
        return [self.period, *([each.label, each.within] for each in self.objectives)]
