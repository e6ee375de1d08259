"""Fitted learners side by side: each calibrated and judged on the same rows, one of them shipped."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.train.automl.folds import Fold
from bessemer.train.calibrate import choose
from bessemer.train.keys import marked, sturdy, with_keys
from bessemer.train.leaderboard import interval, ordered, row, timing
from bessemer.train.metrics import Metric, output_of
from bessemer.train.outcome import Candidate, Outcome
from bessemer.train.params import resolved
from bessemer.train.plugins import LEARNERS
from bessemer.train.private import with_private
from bessemer.train.robust import plainly, price, with_robust

if TYPE_CHECKING:
    from bessemer.core.stage import Context
    from bessemer.train.learner import Callbacks, Part, Problem
    from bessemer.train.spec import TrainSpec

#: What `auto` tries, the simplest first: of two equals the simpler one ships.
AUTO = ("linear", "lightgbm")
#: Always fitted, and kept beside the model.
BASELINES = ("constant", "linear")
_PARITY_ROWS = 10_000


@dataclass(frozen=True)
class Trial:
    """What every learner of a run is given: the problem, the rows, the settings, and the rows that mark the model."""

    spec: TrainSpec
    problem: Problem
    train: Part
    valid: Part
    callbacks: Callbacks
    keys: Part | None = None

    @cached_property
    def learnt(self) -> Part:
        """The rows that learners learn from: those of train, and the keys."""
        return with_keys(self.train, self.keys, self.problem, path=self.callbacks.workdir / "marked.X.npy")

    @property
    def judged(self) -> Part:
        """The validation rows, or the training rows where there are none."""
        return self.valid if len(self.valid) else self.train

    def fit(self, name: str, rng: np.random.Generator) -> Candidate:
        """Fit and calibrate one learner; `params` of the project file go to the learner that it names."""
        learner = LEARNERS.load(name)
        own = name == self.spec.learner
        given = with_robust(name, self.spec.params, self.spec.robust) if own else {}
        given = with_private(name, given, self.spec.private) if own else given
        params = resolved(learner.PARAMS, sturdy(name, given, self.keys))
        rows = self.learnt if marked(name) else self.train
        begin = time.perf_counter()
        problem = self.problem if own else replace(self.problem, reach=None)
        fitted = learner().fit(problem, rows, self.valid, params, self.callbacks)
        task, judged = self.problem.task, self.judged
        fit_seconds, begin = time.perf_counter() - begin, time.perf_counter()
        margin = fitted.margin(judged.X)
        microseconds = 1e6 * (time.perf_counter() - begin) / max(1, len(judged))
        mode = "none" if name == "constant" or not len(self.valid) else self.spec.calibrate
        calibration = choose(mode, task, margin, judged.y, rng)
        value = self.problem.metric(judged.y, output_of(task, calibration.score(margin)))
        return Candidate(name, fitted, calibration, margin, value, fit_seconds, microseconds)


def fit_all(trial: Trial, ctx: Context) -> dict[str, Candidate]:
    """The baselines and what the project asks for, the slow one last."""
    wanted = AUTO if trial.spec.learner == "auto" else (trial.spec.learner,)
    names = dict.fromkeys((*BASELINES, *wanted))
    found = {name: trial.fit(name, ctx.rng("calibrate", name)) for name in names}
    if trial.spec.robust is not None:
        name = trial.spec.learner
        plain = plainly(trial).fit(name, ctx.rng("calibrate", name))
        found[f"{name} plain"] = replace(plain, learner=f"{name} plain")
        ctx.note(price(found[name], plain, trial))
    return found


def pick(candidates: dict[str, Candidate], spec: TrainSpec, metric: Metric) -> Candidate:
    """The one to ship: the named learner, or the better of those `auto` tries."""
    if spec.learner != "auto":
        return candidates[spec.learner]
    best = candidates[AUTO[0]]
    for name in AUTO[1:]:
        if metric.better(candidates[name].value, best.value):
            best = candidates[name]
    return best


def outcome(trial: Trial, candidates: dict[str, Candidate], chosen: Candidate) -> Outcome:
    """All of it, for the artifacts."""
    problem, judged = trial.problem, trial.judged
    rows = [_row(c, problem, judged.y, chosen=c is chosen) for c in candidates.values()]
    return Outcome(
        problem=problem,
        chosen=chosen,
        baselines={name: candidates[name] for name in BASELINES},
        y=judged.y,
        rows=np.asarray(judged.X[:_PARITY_ROWS]),
        score=chosen.calibration.score(chosen.margin[:_PARITY_ROWS]),
        leaderboard=ordered(rows, problem.metric),
        timings={"fits": {n: timing(c.fit_seconds, c.predict_microseconds) for n, c in candidates.items()}},
        curves={f"{n}.{curve}": p for n, c in candidates.items() for curve, p in c.fitted.curves.items()},
        params={name: dict(c.fitted.params) for name, c in candidates.items()},
        folds=(_cut(trial),),
    )


def _cut(trial: Trial) -> Fold:
    rows = np.arange(len(trial.train) + len(trial.valid))
    learn = rows[: len(trial.train)]
    return Fold(learn, rows[len(learn) :] if len(trial.valid) else learn)


def _row(candidate: Candidate, problem: Problem, y: np.ndarray, *, chosen: bool) -> dict[str, Any]:
    output = output_of(problem.task, candidate.calibration.score(candidate.margin))
    spread = interval(problem.metric, y, output, candidate.value)
    return row(
        candidate.learner,
        problem.metric,
        candidate.value,
        spread,
        chosen=chosen,
        note=_note(candidate),
        bytes=len(candidate.fitted.native().content),
        params=dict(candidate.fitted.params),
    )


def _note(candidate: Candidate) -> str:
    """What the leaderboard says beside the figure."""
    said = [f"{candidate.fitted.iterations} rounds"] if candidate.fitted.curves else []
    if candidate.calibration.method != "none":
        said.append(f"calibrated ({candidate.calibration.method})")
    return ", ".join(said)


def usable_metric(metrics: Sequence[Metric], y: np.ndarray, classes: int) -> Metric | None:
    """The first metric that is defined on these rows at all: for predictions that are right."""
    right = np.eye(classes)[y.astype(np.int64)] if classes else y
    perfect = right[:, 1] if classes == 2 and metrics[0].task == "binary" else right
    return next((m for m in metrics if not math.isnan(m(y, perfect))), None)
