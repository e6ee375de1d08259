"""What a network learns in place of the target: classes, or values of mean 0 and spread 1."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from bessemer.core.errors import DataError, UsageError

if TYPE_CHECKING:
    from bessemer.core.further import Further
    from bessemer.core.signature import Task
    from bessemer.train.learner import Part, Problem


@dataclass
class Target:
    """What the network learns in place of y.

    values: (N,) int64 classes, or float32 values of mean 0 and spread 1.
    weight: (N,) float32 of mean 1.
    scale: mean and spread of a number.
    bounds: the least and the greatest number.
    Of private training these follow from settings (`public`).
    """

    values: Tensor
    weight: Tensor
    scale: tuple[float, float] = (0.0, 1.0)
    bounds: tuple[float, float] = (-math.inf, math.inf)

    @classmethod
    def of(cls, problem: Problem, train: Part) -> Target:
        found = problem.row_weights(train)
        weight = np.ones(len(train)) if found is None else found / found.mean()
        return cls._scaled(problem.task, train.y, weight)

    @classmethod
    def of_further(cls, one: Further, values: np.ndarray, weight: np.ndarray | None) -> Target:
        """The same of a further target: rows that have none count nothing, and the others so much more.

        values: (N,) float64, NaN where a row has none; a class may have no row. weight: of the rows.

        Raises:
            DataError: no row has one.
        """
        known = np.isfinite(values)
        if not known.any():
            raise DataError(
                f"no training row has the target '{one.name}'",
                why="what is not trained on is never predicted",
                fix="change `prepare: {split: ...}`, or leave it out of `target`",
            )
        counts = known.astype(np.float64) if weight is None else weight * known
        filled = np.where(known, values, values[known][0])
        return cls._scaled(one.task, filled, counts / counts.mean())

    @classmethod
    def _scaled(cls, task: Task, y: np.ndarray, weight: np.ndarray) -> Target:
        as_tensor = torch.from_numpy(weight.astype(np.float32))
        if task != "regression":
            return cls(torch.from_numpy(y.astype(np.int64)), as_tensor)
        mean = float(np.average(y, weights=weight))
        spread = math.sqrt(float(np.average((y - mean) ** 2, weights=weight))) or 1.0
        standard = torch.from_numpy(((y - mean) / spread).astype(np.float32))
        return cls(standard, as_tensor, (mean, spread), (float(y.min()), float(y.max())))

    @classmethod
    def public(cls, problem: Problem, train: Part, target_range: tuple[float, float] | None) -> Target:
        """The same for private training: each row's by itself, with nothing that is taken from all rows together.

        target_range: within which a number is put, and which its scale follows from.

        Raises:
            UsageError: the target is a number and there is no range.
        """
        found = problem.row_weights(train)
        weight = torch.from_numpy((np.ones(len(train)) if found is None else found).astype(np.float32))
        if problem.task != "regression":
            return cls(torch.from_numpy(train.y.astype(np.int64)), weight)
        if target_range is None:
            raise UsageError(
                "private: the target is a number, and its mean and range may not be taken from the rows",
                fix="say within which it lies: private: {epsilon: 3, target_range: [0, 100]}",
            )
        low, high = target_range
        centre, half = (low + high) / 2, (high - low) / 2
        standard = torch.from_numpy(((np.clip(train.y, low, high) - centre) / half).astype(np.float32))
        return cls(standard, weight, (centre, half), target_range)

    def margin(self, output: np.ndarray) -> np.ndarray:
        """The network's outputs (N, K') as margins, float64."""
        mean, spread = self.scale
        return np.clip(output.astype(np.float64) * spread + mean, *self.bounds)
