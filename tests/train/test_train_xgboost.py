"""XGBoost: its own margins and SHAP values, weights, constraints, quantiles, kills."""

from __future__ import annotations

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

from bessemer.testing.learners import check_learner, problem, rows
from bessemer.train.learner import Part
from bessemer.train.learners.xgboost import XGBoost
from bessemer.train.params import resolved

xgboost = pytest.importorskip("xgboost")
TASKS = pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
#: Without chance, so that a booster of our own grows the same trees.
PLAIN = {"subsample": 1.0, "colsample_bytree": 1.0, "learning_rate": 0.2, "max_depth": 4}


@pytest.mark.slow
@TASKS
def test_it_conforms(task: Any, tmp_path: Path) -> None:
    check_learner(XGBoost, task, tmp_path)


def peer(task: str, part: Part, fitted: Any, rounds: int, **more: Any) -> Any:
    """A booster of XGBoost alone, from the same start."""
    objective = {
        "binary": "binary:logistic",
        "multiclass": "multi:softprob",
        "regression": "reg:squarederror",
    }
    settings = {
        **resolved(XGBoost.PARAMS, PLAIN),
        "objective": objective[task],
        "tree_method": "hist",
        **more,
    }
    if task == "multiclass":
        settings["num_class"] = 4
    start = np.tile(fitted.trees.base.astype(np.float32), (len(part), 1))
    data = xgboost.QuantileDMatrix(part.X, part.y, base_margin=start, max_bin=256)
    return xgboost.train(settings, data, num_boost_round=rounds)


@TASKS
def test_margins_and_contributions_are_xgboosts_own(task: Any, tmp_path: Path) -> None:
    part, test = rows(task), rows(task, 200, seed=2)
    empty = Part(part.X[:0], part.y[:0])
    fitted = fit(XGBoost, problem(task), part, empty, tmp_path, PLAIN, rounds=15, checkpoint=15)
    booster = peer(task, part, fitted, 15)
    base = fitted.trees.base
    start = np.tile(base.astype(np.float32), (len(test), 1))
    data = xgboost.DMatrix(test.X, base_margin=start)
    own = booster.predict(data, output_margin=True).reshape(len(test), -1)
    np.testing.assert_allclose(fitted.margin(test.X), own, rtol=1e-5, atol=2e-5)
    shap = booster.predict(data, pred_contribs=True).reshape(len(test), -1, test.X.shape[1] + 1)
    size = max(1.0, float(np.abs(own - base).max()))
    np.testing.assert_allclose(fitted.contributions(test.X) / size, shap / size, atol=1e-4)


def test_segments_change_nothing_without_chance(tmp_path: Path) -> None:
    part, valid = rows("binary"), rows("binary", seed=1)
    one, many = (
        fit(XGBoost, problem("binary"), part, valid, tmp_path / str(n), PLAIN, rounds=30, checkpoint=n)
        for n in (30, 7)
    )
    np.testing.assert_allclose(one.margin(valid.X), many.margin(valid.X), atol=1e-5)


@pytest.mark.slow
def test_it_learns_a_real_table(tmp_path: Path) -> None:
    train, test = table("adult", "income"), table("adult", "income", "test")
    valid = train.take(np.arange(2400, 3000))
    fitted = fit(XGBoost, problem("binary"), train.take(np.arange(2400)), valid, tmp_path, rounds=300)
    from sklearn.metrics import roc_auc_score

    assert roc_auc_score(test.y, fitted.margin(test.X)[:, 0]) > 0.90
    assert 20 < fitted.iterations < 300


def test_weights_count(tmp_path: Path) -> None:
    check_weights(XGBoost, tmp_path, PLAIN, rounds=20)


RENEWED = pytest.mark.xfail(
    strict=True, reason="XGBoost gives leaves a new value after growing, past the constraints"
)


@pytest.mark.parametrize(
    "metric", ["log_loss", "rmse", pytest.param("mae", marks=RENEWED), pytest.param("pinball", marks=RENEWED)]
)
def test_monotone_constraints_are_kept(metric: str, tmp_path: Path) -> None:
    task: Any = "binary" if metric == "log_loss" else "regression"
    of = quantile_problem(0.7) if metric == "pinball" else problem(task, metric)
    check_monotone(XGBoost, of, tmp_path, PLAIN)


def test_a_quantile_is_met(tmp_path: Path) -> None:
    check_quantile(XGBoost, tmp_path, {"learning_rate": 0.2, "max_depth": 3}, rounds=150)


def test_it_ends_in_time(tmp_path: Path) -> None:
    check_time_left(XGBoost, tmp_path)


def test_the_model_does_not_depend_on_the_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bessemer.train.learners.xgboost_engine.worth_threads", lambda X: True)
    part = rows("multiclass", 1500)
    found = {
        summary(fit(XGBoost, problem("multiclass"), part, part, tmp_path / str(n), threads=n, rounds=12))
        for n in (1, 2, 4)
    }
    assert len(found) == 1


def test_large_values_and_infinity_are_told_apart_from_missing(tmp_path: Path) -> None:
    X = np.array([[np.inf], [np.nan], [3e38], [0.0]] * 50, dtype=np.float32)
    y = np.array([1.0, 0.0, 1.0, 0.0] * 50)
    empty = Part(X[:0], y[:0])
    margin = fit(XGBoost, problem("binary"), Part(X, y), empty, tmp_path, PLAIN).margin(X)[:4, 0]
    assert margin[0] == margin[2] > 1
    assert max(margin[1], margin[3]) < -1


@pytest.mark.slow
def test_a_killed_fit_gives_the_same_model(tmp_path: Path) -> None:
    check_killed("bessemer.train.learners.xgboost:XGBoost", "multiclass", tmp_path, {}, "xgboost.npz")
