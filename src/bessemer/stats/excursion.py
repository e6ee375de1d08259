"""Where a control chart stands: how high, and what has happened since it was last at zero."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bessemer.stats.bernoulli_cusum import Chart, levels


@dataclass(frozen=True)
class Excursion:
    """level: of the chart. labels, errors: since it was last at zero, where a change probably began (Page 1954).

    since: the stamp of the first of these labels; None where there are none.
    """

    level: int = 0
    labels: int = 0
    errors: int = 0
    since: int | None = None


def follow(
    asked: Chart, errors: ArrayLike, stamps: ArrayLike, start: Excursion
) -> tuple[Excursion, Excursion]:
    """Go on with a chart: where it is after errors (n,), 0 or 1, and where it was highest among them (the first time).

    Args:
        stamps: whole numbers (n,) that tell the labels apart, such as times.

    >>> asked = Chart(0.1, 0.4, 3, 1)
    >>> end, peak = follow(asked, [1, 0, 0, 0, 0, 1, 1, 0], range(8), Excursion())
    >>> end
    Excursion(level=5, labels=3, errors=2, since=5)
    >>> peak.level, peak.labels
    (6, 2)
    """
    wrong, when = np.asarray(errors, dtype=np.int64), np.asarray(stamps, dtype=np.int64)
    if not len(wrong):
        return start, Excursion()
    path = levels(asked, wrong, start.level)
    zeros, sums = np.flatnonzero(path == 0), np.cumsum(wrong)

    def at(place: int) -> Excursion:
        """How it stood after the label at a place."""
        before = np.searchsorted(zeros, place, side="right")
        if not before:
            since = int(when[0]) if start.since is None else start.since
            return Excursion(
                int(path[place]), start.labels + place + 1, start.errors + int(sums[place]), since
            )
        zero = int(zeros[before - 1])
        if zero == place:
            return Excursion()
        return Excursion(int(path[place]), place - zero, int(sums[place] - sums[zero]), int(when[zero + 1]))

    return at(len(wrong) - 1), at(int(np.argmax(path)))
