"""Fit the learners, choose one, calibrate it, and write the one graph that ships."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core import canonical
from bessemer.core.blocks import blocks_of
from bessemer.core.errors import DataError, Fault, ProjectError, did_you_mean
from bessemer.core.further import further_of
from bessemer.stats.metrics.table import METRICS
from bessemer.train.candidates import Trial, fit_all, pick, usable_metric
from bessemer.train.candidates import outcome as outcome_of
from bessemer.train.comparators.compare import check_needs, compared
from bessemer.train.keys import keys_of
from bessemer.train.learner import Callbacks, Part, Problem
from bessemer.train.learning_curve import with_learning_curve
from bessemer.train.metrics import DEFAULT, PINBALL, Metric
from bessemer.train.monotone import directions
from bessemer.train.openmp import spin_briefly
from bessemer.train.plugins import LEARNERS
from bessemer.train.private import check_private
from bessemer.train.reweigh import reweighed_parts
from bessemer.train.robust import reach_of
from bessemer.train.several import several_faults, shares_of, warn_of_unlearnt
from bessemer.train.weights import class_weights, weight_faults
from bessemer.train.write import write_history, write_model, write_timings

if TYPE_CHECKING:
    from bessemer.core.artifact import Artifact, ArtifactRef
    from bessemer.core.stage import Context
    from bessemer.train.outcome import Outcome
    from bessemer.train.spec import TrainSpec


def run(spec: TrainSpec, inputs: Mapping[str, ArtifactRef], ctx: Context) -> dict[str, ArtifactRef]:
    """splits, preprocessor, keys -> model, history, timings.

    Raises:
        ProjectError: settings that do not fit the task or its classes; all faults at once.
        DataError: nothing to learn from.
        MissingExtra: the learner or a comparator is not installed.
        EnvironmentFault: a comparator needs what this machine lacks (Java).
        PackageError: the ONNX graph and the trained model disagree.
        StoreError: disk full or not writable.
    """
    spin_briefly()
    splits, preprocessor = ctx.open(inputs["splits"]), ctx.open(inputs["preprocessor"])
    check(spec, splits.meta)
    check_needs(spec)
    if spec.automl is not None and spec.automl.distill is not None:
        LEARNERS.load(spec.automl.distill)  # says now, not when the budget is used, what is not installed
    train, valid = reweighed_parts(spec.reweigh, splits, _part(splits, "train"), _part(splits, "valid"), ctx)
    if not len(train) or not train.X.shape[1]:
        raise DataError(
            f"nothing to learn from: {len(train)} training rows and {train.X.shape[1]} features",
            fix="see what `prepare` and `validate` left out: bessemer show",
        )
    problem, keys = _problem(spec, splits, preprocessor, train, valid, ctx), keys_of(inputs, ctx)
    check_private(spec, problem.task, train, valid, keys)
    warn_of_unlearnt(problem.further, train, ctx)
    fingerprint = canonical.digest(
        {"spec": spec, "seed": ctx.seed, "inputs": {name: ref.digest for name, ref in inputs.items()}}
    )
    if spec.automl is not None:
        from bessemer.train.automl.stage import fit_automl

        callbacks = _callbacks(spec, ctx, fingerprint, lambda name, step, value: None)
        outcome = fit_automl(spec, problem, splits, preprocessor, train, valid, callbacks, ctx, keys)
    elif spec.given is not None:
        from bessemer.train.given import judge_given

        callbacks = _callbacks(spec, ctx, fingerprint, lambda name, step, value: None)
        outcome = judge_given(Trial(spec, problem, train, valid, callbacks, keys), splits, preprocessor, ctx)
    else:
        with ctx.progress("train", spec.rounds) as bar:
            callbacks = _callbacks(spec, ctx, fingerprint, _round_reporter(ctx, bar.advance))
            outcome = _fit_learner(Trial(spec, problem, train, valid, callbacks, keys), ctx)
    if spec.compare:
        outcome = compared(spec, outcome, splits, preprocessor, (train, valid), callbacks, ctx)
    if spec.learning_curve is not None:
        outcome = with_learning_curve(spec, outcome, train, valid, callbacks, ctx)
    _warn_of_baselines(outcome, ctx)
    return {
        "model": write_model(outcome, spec, splits, preprocessor, ctx),
        "history": write_history(outcome, ctx),
        "timings": write_timings(outcome, ctx),
    }


def _fit_learner(trial: Trial, ctx: Context) -> Outcome:
    """The named learner, or the better of those that `auto` tries."""
    candidates = fit_all(trial, ctx)
    chosen = pick(candidates, trial.spec, trial.problem.metric)
    return outcome_of(trial, candidates, chosen)


def check(spec: TrainSpec, meta: Mapping[str, Any]) -> None:
    """Raises ProjectError with every setting that the targets do not allow; meta: of `splits`."""
    task, classes = meta["task"], meta["classes"]
    shared = {"target": meta["target"], "further": [(one.name, one.task) for one in further_of(meta)]}
    faults = [*several_faults(spec, shared), *weight_faults(spec.class_weight, classes)]
    known = METRICS[task]
    if spec.metric != "auto" and spec.metric not in known:
        fix = did_you_mean(spec.metric, known, limit=40)
        faults.append(Fault("train.metric", None, f"'{spec.metric}' is not a metric of a {task} task", fix))
    if task == "regression" and spec.calibrate == "sigmoid":
        fix = "leave it out; calibration is for classes"
        faults.append(Fault("train.calibrate", None, "the target is a number, which has no probability", fix))
    if spec.quantile is not None and task != "regression":
        what = f"a quantile is of a number, and this is a {task} task"
        faults.append(Fault("train.quantile", None, what, "leave it out"))
    if spec.reweigh and task == "regression":
        what = "the target is a number: there is no class that a group could be independent of"
        faults.append(Fault("train.reweigh", None, what, "leave it out"))
    if spec.threshold is not None and task != "binary":
        what = f"a threshold parts two classes, and this is a {task} task"
        faults.append(Fault("train.threshold", None, what, "leave it out"))
    if spec.monotone and task == "multiclass":
        what = "with several classes there is no one prediction to move"
        faults.append(Fault("train.monotone", None, what, "leave it out"))
    if faults:
        raise ProjectError(faults)


def _part(splits: Artifact, name: str) -> Part:
    X = np.load(splits.path(f"{name}.X.npy"), mmap_mode="r", allow_pickle=False)
    weight = None
    if f"{name}.weight.npy" in splits.files:
        weight = np.load(splits.path(f"{name}.weight.npy"), allow_pickle=False)
    further = None
    if f"{name}.further.npy" in splits.files:
        further = np.load(splits.path(f"{name}.further.npy"), allow_pickle=False)
    return Part(X, np.load(splits.path(f"{name}.y.npy"), allow_pickle=False), weight, further)


def _problem(
    spec: TrainSpec, splits: Artifact, preprocessor: Artifact, train: Part, valid: Part, ctx: Context
) -> Problem:
    """The problem, with a metric that the judging rows can tell: one class has no area under a curve."""
    task, classes, further = splits.meta["task"], splits.meta["classes"], further_of(splits.meta)
    default = Metric(task, DEFAULT[task])
    metric = default if spec.metric == "auto" else Metric(task, spec.metric)
    if spec.quantile is not None:
        default = metric = Metric(task, PINBALL, spec.quantile)
    judged = valid if len(valid) else train
    if not len(valid):
        ctx.note("no validation rows: boosting runs a fixed number of rounds and nothing is calibrated")
    usable = usable_metric([metric, default], judged.y, len(classes)) or default
    if usable != metric:
        ctx.warn(
            f"{metric.name} has no value on the validation rows (all of one class?); {usable.name} judges instead"
        )
    return Problem(
        task,
        len(classes),
        usable,
        class_weights(spec.class_weight, classes, train.y, as_said=spec.private is not None),
        directions(spec.monotone, preprocessor.json("features.json")),
        spec.quantile,
        blocks_of(preprocessor.meta),
        further,
        shares_of(spec.target_weights, [splits.meta["target"], *(one.name for one in further)]),
        reach_of(spec, splits, preprocessor, train, task),
    )


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
        note=ctx.note,
        project_dir=ctx.project_dir,
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


def _warn_of_baselines(outcome: Outcome, ctx: Context) -> None:
    chosen, constant, metric = outcome.chosen, outcome.baselines["constant"], outcome.problem.metric
    if chosen.learner != "constant" and not metric.better(chosen.value, constant.value):
        ctx.warn(
            f"the model ({metric.name} {chosen.value:.4g}) is no better than a constant ({constant.value:.4g}) "
            "on the validation rows: the features say nothing about the target"
        )
