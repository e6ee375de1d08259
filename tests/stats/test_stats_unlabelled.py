"""Estimates without labels, held against labels that are drawn afterwards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bessemer.stats.metrics.outcome import Outcome, estimated
from bessemer.stats.metrics.table import Scorer
from bessemer.stats.unlabelled import corrected, from_confidence, from_residuals, residuals


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_what_was_estimated_comes_true(task: Any) -> None:
    """Probabilities are right, and the rows are harder than any before: the errors of the estimates are as they say."""
    classes = 2 if task == "binary" else 4
    names = ["accuracy", "log_loss", "roc_auc", "brier", "mcc"]
    errors = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        p = rng.dirichlet(np.full(classes, 1.5), 800)
        found = from_confidence(task, p, p.argmax(axis=1), names, rng)
        truth = (rng.random((800, 1)) > np.cumsum(p, axis=1)[:, :-1]).sum(axis=1)
        real = Scorer(Outcome(task, truth, p.argmax(axis=1), p), names)()
        errors.append([(r - found[n].value) / found[n].spread for n, r in zip(names, real, strict=True)])
    spread = np.sqrt(np.mean(np.square(errors), axis=0))
    assert (np.abs(np.mean(errors, axis=0)) < 0.75).all(), "unbiased: 4 standard errors of the mean of 30"
    assert (spread > 0.5).all()
    assert (spread < 1.4).all(), "as unsure as it says: the rows and their labels both vary"


def test_errors_of_a_regression_are_estimated_by_the_size_of_the_prediction() -> None:
    """Errors grow with the prediction, and the window has larger ones: both metrics follow."""
    rng = np.random.default_rng(3)

    def rows(n: int, low: float) -> tuple[np.ndarray, np.ndarray]:
        predicted = rng.uniform(low, 10, n)
        return predicted + predicted * rng.normal(size=n), predicted

    truth, predicted = rows(20_000, 0.0)
    known = residuals(truth, predicted, np.quantile(predicted, np.linspace(0, 1, 21)).tolist())
    later, said = rows(5000, 6.0)
    found = from_residuals(known, said)
    mae, rmse = Scorer(estimated(later, said), ["mae", "rmse"])()
    before = Scorer(estimated(truth, predicted), ["mae"])()[0]
    assert mae > 1.4 * before
    assert abs(found["mae"].value - mae) < 4 * found["mae"].spread
    assert abs(found["rmse"].value - rmse) < 4 * found["rmse"].spread
    assert found["mae"].spread < 0.1


def test_what_cannot_be_estimated_is_not_a_number() -> None:
    known = residuals(np.zeros(10), np.zeros(10), [0.0, 0.0])
    assert np.isnan(from_residuals(known, np.zeros(0))["mae"].value)
    sure = np.tile([1.0, 0.0], (50, 1))
    found = from_confidence(
        "binary", sure, np.zeros(50, int), ["roc_auc", "accuracy"], np.random.default_rng(0)
    )
    assert np.isnan(found["roc_auc"].value), "all of one class: an area is not defined"
    assert found["accuracy"].value == 1.0


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_corrected_probabilities_are_right_bin_by_bin(task: Any) -> None:
    """What a bin was off by is gone, and the classes that were not asked about keep their shares of the rest."""
    rng, classes = np.random.default_rng(4), 2 if task == "binary" else 4
    p = rng.dirichlet(np.full(classes, 0.8), 20_000)
    truth = (rng.random((len(p), 1)) > np.cumsum(p**2 / (p**2).sum(axis=1, keepdims=True), axis=1)).sum(
        axis=1
    )
    predicted, rows = p.argmax(axis=1), np.arange(len(p))
    which = np.ones(len(p), int) if task == "binary" else predicted
    edges = [0.0, 0.4, 0.6, 0.8, 1.0]
    place = np.digitize(p[rows, which], edges[1:-1], right=True)
    excess = [float(((truth == which) - p[rows, which])[place == k].mean()) for k in range(4)]
    found = corrected(task, p, predicted, edges, np.array(excess))
    assert np.allclose(found.sum(axis=1), 1)
    assert np.abs(np.array(excess)).max() > 0.06
    for k in range(4):
        gap = (truth == which)[place == k].mean() - found[rows, which][place == k].mean()
        assert abs(gap) < 0.02, "but for what is cut off at 0 and 1"
    if task == "multiclass":
        for before, after, k in zip(p[:50], found[:50], which[:50], strict=True):
            others, now = np.delete(before, k), np.delete(after, k)
            assert np.allclose(others / others.sum() * now.sum(), now)


def test_a_probability_of_one_leaves_its_rest_to_all() -> None:
    p = np.array([[1.0, 0.0, 0.0]])
    found = corrected("multiclass", p, np.array([0]), [0.0, 1.0], np.array([-0.2]))
    assert np.allclose(found, [[0.8, 0.1, 0.1]])
    assert np.array_equal(corrected("multiclass", p, np.array([0]), [0.0, 1.0], np.array([np.nan])), p)
