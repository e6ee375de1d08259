"""How far probabilities can be believed: proper scoring rules and the reliability of calibration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bessemer.stats.arrays import Floats, Ints, Weights, ratio

#: Probabilities come out of a float32 graph: nearer to 0 or 1 than this they are not told apart.
EPSILON = float(np.finfo(np.float32).eps)


def log_losses(truth: Ints, probability: ArrayLike) -> Floats:
    """-log of the probability given to the true class, a row each, float64 (n,), in nats, <= 15.95.

    Args:
        truth: class indices (n,).
        probability: (n, classes); rows sum to 1.

    Probabilities are kept at least `EPSILON` away from 0 and 1.
    """
    given = np.asarray(probability)[np.arange(len(truth)), truth].astype(np.float64)
    return np.asarray(-np.log(np.clip(given, EPSILON, 1 - EPSILON)), dtype=np.float64)


def brier_losses(truth: Ints, probability: ArrayLike) -> Floats:
    """Squared distance of the probabilities to the truth, a row each, float64 (n,).

    Two classes: (p - y)^2 of the positive class, in [0, 1]. More: the sum over the classes, in [0, 2] (Brier 1950).
    """
    given = np.array(probability, dtype=np.float64)
    given[np.arange(len(truth)), truth] -= 1
    return np.asarray(given[:, 1] ** 2 if given.shape[1] == 2 else np.sum(given**2, axis=1))


@dataclass(frozen=True)
class Bins:
    """Weight, summed probability and weight of the events in each bin of probability, float64 (bins,) each."""

    weight: Floats
    predicted: Floats
    observed: Floats


class Reliability:
    """Probabilities of an event in bins of equal width, ready for any number of weightings.

    Args:
        event: (n,) whether it happened: the positive class; or, for many classes, whether the prediction was right.
        probability: (n,) what was said, in [0, 1].

    >>> expected_calibration_error(Reliability([1, 0, 1, 0], [0.5, 0.5, 0.5, 0.5]).bins())
    0.0
    """

    def __init__(self, event: ArrayLike, probability: ArrayLike, bins: int = 15) -> None:
        self._event = np.asarray(event, dtype=np.float64)
        self._probability = np.asarray(probability, dtype=np.float64)
        self._count = bins
        self._bin: Ints = np.minimum((self._probability * bins).astype(np.int64), bins - 1)

    def bins(self, weights: Weights = None) -> Bins:
        weight = np.ones(len(self._event)) if weights is None else weights
        terms = (weight, weight * self._probability, weight * self._event)
        return Bins(*(np.bincount(self._bin, term, self._count).astype(np.float64) for term in terms))


def expected_calibration_error(bins: Bins) -> float:
    """Mean distance between what was said and what happened, over bins of equal width, in [0, 1].

    Naeini et al. 2015, Guo et al. 2017. NaN where there are no rows.
    """
    return ratio(float(np.sum(np.abs(bins.predicted - bins.observed))), float(bins.weight.sum()))
