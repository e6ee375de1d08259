"""Whether a number is out of the ordinary, from the numbers that came before it; and tails of shares."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from bessemer.stats.arrays import Floats


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


def newcomer_share_p(events: float, rows: float, earlier: ArrayLike) -> float:
    """How likely so many events among new rows are, from those of earlier samples, which differ by more than by chance.

    The logarithm of a sample's odds comes from a normal law, and its events from a binomial one, so samples may be of
    any sizes. How much samples differ beyond the binomial law is not known: all that fits their spread is weighed by
    how well it does (the Q-profile of Viechtbauer 2007 as a confidence distribution). Of equal samples so large that
    only their own shares count, this is Student's law with n - 1 degrees of freedom (see `newcomer_p`).

    Args:
        events, rows: of the new sample, 0 <= events <= rows.
        earlier: (n, 2), n >= 2: events and rows of each, rows > 0.

    Returns:
        a probability, of one side: that of a share so great; NaN of fewer than two earlier samples.

    >>> newcomer_share_p(30, 300, [(400, 20_000), (410, 20_000), (390, 20_000)] * 10) < 1e-6
    True
    >>> newcomer_share_p(10, 300, [(200, 20_000), (900, 20_000), (400, 20_000)] * 10) > 0.1
    True
    """
    from scipy.special import betainc, expit

    found, sizes = np.asarray(earlier, dtype=np.float64).reshape(-1, 2).T
    if len(found) < 2:
        return math.nan
    if events <= 0:
        return 1.0
    mean, variance = _laws(found, sizes)
    scale = np.sqrt(np.log1p(variance / (mean * (1 - mean)) ** 2))
    likely = scale[len(scale) // 2]  # the mean of shares is not that of their logarithms
    middle = np.log(mean / (1 - mean)) - likely**2 * (1 - 2 * mean) / 2
    odds = middle[:, None] + scale[:, None] * _NORMAL
    tails = betainc(events, max(rows - events, 0) + 1, expit(odds))
    return min(1.0, float(_WEIGHTS @ tails @ _WEIGHTS + 2 * _BEYOND))


#: The normal law in steps, and what lies beyond them.
_NORMAL = np.linspace(-6.0, 6.0, 121)
_WEIGHTS = np.exp(-(_NORMAL**2) / 2) / np.exp(-(_NORMAL**2) / 2).sum()
_BEYOND = 1e-9


def _laws(events: Floats, rows: Floats) -> tuple[Floats, Floats]:
    """Of what fits the spread of shares, from the widest to the narrowest, each as likely as a step of the normal law:
    the mean share, and the variance of another sample's share about it, that of the mean included."""
    from scipy.special import chdtri, ndtr

    pooled, least = (events.sum() + 0.5) / (rows.sum() + 1), 0.5 / (rows.sum() + 1)
    shares, chance = events / rows, pooled * (1 - pooled) / rows
    between = np.append(0.0, np.geomspace(1e-4 * chance.min(), 1.0, 200))
    weights = 1 / (between[:, None] + chance)
    sums = weights.sum(axis=1)
    means = weights @ shares / sums
    spread = (weights * (shares - means[:, None]) ** 2).sum(axis=1)
    fits = np.interp(-chdtri(len(rows) - 1, ndtr(-_NORMAL)), -spread, between)
    mean = np.clip(np.interp(fits, between, means), least, 1 - least)
    return mean, fits + 1 / np.interp(fits, between, sums)


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
