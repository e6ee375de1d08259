"""The learning curve: the chosen learner on growing parts of the training rows, and what more rows would give.

The learner is fitted with the parameters that ship to nested random parts of the training rows, several times for
each size, and judged on the validation rows. The intervals come from drawing validation rows and repeats with
replacement (Efron 1979); the same draws carry a power law to sizes that are not there yet.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.train.calibrate import fit as calibration
from bessemer.train.growth import Point, judged
from bessemer.train.metrics import output_of
from bessemer.train.params import faults_of, resolved
from bessemer.train.plugins import LEARNERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from bessemer.core.stage import Context
    from bessemer.train.learner import Callbacks, Part, Problem
    from bessemer.train.outcome import Outcome
    from bessemer.train.spec import LearningCurveSpec, TrainSpec

#: Validation rows that judge, and the fewest rows to learn from.
_JUDGES, _FEWEST = 10_000, 50


def with_learning_curve(
    spec: TrainSpec, outcome: Outcome, train: Part, valid: Part, callbacks: Callbacks, ctx: Context
) -> Outcome:
    """The outcome with `learning_curve` among its facts; the model that ships is what it was."""
    assert spec.learning_curve is not None
    subject = _subject(outcome)
    if isinstance(subject, str) or not len(valid):
        why = subject if isinstance(subject, str) else "there are no validation rows to judge by"
        ctx.note(f"no learning curve: {why}")
        return replace(outcome, facts={**outcome.facts, "learning_curve": _empty(outcome, why)})
    judges = _some(valid, ctx)
    with ctx.progress("learning curve", len(spec.learning_curve.sizes)) as bar:
        run = _Run(spec.learning_curve, outcome.problem, subject, train, valid, judges, callbacks, ctx)
        points, left_out = run.points(bar.advance)
    curve = {
        **_empty(outcome, None),
        "learner": subject.name,
        "left_out": left_out,
        **judged(points, outcome.problem, judges, ctx),
    }
    if curve["extrapolation"]:
        ctx.note(curve["extrapolation"]["text"])
    return replace(outcome, facts={**outcome.facts, "learning_curve": curve})


def _empty(outcome: Outcome, why: str | None) -> dict[str, Any]:
    return {
        "learner": None,
        "metric": outcome.problem.metric.name,
        "greater_is_better": outcome.problem.metric.maximize,
        "points": [],
        "extrapolation": None,
        "left_out": [],
        "why": why,
    }


@dataclass(frozen=True)
class _Subject:
    """What is fitted again. name: on the leaderboard. calibrated: whether the model that ships is."""

    name: str
    learner: str
    params: Mapping[str, Any]
    calibrated: bool


def _subject(outcome: Outcome) -> _Subject | str:
    """The learner that ships with its parameters; of an ensemble the best member that is a learner as it stands; or
    why there is none."""
    chosen = outcome.chosen.learner
    rows = [row for row in outcome.leaderboard if row["learner"] == chosen]
    if chosen == "ensemble":
        rows = [row for row in outcome.leaderboard if row.get("weight")]
    for row in rows:
        learner = re.split(r" [(#]", row["learner"])[0]
        if learner in LEARNERS.names() and learner != "constant" and not {"pairs", "sums"} & {*row["params"]}:
            known = LEARNERS.load(learner).PARAMS
            given = {n: v for n, v in row["params"].items() if not faults_of(known, {n: v})}
            calibrated = outcome.chosen.calibration.method != "none"
            return _Subject(row["learner"], learner, resolved(known, given), calibrated)
    if chosen == "constant":
        return "a constant learns nothing from more rows"
    return "no part of what ships is a learner that can be fitted again as it stands"


def _some(valid: Part, ctx: Context) -> Part:
    if len(valid) <= _JUDGES:
        return valid.take(np.arange(len(valid)))
    return valid.take(np.sort(ctx.rng("learning curve", "judges").choice(len(valid), _JUDGES, replace=False)))


@dataclass(frozen=True)
class _Run:
    """All the fits of a learning curve."""

    curve: LearningCurveSpec
    problem: Problem
    subject: _Subject
    train: Part
    valid: Part
    judges: Part
    callbacks: Callbacks
    ctx: Context

    def points(self, advance: Callable[[float], None]) -> tuple[list[Point], list[dict[str, Any]]]:
        """The points from the smallest on, and the shares that were left out, with the reason."""
        start, orders = time.monotonic(), [self._order(k) for k in range(self.curve.repeats)]
        found: list[Point] = []
        left_out: list[dict[str, Any]] = []
        slowest = 0.0  # seconds a row of the fits so far
        for share in sorted(set(self.curve.sizes)):
            rows = round(share * len(self.train))
            if rows < max(_FEWEST, 5 * self.problem.classes + len(self.problem.further)):
                left_out.append({"share": share, "why": f"{rows} rows are too few"})
                continue
            repeats = 1 if rows == len(self.train) else self.curve.repeats
            point = Point(rows, [])
            for k in range(repeats):
                left = self.curve.budget - (time.monotonic() - start)
                if left <= slowest * rows:
                    left_out.append({"share": share, "why": f"no time for repeat {k + 1} of {repeats}"})
                    break
                begin = time.monotonic()
                point.outputs.append(self._fit(np.sort(orders[k][:rows]), k, start))
                slowest = max(slowest, (time.monotonic() - begin) / rows)
            if point.outputs:
                found.append(point)
            advance(1)
        return found, left_out

    def _order(self, repeat: int) -> np.ndarray:
        """The training rows in the order in which they are added: at random, every class in its share throughout.

        The first ones are of all classes, and have all further targets: without a row nothing is learnt at all.
        """
        rng, y = self.ctx.rng("learning curve", repeat), self.train.y
        order = rng.permutation(len(y))
        place = np.empty(len(y))
        place[order] = np.arange(len(y))
        for k in range(self.problem.classes):
            rows = order[y[order] == k]
            place[rows] = (np.arange(len(rows)) + rng.random()) / max(1, len(rows))
            place[rows[:1]] = -1
        if self.train.further is not None:
            for values in self.train.further.T:
                place[order[np.isfinite(values[order])][:1]] = -1
        return np.argsort(place, kind="stable")

    def _fit(self, rows: np.ndarray, repeat: int, start: float) -> np.ndarray:
        """What the learner says of the judging rows, calibrated as it would ship."""
        label = f"learning curve {len(rows)} {repeat}"
        folder = self.ctx.workdir / "learning curve" / f"{len(rows)}-{repeat}"
        folder.mkdir(parents=True, exist_ok=True)
        callbacks = replace(
            self.callbacks,
            on_round=lambda name, step, value: None,
            note=lambda text: None,
            seed=lambda what: self.callbacks.seed(f"{label} {what}"),
            workdir=folder,
            fingerprint=f"{self.callbacks.fingerprint} {label}",
            time_left=lambda: self.curve.budget - (time.monotonic() - start),
        )
        learner, part = LEARNERS.load(self.subject.learner), self.train.take(rows)
        fitted = learner().fit(self.problem, part, self.valid, self.subject.params, callbacks)
        margin, task = fitted.margin(self.judges.X), self.problem.task
        if self.subject.calibrated:
            margin = calibration(task, margin, self.judges.y).score(margin)
        return output_of(task, margin)
