"""What a network learns in place of the target: classes, or values of mean 0 and spread 1."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from bessemer.core.errors import UsageError

if TYPE_CHECKING:
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
        as_tensor = torch.from_numpy(weight.astype(np.float32))
        if problem.task != "regression":
            return cls(torch.from_numpy(train.y.astype(np.int64)), as_tensor)
        mean = float(np.average(train.y, weights=weight))
        spread = math.sqrt(float(np.average((train.y - mean) ** 2, weights=weight))) or 1.0
        standard = torch.from_numpy(((train.y - mean) / spread).astype(np.float32))
        return cls(standard, as_tensor, (mean, spread), (float(train.y.min()), float(train.y.max())))

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
