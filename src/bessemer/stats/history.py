"""Whether a number is out of the ordinary, from the numbers that came before it; and tails of shares."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike


def newcomer_p(value: float, earlier: ArrayLike, *, floor: float = 0.0, both: bool = False) -> float:
    """How likely a new number so great is, if it comes from the normal law that the earlier ones came from.

    That is the prediction interval of one more observation (Hahn and Meeker 1991, section 4.8): the law of Student
    with n - 1 degrees of freedom, so that few earlier numbers do not make it sure.

    Args:
        value: the new number.
        earlier: (n,), n >= 2 finite numbers.
        floor: the least standard deviation that is believed: numbers that were equal may differ tomorrow.
        both: whether a number so small counts too.

    Returns:
        a probability; NaN where fewer than two earlier numbers are given.

    >>> round(newcomer_p(3.0, [-1.0, 0.0, 1.0]), 3)
    0.061
    >>> newcomer_p(2.0, [1.0, 1.0, 1.0], floor=0.5, both=True) > 0.1
    True
    """
    from scipy.special import stdtr

    numbers = np.asarray(earlier, dtype=np.float64)
    n = len(numbers)
    if n < 2:
        return math.nan
    spread = max(float(numbers.std(ddof=1)), floor)
    away = value - float(numbers.mean())
    if both:
        away = abs(away)
    if not spread > 0:
        return 1.0 if away <= 0 else 0.0
    p = float(stdtr(n - 1, -away / (spread * math.sqrt(1 + 1 / n))))
    return min(1.0, 2 * p) if both else p


def newcomer_critical(
    probability: float, earlier: ArrayLike, *, floor: float = 0.0, both: bool = False
) -> float:
    """How far a new number is from the mean of the earlier ones with this probability (see `newcomer_p`).

    >>> mean_of = [-1.0, 0.0, 1.0]
    >>> round(newcomer_p(newcomer_critical(0.01, mean_of), mean_of), 4)
    0.01
    """
    from scipy.special import stdtrit

    numbers = np.asarray(earlier, dtype=np.float64)
    n = len(numbers)
    spread = max(float(numbers.std(ddof=1)), floor) * math.sqrt(1 + 1 / n)
    return float(-stdtrit(n - 1, probability / 2 if both else probability) * spread)


def binomial_tail(events: float, rows: float, share: float) -> float:
    """How likely at least so many of `rows` are events, each with the probability `share` and alone.

    >>> binomial_tail(2, 2, 0.5), binomial_tail(0, 10, 0.1)
    (0.25, 1.0)
    """
    from scipy.special import betainc

    if events <= 0:
        return 1.0
    if events > rows:
        return 0.0
    return float(betainc(events, rows - events + 1, share))


def binomial_critical(probability: float, rows: float, share: float) -> float:
    """The share of `rows` that is exceeded with this probability (see `binomial_tail`).

    >>> binomial_critical(0.3, 2, 0.5)
    1.0
    """
    low, high = 0, int(rows) + 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if binomial_tail(middle, rows, share) <= probability else (middle + 1, high)
    return low / rows if rows else math.nan


def bucket_quantile(share: float, edges: ArrayLike, counts: ArrayLike) -> float:
    """A quantile of what a histogram has counted, straight lines within its buckets (Prometheus' `histogram_quantile`).

    Args:
        share: in (0, 1].
        edges: upper edges (k,), rising; the last may be infinite.
        counts: (k,).

    Returns:
        the quantile; the last finite edge where it lies beyond it, NaN where nothing was counted.

    >>> bucket_quantile(0.5, [1.0, 2.0, float("inf")], [2, 2, 0])
    1.0
    >>> bucket_quantile(0.75, [1.0, 2.0, float("inf")], [2, 2, 0])
    1.5
    """
    upper, found = np.asarray(edges, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    sums = np.cumsum(found)
    if not len(sums) or not sums[-1] > 0:
        return math.nan
    place = int(np.searchsorted(sums, share * sums[-1]))
    if not math.isfinite(upper[place]):
        return float(upper[place - 1]) if place else math.nan
    low, before = (upper[place - 1], sums[place - 1]) if place else (0.0, 0.0)
    return float(low + (upper[place] - low) * (share * sums[-1] - before) / found[place])
