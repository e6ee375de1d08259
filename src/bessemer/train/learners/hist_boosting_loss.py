"""The losses of histogram boosting: gradients, curvatures, and what a leaf says where there is no curvature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.stats.calibration import sigmoid, softmax
from bessemer.train.learners.constant import prior, weighted_quantile

if TYPE_CHECKING:
    from bessemer.train.learner import Problem


@dataclass(frozen=True)
class Loss:
    """The loss of a problem on its training rows.

    y: (N,) float64.
    weight: (N,) float64, or None where all rows count the same.
    quantile: of the pinball loss; 0.5 is the absolute error; None for log loss and squared error.
    """

    problem: Problem
    y: np.ndarray
    weight: np.ndarray | None
    quantile: float | None

    def gradients(self, margins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N, K') of each, float32; the curvature (1, K') where it is 1 for all rows."""
        if self.problem.task == "regression":
            gradient = margins - self.y[:, None]
            if self.quantile is not None:
                gradient = np.where(gradient < 0, -self.quantile, 1 - self.quantile)
            curvature = np.ones((1, 1))
        else:
            multiclass = self.problem.task == "multiclass"
            p = softmax(margins) if multiclass else sigmoid(margins)
            truth = np.eye(self.problem.classes)[self.y.astype(np.int64)] if multiclass else self.y[:, None]
            gradient, curvature = p - truth, p * (1 - p)
        if self.weight is not None:
            gradient, curvature = gradient * self.weight[:, None], curvature * self.weight[:, None]
        return gradient.astype(np.float32), curvature.astype(np.float32)

    def base(self) -> np.ndarray:
        """(K',) the best margins without a tree."""
        if self.quantile is None:
            return prior(self.problem, self.y, self.weight)
        return np.array([self.step(np.arange(len(self.y)), np.zeros(len(self.y)))])

    def step(self, rows: np.ndarray, margin: np.ndarray) -> float:
        """The quantile of what is missing in some rows: the best step where the loss has no curvature."""
        assert self.quantile is not None
        missing = self.y[rows] - margin[rows]
        if self.weight is None:
            return float(np.quantile(missing, self.quantile))
        return weighted_quantile(missing, self.weight[rows], self.quantile)


def loss_of(problem: Problem, y: np.ndarray, weight: np.ndarray | None) -> Loss:
    absolute = problem.task == "regression" and problem.metric.name in ("mae", "median_ae")
    return Loss(problem, y, weight, problem.quantile or (0.5 if absolute else None))


def renew_leaves(root: Any, loss: Loss, margin: np.ndarray, monotone: tuple[int, ...] | None) -> None:
    """Give each leaf of a grown tree its best step, within what the constraints allow.

    Bounds go down from the root: at a split on a constrained feature both sides get a half of the interval, parted
    in the middle of the sides' own steps. So a leaf is never on the wrong side of another.

    Args:
        root: a scikit-learn `TreeNode`.
        margin: (N,) float64, the margins before this tree.
        monotone: -1, 0 or 1 for each feature, or None.
    """
    waiting = [(root, -np.inf, np.inf)]
    while waiting:
        node, low, high = waiting.pop()
        if node.is_leaf:
            node.value = float(np.clip(loss.step(node.sample_indices, margin), low, high))
            continue
        left, right = node.left_child, node.right_child
        way = monotone[node.split_info.feature_idx] if monotone is not None else 0
        if not way:
            waiting += [(left, low, high), (right, low, high)]
            continue
        steps = [loss.step(side.sample_indices, margin) for side in (left, right)]
        middle = float(np.clip(sum(steps) / 2, low, high))
        below, above = (left, right) if way > 0 else (right, left)
        waiting += [(below, low, middle), (above, middle, high)]
