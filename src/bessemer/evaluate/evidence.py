"""What the finders look at: the judged model, its test rows, and what it said of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bessemer.core.artifact import Artifact
from bessemer.core.errors import Fault
from bessemer.core.signature import Task
from bessemer.core.stage import Context
from bessemer.evaluate.scoring import Judged
from bessemer.evaluate.spec import EvaluateSpec
from bessemer.stats.arrays import Floats
from bessemer.stats.metrics.outcome import Outcome
from bessemer.stats.reliability import log_losses

Loss = Callable[[Outcome], Floats]

#: A loss of each row, float64 (n,), whose mean is to be small.
LOSSES: Mapping[str, Loss] = {
    "log_loss": lambda o: log_losses(o.truth.astype(np.int64), o.probability),
    "error": lambda o: (o.truth != o.predicted).astype(np.float64),
    "squared": lambda o: (o.truth - o.predicted).astype(np.float64) ** 2,
    "absolute": lambda o: np.abs(o.truth - o.predicted).astype(np.float64),
}

#: The mean of a loss in words.
WORDS: Mapping[str, str] = {
    "log_loss": "log_loss",
    "error": "share of wrong classes",
    "squared": "mean squared error",
    "absolute": "mean absolute error",
}


def loss_faults(spec: EvaluateSpec, task: Task) -> list[Fault]:
    """A fault where the search for slices is to use a loss that the task does not have."""
    known = ("squared", "absolute") if task == "regression" else ("log_loss", "error")
    if spec.find_slices is None or spec.find_slices.loss in ("auto", *known):
        return []
    what = f"'{spec.find_slices.loss}' is no loss of a {task} task"
    return [Fault("evaluate.find_slices.loss", None, what, f"write {known[0]} or {known[1]}")]


def usual_loss(outcome: Outcome) -> str:
    return "squared" if outcome.task == "regression" else "log_loss"


@dataclass(frozen=True)
class Evidence:
    """A model on its test rows.

    opponents: outcomes of others on the same rows, by name. metric: the name of the main metric.
    """

    spec: EvaluateSpec
    judged: Judged
    model: Artifact
    splits: Artifact
    outcome: Outcome
    opponents: Mapping[str, Outcome]
    metric: str
    ctx: Context

    @property
    def inputs(self) -> tuple[str, ...]:
        """The raw columns that the model reads."""
        return self.judged.inputs

    @property
    def test(self) -> Path:
        return self.splits.path("test.parquet")

    def sample(self, label: str, most: int) -> NDArray[np.int64]:
        """Places of all test rows, or of `most` of them drawn at random, ascending."""
        rows = self.outcome.rows
        if rows <= most:
            return np.arange(rows)
        return np.sort(self.ctx.rng(label).choice(rows, most, replace=False))
