"""Bootstrap intervals (Efron 1979): how much a figure would change with another sample of the same size.

Every statistic of a call sees the same resamples, so differences between them are paired. Percentile
intervals: they need no formula for the statistic's variance, respect its range, and an interval of a
difference follows from the differences.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from bessemer.stats.arrays import Floats

Statistic = Callable[[Floats], Floats]


def resample(rows: int, rng: np.random.Generator) -> Floats:
    """How often each of n rows is drawn when n are drawn with replacement, float64 (n,), summing to n."""
    drawn = rng.integers(0, rows, rows, dtype=np.int32 if rows < 2**31 else np.int64)
    return np.bincount(drawn, minlength=rows).astype(np.float64)


def bootstrap(
    statistics: Sequence[Statistic],
    rows: int,
    replicates: int,
    rng: np.random.Generator,
    advance: Callable[[], object] = lambda: None,
) -> list[Floats]:
    """Replicates of several statistics on the same resamples.

    Args:
        statistics: functions of weights float64 (rows,) to figures (k,).
        rows: how many rows the sample has, > 0.
        replicates: how many resamples.
        rng: where chance comes from.
        advance: called after each resample.

    Returns:
        for each statistic an array float64 (replicates, k).

    >>> values = np.arange(100.0)
    >>> mean = lambda weights: np.array([weights @ values / weights.sum()])
    >>> found, = bootstrap([mean], 100, 200, np.random.default_rng(7))
    >>> low, high = interval(found[:, 0], 0.95)
    >>> bool(low < 49.5 < high)
    True
    """
    found: list[list[Floats]] = [[] for _ in statistics]
    for _ in range(replicates):
        weights = resample(rows, rng)
        for values, statistic in zip(found, statistics, strict=True):
            values.append(statistic(weights))
        advance()
    return [np.array(values, dtype=np.float64) for values in found]


def interval(replicates: ArrayLike, confidence: float) -> tuple[float, float]:
    """The percentile interval of one statistic's replicates.

    Args:
        replicates: float (replicates,); NaN where a resample left the statistic undefined.
        confidence: between 0 and 1, as 0.95.

    Returns:
        low and high; both NaN where more than half of the replicates are undefined.
    """
    values = np.asarray(replicates, dtype=np.float64)
    defined = values[np.isfinite(values)]
    if not len(defined) or len(defined) < len(values) / 2:
        return float("nan"), float("nan")
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)
