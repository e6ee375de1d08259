"""Slope and curvature of the losses that models are fitted with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bessemer.stats.calibration import sigmoid, softmax

if TYPE_CHECKING:
    from bessemer.explain.sample import Floats


@dataclass(frozen=True)
class Loss:
    """Log loss of classes; of numbers half the squared error, or the absolute one.

    actual: (N,) the class index, or the value.

    >>> [part.tolist() for part in Loss("binary", np.array([1.0, 0.0])).slopes(np.zeros((2, 1)))]
    [[[-0.5], [0.5]], [[0.25], [0.25]]]
    """

    task: str
    actual: Floats
    absolute: bool = False

    def slopes(self, margin: Floats) -> tuple[Floats, Floats]:
        """First and second derivative in each margin, both (N, K)."""
        if self.task == "regression":
            apart = margin - self.actual[:, None]
            return (np.sign(apart) if self.absolute else apart), np.ones_like(margin)
        if self.task == "binary":
            p = sigmoid(margin)
            return p - self.actual[:, None], p * (1 - p)
        p = softmax(margin)
        return p - one_hot(self.actual, margin.shape[1]), p * (1 - p)


def one_hot(actual: Floats, outputs: int) -> Floats:
    """(N,) class indices -> (N, outputs); with one output the value itself."""
    if outputs == 1:
        return actual[:, None]
    found = np.zeros((len(actual), outputs))
    found[np.arange(len(actual)), actual.astype(np.int64)] = 1.0
    return found
