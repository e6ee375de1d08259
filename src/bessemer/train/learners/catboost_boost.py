"""The boosting itself: CatBoost's own loop, with its exact snapshots, stopped by its twin of the metric.

Missing values become the lowest float32 before CatBoost sees them: it knows no missing value of a feature that
had none in training, and puts what is missing below everything else anyway.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import catboost
import numpy as np

from bessemer.core import canonical
from bessemer.core.errors import DataError
from bessemer.package.trees.model import Trees
from bessemer.train.learners.catboost_trees import to_trees
from bessemer.train.learners.constant import prior
from bessemer.train.tree_model import TreeModel

if TYPE_CHECKING:
    from bessemer.train.learner import Callbacks, Part, Problem

#: Seconds between two snapshots: one costs about as much as a round.
SNAPSHOT_SECONDS = 20
_LOWEST, _HIGHEST = np.float32(-3.4e38), np.float32(3.4e38)
_ROUNDS_UNJUDGED = 300
_LOSSES = {"binary": "Logloss", "multiclass": "MultiClass", "regression": "RMSE"}
#: CatBoost's name for a metric of Bessemer, where both are the same figure.
_METRICS = {"log_loss": None, "roc_auc": "AUC", "accuracy": "Accuracy", "rmse": "RMSE", "mae": "MAE"}
#: Fits that CatBoost refuses because there is nothing to learn, by a part of what it says.
_NOTHING = ("constant or ignored", "only one unique", "All train targets are equal", "one class")


def fit(
    problem: Problem, train: Part, valid: Part, params: Mapping[str, Any], callbacks: Callbacks
) -> TreeModel:
    """One fit, from the first round to the model."""
    chosen = {**params, "learning_rate": params["learning_rate"] or default_rate(problem, len(train))}
    base = prior(problem, train.y, problem.row_weights(train))
    if len(np.unique(train.y)) < 2:
        return _without_trees(base, train.X.shape[1], chosen)
    watch = _Watch(problem, callbacks)
    model = catboost.CatBoost(_settings(problem, chosen, len(valid) > 0, callbacks))
    judged = _pool(problem, valid) if len(valid) else None
    try:
        model.fit(
            _pool(problem, train), eval_set=judged, callbacks=[watch], **_snapshot(problem, chosen, callbacks)
        )
    except catboost.CatBoostError as error:
        if any(text in str(error) for text in _NOTHING):
            return _without_trees(base, train.X.shape[1], chosen)
        raise DataError("CatBoost could not train on this data", why=str(error).splitlines()[0]) from error
    path = Path(callbacks.workdir) / "catboost.json"
    model.save_model(str(path), format="json")
    trees = to_trees(json.loads(path.read_text()), train.X.shape[1], problem.outputs)
    path.unlink()
    curves = {watch.name: watch.points} if watch.points else {}
    return TreeModel(trees, _margins_of(model, problem.outputs), chosen, int(model.tree_count_), curves)


def default_rate(problem: Problem, rows: int) -> float:
    """CatBoost's own rule for a thousand rounds: larger steps for more rows."""
    if problem.task == "multiclass":
        return 0.1
    slope, start = (0.246, -5.127) if problem.task == "binary" else (0.157, -4.062)
    return round(min(0.2, max(0.03, math.exp(slope * math.log(max(rows, 2)) + start))), 4)


def _settings(
    problem: Problem, params: Mapping[str, Any], judged: bool, callbacks: Callbacks
) -> dict[str, Any]:
    given = {name: value for name, value in params.items() if value is not None}
    if given["grow_policy"] == "SymmetricTree":
        del given["min_data_in_leaf"]
    if "bagging_temperature" in given:
        given["bootstrap_type"] = "Bayesian"
    if problem.quantile is not None:
        loss = metric = f"Quantile:alpha={problem.quantile}"
    else:
        absolute = problem.metric.name in ("mae", "median_ae")
        loss = "MAE" if absolute else _LOSSES[problem.task]
        metric = _METRICS.get(problem.metric.name) or loss
        metric = loss if metric == "AUC" and problem.task == "multiclass" else metric
    found = {
        **given,
        "loss_function": loss,
        "eval_metric": metric,
        "iterations": callbacks.rounds if judged else min(callbacks.rounds, _ROUNDS_UNJUDGED),
        "random_seed": callbacks.seed("catboost"),
        "thread_count": callbacks.threads,
        "logging_level": "Silent",
        "train_dir": str(callbacks.workdir),
        "allow_writing_files": True,
        "use_best_model": judged,
    }
    if judged and callbacks.early_stopping:
        found |= {"od_type": "Iter", "od_wait": callbacks.early_stopping}
    if problem.task == "multiclass":
        found["classes_count"] = problem.classes
    if problem.monotone is not None:
        found["monotone_constraints"] = list(problem.monotone)
    return found


def _snapshot(problem: Problem, params: Mapping[str, Any], callbacks: Callbacks) -> dict[str, Any]:
    """Where a killed fit goes on. The name keeps it from a fit of other data or settings."""
    key = canonical.digest([callbacks.fingerprint, dict(params), problem.metric.name])[:16]
    path = Path(callbacks.workdir) / f"catboost-{key}.snapshot"
    return {"save_snapshot": True, "snapshot_file": str(path), "snapshot_interval": SNAPSHOT_SECONDS}


def _pool(problem: Problem, part: Part) -> Any:
    label = part.y if problem.task == "regression" else part.y.astype(np.int64)
    return catboost.Pool(_filled(part.X), label, weight=problem.row_weights(part))


def _filled(X: np.ndarray) -> np.ndarray:
    """A copy without NaN and infinity."""
    filled: np.ndarray = np.nan_to_num(X, nan=float(_LOWEST), posinf=float(_HIGHEST), neginf=float(_LOWEST))
    return filled


def _margins_of(model: Any, outputs: int) -> Callable[[np.ndarray], np.ndarray]:
    def predict(X: np.ndarray) -> np.ndarray:
        found = model.predict(_filled(X), prediction_type="RawFormulaVal")
        return np.asarray(found, dtype=np.float64).reshape(len(X), outputs)

    return predict


def _without_trees(base: np.ndarray, features: int, params: Mapping[str, Any]) -> TreeModel:
    trees = Trees((), base, features)
    return TreeModel(trees, trees.margin, params, 0)


class _Watch:
    """Called after every round: reports it, and stops the fit when the time is up."""

    def __init__(self, problem: Problem, callbacks: Callbacks) -> None:
        self.name = f"valid_{problem.metric.name}"
        self.points: list[tuple[int, float]] = []
        self._callbacks = callbacks

    def after_iteration(self, info: Any) -> bool:
        judged = (info.metrics or {}).get("validation", {})
        values = list(judged.values())[-1] if judged else []
        for step in range(len(self.points), len(values)):  # a snapshot brings the rounds before it
            self.points.append((step + 1, float(f"{values[step]:.9g}")))
            self._callbacks.on_round(self.name, *self.points[-1])
        return self._callbacks.time_left() > 0
