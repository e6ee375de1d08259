"""How good predictions probably are while their labels are not known yet.

Both ways hold while the relation of inputs to target is what it was: they see what follows from a change of the
inputs (more hard rows), and do not see a change of the concept itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bessemer.core.signature import Task
from bessemer.stats.arrays import Floats, Ints
from bessemer.stats.binning import count
from bessemer.stats.metrics.outcome import Outcome
from bessemer.stats.metrics.table import Scorer


@dataclass(frozen=True)
class Estimated:
    """A metric that is not known yet. value: what is expected; spread: its standard deviation; NaN: undefined."""

    value: float
    spread: float


def from_confidence(
    task: Task,
    probability: NDArray[np.float64],
    predicted: Ints,
    names: Sequence[str],
    rng: np.random.Generator,
    draws: int = 100,
) -> dict[str, Estimated]:
    """Metrics of a classifier from its own, calibrated probabilities (confidence-based performance estimation).

    Labels are drawn from the probabilities, many times; the mean of a metric over the draws is the estimate, and the
    draws spread as the metric of so many rows does (Guo et al. 2017 on calibration; Garg et al. 2022 on accuracy from
    confidence).

    Args:
        probability: (n, classes), rows sum to 1. predicted: class index (n,) that was said.
        names: metrics of the task.

    >>> p = np.array([[0.9, 0.1], [0.2, 0.8]] * 500)
    >>> found = from_confidence("binary", p, p.argmax(axis=1), ["accuracy"], np.random.default_rng(0))
    >>> round(found["accuracy"].value, 2), round(found["accuracy"].spread, 2)
    (0.85, 0.01)
    """
    bounds = np.cumsum(probability, axis=1)
    bounds[:, -1] = np.inf
    found = np.empty((draws, len(names)))
    for draw in range(draws):
        # a fresh sample of the rows each time: the estimate is as unsure as the window is small
        rows = rng.integers(0, len(probability), len(probability))
        truth = (rng.random((len(rows), 1)) > bounds[rows]).sum(axis=1)
        found[draw] = Scorer(Outcome(task, truth, predicted[rows], probability[rows]), names)()
    return {name: _estimated(found[:, k]) for k, name in enumerate(names)}


def corrected(
    task: Task, probability: Floats, predicted: Ints, edges: Sequence[float], excess: Floats
) -> Floats:
    """Probabilities as they would have been right on rows whose labels are known (histogram binning, Zadrozny and Elkan
    2001, as a correction: within a bin they keep their order).

    Args:
        probability: (n, classes), rows sum to 1. predicted: class index (n,) that was said.
        edges: of bins of a probability (bins + 1,), the outer ones open: of two classes of the positive one's, of more
            of the predicted one's. excess: how much more often than said that class was the true one, (bins,).

    Of more classes the others share what is left as before.

    >>> p = np.array([[0.2, 0.8], [0.9, 0.1]])
    >>> corrected("binary", p, p.argmax(axis=1), [0.0, 0.5, 1.0], np.array([0.0, -0.1])).round(2).tolist()
    [[0.3, 0.7], [0.9, 0.1]]
    """
    rows = np.arange(len(probability))
    which = np.ones(len(rows), dtype=np.int64) if task == "binary" else np.asarray(predicted, dtype=np.int64)
    said = probability[rows, which]
    place = np.searchsorted(np.asarray(edges[1:-1], dtype=np.float64), said)
    right = np.clip(said + np.nan_to_num(excess)[place], 0.0, 1.0)
    rest = 1.0 - said
    # a class that was said to be certain leaves nothing to share: the others are then as likely as each other
    even = np.full(len(rows), 1.0 / max(1, probability.shape[1] - 1))
    share = np.where(rest[:, None] > 0, probability / np.where(rest > 0, rest, 1.0)[:, None], even[:, None])
    found: Floats = share * (1.0 - right)[:, None]
    found[rows, which] = right
    return found


def _estimated(values: Floats) -> Estimated:
    defined = values[np.isfinite(values)]
    if len(defined) < 2:
        return Estimated(float("nan"), float("nan"))
    return Estimated(float(defined.mean()), float(defined.std(ddof=1)))


@dataclass(frozen=True)
class Residuals:
    """The errors of a regression by the size of its prediction, on rows whose truth was known.

    edges: of bins of the prediction (bins + 1,). counts: rows in each. absolute, squared: sums of |error| and error^2
    there; fourth: sums of error^4, for the spread of the squares.
    """

    edges: Floats
    counts: Floats
    absolute: Floats
    squared: Floats
    fourth: Floats


def residuals(truth: Floats, predicted: Floats, edges: Sequence[float]) -> Residuals:
    """The errors of rows (n,) in bins of the prediction.

    >>> residuals(np.array([1.0, 2.0]), np.array([2.0, 2.0]), [0.0, 3.0]).absolute.tolist()
    [1.0]
    """
    inner = np.asarray(edges[1:-1], dtype=np.float64)
    place = np.searchsorted(inner, predicted)
    error = predicted - truth
    bins = len(edges) - 1

    def sums(values: Floats) -> Floats:
        return np.bincount(place, values, minlength=bins).astype(np.float64)

    counts = count(predicted, edges).astype(np.float64)
    return Residuals(
        np.asarray(edges, dtype=np.float64), counts, sums(np.abs(error)), sums(error**2), sums(error**4)
    )


def from_residuals(known: Residuals, predicted: Floats) -> dict[str, Estimated]:
    """`mae` and `rmse` of predictions (n,) from the errors that predictions of their size had (direct loss estimation).

    The spread is of both samples: of the window's rows, and of the known errors.
    """
    here = count(predicted, known.edges.tolist()).astype(np.float64)
    used = known.counts > 0
    total = here[used].sum()
    if not total:
        return {name: Estimated(float("nan"), float("nan")) for name in ("mae", "rmse")}
    share = here[used] / total
    n = known.counts[used]
    each = (1 / total + share / n) * share  # the variance of a weighted mean, per unit of variance in a bin
    absolute, squared = known.absolute[used] / n, known.squared[used] / n
    mae, mse = float(share @ absolute), float(share @ squared)
    spread = float(np.sqrt(each @ np.maximum(squared - absolute**2, 0)))
    mse_spread = float(np.sqrt(each @ np.maximum(known.fourth[used] / n - squared**2, 0)))
    root = float(np.sqrt(mse))
    return {
        "mae": Estimated(mae, spread),
        "rmse": Estimated(root, mse_spread / (2 * root) if root else 0.0),
    }
