"""The judge: the metric of each tool's predictions on the test rows, the same lines for everybody."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from peers.catalog import Data

REPLICATES = 500


class Judge:
    """The test rows of a table.

    Args:
        data: which table.
        path: its test.csv.
    """

    def __init__(self, data: Data, path: Path) -> None:
        self.data = data
        with path.open(newline="") as file:
            values = [row[data.target] for row in csv.DictReader(file)]
        if data.kind == "binary":
            self.y = np.array([value == max(set(values)) for value in values], dtype=np.float64)
        else:
            self.y = np.array(values, dtype=np.float64)

    def metric(self, predictions: np.ndarray, weight: np.ndarray | None = None) -> float:
        """ROC AUC or RMSE of predictions (N,) float64; weight (N,): how often each row counts, once by default.

        Raises:
            ValueError: the predictions are not one finite number for each test row.
        """
        if predictions.shape != self.y.shape or not np.isfinite(predictions).all():
            raise ValueError(f"predictions are not {len(self.y)} finite numbers")
        weight = np.ones(len(self.y)) if weight is None else weight
        if self.data.kind == "binary":
            return _auc(self.y, predictions, weight)
        return float(np.sqrt(np.average((self.y - predictions) ** 2, weights=weight)))

    def interval(
        self, ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray]
    ) -> tuple[float, float, float]:
        """How much better ours are than theirs, each side the mean of its seeds, with a 95 % interval.

        Returns:
            gain, low, high: AUC - AUC, or the share by which our RMSE is less; above 0, ours are better. The interval
            is a paired bootstrap over the same test rows.
        """
        rng = np.random.default_rng(0)
        n = len(self.y)
        weights = (rng.multinomial(n, np.full(n, 1 / n)).astype(np.float64) for _ in range(REPLICATES))
        found = [self._gain(ours, theirs, weight) for weight in weights]
        low, high = np.quantile(found, [0.025, 0.975])
        return self._gain(ours, theirs, None), float(low), float(high)

    def _gain(
        self, ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray], weight: np.ndarray | None
    ) -> float:
        a, b = (float(np.mean([self.metric(p, weight) for p in side])) for side in (ours, theirs))
        return a - b if self.data.kind == "binary" else 1 - a / b


def _auc(y: np.ndarray, score: np.ndarray, weight: np.ndarray) -> float:
    """The share of pairs in which the positive row has the higher score; ties count half."""
    level = np.unique(score, return_inverse=True)[1]
    positive, negative = np.bincount(level, weight * y), np.bincount(level, weight * (1 - y))
    below = np.cumsum(negative) - negative / 2
    return float((positive * below).sum() / (positive.sum() * negative.sum()))
