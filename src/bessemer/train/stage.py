"""Fit the learners, choose one, calibrate it, and write the one graph that ships."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core import canonical
from bessemer.core.errors import DataError, Fault, ProjectError, did_you_mean
from bessemer.stats.metrics.table import METRICS
from bessemer.train.candidates import Candidate, Trial, fit_all, pick, usable_metric
from bessemer.train.learner import Callbacks, Part, Problem
from bessemer.train.metrics import DEFAULT, Metric
from bessemer.train.weights import class_weights, weight_faults
from bessemer.train.write import write_history, write_model

if TYPE_CHECKING:
    from bessemer.core.artifact import Artifact, ArtifactRef
    from bessemer.core.signature import Task
    from bessemer.core.stage import Context
    from bessemer.train.spec import TrainSpec


def run(spec: TrainSpec, inputs: Mapping[str, ArtifactRef], ctx: Context) -> dict[str, ArtifactRef]:
    """splits, preprocessor -> model, history.

    Raises:
        ProjectError: settings that do not fit the task or its classes; all faults at once.
        DataError: nothing to learn from.
        MissingExtra: the learner is not installed.
        PackageError: the ONNX graph and the trained model disagree.
        StoreError: disk full or not writable.
    """
    splits, preprocessor = ctx.open(inputs["splits"]), ctx.open(inputs["preprocessor"])
    check(spec, splits.meta["task"], splits.meta["classes"])
    train, valid = _part(splits, "train"), _part(splits, "valid")
    if not len(train) or not train.X.shape[1]:
        raise DataError(
            f"nothing to learn from: {len(train)} training rows and {train.X.shape[1]} features",
            fix="see what `prepare` and `validate` left out: bessemer show",
        )
    problem = _problem(spec, splits, train, valid, ctx)
    fingerprint = canonical.digest(
        {"spec": spec, "seed": ctx.seed, "inputs": {name: ref.digest for name, ref in inputs.items()}}
    )
    with ctx.progress("train", spec.rounds) as bar:
        callbacks = _callbacks(spec, ctx, fingerprint, _round_reporter(ctx, bar.advance))
        trial = Trial(spec, problem, train, valid, callbacks)
        candidates = fit_all(trial, ctx)
    chosen = pick(candidates, spec, problem.metric)
    _warn_of_baselines(candidates, chosen, problem.metric, ctx)
    return {
        "model": write_model(trial, candidates, chosen, splits, preprocessor, ctx),
        "history": write_history(trial, candidates, chosen, ctx),
    }


def check(spec: TrainSpec, task: Task, classes: list[Any]) -> None:
    """Raises ProjectError with every setting that the task or its classes do not allow."""
    faults = weight_faults(spec.class_weight, classes)
    known = METRICS[task]
    if spec.metric != "auto" and spec.metric not in known:
        fix = did_you_mean(spec.metric, known, limit=40)
        faults.append(Fault("train.metric", None, f"'{spec.metric}' is not a metric of a {task} task", fix))
    if task == "regression" and spec.calibrate == "sigmoid":
        fix = "leave it out; calibration is for classes"
        faults.append(Fault("train.calibrate", None, "the target is a number, which has no probability", fix))
    if faults:
        raise ProjectError(faults)


def _part(splits: Artifact, name: str) -> Part:
    X = np.load(splits.path(f"{name}.X.npy"), mmap_mode="r", allow_pickle=False)
    return Part(X, np.load(splits.path(f"{name}.y.npy"), allow_pickle=False))


def _problem(spec: TrainSpec, splits: Artifact, train: Part, valid: Part, ctx: Context) -> Problem:
    """The problem, with a metric that the judging rows can tell: one class has no area under a curve."""
    task, classes = splits.meta["task"], splits.meta["classes"]
    default = Metric(task, DEFAULT[task])
    metric = default if spec.metric == "auto" else Metric(task, spec.metric)
    judged = valid if len(valid) else train
    if not len(valid):
        ctx.note("no validation rows: boosting runs a fixed number of rounds and nothing is calibrated")
    usable = usable_metric([metric, default], judged.y, len(classes)) or default
    if usable != metric:
        ctx.warn(
            f"{metric.name} has no value on the validation rows (all of one class?); {usable.name} judges instead"
        )
    return Problem(task, len(classes), usable, class_weights(spec.class_weight, classes, train.y))


def _callbacks(
    spec: TrainSpec, ctx: Context, fingerprint: str, on_round: Callable[[str, int, float], None]
) -> Callbacks:
    return Callbacks(
        on_round=on_round,
        seed=lambda label: int(ctx.rng("learner", label).integers(2**31 - 1)),
        workdir=ctx.workdir,
        fingerprint=fingerprint,
        threads=ctx.threads,
        rounds=spec.rounds,
        early_stopping=spec.early_stopping,
        checkpoint=spec.checkpoint,
    )


def _round_reporter(ctx: Context, advance: Callable[[float], None]) -> Callable[[str, int, float], None]:
    done = 0

    def report(name: str, step: int, value: float) -> None:
        nonlocal done
        ctx.metric(name, value, step)
        if step > done:
            advance(step - done)
            done = step

    return report


def _warn_of_baselines(
    candidates: dict[str, Candidate], chosen: Candidate, metric: Metric, ctx: Context
) -> None:
    constant = candidates["constant"]
    if chosen is not constant and not metric.better(chosen.value, constant.value):
        ctx.warn(
            f"the model ({metric.name} {chosen.value:.4g}) is no better than a constant ({constant.value:.4g}) "
            "on the validation rows: the features say nothing about the target"
        )
