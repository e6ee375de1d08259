"""Learning the logarithm of the target, as if nothing happened: the model still gives the target itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bessemer.train.learner import Part, Problem
from bessemer.train.metrics import Metric
from bessemer.train.tree_model import TreeModel

if TYPE_CHECKING:
    from bessemer.train.learner import Fitted


@dataclass(frozen=True)
class LogMetric(Metric):
    """A metric of the target, for outputs and targets that are its logarithm."""

    def __call__(self, y: np.ndarray, output: np.ndarray) -> float:
        with np.errstate(over="ignore"):
            return super().__call__(np.exp(y), np.exp(output))


def log_problem(problem: Problem) -> Problem:
    return replace(
        problem, metric=LogMetric(problem.metric.task, problem.metric.name, problem.metric.quantile)
    )


def stopped_by_loss(problem: Problem) -> Problem:
    """Classes are learnt until the log loss is least, whatever judges the result.

    A metric that only ranks, or only counts, jumps about: each fold would stop at another scale, and what the
    folds say together would be worth less than what each says.
    """
    if problem.task == "regression":
        return problem
    return replace(problem, metric=Metric(problem.task, "log_loss"))


def log_part(part: Part) -> Part:
    return Part(part.X, np.log(part.y), part.weight)


def in_target_units(fitted: Fitted) -> TreeModel:
    """A model of the target from one of its logarithm.

    Raises:
        TypeError: it is not a sum of trees.
    """
    if not isinstance(fitted, TreeModel) or fitted.trees.link != "identity":
        raise TypeError(f"a {type(fitted).__name__} does not become one of the target itself")

    def predict(X: np.ndarray) -> np.ndarray:
        found: np.ndarray = np.exp(fitted.margin(X))
        return found

    return replace(fitted, trees=replace(fitted.trees, link="exp"), predict=predict)


def worth_a_log(y: np.ndarray) -> bool:
    """Whether a target is one whose logarithm may be easier: above 0, and far more skewed than its logarithm.

    >>> worth_a_log(np.array([1.0, 2, 4, 8, 16, 32, 1000])), worth_a_log(np.array([-1.0, 2, 3]))
    (True, False)
    """
    if len(y) == 0 or not y.min() > 0:
        return False
    return abs(_skew(np.log(y))) < 0.5 * abs(_skew(y))


def _skew(y: np.ndarray) -> float:
    spread = float(np.std(y))
    return float(np.mean(((y - y.mean()) / spread) ** 3)) if spread > 0 else 0.0
