"""Two stretches of one series: honest where values depend on those before them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bessemer.stats.series import dependence, higher


def series(rng: np.random.Generator, n: int, r: float) -> np.ndarray:
    """A stationary series whose neighbours have the correlation r."""
    values = np.empty(n)
    last = rng.normal()
    for i in range(n):
        last = r * last + math.sqrt(1 - r * r) * rng.normal()
        values[i] = last
    return values


@pytest.mark.parametrize("r", [0.0, 0.5, 0.8])
def test_dependence_is_not_too_low(r: float) -> None:
    rng = np.random.default_rng(0)
    found = [dependence(series(rng, 60, r), series(rng, 30, r)) for _ in range(300)]
    assert np.mean(found) > r - 0.06
    assert np.mean(found) < r + 0.08


def test_independent_values_are_students_t() -> None:
    before, now = np.array([1.0, 3, 1, 3, 1, 3]), np.array([4.0, 2, 4, 2])
    wanted = stats.ttest_ind(now, before, alternative="greater").pvalue
    swings = higher(before, now, 0.0)
    assert swings == pytest.approx(wanted, rel=0.6)
    assert swings > wanted, "the variance is that about the true mean"


@pytest.mark.parametrize(("r", "n", "m"), [(0.0, 72, 24), (0.8, 72, 24), (0.95, 168, 168)])
def test_two_stretches_of_one_series_are_alike(r: float, n: int, m: int) -> None:
    """Values that are taken for independent are found at 0.0001 in 3 of 100, where r is 0.95."""
    rng, p = np.random.default_rng(1), []
    for _ in range(600):
        whole = 0.2 * series(rng, n + m, r)
        p.append(higher(whole[:n], whole[n:], math.log(1.2)))
    assert np.mean(np.array(p) < 0.01) <= 0.01
    assert min(p) > 1e-4


def test_what_is_slower_is_found() -> None:
    rng, p = np.random.default_rng(2), []
    for _ in range(100):
        whole = 0.1 * series(rng, 96, 0.5)
        p.append(higher(whole[:72], whole[72:] + math.log(1.6), math.log(1.2)))
    assert np.mean(np.array(p) < 1e-3) > 0.9


def test_too_few_say_nothing() -> None:
    assert higher(np.array([1.0]), np.array([5.0, 6.0]), 0.0) == 1.0
    assert higher(np.ones(9), np.ones(9), 0.0) == 1.0
