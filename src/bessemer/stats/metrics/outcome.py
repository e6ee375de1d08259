"""What a model said about rows whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bessemer.core.signature import Task
from bessemer.stats.arrays import Floats, Ints


@dataclass(frozen=True)
class Outcome:
    """Truth and prediction of n rows.

    truth: class index int64 (n,), or the true number float64 (n,) for regression.
    predicted: the same of the prediction.
    probability: float32 or float64 (n, classes), rows sum to 1; of shape (n, 0) for regression.
    """

    task: Task
    truth: Ints | Floats
    predicted: Ints | Floats
    probability: NDArray[Any]

    @property
    def rows(self) -> int:
        return len(self.truth)

    @property
    def classes(self) -> int:
        return int(self.probability.shape[1])

    def take(self, rows: NDArray[np.int64]) -> Outcome:
        return Outcome(self.task, self.truth[rows], self.predicted[rows], self.probability[rows])


def classified(
    task: Task, truth: ArrayLike, probability: ArrayLike, predicted: ArrayLike | None = None
) -> Outcome:
    """The outcome of a classifier: the class of greatest probability, the positive one of two from 0.5 up.

    Args:
        predicted: the class index (n,) that was said, where the classifier decides otherwise.

    >>> classified("binary", [0, 1], [[0.5, 0.5], [0.9, 0.1]]).predicted.tolist()
    [1, 0]
    """
    given = np.asarray(probability)
    if predicted is None:
        predicted = given[:, 1] >= 0.5 if task == "binary" else np.argmax(given, axis=1)
    return Outcome(task, np.asarray(truth).astype(np.int64), np.asarray(predicted).astype(np.int64), given)


def class_indices(labels: ArrayLike, classes: Sequence[Any]) -> Ints:
    """The class index of each label (n,) that a graph gave, int64 (n,).

    >>> class_indices(np.array(["no", "yes", "no"], dtype=object), ["no", "yes"]).tolist()
    [0, 1, 0]
    """
    given = np.asarray(labels).reshape(-1)
    found = np.zeros(len(given), dtype=np.int64)
    for k, name in enumerate(classes[1:], start=1):
        found[given == name] = k
    return found


def said_codes(said: ArrayLike, classes: Sequence[Any]) -> Floats:
    """What a graph predicted, or a log says it did, as class indices or, without classes, numbers, float64 (n,); NaN
    where it is None or NaN.

    >>> said_codes(np.array(["yes", None], dtype=object), ["no", "yes"]).tolist(), said_codes([2.5], []).tolist()
    ([1.0, nan], [2.5])
    """
    given = np.asarray(said).reshape(-1)
    if not classes:
        return given.astype(np.float64)
    there = np.array([value is not None and value == value for value in given.tolist()], dtype=bool)
    return np.where(there, class_indices(given, classes), np.nan)


def estimated(truth: ArrayLike, predicted: ArrayLike) -> Outcome:
    """The outcome of a regression."""
    y, p = np.asarray(truth, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    return Outcome("regression", y, p, np.zeros((len(y), 0)))
