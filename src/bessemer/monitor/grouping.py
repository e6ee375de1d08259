"""The columns whose distributions are compared, in few groups: fewer groups tell smaller changes from chance."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from bessemer.monitor.reference import Reference, Sketch
from bessemer.monitor.window import Window
from bessemer.stats.arrays import Floats
from bessemer.stats.binning import regroup
from bessemer.stats.two_sample import enough

#: So many standard deviations above the last value that is counted, a value is among the most frequent for certain.
_BEYOND_CHANCE = 4.0


def compared(reference: Reference, window: Window) -> Iterator[tuple[str, Floats, Floats]]:
    """Name, reference counts and window counts (two groups or more) of each column that has values on both sides.

    Missing values are apart, and groups that are too small stand together. Times are not compared: time goes on.
    """
    for name, column in window.columns.items():
        before, now = reference.columns[name], column.sketch
        if before.dtype == "timestamp" or not before.count or not now.count or name not in reference.groups:
            continue
        groups = reference.groups[name]
        both = enough(np.stack([grouped(before, before, groups), grouped(now, before, groups)]))
        if both.shape[1] > 1:
            yield name, both[0], both[1]


def grouped(sketch: Sketch, reference: Sketch, groups: list[object]) -> Floats:
    """Counts of groups of neighbouring bins, or of the values that stand alone and then of all others."""
    if reference.is_numeric:
        return regroup(sketch.counts, [int(str(start)) for start in groups])
    alone = standing_alone(reference)
    return np.append(sketch.counts[:-1][alone], sketch.counts.sum() - sketch.counts[:-1][alone].sum())


def standing_alone(reference: Sketch) -> npt.NDArray[np.bool_]:
    """Which of the values that are counted one by one are compared one by one, bool (values,).

    All, where there are no others. Where only the most frequent ones are counted, those that are so beyond chance: of
    many values that are as frequent, the ones that were most frequent in one sample are less so in the next.
    """
    counts = reference.counts[:-1]
    if not reference.counts[-1] or not len(counts):
        return np.ones(len(counts), dtype=bool)
    least = float(counts.min())
    return np.asarray(counts > least + _BEYOND_CHANCE * np.sqrt(least))


def numeric(reference: Reference, window: Window) -> Iterator[tuple[str, Sketch, Sketch]]:
    """Name and both sketches, in all bins, of each column of numbers that has values on both sides."""
    for name, column in window.columns.items():
        before, now = reference.columns[name], column.sketch
        if before.is_numeric and before.dtype != "timestamp" and before.count and now.count:
            yield name, before, now
