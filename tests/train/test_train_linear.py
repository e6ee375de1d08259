"""The two baselines: coefficients, penalties, weights and quantiles of `linear`; priors of `constant`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from learner_support import check_quantile, check_weights, fit, quantile_problem, spread, summary, table
from sklearn.linear_model import ElasticNet, LogisticRegression, QuantileRegressor
from sklearn.metrics import roc_auc_score

from bessemer.stats.calibration import sigmoid, softmax
from bessemer.testing.learners import check_learner, problem, rows
from bessemer.train.learner import Part
from bessemer.train.learners.constant import Constant, weighted_quantile
from bessemer.train.learners.linear import Linear
from bessemer.train.metrics import pinball

TASKS = pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
BOTH = pytest.mark.parametrize("learner", [Linear, Constant])


@BOTH
@TASKS
def test_it_conforms(learner: Any, task: Any, tmp_path: Path) -> None:
    check_learner(learner, task, tmp_path)


def gaussian(task: str, n: int = 500, seed: int = 0) -> Part:
    """Nothing missing; features 0 and 1 matter, four others do not; the scales differ."""
    rng = np.random.default_rng(seed)
    X = (rng.normal(size=(n, 6)) * [1, 5, 1, 3, 1, 1] + 2).astype(np.float32)
    signal = 2 * X[:, 0] - X[:, 1] / 2 + rng.normal(size=n)
    if task == "regression":
        return Part(X, signal.astype(np.float64))
    edges = np.quantile(signal, [0.5] if task == "binary" else [0.25, 0.5, 0.75])
    return Part(X, np.searchsorted(edges, signal).astype(np.float64))


def standard(part: Part) -> np.ndarray:
    X = part.X.astype(np.float64)
    found: np.ndarray = (X - X.mean(axis=0)) / X.std(axis=0)
    return found


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_classes_are_those_of_scikit_learns_saga(task: Any, share: float, tmp_path: Path) -> None:
    part = gaussian(task)
    fitted = fit(
        Linear, problem(task), part, part, tmp_path, {"l2": 20.0, "l1_ratio": share, "max_iter": 1000}
    )
    peer = LogisticRegression(
        C=1 / 20, l1_ratio=share, solver="saga", max_iter=20_000, tol=1e-7, random_state=0
    )
    peer.fit(standard(part), part.y)
    ours, theirs = fitted.coef, peer.coef_
    if task == "multiclass":  # what all classes share decides nothing, and with L1 alone is not unique
        ours, theirs = ours - ours.mean(axis=0), theirs - theirs.mean(axis=0)
    np.testing.assert_allclose(ours, theirs, atol=2e-3)
    own = peer.predict_proba(standard(part))
    margin = fitted.margin(part.X)
    p = np.column_stack([1 - sigmoid(margin), sigmoid(margin)]) if task == "binary" else softmax(margin)
    np.testing.assert_allclose(p, own, atol=1e-3)


def test_an_l1_penalty_removes_what_does_not_matter(tmp_path: Path) -> None:
    for task in ("binary", "multiclass", "regression"):
        part = gaussian(task)
        params = {"l2": 60.0, "l1_ratio": 1.0, "max_iter": 1000}
        coef = fit(Linear, problem(task), part, part, tmp_path, params).coef  # type: ignore[arg-type]
        assert (np.abs(coef[:, :2]).max(axis=0) > 0.1).all()
        assert np.abs(coef[:, 2:]).max() < 0.03 * np.abs(coef).max()


def test_an_elastic_net_of_numbers_is_scikit_learns(tmp_path: Path) -> None:
    part = gaussian("regression")
    fitted = fit(Linear, problem("regression"), part, part, tmp_path, {"l2": 50.0, "l1_ratio": 0.5})
    y = (part.y - part.y.mean()) / part.y.std()
    peer = ElasticNet(alpha=50 / 500, l1_ratio=0.5).fit(standard(part), y)
    np.testing.assert_allclose(fitted.coef[0], peer.coef_ * part.y.std(), atol=1e-5)


@pytest.mark.slow
def test_a_quantile_is_almost_that_of_the_linear_program(tmp_path: Path) -> None:
    part = spread(0, 1500)
    for quantile in (0.1, 0.5, 0.9):
        fitted = fit(Linear, quantile_problem(quantile), part, part, tmp_path, {"l2": 1e-6})
        exact = QuantileRegressor(quantile=quantile, alpha=0.0).fit(part.X, part.y).predict(part.X)
        ours = pinball(part.y, fitted.margin(part.X)[:, 0], quantile)
        assert ours <= pinball(part.y, exact, quantile) * 1.005
        assert abs(np.mean(part.y <= fitted.margin(part.X)[:, 0]) - quantile) < 2 / 1500


def test_a_quantile_is_met_on_other_rows(tmp_path: Path) -> None:
    check_quantile(Linear, tmp_path, {})


@BOTH
def test_weights_count(learner: Any, tmp_path: Path) -> None:
    check_weights(learner, tmp_path, {})


@TASKS
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_row_of_weight_two_counts_like_two_rows(task: Any, share: float, tmp_path: Path) -> None:
    """Up to the penalty, which weighs against the weights' mean."""
    part = rows(task, 201)
    times = np.arange(201) % 3 + 1
    heavy = Part(part.X, part.y, times.astype(np.float64))
    many = part.take(np.repeat(np.arange(201), times))
    params = {"l2": 1e-3, "l1_ratio": share, "max_iter": 2000}
    one, other = (fit(Linear, problem(task), p, p, tmp_path, params).margin(part.X) for p in (heavy, many))
    known = ~np.isnan(part.X[:, 5])  # a weighted median is one of the values, never between two
    assert np.corrcoef(one[known].ravel(), other[known].ravel())[0, 1] > 0.9999


def test_time_ends_the_solver(tmp_path: Path) -> None:
    part = gaussian("multiclass")
    params = {"l1_ratio": 0.5, "max_iter": 500}
    whole = fit(Linear, problem("multiclass"), part, part, tmp_path, params)
    cut = fit(Linear, problem("multiclass"), part, part, tmp_path, params, time_left=lambda: 0.0)
    assert cut.iterations < whole.iterations
    assert np.isfinite(cut.margin(part.X)).all()


def test_the_rows_to_fit_on_are_limited(tmp_path: Path) -> None:
    part = gaussian("binary", 2000)
    few, all_of_them = (
        fit(Linear, problem("binary"), part, part, tmp_path, {"max_rows": n}) for n in (500, 100_000)
    )
    assert summary(few) != summary(all_of_them)
    assert np.corrcoef(few.coef[0], all_of_them.coef[0])[0, 1] > 0.98


def test_it_learns_a_real_table(tmp_path: Path) -> None:
    train, test = table("telco", "Churn"), table("telco", "Churn", "test")
    margin = fit(Linear, problem("binary"), train, train, tmp_path).margin(test.X)[:, 0]
    assert roc_auc_score(test.y, margin) > 0.8


def test_the_constant_is_the_prior_the_mean_or_the_quantile(tmp_path: Path) -> None:
    part = Part(np.zeros((4, 1), dtype=np.float32), np.array([0.0, 0.0, 0.0, 1.0]))
    margin = fit(Constant, problem("binary"), part, part, tmp_path).margin(part.X)
    np.testing.assert_allclose(sigmoid(margin[:, 0]), 0.25, rtol=1e-6)
    even = replace(problem("binary"), weights=(1.0, 3.0))
    np.testing.assert_allclose(fit(Constant, even, part, part, tmp_path).margin(part.X), 0, atol=1e-6)
    values = Part(part.X, np.array([1.0, 2.0, 3.0, 10.0]), np.array([1.0, 1.0, 1.0, 5.0]))
    assert fit(Constant, problem("regression"), values, values, tmp_path).margin(part.X)[0, 0] == 7
    for quantile, value in ((0.1, 1.0), (0.3, 3.0), (0.5, 10.0)):
        assert (
            fit(Constant, quantile_problem(quantile), values, values, tmp_path).margin(part.X)[0, 0] == value
        )


def test_a_weighted_quantile_is_that_of_repeated_values() -> None:
    rng = np.random.default_rng(0)
    y, times = rng.normal(size=50), rng.integers(1, 5, 50)
    for quantile in (0.05, 0.5, 0.77, 1.0):
        repeated = np.quantile(np.repeat(y, times), quantile, method="inverted_cdf")
        assert weighted_quantile(y, times.astype(np.float64), quantile) == repeated
