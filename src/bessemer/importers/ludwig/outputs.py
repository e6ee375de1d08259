"""Ludwig's output features: the first one that can be predicted is the target."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from bessemer.core.sql import quote
from bessemer.importers.draft import Draft
from bessemer.importers.ludwig import metrics
from bessemer.importers.ludwig.features import Defaults, column_of, kind_of
from bessemer.importers.section import Hints, Section, is_number

#: Ludwig's type -> the task; '' where the number of classes decides.
TASKS = {"binary": "binary", "category": "", "number": "regression"}

_NETWORK = "the model has one output, made by its learner"
_HINTS: Hints = {
    "threshold": ("positive is said from a probability of 0.5 on", "train.threshold"),
    "top_k": ("the service gives the probability of every class", ""),
    "clip": ("predictions are not cut off", "a range in the contract of validate"),
    "dependencies": ("there is one target", ""),
}
_LOSS: Hints = {
    "weight": ("there is one loss", ""),
    "confidence_penalty": ("probabilities are calibrated instead", "train.calibrate"),
    "robust_lambda": ("log loss as it is", ""),
    "class_similarities": ("all errors count the same", "train.class_weight"),
    "class_similarities_temperature": ("all errors count the same", "train.class_weight"),
}


@dataclass
class Target:
    """The feature that is predicted.

    kind: binary, category or number. metric, judged: what the loss and the feature ask to judge by.
    """

    name: str
    kind: str
    metric: str | None = None
    judged: str | None = None


def read(file: Section, draft: Draft, defaults: Defaults) -> Target | None:
    """Choose the target among the output features and list the others."""
    listed, target = file.sections("output_features"), None
    kinds = []
    for feature in listed:
        kind, named = kind_of(feature), column_of(feature)
        if kind is None or named is None:
            continue
        kinds.append(kind)
        name, column = named
        if kind not in TASKS:
            said = {"name": name, "type": kind}
            why = f"a {kind} cannot be predicted; Bessemer predicts classes and numbers"
            draft.findings.lost(feature.path, said, why)
        elif target is not None:
            why = f"several are for the learner network; taken over is '{target.name}'"
            instead = (
                f"target: [{target.name}, {name}] with train.learner: network, and {name} in acquire.sql"
            )
            draft.findings.lost(feature.path, {"name": name, "type": kind}, why, instead)
        else:
            target = _read_target(feature, draft, kind, name, column, defaults)
    if target is None and not draft.findings.faults:
        kinds_text = ", ".join(sorted(set(kinds)))
        what = (
            f"nothing here can be predicted: the output features are {kinds_text}"
            if kinds
            else "no output features"
        )
        draft.findings.fault(
            "output_features", what, "Bessemer predicts binary, category and number features"
        )
    return target


def _read_target(
    feature: Section, draft: Draft, kind: str, name: str, column: str, defaults: Defaults
) -> Target:
    draft.target = name
    # A class that is written as a number must not become a regression.
    draft.selected[name] = f"cast({quote(column)} as varchar)" if kind == "category" else quote(column)
    if TASKS[kind]:
        draft.put("task", TASKS[kind])
    target = Target(name, kind)
    preprocessing = feature.section("preprocessing")
    if (positive := preprocessing.text("fallback_true_label")) is not None and kind == "binary":
        draft.put("annotate.positive", positive)
    if preprocessing.text("missing_value_strategy") != "drop_row":
        preprocessing.lost("missing_value_strategy", "rows without a target are set aside")
    preprocessing.lose({}, "the target is taken as it is")
    if (calibrated := feature.flag("calibration")) is not None:
        draft.put("train.calibrate", "sigmoid" if calibrated else "none")
    loss = feature.section("loss", word="type")
    if kind in defaults and "loss" not in feature:
        loss = defaults[kind].others.section("loss", word="type")
    _read_loss(loss, draft, target, positive)
    target.judged = metrics.named(feature, "default_validation_metric", draft, kind)
    feature.lose(_HINTS, f"a setting of the decoder: {_NETWORK}")
    return target


def _read_loss(loss: Section, draft: Draft, target: Target, positive: str | None) -> None:
    said = loss.text("type")
    if said in ("mean_absolute_error", "huber"):
        target.metric = "mae"
        if said == "huber":
            loss.near("type", "train.metric: mae", "the absolute error is as robust, and not smooth at zero")
    elif said in ("mean_absolute_percentage_error", "root_mean_squared_percentage_error"):
        target.metric = "smape"
        loss.near("type", "train.metric: smape", "relative to the mean of truth and prediction")
    elif said == "corn":
        loss.lost("type", "the order of classes is not used", "task: regression, for ordered numbers")
    weights = loss.any("class_weights")
    if isinstance(weights, dict) and weights and all(map(_weighs, weights.values())):
        draft.put("train.class_weight", dict(weights))
    elif isinstance(weights, list):
        why = "a list is in the order of Ludwig's vocabulary, which is not in the file"
        loss.lost("class_weights", why, "train.class_weight: {CLASS: WEIGHT}")
    elif isinstance(weights, dict) and weights:
        loss.lost("class_weights", "weights are numbers above 0", "train.class_weight")
    weight = loss.number("positive_class_weight")
    if weight and weight > 0 and positive is not None:
        draft.put("train.class_weight", {positive: weight})
    elif weight:
        why = "the file does not say which value is the positive one"
        loss.lost("positive_class_weight", why, f"train.class_weight: {{1: {weight}}}")
    loss.lose(_LOSS, "a setting of Ludwig's loss")


def _weighs(weight: Any) -> bool:
    return is_number(weight) and math.isfinite(weight) and weight > 0


def settle(draft: Draft, target: Target) -> None:
    """What judges the model: what the trainer says, else the feature, else its loss."""
    if draft.get("train.metric") is None and (metric := target.judged or target.metric):
        draft.put("train.metric", metric)
    if target.kind == "category":
        draft.notes["target"] = "classes, read as texts; how many of them decides binary or multiclass"
