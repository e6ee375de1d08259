"""What early stopping and `learner: auto` judge by, on the validation rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from bessemer.core.signature import Task
from bessemer.stats.calibration import sigmoid, softmax
from bessemer.stats.metrics.outcome import Outcome, classified, estimated
from bessemer.stats.metrics.table import Scorer, lookup

#: Log loss and squared error are the proper scoring rules of the tasks: they judge the probabilities that are
#: shipped and not only their order, so they make the better signal for stopping than the area under a curve.
DEFAULT: Mapping[Task, str] = {"binary": "log_loss", "multiclass": "log_loss", "regression": "rmse"}


#: The metric of a regression that predicts a quantile.
PINBALL = "pinball"


def pinball(y: np.ndarray, output: np.ndarray, quantile: float) -> float:
    """The mean loss that the quantile of the target makes least (Koenker and Bassett 1978).

    >>> pinball(np.array([10.0]), np.array([8.0]), 0.9), pinball(np.array([10.0]), np.array([12.0]), 0.9)
    (1.8, 0.19999999999999996)
    """
    short = y - output
    return float(np.mean(np.maximum(quantile * short, (quantile - 1) * short)))


@dataclass(frozen=True)
class Metric:
    """One metric of `stats.metrics` for one task, or the loss of a quantile.

    >>> metric = Metric("binary", "log_loss")
    >>> metric(np.array([0.0, 1.0]), np.array([0.5, 0.5])), metric.better(0.6, than=0.7)
    (0.693147181, True)
    """

    task: Task
    name: str
    quantile: float | None = None

    @property
    def maximize(self) -> bool:
        if self.name == PINBALL:
            return False
        return lookup(self.task, self.name).greater_is_better

    def __call__(self, y: np.ndarray, output: np.ndarray) -> float:
        """The metric with 9 significant digits, so that the order of a sum never shows; NaN where undefined.

        Args:
            y: (N,) float64, the class index or the value.
            output: what `output_of` gives.
        """
        if self.name == PINBALL and self.quantile is not None:
            value = pinball(y, output, self.quantile)
        else:
            value = float(Scorer(_outcome(self.task, y, output), [self.name])()[0])
        return float(f"{value:.9g}")

    def weighted(self, y: np.ndarray, output: np.ndarray) -> Callable[[np.ndarray], float]:
        """The metric of one output as a function of the rows' weights (N,) float64."""
        if self.name == PINBALL and self.quantile is not None:
            short, quantile = y - output, self.quantile
            losses = np.maximum(quantile * short, (quantile - 1) * short)
            return lambda weights: float(np.average(losses, weights=weights))
        scorer = Scorer(_outcome(self.task, y, output), [self.name])
        return lambda weights: float(scorer(weights)[0])

    def better(self, value: float, than: float) -> bool:
        """Whether `value` is better than `than`; NaN is worse than anything."""
        if math.isnan(value) or math.isnan(than):
            return math.isnan(than) and not math.isnan(value)
        return value > than if self.maximize else value < than


def output_of(task: Task, margin: np.ndarray) -> np.ndarray:
    """Margins (N, K') -> P(positive) (N,), P (N, K), or the values (N,) for regression."""
    if task == "binary":
        return sigmoid(margin[:, 0])
    return softmax(margin) if task == "multiclass" else margin[:, 0]


def all_metrics(task: Task, y: np.ndarray, output: np.ndarray, names: list[str]) -> dict[str, float]:
    """Several metrics of one output, each with 9 significant digits."""
    values = Scorer(_outcome(task, y, output), names)()
    return {name: float(f"{value:.9g}") for name, value in zip(names, values, strict=True)}


def _outcome(task: Task, y: np.ndarray, output: np.ndarray) -> Outcome:
    if task == "regression":
        return estimated(y, output)
    return classified(task, y, np.column_stack([1 - output, output]) if output.ndim == 1 else output)
