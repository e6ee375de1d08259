"""What the validation rows say after an epoch, and the best epoch so far."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from bessemer.train.metrics import output_of
from bessemer.train.networks.feed import rows_of
from bessemer.train.networks.values import arrays_of

if TYPE_CHECKING:
    from bessemer.train.learner import Part, Problem
    from bessemer.train.network_target import Target
    from bessemer.train.networks.net import Net

#: Values of the rows that are judged at once; an image network needs many times as much for its layers.
_VALUES = 2**19


class Judge:
    """The best epoch's values and metric.

    value: of the best epoch, NaN before the first.
    """

    def __init__(self, problem: Problem, valid: Part, target: Target) -> None:
        self._problem, self._valid, self._target = problem, valid, target
        self.best_epoch, self.value = 0, math.nan
        self.best: dict[str, np.ndarray] = {}

    @property
    def blind(self) -> bool:
        """Whether there are validation rows, and the metric was of no epoch a number."""
        return bool(len(self._valid)) and math.isnan(self.value)

    def margin(self, net: Net, X: np.ndarray) -> np.ndarray:
        """(N, F) -> (N, K') float64 in the main target's unit, by torch."""
        net.eval()
        at_once = max(1, min(256, _VALUES // max(1, X.shape[1])))
        with torch.no_grad():
            parts = [
                net(rows_of(X, slice(first, first + at_once))).numpy() for first in range(0, len(X), at_once)
            ]
        return self._target.margin(np.concatenate(parts)[:, : self._problem.outputs])

    def look(self, net: Net, epoch: int) -> float:
        """The metric of this epoch, NaN without validation rows; the last of equals is not better.

        As long as the metric of no epoch is a number, the newest counts as the best: it has learnt most.
        """
        value = math.nan
        if len(self._valid):
            output = output_of(self._problem.task, self.margin(net, self._valid.X))
            value = self._problem.metric(self._valid.y, output)
        if math.isnan(self.value) or self._problem.metric.better(value, self.value):
            self.best_epoch, self.value, self.best = epoch, value, arrays_of(net)
        return value
