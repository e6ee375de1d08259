"""Random forests and extra trees: scikit-learn's own predictions, weights, constraints, kills."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from learner_support import (
    check_killed,
    check_monotone,
    check_time_left,
    check_weights,
    fit,
    rises,
    summary,
    table,
)
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score

from bessemer.stats.calibration import sigmoid, softmax
from bessemer.testing.learners import callbacks, check_learner, problem, rows
from bessemer.train.learner import Part
from bessemer.train.learners.extra_trees import ExtraTrees
from bessemer.train.learners.forest import _chosen
from bessemer.train.learners.forest_grower import Grower, Kind
from bessemer.train.learners.random_forest import RandomForest
from bessemer.train.params import resolved

BOTH = pytest.mark.parametrize("learner", [RandomForest, ExtraTrees])
TASKS = pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
SMALL = {"n_estimators": 12}


@pytest.mark.slow
@BOTH
@TASKS
def test_a_forest_conforms(learner: Any, task: Any, tmp_path: Path) -> None:
    check_learner(learner, task, tmp_path)


@BOTH
@TASKS
def test_the_margin_is_the_mean_of_scikit_learns_trees(learner: Any, task: Any, tmp_path: Path) -> None:
    of, train, test = problem(task), rows(task), rows(task, seed=2)
    params = {**SMALL, "smoothing": 0.0}
    fitted = fit(learner, of, train, train, tmp_path, params)
    kind = Kind(learner.NAME, learner is RandomForest)
    chosen = _chosen(kind, of, 7, resolved(learner.PARAMS, params))
    grower = Grower(kind, of, train, chosen, callbacks(tmp_path))
    grown = [grower.fitted(number) for number in range(12)]
    margin = fitted.margin(test.X)
    if task == "regression":
        own = np.mean([tree.predict(test.X) for tree in grown], axis=0)
        np.testing.assert_allclose(margin[:, 0], own, rtol=1e-6)
        return
    own = np.mean([tree.predict_proba(test.X) for tree in grown], axis=0)
    floored = np.clip(own, 1 / 602, 1 - 1 / 602)
    if task == "binary":
        np.testing.assert_allclose(sigmoid(margin[:, 0]), floored[:, 1], atol=2e-6)
    else:
        np.testing.assert_allclose(np.exp(margin), floored, atol=2e-6)


@pytest.mark.slow
def test_it_is_as_good_as_scikit_learns_forest(tmp_path: Path) -> None:
    train, test = table("adult", "income"), table("adult", "income", "test")
    peer = RandomForestClassifier(
        100, max_leaf_nodes=512, min_samples_leaf=3, max_features="sqrt", random_state=0, n_jobs=2
    ).fit(train.X, train.y)
    own = fit(RandomForest, problem("binary"), train, Part(test.X[:0], test.y[:0]), tmp_path, rounds=100)
    assert own.iterations == 100
    ours, theirs = (
        roc_auc_score(test.y, p) for p in (own.margin(test.X)[:, 0], peer.predict_proba(test.X)[:, 1])
    )
    assert ours > theirs - 0.004


@BOTH
@TASKS
def test_rows_that_are_read_from_a_file_and_have_missing_values(
    learner: Any, task: Any, tmp_path: Path
) -> None:
    part = rows(task)
    part.X.setflags(write=False)
    assert np.isnan(part.X).any()
    fit(learner, problem(task), part, part, tmp_path, SMALL)


@BOTH
def test_weights_count(learner: Any, tmp_path: Path) -> None:
    check_weights(learner, tmp_path, {"n_estimators": 60, "smoothing": 0.0}, rounds=60)


@BOTH
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_monotone_constraints_are_kept(learner: Any, task: Any, tmp_path: Path) -> None:
    check_monotone(learner, problem(task), tmp_path, SMALL)


@BOTH
def test_an_empty_value_under_constraints_counts_as_the_lowest(learner: Any, tmp_path: Path) -> None:
    train = table("california", "median_house_value", rows=2000)
    of = problem("regression")
    bound = type(of)(of.task, 0, of.metric, monotone=(0,) * (train.X.shape[1] - 2) + (1, 0))
    fitted = fit(learner, bound, train, train, tmp_path, SMALL)
    missing, lowest = train.X[:200].copy(), train.X[:200].copy()
    missing[:, -2], lowest[:, -2] = np.nan, -1e30
    np.testing.assert_array_equal(fitted.margin(missing), fitted.margin(lowest))
    assert rises(fitted, train.X, train.X.shape[1] - 2) >= -1e-9


@BOTH
def test_it_ends_in_time(learner: Any, tmp_path: Path) -> None:
    check_time_left(learner, tmp_path, most=2, after=2)


@BOTH
def test_neither_threads_nor_waves_nor_checkpoints_show(learner: Any, tmp_path: Path) -> None:
    part = rows("multiclass", 300)
    found = {
        summary(fit(learner, problem("multiclass"), part, part, tmp_path / f"{threads}.{every}", **settings))
        for threads, every in ((1, 3), (2, 100), (3, 1))
        for settings in [{"threads": threads, "checkpoint": every, "rounds": 20}]
    }
    assert len(found) == 1


def test_it_stops_when_more_trees_are_no_better_and_keeps_them(tmp_path: Path) -> None:
    part, valid = rows("binary"), rows("binary", seed=1)
    fitted = fit(
        RandomForest, problem("binary", "accuracy"), part, valid, tmp_path, rounds=200, early_stopping=10
    )
    curve = [value for _, value in fitted.curves["valid_accuracy"]]
    best = curve.index(max(curve)) + 1
    assert fitted.iterations == len(curve) == best + 10 < 200


def test_a_class_no_tree_knows_and_one_of_few_rows_have_a_chance(tmp_path: Path) -> None:
    part = rows("multiclass", 300)
    y = np.where(part.y == 3, 0, part.y)
    margin = fit(RandomForest, problem("multiclass"), Part(part.X, y), part, tmp_path, SMALL).margin(part.X)
    p = softmax(margin)
    assert (p[:, 3] > 0).all()
    assert (p[:, 3] < 0.02).all()


def test_smoothing_pulls_leaves_towards_the_shares_of_all_rows(tmp_path: Path) -> None:
    part = rows("binary")
    none, much = (
        fit(RandomForest, problem("binary"), part, part, tmp_path / str(s), {**SMALL, "smoothing": s})
        for s in (0.0, 1e5)
    )
    assert np.ptp(none.margin(part.X)) > 3
    assert np.abs(sigmoid(much.margin(part.X)) - part.y.mean()).max() < 0.01


def test_trees_see_no_more_rows_than_asked(tmp_path: Path) -> None:
    part = rows("regression")
    for learner in (RandomForest, ExtraTrees):
        fitted = fit(
            learner, problem("regression"), part, part, tmp_path / learner.NAME, {**SMALL, "max_samples": 50}
        )
        assert all(tree.cover.sum() == 50 for tree in fitted.trees.trees)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["random_forest:RandomForest", "extra_trees:ExtraTrees"])
def test_a_killed_fit_gives_the_same_model(name: str, tmp_path: Path) -> None:
    spec = f"bessemer.train.learners.{name}"
    check_killed(spec, "multiclass", tmp_path, {"max_samples": 200}, "*.npz")
