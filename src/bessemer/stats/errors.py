"""How far predicted numbers are from the true ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bessemer.stats.arrays import Floats, Weights, ratio, weighted


@dataclass(frozen=True)
class Moments:
    """Weighted sums of 1, y, y^2, e, e^2, |e| and the symmetric percentage error, with e = y - prediction.

    y is measured from its unweighted mean, so that the sums of squares keep their digits.
    """

    weight: float
    truth: float
    truth_squared: float
    error: float
    error_squared: float
    error_absolute: float
    error_symmetric: float


class Errors:
    """True and predicted numbers, ready for any number of weightings.

    Args:
        truth, predicted: float (n,), finite.

    >>> errors = Errors([1.0, 2.0, 4.0], [1.0, 2.0, 3.0])
    >>> mae(errors.moments()), errors.median_absolute()
    (0.3333333333333333, 0.0)
    """

    def __init__(self, truth: ArrayLike, predicted: ArrayLike) -> None:
        y, p = np.asarray(truth, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
        self._truth: Floats = y - (y.mean() if len(y) else 0.0)
        self._error: Floats = y - p
        self._absolute: Floats = np.abs(self._error)
        size = np.abs(y) + np.abs(p)
        self._symmetric: Floats = np.divide(2 * self._absolute, size, out=np.zeros_like(size), where=size > 0)
        self._squares: tuple[Floats, Floats] = (self._truth**2, self._error**2)
        self._order = np.argsort(self._absolute, kind="stable")
        self._sorted: Floats = self._absolute[self._order]

    def moments(self, weights: Weights = None) -> Moments:
        terms = (
            self._truth,
            self._squares[0],
            self._error,
            self._squares[1],
            self._absolute,
            self._symmetric,
        )
        rows = float(len(self._truth)) if weights is None else float(np.sum(weights))
        return Moments(rows, *(weighted(weights, term) for term in terms))

    def median_absolute(self, weights: Weights = None) -> float:
        """The weighted median of |error|: the middle of the two middle values where the weight splits evenly."""
        ranked = np.ones(len(self._order)) if weights is None else weights[self._order]
        below = np.cumsum(ranked)
        if not len(below) or below[-1] <= 0:
            return math.nan
        half = below[-1] / 2
        lower = int(np.searchsorted(below, half, side="left"))
        upper = int(np.searchsorted(below, half, side="right"))
        return float(self._sorted[lower] + self._sorted[min(upper, len(below) - 1)]) / 2


def rmse(m: Moments) -> float:
    """Root of the mean squared error, in the target's unit."""
    return math.sqrt(ratio(m.error_squared, m.weight)) if m.weight else math.nan


def mae(m: Moments) -> float:
    """Mean absolute error, in the target's unit."""
    return ratio(m.error_absolute, m.weight)


def smape(m: Moments) -> float:
    """Mean of 2|y - p| / (|y| + |p|), in [0, 2]; a row where both are zero counts 0 (Makridakis 1993).

    Unlike the plain percentage error it stays finite where the truth is zero.
    """
    return ratio(m.error_symmetric, m.weight)


def r2(m: Moments) -> float:
    """1 - squared error / squared deviation of the truth, in (-inf, 1]. NaN where the truth is constant."""
    spread = m.truth_squared - ratio(m.truth**2, m.weight, 0.0)
    return 1 - ratio(m.error_squared, spread) if spread > 1e-12 * m.truth_squared else math.nan


def explained_variance(m: Moments) -> float:
    """1 - Var(error) / Var(truth), in (-inf, 1]: as r2, but a constant bias costs nothing. NaN as r2."""
    spread = m.truth_squared - ratio(m.truth**2, m.weight, 0.0)
    left = m.error_squared - ratio(m.error**2, m.weight, 0.0)
    return 1 - ratio(left, spread) if spread > 1e-12 * m.truth_squared else math.nan
