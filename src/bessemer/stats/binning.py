"""Counts in bins: the sketch of a column that can be merged, compared and kept small.

A numeric sketch has k + 1 edges and k counts. Bin i holds edges[i] < x <= edges[i + 1]; the first also takes
what is smaller or equal to its upper edge, the last what is greater than its lower one, so every number has a
bin. Two neighbouring edges may be equal at the lower end: that bin holds one value alone. Sketches with the
same edges merge by adding their counts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from bessemer.stats.arrays import Floats, Ints


def edges_from_cuts(cuts: Sequence[float], low: float, high: float) -> list[float]:
    """The edges of a sketch from inner cut points (of any order, with repeats) and the smallest and greatest value.

    >>> edges_from_cuts([2, 1, 2, 3], 1, 3)
    [1, 1, 2, 3]
    """
    inner = sorted({cut for cut in cuts if low <= cut < high})
    return [low, *inner, high]


def quantile_cuts(values: ArrayLike, bins: int) -> list[float]:
    """The bins - 1 inner quantiles of `values` (n,), n > 0, none NaN; each is one of the values; repeats stay.

    >>> quantile_cuts([1, 2, 2, 3], 4)
    [1.0, 2.0, 2.0]
    """
    places = np.arange(1, bins) / bins
    numbers = np.asarray(values, dtype=np.float64)
    return [float(cut) for cut in np.quantile(numbers, places, method="inverted_cdf")]


def quantile_edges(values: ArrayLike, bins: int = 256) -> list[float]:
    """Edges at up to `bins` - 1 inner quantiles that occur as values; none of `values` (n,), n > 0, is NaN.

    >>> quantile_edges([1, 2, 2, 3], 4)
    [1.0, 1.0, 2.0, 3.0]
    """
    numbers = np.asarray(values, dtype=np.float64)
    return edges_from_cuts(quantile_cuts(numbers, bins), float(numbers.min()), float(numbers.max()))


def count(values: ArrayLike, edges: Sequence[float]) -> Ints:
    """How many of `values` (n,), none NaN, lie in each bin: int64 (len(edges) - 1,).

    >>> count([0, 1, 2, 9], [1, 1, 2, 3]).tolist()
    [2, 1, 1]
    """
    bins = len(edges) - 1
    place = np.searchsorted(np.asarray(edges[1:-1], dtype=np.float64), np.asarray(values, dtype=np.float64))
    return np.bincount(place, minlength=bins).astype(np.int64)


def merge_adjacent(counts: ArrayLike, bins: int) -> list[int]:
    """Where to start each of at most `bins` groups of neighbouring bins, so that the groups weigh about the same.

    The starts depend on the reference's counts alone; `regroup` applies them to both sides of a comparison.

    >>> merge_adjacent([5, 5, 5, 5], 2)
    [0, 2]
    """
    sizes = np.asarray(counts, dtype=np.float64)
    if not sizes.sum():
        return [0]
    before = np.concatenate(([0.0], np.cumsum(sizes)[:-1])) / sizes.sum()
    # A bin belongs to the group in which its middle lies, so that one heavy bin stays alone.
    group = np.minimum(((before + sizes / sizes.sum() / 2) * bins).astype(np.int64), bins - 1)
    return [0, *(np.flatnonzero(np.diff(group)) + 1).tolist()]


def regroup(counts: ArrayLike, starts: Sequence[int]) -> Floats:
    """Counts of groups of neighbouring bins, float64 (len(starts),).

    >>> regroup([1, 2, 3, 4], [0, 2]).tolist()
    [3.0, 7.0]
    """
    return np.add.reduceat(np.asarray(counts, dtype=np.float64), list(starts))
