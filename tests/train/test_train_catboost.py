"""CatBoost: its own margins and SHAP values, weights, constraints, quantiles, kills."""

from __future__ import annotations

import json
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
from sklearn.metrics import roc_auc_score

from bessemer.core.errors import DataError
from bessemer.testing.learners import callbacks, check_learner, problem, rows
from bessemer.train.learner import Part
from bessemer.train.learners.catboost import CatBoost
from bessemer.train.params import resolved

catboost = pytest.importorskip("catboost")
from bessemer.train.learners.catboost_boost import _filled, _pool, _settings  # noqa: E402

TASKS = pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
POLICIES = pytest.mark.parametrize("policy", ["SymmetricTree", "Depthwise", "Lossguide"])
FAST = {"learning_rate": 0.2, "depth": 4}


@pytest.mark.slow
@TASKS
def test_it_conforms(task: Any, tmp_path: Path) -> None:
    check_learner(CatBoost, task, tmp_path)


def own_model(task: Any, part: Part, params: dict[str, Any], workdir: Path) -> Any:
    """CatBoost's own model with the settings of the learner."""
    of, place = problem(task), callbacks(workdir, rounds=15)
    settings = _settings(of, resolved(CatBoost.PARAMS, params), False, place)
    model = catboost.CatBoost(settings)
    model.fit(_pool(of, part))
    return model


def both(task: Any, policy: str, tmp_path: Path) -> tuple[Any, Any, np.ndarray]:
    """The learner's fit, CatBoost's own, and rows neither has seen."""
    part, test = rows(task), rows(task, 100, seed=2)
    empty = Part(part.X[:0], part.y[:0])
    params = {**FAST, "grow_policy": policy}
    fitted = fit(CatBoost, problem(task), part, empty, tmp_path / "a", params, rounds=15)
    return fitted, own_model(task, part, params, tmp_path / "b"), test.X


@POLICIES
@TASKS
def test_margins_are_catboosts_own(task: Any, policy: str, tmp_path: Path) -> None:
    fitted, model, X = both(task, policy, tmp_path)
    own = np.asarray(model.predict(_filled(X), prediction_type="RawFormulaVal")).reshape(len(X), -1)
    np.testing.assert_allclose(fitted.margin(X), own, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(fitted.trees.margin(X), own, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(fitted.contributions(X).sum(axis=2), own, rtol=1e-6, atol=1e-6)


@pytest.mark.xfail(
    strict=True, reason="CatBoost's SHAP values take the last split as the root of a symmetric tree"
)
@TASKS
def test_contributions_are_catboosts_own(task: Any, tmp_path: Path) -> None:
    """Of symmetric trees: CatBoost's values of the others do not add up where a root has a leaf on its left."""
    fitted, model, X = both(task, "SymmetricTree", tmp_path)
    shap = model.get_feature_importance(catboost.Pool(_filled(X)), type="ShapValues")
    shap = np.asarray(shap).reshape(len(X), -1, X.shape[1] + 1)
    np.testing.assert_allclose(fitted.contributions(X), shap, rtol=1e-5, atol=1e-5)


def test_it_learns_a_real_table(tmp_path: Path) -> None:
    train, test = table("telco", "Churn"), table("telco", "Churn", "test")
    valid = train.take(np.arange(2400, 3000))
    of = problem("binary", "roc_auc")
    fitted = fit(CatBoost, of, train.take(np.arange(2400)), valid, tmp_path, FAST, rounds=300)
    assert roc_auc_score(test.y, fitted.margin(test.X)[:, 0]) > 0.82
    assert fitted.curves["valid_roc_auc"]


def test_the_best_round_ships(tmp_path: Path) -> None:
    fitted = fit(
        CatBoost,
        problem("binary"),
        rows("binary"),
        rows("binary", seed=1),
        tmp_path,
        FAST,
        rounds=400,
        early_stopping=15,
    )
    curve = fitted.curves["valid_log_loss"]
    best = min(curve, key=lambda point: point[1])[0]
    assert (fitted.iterations, curve[-1][0]) == (best, best + 15)


def test_weights_count(tmp_path: Path) -> None:
    check_weights(CatBoost, tmp_path, FAST, rounds=30)


@pytest.mark.parametrize("metric", ["log_loss", "rmse", "mae", "pinball"])
def test_monotone_constraints_are_kept(metric: str, tmp_path: Path) -> None:
    task: Any = "binary" if metric == "log_loss" else "regression"
    of = quantile_problem(0.7) if metric == "pinball" else problem(task, metric)
    check_monotone(CatBoost, of, tmp_path, FAST)


@pytest.mark.parametrize("policy", ["Depthwise", "Lossguide"])
def test_constraints_are_refused_for_trees_that_are_not_symmetric(policy: str, tmp_path: Path) -> None:
    bound = replace(problem("regression"), monotone=(1, 0, 0, 0, 0, 0, 0))
    part = rows("regression")
    with pytest.raises(DataError, match="non-symmetric trees"):
        fit(CatBoost, bound, part, part, tmp_path, {**FAST, "grow_policy": policy})


def test_a_quantile_is_met(tmp_path: Path) -> None:
    check_quantile(CatBoost, tmp_path, FAST, rounds=200)


def test_it_ends_in_time(tmp_path: Path) -> None:
    check_time_left(CatBoost, tmp_path)


@pytest.mark.slow
def test_the_model_does_not_depend_on_the_threads(tmp_path: Path) -> None:
    part = rows("multiclass", 3000)
    found = {
        summary(fit(CatBoost, problem("multiclass"), part, part, tmp_path / str(n), FAST, threads=n))
        for n in (1, 2, 4)
    }
    assert len(found) == 1


def test_a_snapshot_of_other_settings_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bessemer.train.learners.catboost_boost.SNAPSHOT_SECONDS", 0)
    part = rows("binary")
    fit(CatBoost, problem("binary"), part, part, tmp_path / "a", FAST, rounds=10)
    again = fit(CatBoost, problem("binary"), part, part, tmp_path / "a", {**FAST, "depth": 2}, rounds=10)
    alone = fit(CatBoost, problem("binary"), part, part, tmp_path / "b", {**FAST, "depth": 2}, rounds=10)
    assert summary(again) == summary(alone)
    other = fit(
        CatBoost,
        replace(problem("binary"), weights=(1.0, 5.0)),
        part,
        part,
        tmp_path / "a",
        FAST,
        rounds=10,
        fingerprint="other",
    )
    assert other.margin(part.X).mean() > again.margin(part.X).mean()
    assert not list(tmp_path.glob("**/*.json.tmp"))
    assert json.dumps(dict(other.params))


@pytest.mark.slow
def test_a_killed_fit_gives_the_same_model(tmp_path: Path) -> None:
    name = "bessemer.train.learners.catboost:CatBoost"
    patch = {"bessemer.train.learners.catboost_boost": {"SNAPSHOT_SECONDS": 0}}
    check_killed(name, "multiclass", tmp_path, FAST, "*.snapshot", patch)
