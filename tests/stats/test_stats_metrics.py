"""Every metric against scikit-learn, with weights and ties."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessemer.core.errors import UsageError
from bessemer.stats.arrays import tidy
from bessemer.stats.metrics.outcome import classified, estimated
from bessemer.stats.metrics.table import METRICS, PRIMARY, Metric, Scorer, lookup


def score(outcome: Any, name: str, weights: np.ndarray | None) -> float:
    return float(Scorer(outcome, [name])(weights)[0])


def weights_of(rng: np.random.Generator, rows: int, kind: str) -> np.ndarray | None:
    if kind == "none":
        return None
    return rng.integers(0, 4, rows).astype(float) if kind == "counts" else rng.random(rows) + 0.01


BINARY: dict[str, Callable[..., float]] = {
    "roc_auc": lambda m, y, p, q, w: m.roc_auc_score(y, p, sample_weight=w),
    "average_precision": lambda m, y, p, q, w: m.average_precision_score(y, p, sample_weight=w),
    "log_loss": lambda m, y, p, q, w: m.log_loss(y, p, sample_weight=w, labels=[0, 1]),
    "brier": lambda m, y, p, q, w: m.brier_score_loss(y, p, sample_weight=w),
    "accuracy": lambda m, y, p, q, w: m.accuracy_score(y, q, sample_weight=w),
    "balanced_accuracy": lambda m, y, p, q, w: m.balanced_accuracy_score(y, q, sample_weight=w),
    "precision": lambda m, y, p, q, w: m.precision_score(y, q, sample_weight=w, zero_division=0),
    "recall": lambda m, y, p, q, w: m.recall_score(y, q, sample_weight=w),
    "f1": lambda m, y, p, q, w: m.f1_score(y, q, sample_weight=w, zero_division=0),
    "mcc": lambda m, y, p, q, w: m.matthews_corrcoef(y, q, sample_weight=w),
}
MULTI: dict[str, Callable[..., float]] = {
    "log_loss": lambda m, y, P, q, w: m.log_loss(y, P, sample_weight=w, labels=range(P.shape[1])),
    "accuracy": lambda m, y, P, q, w: m.accuracy_score(y, q, sample_weight=w),
    "balanced_accuracy": lambda m, y, P, q, w: m.balanced_accuracy_score(y, q, sample_weight=w),
    "f1_macro": lambda m, y, P, q, w: m.f1_score(y, q, sample_weight=w, average="macro"),
    "mcc": lambda m, y, P, q, w: m.matthews_corrcoef(y, q, sample_weight=w),
}
REGRESSION: dict[str, Callable[..., float]] = {
    "rmse": lambda m, y, p, w: m.root_mean_squared_error(y, p, sample_weight=w),
    "mae": lambda m, y, p, w: m.mean_absolute_error(y, p, sample_weight=w),
    "r2": lambda m, y, p, w: m.r2_score(y, p, sample_weight=w),
    "explained_variance": lambda m, y, p, w: m.explained_variance_score(y, p, sample_weight=w),
}
cases = settings(max_examples=25, deadline=None, derandomize=True)
seeds, kinds = st.integers(0, 10**6), st.sampled_from(["none", "counts", "real"])


@cases
@given(seeds, st.integers(8, 120), kinds, st.sampled_from([3, 10, 10**6]))
def test_binary_metrics_equal_scikit_learn(seed: int, rows: int, kind: str, steps: int) -> None:
    import sklearn.metrics as m

    rng = np.random.default_rng(seed)
    y = np.arange(rows) % 2
    p = rng.integers(1, steps, rows) / steps  # few steps: many ties
    w = weights_of(rng, rows, kind)
    if w is not None:
        w[:2] += 1  # both classes keep some weight
    outcome = classified("binary", y, np.stack([1 - p, p], axis=1))
    for name, reference in BINARY.items():
        expected = reference(m, y, p, outcome.predicted, w)
        assert score(outcome, name, w) == pytest.approx(expected, abs=1e-9), name


@cases
@given(seeds, st.integers(12, 120), kinds, st.integers(3, 5))
def test_multiclass_metrics_equal_scikit_learn(seed: int, rows: int, kind: str, classes: int) -> None:
    import sklearn.metrics as m

    rng = np.random.default_rng(seed)
    y = np.arange(rows) % classes
    P = rng.dirichlet(np.ones(classes), rows)
    w = weights_of(rng, rows, kind)
    if w is not None:
        w[:classes] += 1
    outcome = classified("multiclass", y, P)
    for name, reference in MULTI.items():
        assert score(outcome, name, w) == pytest.approx(reference(m, y, P, outcome.predicted, w), abs=1e-9), (
            name
        )
    areas = [m.roc_auc_score(y == k, P[:, k], sample_weight=w) for k in range(classes)]
    assert score(outcome, "roc_auc", w) == pytest.approx(np.mean(areas), abs=1e-9)


@cases
@given(seeds, st.integers(3, 120), kinds, st.sampled_from([1.0, 1e6]))
def test_regression_metrics_equal_scikit_learn(seed: int, rows: int, kind: str, offset: float) -> None:
    import sklearn.metrics as m

    rng = np.random.default_rng(seed)
    y = rng.normal(offset, 1.0, rows)
    p = y + rng.normal(0, 0.5, rows)
    w = weights_of(rng, rows, kind)
    if w is not None:
        w[:3] += 1
    outcome = estimated(y, p)
    for name, reference in REGRESSION.items():
        assert score(outcome, name, w) == pytest.approx(reference(m, y, p, w), rel=1e-6, abs=1e-6), name


@cases
@given(seeds, st.integers(1, 60), st.booleans())
def test_median_absolute_error_of_counts_is_that_of_repeated_rows(
    seed: int, rows: int, weighted: bool
) -> None:
    rng = np.random.default_rng(seed)
    y, p = rng.integers(0, 9, rows).astype(float), rng.integers(0, 9, rows).astype(float)
    w = rng.integers(0, 4, rows) if weighted else np.ones(rows, dtype=int)
    w[0] += 1
    expected = float(np.median(np.repeat(np.abs(y - p), w)))
    assert score(estimated(y, p), "median_ae", w.astype(float)) == pytest.approx(expected)


@cases
@given(seeds, st.integers(2, 80))
def test_counts_are_the_same_as_repeated_rows(seed: int, rows: int) -> None:
    """The law a bootstrap stands on, for every metric of the binary task, ECE included."""
    rng = np.random.default_rng(seed)
    y, p = np.arange(rows) % 2, rng.integers(0, 11, rows) / 10
    w = rng.integers(1, 4, rows)
    names = list(METRICS["binary"])
    P = np.stack([1 - p, p], axis=1)
    weighted = Scorer(classified("binary", y, P), names)(w.astype(float))
    repeated = Scorer(classified("binary", np.repeat(y, w), np.repeat(P, w, axis=0)), names)()
    np.testing.assert_allclose(weighted, repeated, atol=1e-12)


def test_calibration_error_by_hand() -> None:
    y, p = [1, 0, 0, 0, 1, 1], [0.9, 0.9, 0.1, 0.1, 0.1, 0.1]
    outcome = classified("binary", y, np.stack([1 - np.array(p), p], axis=1))
    assert score(outcome, "ece", None) == pytest.approx(2 / 6 * abs(0.9 - 0.5) + 4 / 6 * abs(0.1 - 0.5))


def test_smape_is_finite_where_truth_and_prediction_are_zero() -> None:
    assert score(estimated([0.0, 0.0, 2.0], [0.0, 1.0, 2.0]), "smape", None) == pytest.approx(2 / 3)


@pytest.mark.parametrize("name", ["roc_auc", "recall"])
def test_a_metric_without_positives_is_not_a_number(name: str) -> None:
    outcome = classified("binary", [0, 0], [[0.4, 0.6], [0.9, 0.1]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert math.isnan(score(outcome, name, None))


def test_constant_truth_has_no_share_of_variance() -> None:
    outcome = estimated([1e6] * 5, [1e6, 1e6 + 1, 1e6, 1e6, 1e6])
    assert math.isnan(score(outcome, "r2", None))
    assert math.isnan(score(outcome, "explained_variance", None))


def test_certain_and_wrong_costs_much_but_not_everything() -> None:
    value = score(classified("binary", [1], [[1.0, 0.0]]), "log_loss", None)
    assert value == pytest.approx(-math.log(np.finfo(np.float32).eps), rel=1e-6)


def test_half_is_positive() -> None:
    assert classified("binary", [1], np.array([[0.5, 0.5]], dtype=np.float32)).predicted.tolist() == [1]


def test_unknown_metric_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="no metric 'rocauc' for a binary task") as error:
        lookup("binary", "rocauc")
    assert "roc_auc" in error.value.fix


@pytest.mark.parametrize("task", METRICS)
def test_the_table_is_whole(task: Any) -> None:
    assert PRIMARY[task] in METRICS[task]
    for name, metric in METRICS[task].items():
        assert isinstance(metric, Metric)
        assert metric.name == name
        assert metric.meaning
        assert metric.needs in ("label", "probability")


def test_tidy_keeps_digits_and_drops_what_json_has_no_word_for() -> None:
    assert tidy({"a": (np.float64(1 / 3), math.inf), "b": np.array([1, 2])}) == {
        "a": [0.333333333, None],
        "b": [1, 2],
    }
