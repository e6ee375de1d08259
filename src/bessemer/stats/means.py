"""Is the mean of one group of rows above that of the others: Welch's test, its interval, and its power."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bessemer.stats.arrays import Floats


@dataclass(frozen=True)
class Moments:
    """Rows, sum and sum of squares of groups, float64 arrays of one shape: () for a single group."""

    rows: Floats
    total: Floats
    squares: Floats

    def without(self, part: Moments) -> Moments:
        """What is left when a part of the group is taken away."""
        return Moments(self.rows - part.rows, self.total - part.total, self.squares - part.squares)

    def summed(self, axis: int) -> Moments:
        """Groups along an axis as one group; the axis stays, with length 1."""
        return Moments(
            *(np.sum(part, axis=axis, keepdims=True) for part in (self.rows, self.total, self.squares))
        )

    def reshaped(self, shape: tuple[int, ...]) -> Moments:
        return Moments(*(np.reshape(part, shape) for part in (self.rows, self.total, self.squares)))

    @property
    def mean(self) -> Floats:
        """0 where there are no rows."""
        return np.asarray(self.total / np.maximum(self.rows, 1))

    @property
    def variance(self) -> Floats:
        """The sample's variance; infinite where there are fewer than two rows."""
        middle = np.maximum(self.squares - self.rows * self.mean**2, 0)
        return np.where(self.rows < 2, np.inf, middle / np.maximum(self.rows - 1, 1))


def moments(values: ArrayLike) -> Moments:
    """Of values (n,), measured from where they are: subtract their common mean first where it is far from zero."""
    given = np.asarray(values, dtype=np.float64)
    return Moments(
        *(np.asarray(part, dtype=np.float64) for part in (len(given), given.sum(), (given**2).sum()))
    )


def varied(group: Moments, others: Moments) -> Moments:
    """The group as if it varied at least as much as the others: Welch's test of few rows is then not taken in.

    Of a loss with an upper bound (errors are 0 or 1) a small group may lie at the bound by chance, all of it, and
    would seem to have no variance: any difference would be certain.

    >>> group, others = moments([1.0, 1.0, 1.0]), moments([0.0, 1.0, 1.0, 0.0])
    >>> float(group.variance), round(float(varied(group, others).variance), 3), round(float(others.variance), 3)
    (0.0, 0.333, 0.333)
    """
    short = np.maximum(others.variance - group.variance, 0.0)
    return Moments(group.rows, group.total, group.squares + short * np.maximum(group.rows - 1, 0))


def welch(group: Moments, others: Moments) -> Floats:
    """Welch's t (1947): the difference of means over its standard error; 0 where neither group varies.

    >>> float(welch(moments([2.0, 4.0]), moments([1.0, 1.0, 1.0])))
    2.0
    """
    error = np.sqrt(group.variance / np.maximum(group.rows, 1) + others.variance / np.maximum(others.rows, 1))
    top = np.asarray(group.mean - others.mean)
    return np.asarray(np.divide(top, error, out=np.zeros_like(top), where=(error > 0) & np.isfinite(error)))


@dataclass(frozen=True)
class Excess:
    """How far a group's mean lies above that of the others.

    difference, low, high: in the values' unit, with a two-sided interval. effect: the difference over the pooled
    standard deviation (Cohen's d). p: one-sided, of a difference that is zero or below. NaN: fewer than two rows.
    """

    difference: float
    low: float
    high: float
    effect: float
    p: float


def excess(group: Moments, others: Moments, confidence: float) -> Excess:
    """Welch's test of one group against the others.

    >>> found = excess(moments([2.0, 4.0, 3.0]), moments([1.0, 0.0, 2.0]), 0.95)
    >>> found.difference, round(found.p, 3), round(found.effect, 2)
    (2.0, 0.035, 2.0)
    """
    from scipy.special import stdtr, stdtrit

    n, m = float(group.rows), float(others.rows)
    if n < 2 or m < 2:
        return Excess(math.nan, math.nan, math.nan, math.nan, math.nan)
    difference = float(group.mean - others.mean)
    a, b = float(group.variance) / n, float(others.variance) / m
    error = math.sqrt(a + b)
    if error == 0:
        p = 0.0 if difference > 0 else 1.0
        return Excess(difference, difference, difference, math.copysign(math.inf, difference), p)
    freedom = (a + b) ** 2 / (a**2 / (n - 1) + b**2 / (m - 1))
    half = float(stdtrit(freedom, 0.5 + confidence / 2)) * error
    pooled = math.sqrt(((n - 1) * a * n + (m - 1) * b * m) / (n + m - 2))
    p = float(stdtr(freedom, -difference / error))
    return Excess(difference, difference - half, difference + half, difference / pooled, p)


def rows_needed(group: Moments, others: Moments, alpha: float, power: float = 0.8) -> int | None:
    """How many rows the group would need, all growing alike, for Welch's test to find this difference.

    Args:
        alpha: of the one-sided test, after any correction. power: the chance of finding it (Cohen 1988).

    Returns:
        Rows of the group; None where the group is not worse, so that no number of rows would do.

    >>> group, others = moments([1.0, 3.0, 0.0, 2.0]), moments([1.0, 1.0, 0.0, 2.0])
    >>> rows_needed(group, others, 0.05)
    58
    """
    from statistics import NormalDist

    difference = float(group.mean - others.mean)
    if not difference > 0 or group.rows < 2 or others.rows < 2:
        return None
    error = float(group.variance) / float(group.rows) + float(others.variance) / float(others.rows)
    wanted = NormalDist().inv_cdf(1 - alpha) + NormalDist().inv_cdf(power)
    return math.ceil(float(group.rows) * error * (wanted / difference) ** 2)


def by_code(codes: NDArray[np.int64], values: Floats, cells: int) -> Moments:
    """The moments of each code from 0 to cells - 1: codes int (n,), values float64 (n,)."""
    return Moments(
        np.bincount(codes, minlength=cells).astype(np.float64),
        np.bincount(codes, weights=values, minlength=cells).astype(np.float64),
        np.bincount(codes, weights=values**2, minlength=cells).astype(np.float64),
    )
