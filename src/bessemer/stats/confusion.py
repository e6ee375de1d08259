"""The confusion matrix and what is read off it. Rows of the matrix are the truth, columns the prediction."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from bessemer.stats.arrays import Floats, Ints, Weights, ratio


class Confusion:
    """Pairs of true and predicted class, ready for any number of weightings.

    Args:
        truth, predicted: class indices (n,), in [0, classes).

    >>> Confusion([0, 1, 1], [0, 1, 0], classes=2).matrix().tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """

    def __init__(self, truth: ArrayLike, predicted: ArrayLike, classes: int) -> None:
        self.classes = classes
        rows, columns = np.asarray(truth, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
        self._cell: Ints = rows * classes + columns

    def matrix(self, weights: Weights = None) -> Floats:
        """Weight in each cell, float64 (classes, classes)."""
        counts = np.bincount(self._cell, weights, minlength=self.classes**2).astype(np.float64)
        return counts.reshape(self.classes, self.classes)


def accuracy(matrix: Floats) -> float:
    """Share of rows with the right class. NaN where there are no rows."""
    return ratio(float(np.trace(matrix)), float(matrix.sum()))


def balanced_accuracy(matrix: Floats) -> float:
    """Mean recall over the classes that occur (Brodersen et al. 2010). NaN where there are no rows."""
    found, present = np.diag(matrix), matrix.sum(axis=1)
    recalls = found[present > 0] / present[present > 0]
    return float(recalls.mean()) if len(recalls) else math.nan


def precision(matrix: Floats) -> float:
    """Binary: share of rows called positive that are. 0 where none is called positive."""
    return ratio(float(matrix[1, 1]), float(matrix[:, 1].sum()), 0.0)


def recall(matrix: Floats) -> float:
    """Binary: share of positives that are found. NaN where there are no positives."""
    return ratio(float(matrix[1, 1]), float(matrix[1].sum()))


def f1(matrix: Floats) -> float:
    """Binary: harmonic mean of precision and recall. 0 where nothing is found, NaN where there are no rows."""
    if not matrix.sum():
        return math.nan
    return ratio(2 * float(matrix[1, 1]), float(matrix[1].sum() + matrix[:, 1].sum()), 0.0)


def f1_macro(matrix: Floats) -> float:
    """Mean of the classes' F1 over the classes that occur in the truth or the predictions."""
    both = matrix.sum(axis=0) + matrix.sum(axis=1)
    found = np.diag(matrix)
    scores = 2 * found[both > 0] / both[both > 0]
    return float(scores.mean()) if len(scores) else math.nan


def matthews(matrix: Floats) -> float:
    """Correlation of truth and prediction, in [-1, 1], for two classes or more (Gorodkin 2004).

    0 where one of the two is constant; NaN where there are no rows.
    """
    rows = float(matrix.sum())
    if not rows:
        return math.nan
    cells = matrix / rows
    truth, predicted = cells.sum(axis=1), cells.sum(axis=0)
    covariance = float(np.trace(cells) - np.sum(truth * predicted))
    spread = (1 - float(np.sum(truth**2))) * (1 - float(np.sum(predicted**2)))
    return covariance / math.sqrt(spread) if spread > 1e-15 else 0.0
