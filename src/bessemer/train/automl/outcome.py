"""From all that AutoML tried to the one model: weights, calibration, leaderboard."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core.errors import BessemerError
from bessemer.train.automl.distill import distil
from bessemer.train.automl.members import FLOOR
from bessemer.train.calibrate import choose
from bessemer.train.ensemble import Ensemble
from bessemer.train.leaderboard import interval, ordered, row, timing
from bessemer.train.metrics import output_of
from bessemer.train.outcome import Candidate, Outcome

if TYPE_CHECKING:
    from bessemer.core.stage import Context
    from bessemer.train.automl.bag import Bag, Workshop
    from bessemer.train.automl.run import AutoML
    from bessemer.train.spec import TrainSpec

#: Rows that the graph is held against the members on.
_PARITY_ROWS = 500


def finish(automl: AutoML, spec: TrainSpec, ctx: Context) -> Outcome:
    """Choose, calibrate, and say so."""
    shop, found = automl.shop, automl.found
    chosen, weights = _chosen(automl, spec, ctx)
    _say(weights, chosen, automl, ctx)
    y, board = shop.resampling.y, _leaderboard(automl, chosen, weights)
    facts, timings = _facts(automl, weights), _timings(automl, weights)
    if (student := _student(automl, chosen, weights, spec, ctx)) is not None:
        place = shop.resampling.place(shop.resampling.folds[0])
        y = y[place]
        facts["distilled"] = {"student": student.value, "ensemble": _on(place, chosen, shop, y)}
        board, chosen = _with_student(board, student, y, automl), student
        rest = shop.resampling.folds[0].judge[:_PARITY_ROWS]
        before = time.perf_counter()
        student.fitted.margin(np.ascontiguousarray(shop.resampling.pool.X[rest]))
        timings["fits"][student.learner] = timing(
            student.fit_seconds, 1e6 * (time.perf_counter() - before) / max(1, len(rest))
        )
    rows = np.ascontiguousarray(shop.resampling.pool.X[shop.resampling.judged[:_PARITY_ROWS]])
    return Outcome(
        problem=shop.problem,
        chosen=chosen,
        baselines={
            n: _candidate(n, found.bags, {n: 1.0}, automl, spec, ctx)
            for n in ("constant", "linear")
            if n in found.bags
        },
        y=y,
        rows=rows,
        score=chosen.calibration.score(chosen.fitted.margin(rows)),
        leaderboard=board,
        curves={f"{n}.{curve}": p for n, tried in found.tried.items() for curve, p in tried.curves.items()},
        params={n: tried.params for n, tried in found.tried.items()},
        facts={"automl": facts},
        timings=timings,
    )


def _chosen(automl: AutoML, spec: TrainSpec, ctx: Context) -> tuple[Candidate, dict[str, float]]:
    """The ensemble, or the best of the floor where the ensemble, calibrated and on all judged rows, is no better."""
    weights, metric = automl.weights(), automl.shop.problem.metric

    def made(name: str, weights: dict[str, float]) -> Candidate:
        return _candidate(name, automl.found.bags, weights, automl, spec, ctx)

    chosen = made(next(iter(weights)) if len(weights) == 1 else "ensemble", weights)
    for name in (member.name for member in FLOOR if member.name in automl.found.bags):
        if metric.better((floor := made(name, {name: 1.0})).value, chosen.value) and automl.usable(name):
            chosen, weights = floor, {name: 1.0}
    return chosen, weights


def _candidate(
    name: str,
    bags: Mapping[str, Bag],
    weights: Mapping[str, float],
    automl: AutoML,
    spec: TrainSpec,
    ctx: Context,
) -> Candidate:
    """Every fit of every chosen bag, with its share of the bag's weight, calibrated out of fold."""
    problem, y = automl.shop.problem, automl.shop.resampling.y
    members = tuple(
        (weight / len(bags[n].folds), fitted) for n, weight in weights.items() for fitted in bags[n].fits
    )
    params = {n: {"weight": weight, **bags[n].fits[0].params} for n, weight in weights.items()}
    margin: np.ndarray = np.sum([weight * bags[n].margins for n, weight in weights.items()], axis=0)
    mode = "none" if name == "constant" else spec.calibrate
    calibration = choose(mode, problem.task, margin, y, ctx.rng("calibrate", name))
    value = problem.metric(y, output_of(problem.task, calibration.score(margin)))
    return Candidate(name, Ensemble(members, params=params), calibration, margin, value)


def _say(weights: Mapping[str, float], chosen: Candidate, automl: AutoML, ctx: Context) -> None:
    metric = automl.shop.problem.metric
    parts = ", ".join(f"{weight:.0%} {name}" for name, weight in weights.items())
    ctx.note(f"ships {parts}: {metric.name} {chosen.value:.5g} out of fold")
    if len(weights) == 1 and next(iter(weights)) in {member.name for member in FLOOR}:
        ctx.warn(
            "nothing that was tried beats the floor (constant, linear, LightGBM's defaults): the floor ships"
        )


def _leaderboard(automl: AutoML, chosen: Candidate, weights: Mapping[str, float]) -> list[dict[str, Any]]:
    found, problem, y = automl.found, automl.shop.problem, automl.shop.resampling.y
    rows = [
        row(
            tried.member.name,
            problem.metric,
            tried.value,
            tried.interval,
            chosen=tried.member.name == chosen.learner,
            note=_note(tried.rounds),
            weight=weights.get(name, 0.0),
            bytes=tried.size,
            params=tried.params,
        )
        for name, tried in found.tried.items()
    ]
    if chosen.learner == "ensemble":
        used = [found.tried[name] for name in weights]
        output = output_of(problem.task, chosen.calibration.score(chosen.margin))
        rows.append(
            row(
                "ensemble",
                problem.metric,
                chosen.value,
                interval(problem.metric, y, output, chosen.value),
                chosen=True,
                note=f"{len(used)} members",
                weight=1.0,
                bytes=sum(t.size for t in used),
                params={},
            )
        )
    return ordered(rows, problem.metric)


def _student(
    automl: AutoML, teacher: Candidate, weights: Mapping[str, float], spec: TrainSpec, ctx: Context
) -> Candidate | None:
    """The student to ship instead; None where none was asked for, or it is worse than the floor."""
    shop, found, metric = automl.shop, automl.found, automl.shop.problem.metric
    if automl.spec.distill is None or teacher.learner == "constant":
        return None
    automl.begin_end()
    first = Ensemble(tuple((weight, found.bags[name].fits[0]) for name, weight in weights.items()))
    try:
        student = distil(automl.spec.distill, teacher, first, shop, spec, ctx)
    except (BessemerError, MemoryError) as error:
        ctx.warn(
            f"{automl.spec.distill} could not learn from the ensemble, which ships: {error}".splitlines()[0]
        )
        return None
    if student is None:
        ctx.warn(f"no time was left to distil into {automl.spec.distill}: the ensemble ships")
        return None
    fold = shop.resampling.folds[0]
    place, y = shop.resampling.place(fold), shop.resampling.pool.y[fold.judge]
    for name in (member.name for member in FLOOR if member.name in found.bags):
        value = metric(y, output_of(shop.problem.task, found.bags[name].margins[place]))
        if metric.better(value, student.value):
            said = (
                f"the distilled model ({metric.name} {student.value:.5g}) is worse than {name} ({value:.5g})"
            )
            ctx.warn(f"{said}: the ensemble ships")
            return None
    said = f"ships {student.learner}: {metric.name} {student.value:.5g} on the first fold"
    ctx.note(f"{said}, where the ensemble has {_on(place, teacher, shop, y):.5g}")
    return student


def _on(place: np.ndarray, candidate: Candidate, shop: Workshop, y: np.ndarray) -> float:
    """The metric of a candidate on some of the judged rows."""
    score = candidate.calibration.score(candidate.margin[place])
    return shop.problem.metric(y, output_of(shop.problem.task, score))


def _with_student(
    board: list[dict[str, Any]], student: Candidate, y: np.ndarray, automl: AutoML
) -> list[dict[str, Any]]:
    problem = automl.shop.problem
    output = output_of(problem.task, student.calibration.score(student.margin))
    made = row(
        student.learner,
        problem.metric,
        student.value,
        interval(problem.metric, y, output, student.value),
        chosen=True,
        note="on the first fold only",
        bytes=len(student.fitted.native().content),
        params=dict(student.fitted.params),
    )
    rest = ({**line, "chosen": False, "weight": 0.0} for line in board)
    return ordered([*rest, made], problem.metric)


def _note(rounds: tuple[int, ...]) -> str:
    fits = f"{len(rounds)} fits" if len(rounds) > 1 else "1 fit"
    least, most = min(rounds), max(rounds)
    if most <= 1:
        return fits
    return f"{fits}, {least} rounds" if least == most else f"{fits}, {least}-{most} rounds"


def _facts(automl: AutoML, weights: Mapping[str, float]) -> dict[str, Any]:
    folds = automl.shop.resampling.folds
    return {
        "budget": automl.spec.budget,
        "folds": len(folds),
        "rows": len(folds[0].learn),
        "weights": dict(weights),
        "skipped": [{"learner": s.member.name, "why": s.why} for s in automl.found.skipped],
    }


def _timings(automl: AutoML, weights: Mapping[str, float]) -> dict[str, Any]:
    found = automl.found
    fits = {name: timing(tried.seconds, tried.microseconds) for name, tried in found.tried.items()}
    used = [found.tried[name] for name in weights]
    fits["ensemble"] = timing(sum(t.seconds for t in used), sum(t.microseconds for t in used))
    needed = {s.member.name: float(f"{s.needed:.3g}") for s in found.skipped if not math.isnan(s.needed)}
    return {"fits": fits, "used": round(automl.shop.clock.used(), 2), "needed": needed}
