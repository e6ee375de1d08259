"""Platt and temperature scaling against what they must find and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessemer.stats.calibration import (
    binary_log_loss,
    fit_sigmoid,
    fit_temperature,
    multiclass_log_loss,
    sigmoid,
    softmax,
)


def drawn(a: float, b: float, n: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    margin = rng.normal(size=n) * 2
    return margin, (rng.random(n) < sigmoid(a * margin + b)).astype(np.float64)


@pytest.mark.parametrize(("a", "b"), [(1.0, 0.0), (0.3, -2.0), (3.0, 1.0)])
def test_sigmoid_finds_the_distortion(a: float, b: float) -> None:
    assert fit_sigmoid(*drawn(a, b)) == pytest.approx((a, b), rel=0.06, abs=0.06)


def test_sigmoid_is_scikit_learns() -> None:
    from sklearn.calibration import _sigmoid_calibration

    margin, y = drawn(0.5, -1.0, 500)
    a, b = fit_sigmoid(margin, y)
    theirs = _sigmoid_calibration(margin, y)  # theirs is 1 / (1 + exp(A * f + B))
    assert (a, b) == pytest.approx((-theirs[0], -theirs[1]), rel=1e-4)


@given(
    st.integers(2, 40), st.floats(0.001, 1000), st.floats(-1e4, 1e4), st.integers(0, 2**32 - 1), st.booleans()
)
@settings(max_examples=150, deadline=None)
def test_sigmoid_is_finite_and_never_worse_than_a_constant(
    n: int, scale: float, shift: float, seed: int, separable: bool
) -> None:
    rng = np.random.default_rng(seed)
    margin = rng.normal(size=n) * scale + shift
    y = (
        (margin > np.median(margin)).astype(np.float64)
        if separable
        else rng.integers(0, 2, n).astype(np.float64)
    )
    a, b = fit_sigmoid(margin, y)
    assert np.isfinite([a, b]).all()
    target = np.where(y > 0, (y.sum() + 1) / (y.sum() + 2), 1 / (n - y.sum() + 2))
    constant = np.log(target.mean() / (1 - target.mean()))
    assert binary_log_loss(a * margin + b, target) <= binary_log_loss(np.full(n, constant), target) + 1e-6


def test_sigmoid_with_one_class_or_one_margin() -> None:
    a, b = fit_sigmoid(np.array([1.0, 2.0, 3.0]), np.ones(3))
    assert np.all(sigmoid(a * np.array([1.0, 3.0]) + b) > 0.5)
    a, b = fit_sigmoid(np.full(10, 7.0), np.repeat([0.0, 1.0], 5))
    assert sigmoid(np.array([a * 7.0 + b]))[0] == pytest.approx(0.5)


@pytest.mark.parametrize("temperature", [0.25, 1.0, 4.0])
def test_temperature_is_found(temperature: float) -> None:
    rng = np.random.default_rng(0)
    margin = rng.normal(size=(20_000, 4)) * 2
    y = (softmax(margin).cumsum(axis=1) < rng.random((20_000, 1))).sum(axis=1)
    assert fit_temperature(margin * temperature, y) == pytest.approx(temperature, rel=0.05)


@pytest.mark.slow
@given(st.integers(2, 30), st.integers(2, 5), st.floats(0.01, 100), st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_temperature_is_the_best_in_its_range(n: int, k: int, scale: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    margin, y = rng.normal(size=(n, k)) * scale, rng.integers(0, k, n)
    found = fit_temperature(margin, y)
    assert 0.0099 <= found <= 101
    best = min(multiclass_log_loss(margin / t, y) for t in np.geomspace(0.01, 100, 300))
    assert multiclass_log_loss(margin / found, y) <= best + 1e-9


def test_extremes_do_not_overflow() -> None:
    with np.errstate(all="raise", under="ignore"):
        assert sigmoid(np.array([-1e308, 1e308])).tolist() == [0.0, 1.0]
        assert softmax(np.array([[8e307, -8e307]])).tolist() == [[1.0, 0.0]]
        assert binary_log_loss(np.array([800.0]), np.array([0.0])) == 800.0
    np.testing.assert_allclose(multiclass_log_loss(np.array([[800.0, 0.0]]), np.array([1])), 800.0)
