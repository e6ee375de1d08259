"""How columns of numbers go together, by what their bins say: correlations of normal scores."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bessemer.stats.arrays import Floats


def normal_scores(counts: Sequence[float]) -> Floats:
    """A score for each bin of a sketch: the normal quantile of the middle of its rows (van der Waerden 1952).

    Bins without rows get the score of the edge between their neighbours.

    >>> normal_scores([10, 10]).round(2).tolist()
    [-0.67, 0.67]
    """
    from scipy.special import ndtri

    sizes = np.asarray(counts, dtype=np.float64)
    total = sizes.sum()
    middle = (np.cumsum(sizes) - sizes / 2) / total if total else np.full(len(sizes), 0.5)
    return np.asarray(ndtri(np.clip(middle, 1e-6, 1 - 1e-6)), dtype=np.float64)


def correlations(values: Floats) -> tuple[Floats, Floats]:
    """Pearson's correlation of every pair of columns, and how many rows have both.

    Args:
        values: (n, k), NaN where a row has no value.

    Returns:
        (k, k) correlations, NaN where a column is constant or fewer than two rows have both; (k, k) counts.

    >>> r, n = correlations(np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0], [4.0, np.nan]]))
    >>> round(float(r[0, 1]), 6), int(n[0, 1])
    (1.0, 3)
    """
    there = np.isfinite(values)
    mask, filled = there.astype(np.float64), np.where(there, values, 0.0)
    n = mask.T @ mask
    with np.errstate(divide="ignore", invalid="ignore"):
        x = filled.T @ mask / n  # mean of the column in rows that have the other one too
        xx = (filled**2).T @ mask / n - x**2
        r = (filled.T @ filled / n - x * x.T) / np.sqrt(xx * xx.T)
    r[~(xx > 1e-12) | ~(xx.T > 1e-12) | (n < 2)] = np.nan
    return np.clip(r, -1.0, 1.0), n


def correlation_p(r: float, n: float, other: float, m: float) -> float:
    """How likely two correlations of n and m rows differ so much by chance: Fisher's z (1921), two-sided.

    >>> round(correlation_p(0.5, 1000, 0.44, 1000), 2)
    0.09
    """
    spread = _spread(n, m)
    return math.erfc(abs(_z(r) - _z(other)) / spread / math.sqrt(2)) if spread else 1.0


def correlation_critical(probability: float, r: float, n: float, m: float) -> float:
    """The change of a correlation r that is exceeded with a probability by chance."""
    from scipy.special import erfcinv

    spread = _spread(n, m)
    if not spread:
        return math.inf
    return float(abs(r) - math.tanh(abs(_z(r)) - math.sqrt(2) * float(erfcinv(probability)) * spread))


def _z(r: float) -> float:
    return math.atanh(min(max(r, -0.999999), 0.999999))


def _spread(n: float, m: float) -> float:
    """0 where there are too few rows to say anything."""
    return math.sqrt(1 / (n - 3) + 1 / (m - 3)) if min(n, m) > 10 else 0.0
