"""Confident learning: which given classes are likely wrong, from held-out probabilities.

Northcutt, Jiang and Chuang 2021. A row counts for a class when its probability reaches the mean probability of the
rows that are given that class; counted for another class than its own, the row is suspicious.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bessemer.stats.arrays import Bools, Floats, Ints

#: A class that no row is given has a threshold that no probability reaches.
_NEVER = 2.0
_SLACK = 1e-6


@dataclass(frozen=True)
class Confident:
    """What confident learning says of n rows and k classes.

    suspicious: bool (n,). likely: the class of greatest probability, int64 (n,).
    joint: float64 (k, k), the estimated share of rows by given (rows) and true class; sums to 1.
    """

    suspicious: Bools
    likely: Ints
    joint: Floats

    @property
    def noise(self) -> float:
        """The estimated share of rows whose given class is not the true one."""
        return float(1 - np.trace(self.joint))


def confident(given: ArrayLike, probability: ArrayLike) -> Confident:
    """Judge given classes by probabilities of a model that has not learnt from these rows.

    Args:
        given: class indices (n,), n > 0.
        probability: (n, k); rows sum to 1.

    >>> probability = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.05, 0.95]])
    >>> confident([0, 0, 1, 1, 0], probability).suspicious.tolist()
    [False, False, False, False, True]
    """
    y, p = np.asarray(given, dtype=np.int64), np.asarray(probability, dtype=np.float64)
    k = p.shape[1]
    sizes = np.bincount(y, minlength=k)
    sums = np.bincount(y, weights=p[np.arange(len(y)), y], minlength=k)
    thresholds = np.where(sizes > 0, sums / np.maximum(sizes, 1), _NEVER)
    reached = p >= np.maximum(thresholds, _SLACK) - _SLACK
    likely = p.argmax(axis=1)
    counted = np.where(reached.sum(axis=1) > 1, likely, reached.argmax(axis=1))
    sure = reached.any(axis=1)
    suspicious = sure & (counted != y) & (likely != y)
    return Confident(suspicious, likely.astype(np.int64), _joint(y[sure], counted[sure], sizes))


def _joint(given: NDArray[Any], counted: NDArray[Any], sizes: NDArray[Any]) -> Floats:
    """The confident counts, each row of them scaled to how often its class is given."""
    k = len(sizes)
    counts = np.bincount(given * k + counted, minlength=k * k).reshape(k, k).astype(np.float64)
    np.fill_diagonal(counts, np.maximum(np.diag(counts), 1))
    scaled = counts / counts.sum(axis=1, keepdims=True) * sizes[:, None]
    return np.asarray(scaled / scaled.sum())


def modified_z(residual: ArrayLike, group: ArrayLike) -> Floats:
    """How far each residual lies from its group's median, in robust standard deviations, float64 (n,).

    Iglewicz and Hoaglin 1993: 0.6745 (r - median) / MAD; from 3.5 on a value is called an outlier. Where more than
    half of a group are equal the mean absolute deviation takes the place of the median one. NaN: a constant group.

    Args:
        residual: float (n,). group: int (n,), from 0.

    >>> modified_z([0.0, 1.0, -1.0, 10.0], [0, 0, 0, 0]).round(2).tolist()
    [-0.34, 0.34, -1.01, 6.41]
    """
    r, g = np.asarray(residual, dtype=np.float64), np.asarray(group, dtype=np.int64)
    found = np.full(len(r), np.nan)
    for k in np.unique(g):
        rows = g == k
        away = r[rows] - np.median(r[rows])
        median, mean = float(np.median(np.abs(away))), float(np.mean(np.abs(away)))
        spread = median / 0.6745 if median > 0 else 1.253314 * mean
        if spread > 0:
            found[rows] = away / spread
    return found
