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


def excess_spread(values: Floats, r: Floats) -> Floats:
    """The variance of Fisher's z of each pair of columns, as a multiple of what it is where both are jointly normal.

    Normal scores make each column normal by itself and not the pair: of x and +-x, say, it is three times as great. By
    the influence function of a correlation: the mean of (xy - r (x^2 + y^2) / 2)^2 over (1 - r^2)^2, at least 1.

    Args:
        values: (n, k), NaN where a row has no value. r: (k, k), their correlations.

    >>> x = np.random.default_rng(0).normal(size=20_000)
    >>> both = np.stack([x, x * np.where(np.arange(20_000) % 2, 1, -1)], axis=1)
    >>> round(float(excess_spread(both, correlations(both)[0])[0, 1]))
    3
    """
    there = np.isfinite(values)
    mask = there.astype(np.float64)
    n = np.maximum(there.sum(axis=0), 1)
    middle = np.where(there, values - np.where(there, values, 0).sum(axis=0) / n, 0.0)
    both = np.maximum(mask.T @ mask, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        z = np.nan_to_num(middle / np.sqrt((middle**2).sum(axis=0) / n), posinf=0.0, neginf=0.0)
        # the square written out, so that all pairs are products of matrices
        squares, cubes, fourths = (z**2).T @ z**2, (z**3).T @ z, (z**4).T @ mask
        influence = (squares - r * (cubes + cubes.T) + r**2 / 4 * (fourths + 2 * squares + fourths.T)) / both
        factor = np.maximum(1.0, influence / (1 - r**2) ** 2)
    return np.where(np.isfinite(factor) & (np.abs(r) < 0.999) & ~np.eye(len(r), dtype=bool), factor, 1.0)


def correlation_p(r: float, n: float, other: float, m: float, *, factor: float = 1.0) -> float:
    """How likely two correlations of n and m rows differ so much by chance: Fisher's z (1921), two-sided.

    factor: see `excess_spread`.

    >>> round(correlation_p(0.5, 1000, 0.44, 1000), 2)
    0.09
    """
    spread = _spread(n, m) * math.sqrt(factor)
    return math.erfc(abs(_z(r) - _z(other)) / spread / math.sqrt(2)) if spread else 1.0


def correlation_critical(
    probability: float, r: float, n: float, m: float, factor: float = 1.0, *, rises: bool = False
) -> float:
    """How far a correlation r rises, or falls, by chance with a probability (two-sided): the limit on that side."""
    from scipy.special import erfcinv

    spread = _spread(n, m) * math.sqrt(factor)
    if not spread:
        return math.inf
    step = math.sqrt(2) * float(erfcinv(probability)) * spread
    return abs(math.tanh(_z(r) + (step if rises else -step)) - r)


def _z(r: float) -> float:
    return math.atanh(min(max(r, -0.999999), 0.999999))


def _spread(n: float, m: float) -> float:
    """0 where there are too few rows to say anything."""
    return math.sqrt(1 / (n - 3) + 1 / (m - 3)) if min(n, m) > 10 else 0.0
