"""The comparisons of a run: each on its own budget, after our own candidates, on the rows they were judged on."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core.signature import Signature
from bessemer.train.automl.stage import groups_of
from bessemer.train.calibrate import choose
from bessemer.train.checkpoint import Checkpoints
from bessemer.train.comparators.comparator import Answer, Contest, NoAnswer
from bessemer.train.comparators.plugins import COMPARATORS
from bessemer.train.leaderboard import interval, ordered, row, timing
from bessemer.train.learner import Part
from bessemer.train.metrics import output_of

if TYPE_CHECKING:
    from bessemer.core.artifact import Artifact
    from bessemer.core.signature import Task
    from bessemer.core.stage import Context
    from bessemer.train.learner import Callbacks
    from bessemer.train.outcome import Outcome
    from bessemer.train.spec import TrainSpec

#: Probabilities are kept this far from 0 and 1: a margin is finite.
_LEAST = 1e-15


def check_needs(spec: TrainSpec) -> None:
    """Whether this machine has what the comparators need.

    Raises:
        MissingExtra: one is not installed.
        EnvironmentFault: it lacks something else, Java for example.
    """
    for name in spec.compare:
        COMPARATORS.load(name)().check()


def compared(
    spec: TrainSpec,
    outcome: Outcome,
    splits: Artifact,
    preprocessor: Artifact,
    parts: tuple[Part, Part],
    callbacks: Callbacks,
    ctx: Context,
) -> Outcome:
    """The outcome with a row for each comparator; the model that ships is what it was.

    Args:
        parts: train and valid.
    """
    contest = _contest(outcome, splits, preprocessor, parts, callbacks, ctx)
    rows, fits, facts = list(outcome.leaderboard), dict(outcome.timings["fits"]), []
    for name, seconds in spec.compare.items():
        begin = time.monotonic()
        answer, why = _attempt(name, replace(contest, seconds=seconds), callbacks, ctx)
        facts.append({"learner": name, "budget": seconds, "why": why})
        if answer is None:
            ctx.warn(f"no comparison with {name}: {why}")
            continue
        made = _row(name, answer, contest, spec, outcome, ctx)
        rows.append(made)
        fits[name] = timing(answer.fit_seconds, answer.predict_microseconds)
        value = "no value" if made["value"] is None else f"{made['value']:.5g}"
        took = f"{time.monotonic() - begin:.0f} s, on top of the stage's own time"
        ctx.note(f"{name}: {made['metric']} {value}, compared only; {took}")
    return replace(
        outcome,
        leaderboard=ordered(rows, outcome.problem.metric),
        facts={**outcome.facts, "compared": facts},
        timings={**outcome.timings, "fits": fits},
    )


def _contest(
    outcome: Outcome,
    splits: Artifact,
    preprocessor: Artifact,
    parts: tuple[Part, Part],
    callbacks: Callbacks,
    ctx: Context,
) -> Contest:
    y = np.concatenate([part.y for part in parts])
    weights = [part.weight for part in parts if part.weight is not None]
    given = np.concatenate(weights) if len(weights) == len(parts) else None
    weight = outcome.problem.row_weights(Part(np.empty((len(y), 0), dtype=np.float32), y, given))
    fields = Signature.from_json(preprocessor.json("signature.json")).inputs
    return Contest(
        problem=outcome.problem,
        files=tuple(splits.path(f"{name}.parquet") for name in ("train", "valid")),
        columns=tuple(field.name for field in fields),
        y=y,
        weight=weight,
        folds=outcome.folds,
        groups=groups_of(splits, splits.meta["group"]) if splits.meta["refold"] == "group" else None,
        seconds=math.inf,
        seed=callbacks.seed("compare"),
        threads=ctx.threads,
        memory=ctx.memory,
        workdir=ctx.workdir,
    )


def _attempt(name: str, contest: Contest, callbacks: Callbacks, ctx: Context) -> tuple[Answer | None, str]:
    """The answer, or why there is none."""
    with ctx.progress(f"compare with {name}", contest.seconds) as bar:

        def tick(used: float) -> None:
            bar.advance(max(0.0, used - bar.done))

        try:
            return _answer(name, replace(contest, tick=tick), callbacks), ""
        except NoAnswer as error:
            return None, str(error)


def _answer(name: str, contest: Contest, callbacks: Callbacks) -> Answer:
    """The answer; that of an earlier, killed run is taken from its file."""
    comparator, problem = COMPARATORS.load(name)(), contest.problem
    if problem.monotone is not None and not comparator.MONOTONE:
        raise NoAnswer("has no monotone constraints")
    if problem.quantile is not None and not comparator.QUANTILE:
        raise NoAnswer("does not predict quantiles")
    saved = Checkpoints(contest.workdir / f"compare-{name}.npz", callbacks.fingerprint)
    if (found := saved.load()) is not None:
        return Answer(found[1]["output"], **found[0])
    answer = comparator.compare(contest)
    if not np.isfinite(answer.output).all():
        raise NoAnswer("its predictions are not all finite")
    saved.save({k: v for k, v in vars(answer).items() if k != "output"}, {"output": answer.output})
    return answer


def _row(
    name: str, answer: Answer, contest: Contest, spec: TrainSpec, outcome: Outcome, ctx: Context
) -> dict[str, Any]:
    """Calibrated as what ships is, where there are rows that nothing learnt from."""
    problem, y = outcome.problem, contest.y[contest.judged]
    margin = _margin(problem.task, answer.output)
    fresh = not any(np.isin(fold.judge, fold.learn).any() for fold in contest.folds)
    mode = spec.calibrate if fresh else "none"
    calibration = choose(mode, problem.task, margin, y, ctx.rng("calibrate", name))
    output = output_of(problem.task, calibration.score(margin))
    value = problem.metric(y, output)
    said = (
        [answer.note] if calibration.method == "none" else [answer.note, f"calibrated ({calibration.method})"]
    )
    return row(
        name,
        problem.metric,
        value,
        interval(problem.metric, y, output, value),
        chosen=False,
        note=", ".join(said),
        bytes=None,
        params=dict(answer.params),
    )


def _margin(task: Task, output: np.ndarray) -> np.ndarray:
    """(J, K') of probabilities or values: what `output_of` turns back into them."""
    if task == "regression":
        return output[:, None]
    share = np.clip(output, _LEAST, 1 - _LEAST)
    margin: np.ndarray = np.log(share) if task == "multiclass" else np.log(share / (1 - share))[:, None]
    return margin
