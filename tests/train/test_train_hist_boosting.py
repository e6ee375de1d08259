"""Histogram boosting: scikit-learn's estimators, losses, weights, constraints, kills."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from learner_support import (
    check_killed,
    check_monotone,
    check_quantile,
    check_time_left,
    check_weights,
    fit,
    quantile_problem,
    summary,
    table,
)
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from bessemer.stats.calibration import sigmoid, softmax
from bessemer.testing.learners import check_learner, problem, rows
from bessemer.train.learner import Part
from bessemer.train.learners.hist_boosting import HistBoosting
from bessemer.train.params import resolved

TASKS = pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
FAST = {"learning_rate": 0.2}


@pytest.mark.slow
@TASKS
def test_it_conforms(task: Any, tmp_path: Path) -> None:
    check_learner(HistBoosting, task, tmp_path)


def estimator(of: Any, params: dict[str, Any], rounds: int) -> Any:
    """Scikit-learn's own, with the same settings."""
    settings = {**resolved(HistBoosting.PARAMS, params), "max_iter": rounds, "early_stopping": False}
    settings["max_depth"] = settings["max_depth"] or None
    settings["monotonic_cst"] = of.monotone
    if of.task != "regression":
        return HistGradientBoostingClassifier(**settings)
    if of.quantile is not None:
        return HistGradientBoostingRegressor(loss="quantile", quantile=of.quantile, **settings)
    loss = "absolute_error" if of.metric.name == "mae" else "squared_error"
    return HistGradientBoostingRegressor(loss=loss, **settings)


CASES = {
    "binary": (problem("binary"), {}),
    "weighted": (problem("binary"), {"max_leaf_nodes": 7, "min_samples_leaf": 3}),
    "multiclass": (problem("multiclass"), {"max_depth": 3, "l2_regularization": 0.0}),
    "squared": (problem("regression"), {"max_bins": 31}),
    "absolute": (problem("regression", "mae"), {"max_leaf_nodes": 15}),
    "quantile": (quantile_problem(0.3), {"min_samples_leaf": 10}),
    "monotone": (replace(problem("regression"), monotone=(1, 1, 0, 0, 0, -1, 0)), {}),
}


@pytest.mark.parametrize("case", CASES)
def test_it_grows_the_trees_of_scikit_learns_estimators(case: str, tmp_path: Path) -> None:
    """Within one segment, whose margins nothing rounds."""
    of, params = CASES[case]
    params = {**FAST, **params}
    part, test = rows(of.task, 400), rows(of.task, 300, seed=2)
    part.X[:, 3] = test.X[:, 3] = 0  # scikit-learn fails on a feature without any value
    if of.task == "regression":  # a start that float32 rounds turns near ties the other way
        part = Part(part.X, part.y - part.y.mean())
    if case == "weighted":
        weight = np.where(part.X[:, 0] > 0, 2.0, 0.5)
        part = Part(np.round(part.X, 1), part.y, weight)
    fitted = fit(
        HistBoosting, of, part, Part(part.X[:0], part.y[:0]), tmp_path, params, rounds=8, checkpoint=8
    )
    peer = estimator(of, params, 8).fit(part.X, part.y, sample_weight=part.weight)
    assert fitted.iterations == 8
    margin = fitted.margin(test.X)
    if of.task == "binary":
        np.testing.assert_allclose(sigmoid(margin[:, 0]), peer.predict_proba(test.X)[:, 1], atol=1e-5)
    elif of.task == "multiclass":
        np.testing.assert_allclose(softmax(margin), peer.predict_proba(test.X), atol=1e-5)
    else:
        np.testing.assert_allclose(margin[:, 0], peer.predict(test.X), atol=1e-4)


@pytest.mark.slow
def test_it_is_as_good_as_scikit_learns_on_a_real_table(tmp_path: Path) -> None:
    train, test = table("california", "median_house_value"), table("california", "median_house_value", "test")
    own = fit(
        HistBoosting,
        problem("regression"),
        train.take(np.arange(2400)),
        train.take(np.arange(2400, 3000)),
        tmp_path,
        {"learning_rate": 0.1},
        rounds=300,
    )
    peer = HistGradientBoostingRegressor(random_state=0, early_stopping=True, max_iter=300).fit(
        train.X, train.y
    )
    ours, theirs = (
        float(np.sqrt(np.mean((test.y - p) ** 2))) for p in (own.margin(test.X)[:, 0], peer.predict(test.X))
    )
    assert ours < theirs * 1.02


def test_weights_count(tmp_path: Path) -> None:
    check_weights(HistBoosting, tmp_path, {}, rounds=20)


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["log_loss", "rmse", "mae", "pinball"])
def test_monotone_constraints_are_kept(metric: str, tmp_path: Path) -> None:
    of = (
        quantile_problem(0.7)
        if metric == "pinball"
        else problem("binary" if metric == "log_loss" else "regression", metric)
    )
    check_monotone(HistBoosting, of, tmp_path, FAST)


@pytest.mark.slow
def test_a_quantile_is_met(tmp_path: Path) -> None:
    check_quantile(HistBoosting, tmp_path, FAST, rounds=150)


def test_it_ends_in_time(tmp_path: Path) -> None:
    check_time_left(HistBoosting, tmp_path)


@pytest.mark.slow
@TASKS
def test_the_model_does_not_depend_on_the_threads(
    task: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bessemer.train.learners.hist_boosting_engine._WORTH_THREADS", 0)
    part = rows(task, 1500)
    found = {
        summary(
            fit(
                HistBoosting,
                problem(task),
                part,
                part,
                tmp_path / str(n),
                {"max_features": 0.5},
                threads=n,
                rounds=12,
            )
        )
        for n in (1, 2, 4)
    }
    assert len(found) == 1


def test_a_feature_without_a_value_in_the_rows_that_choose_bins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bessemer.train.learners.hist_boosting_engine._BINNED_ROWS", 100)
    part = rows("regression")
    part.X[7, 3] = 5.0
    fitted = fit(HistBoosting, problem("regression"), part, part, tmp_path)
    assert np.corrcoef(fitted.margin(part.X)[:, 0], part.y)[0, 1] > 0.8


@pytest.mark.slow
def test_a_killed_fit_gives_the_same_model(tmp_path: Path) -> None:
    spec = "bessemer.train.learners.hist_boosting:HistBoosting"
    check_killed(spec, "multiclass", tmp_path, {"max_features": 0.5}, "hist_boosting.npz")
