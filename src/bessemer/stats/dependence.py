"""How strongly two columns go together, whatever their kinds: numbers, categories, one of each.

All figures are comparable in size: 0 says nothing of the other, 1 tells it. Sums are added pairwise, so no figure
depends on a BLAS or its threads.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from bessemer.stats.arrays import Bools, Floats, Ints


def mean_ranks(values: ArrayLike) -> Floats:
    """Ranks (n,) from 1, ties sharing their mean; `values` (n,) has no NaN.

    >>> mean_ranks([2.0, 5.0, 2.0]).tolist()
    [1.5, 3.0, 1.5]
    """
    _, place, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[place], dtype=np.float64)


def correlation(x: Floats, y: Floats) -> float:
    """Pearson's correlation of two columns without NaN, in [-1, 1]; of ranks it is Spearman's. NaN: one is constant.

    >>> round(correlation(np.array([1.0, 2, 3]), np.array([2.0, 4, 6])), 12)
    1.0
    """
    if not len(x):
        return math.nan
    a, b = x - x.mean(), y - y.mean()
    size = math.sqrt(float(np.sum(a * a))) * math.sqrt(float(np.sum(b * b)))
    return max(-1.0, min(1.0, float(np.sum(a * b)) / size)) if size > 0 else math.nan


def separation(inside: Bools, ranks: Floats) -> float:
    """How far a number separates two groups: 2 AUC - 1, the rank-biserial correlation (Cureton 1956), in [-1, 1].

    However rare a group is, 1 means that all its numbers are above the others', -1 below. NaN: a group is empty.

    Args:
        inside: (n,) whether a row is of the one group. ranks: (n,) `mean_ranks` of the number.

    >>> separation(np.array([False, False, False, True]), np.array([1.0, 2, 3, 4]))
    1.0
    """
    n, own = len(ranks), int(np.count_nonzero(inside))
    if own in (0, n):
        return math.nan
    gap = float(np.sum(ranks[inside])) / own - float(np.sum(ranks[~inside])) / (n - own)
    return max(-1.0, min(1.0, 2 * gap / n))


def correlation_ratio(codes: Ints, values: Floats) -> float:
    """The root of the share of the values' variance that the categories explain, in [0, 1]; NaN: nothing varies.

    Corrected for the number of categories (Kelley 1935: epsilon squared), so that many rare ones explain nothing by
    chance.

    Args:
        codes: (n,) categories as 0, 1, ... values: (n,), no NaN; ranks give the rank form, which outliers cannot move.

    >>> correlation_ratio(np.array([0, 0, 1, 1]), np.array([1.0, 1.0, 5.0, 5.0]))
    1.0
    """
    n = len(values)
    sizes = np.bincount(codes).astype(np.float64)
    groups = int(np.count_nonzero(sizes))
    centred = values - values.mean() if n else values
    total = float(np.sum(centred * centred))
    if n <= groups or groups < 2 or total <= 0:
        return math.nan
    sums = np.bincount(codes, weights=centred, minlength=len(sizes))
    between = float(np.sum(np.divide(sums * sums, sizes, out=np.zeros_like(sums), where=sizes > 0)))
    within = max(0.0, total - between)
    return math.sqrt(max(0.0, 1 - (within / (n - groups)) / (total / (n - 1))))


def cramers_v(table: ArrayLike) -> float:
    """Cramér's V of a table of counts (a, b), corrected for its size (Bergsma 2013), in [0, 1]; NaN: nothing varies.

    >>> cramers_v([[50, 0], [0, 50]])
    1.0
    >>> cramers_v([[25, 25], [25, 25]])
    0.0
    """
    counts = np.asarray(table, dtype=np.float64)
    counts = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
    n, (rows, columns) = float(counts.sum()), counts.shape
    if n <= 1 or min(rows, columns) < 2:
        return math.nan
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0, keepdims=True) / n
    phi = float(np.sum((counts - expected) ** 2 / expected)) / n
    corrected = max(0.0, phi - (rows - 1) * (columns - 1) / (n - 1))
    smaller = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)) - 1
    return math.sqrt(min(1.0, corrected / smaller)) if smaller > 0 else math.nan


def homogeneity(reference: ArrayLike, window: ArrayLike) -> float:
    """The p-value of Pearson's chi-square test that two columns of counts (bins,) come from one distribution.

    Bins that expect fewer than five rows on either side are taken together; NaN: fewer than two are left.

    >>> homogeneity([50, 50], [50, 50])
    1.0
    """
    from scipy.special import chdtrc

    both = np.array([reference, window], dtype=np.float64)
    sizes, n = both.sum(axis=1, keepdims=True), float(both.sum())
    if not sizes.all():
        return math.nan
    rare = both.sum(axis=0) * float(sizes.min()) / n < 5
    pooled = np.column_stack([both[:, ~rare], both[:, rare].sum(axis=1)]) if rare.any() else both
    pooled = pooled[:, pooled.sum(axis=0) * float(sizes.min()) / n >= 1]
    if pooled.shape[1] < 2:
        return math.nan
    expected = pooled.sum(axis=0) * pooled.sum(axis=1, keepdims=True) / pooled.sum()
    return float(chdtrc(pooled.shape[1] - 1, float(np.sum((pooled - expected) ** 2 / expected))))
