"""One small model that learnt what the ensemble says: a fraction of its size and time, most of its accuracy."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bessemer.train.automl.target import stopped_by_loss
from bessemer.train.calibrate import choose
from bessemer.train.keys import with_keys
from bessemer.train.learner import Part, Problem
from bessemer.train.metrics import output_of
from bessemer.train.outcome import Candidate
from bessemer.train.params import resolved
from bessemer.train.plugins import LEARNERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from bessemer.core.stage import Context
    from bessemer.train.automl.bag import Workshop
    from bessemer.train.learner import Fitted
    from bessemer.train.spec import TrainSpec

#: A class is taught with at least this weight: less teaches nothing, and costs a row.
_LEAST = 1e-3
#: Share of the teacher in what the student learns; the rest is what really was.
_TEACHER = 0.8


def distil(
    learner: str, teacher: Candidate, first: Fitted, shop: Workshop, spec: TrainSpec, ctx: Context
) -> Candidate | None:
    """A student of the teacher (Hinton et al. 2015).

    A first student learns from all folds but one, and from a teacher that has not seen that one either; it is judged
    there, and says how many rounds a student takes. The second learns from all rows, and ships.

    Args:
        first: the teacher, of the fits of the first fold only.

    Returns:
        The student; its margin is of the first fold's judged rows. None where there is no time.
    """
    pool, fold = shop.resampling.pool, shop.resampling.folds[0]
    judge = pool.take(fold.judge)
    said = np.full((len(pool), shop.problem.outputs), np.nan)
    said[fold.learn] = first.margin(np.ascontiguousarray(pool.X[fold.learn]))
    student = _fit(learner, shop, _taught(shop.problem, pool, said, fold.learn), judge, "judged")
    margin = student.margin(np.ascontiguousarray(judge.X))
    if shop.clock.left() <= 0:
        return None
    begin = shop.clock.used()
    rows = np.union1d(fold.learn, shop.resampling.judged)
    everything = _taught(shop.problem, pool, _said(teacher, shop, rows), rows)
    final = _fit(learner, shop, everything, judge, "all", rounds=max(1, student.iterations))
    if shop.clock.left() <= 0:  # it may have been cut anywhere, and nothing has judged it
        return None
    calibration = choose(spec.calibrate, shop.problem.task, margin, judge.y, ctx.rng("calibrate", "student"))
    output = output_of(shop.problem.task, calibration.score(margin))
    name = f"{learner}, distilled"
    value = shop.problem.metric(judge.y, output)
    return Candidate(name, final, calibration, margin, value, fit_seconds=shop.clock.used() - begin)


def _said(teacher: Candidate, shop: Workshop, rows: np.ndarray) -> np.ndarray:
    """(N, K') the teacher's margins of some rows: out of fold where there are any, else as it says them."""
    resampling = shop.resampling
    said = np.full((len(resampling.pool), shop.problem.outputs), np.nan)
    rest = np.setdiff1d(rows, resampling.judged)
    if len(rest):
        said[rest] = teacher.fitted.margin(np.ascontiguousarray(resampling.pool.X[rest]))
    said[resampling.judged] = teacher.margin
    return said


def _taught(problem: Problem, pool: Part, said: np.ndarray, rows: np.ndarray) -> Part:
    """What the student learns from: for a number the teacher's mixed with the real one; for classes each row once for
    every class that the teacher thinks possible, with the teacher's probability as its weight."""
    part = pool.take(rows)
    if problem.task == "regression":
        return replace(part, y=_TEACHER * said[rows, 0] + (1 - _TEACHER) * part.y)
    output = output_of(problem.task, said[rows])
    share = np.column_stack([1 - output, output]) if output.ndim == 1 else output
    real = np.eye(share.shape[1])[part.y.astype(np.int64)]
    if problem.weights is not None:  # the teacher's probabilities have them in already
        real *= problem.weights
    share = _TEACHER * share + (1 - _TEACHER) * real
    row, label = np.nonzero(share >= _LEAST)
    weight = share[row, label] * (1.0 if part.weight is None else part.weight[row])
    return Part(part.X[row], label.astype(np.float64), weight)


def _fit(
    learner: str, shop: Workshop, learn: Part, judge: Part, label: str, rounds: int | None = None
) -> Fitted:
    problem, seed = replace(stopped_by_loss(shop.problem), weights=None), shop.callbacks.seed
    folder = shop.callbacks.workdir / f"student-{label}"
    folder.mkdir(parents=True, exist_ok=True)
    table = LEARNERS.load(learner)
    time_left: Callable[[], float] = shop.clock.left
    weight = shop.resampling.pool.weight
    each = 1.0 if weight is None else float(weight.mean())
    learn = with_keys(learn, shop.keys, problem, each=each)
    callbacks = replace(
        shop.callbacks,
        workdir=folder,
        seed=lambda name: seed(f"student/{label}/{name}"),
        time_left=time_left,
        rounds=rounds or shop.callbacks.rounds,
        early_stopping=shop.callbacks.early_stopping if rounds is None else 0,
    )
    fitted: Fitted = table().fit(problem, learn, judge, resolved(table.PARAMS, {}), callbacks)
    return fitted
