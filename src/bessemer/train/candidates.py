"""Fitted learners side by side: each calibrated and judged on the same rows, one of them shipped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.train.calibrate import Calibration, choose
from bessemer.train.metrics import Metric, output_of
from bessemer.train.params import resolved
from bessemer.train.plugins import LEARNERS

if TYPE_CHECKING:
    from bessemer.core.stage import Context
    from bessemer.train.learner import Callbacks, Fitted, Part, Problem
    from bessemer.train.spec import TrainSpec

#: What `auto` tries, the simplest first: of two equals the simpler one ships.
AUTO = ("linear", "lightgbm")


@dataclass(frozen=True)
class Candidate:
    """A fitted learner, its calibration, and its metric on the judging rows (N, K' margins)."""

    learner: str
    fitted: Fitted
    calibration: Calibration
    margin: np.ndarray
    value: float

    def note(self) -> str:
        """What the leaderboard says beside the figure."""
        said = [f"{self.fitted.iterations} rounds"] if self.learner == "lightgbm" else []
        if self.calibration.method != "none":
            said.append(f"calibrated ({self.calibration.method})")
        return ", ".join(said)


@dataclass(frozen=True)
class Trial:
    """What every learner of a run is given: the problem, the rows, the settings."""

    spec: TrainSpec
    problem: Problem
    train: Part
    valid: Part
    callbacks: Callbacks

    @property
    def judged(self) -> Part:
        """The validation rows, or the training rows where there are none."""
        return self.valid if len(self.valid) else self.train

    def fit(self, name: str, rng: np.random.Generator) -> Candidate:
        """Fit and calibrate one learner; `params` of the project file go to the learner that it names."""
        learner = LEARNERS.load(name)
        given = self.spec.params if name == self.spec.learner else {}
        params = resolved(learner.PARAMS, given)
        fitted = learner().fit(self.problem, self.train, self.valid, params, self.callbacks)
        task, judged = self.problem.task, self.judged
        margin = fitted.margin(judged.X)
        mode = "none" if name == "constant" or not len(self.valid) else self.spec.calibrate
        calibration = choose(mode, task, margin, judged.y, rng)
        value = self.problem.metric(judged.y, output_of(task, calibration.score(margin)))
        return Candidate(name, fitted, calibration, margin, value)


def fit_all(trial: Trial, ctx: Context) -> dict[str, Candidate]:
    """The baselines and what the project asks for, the slow one last."""
    wanted = AUTO if trial.spec.learner == "auto" else (trial.spec.learner,)
    names = dict.fromkeys(("constant", "linear", *wanted))
    return {name: trial.fit(name, ctx.rng("calibrate", name)) for name in names}


def pick(candidates: dict[str, Candidate], spec: TrainSpec, metric: Metric) -> Candidate:
    """The one to ship: the named learner, or the better of those `auto` tries."""
    if spec.learner != "auto":
        return candidates[spec.learner]
    best = candidates[AUTO[0]]
    for name in AUTO[1:]:
        if metric.better(candidates[name].value, best.value):
            best = candidates[name]
    return best


def leaderboard(candidates: dict[str, Candidate], chosen: Candidate, metric: Metric) -> list[dict[str, Any]]:
    """Rows of {learner, metric, value, chosen, note}, the best first."""
    rows = [
        {
            "learner": c.learner,
            "metric": metric.name,
            "value": None if math.isnan(c.value) else c.value,
            "chosen": c is chosen,
            "note": c.note(),
        }
        for c in candidates.values()
    ]
    sign = -1 if metric.maximize else 1
    return sorted(rows, key=lambda row: math.inf if row["value"] is None else sign * row["value"])


def usable_metric(metrics: Sequence[Metric], y: np.ndarray, classes: int) -> Metric | None:
    """The first metric that is defined on these rows at all: for predictions that are right."""
    right = np.eye(classes)[y.astype(np.int64)] if classes else y
    perfect = right[:, 1] if classes == 2 and metrics[0].task == "binary" else right
    return next((m for m in metrics if not math.isnan(m(y, perfect))), None)
