"""Welch's test, corrections for many tests and the power law, against other implementations and known truths."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bessemer.stats.means import by_code, excess, moments, rows_needed, welch
from bessemer.stats.multiple import benjamini_hochberg, holm
from bessemer.stats.power_law import fit_power_law

P = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@given(P)
def test_benjamini_hochberg_is_scipys(p: list[float]) -> None:
    np.testing.assert_allclose(benjamini_hochberg(p), stats.false_discovery_control(p), atol=1e-12)


@given(P, st.floats(0.001, 0.5))
def test_holm_rejects_what_the_step_down_rejects(p: list[float], alpha: float) -> None:
    order, rejected = np.argsort(p, kind="stable"), set()
    for step, place in enumerate(order):
        if p[place] * (len(p) - step) > alpha:
            break
        rejected.add(int(place))
    assert set(np.flatnonzero(holm(p) <= alpha).tolist()) == rejected


def test_tests_that_could_not_be_made_do_not_count() -> None:
    assert holm([np.nan, 0.01, 0.02]).tolist()[1:] == holm([0.01, 0.02]).tolist()
    assert np.isnan(benjamini_hochberg([np.nan])).all()
    assert holm([]).tolist() == []


@pytest.mark.parametrize(("n", "m"), [(2, 2), (5, 40), (300, 1000)])
def test_welch_is_scipys(n: int, m: int) -> None:
    rng = np.random.default_rng(n)
    a, b = rng.exponential(2, n), rng.normal(1, 3, m)
    wanted = stats.ttest_ind(a, b, equal_var=False, alternative="greater")
    found = excess(moments(a), moments(b), 0.9)
    assert found.p == pytest.approx(wanted.pvalue, rel=1e-9)
    assert float(welch(moments(a), moments(b))) == pytest.approx(wanted.statistic, rel=1e-9)
    two_sided = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((two_sided.low, two_sided.high), rel=1e-9)


def test_groups_too_small_or_constant_are_told_apart_from_sure_ones() -> None:
    assert np.isnan(excess(moments([1.0]), moments([1.0, 2.0]), 0.95).p)
    assert excess(moments([2.0, 2.0]), moments([1.0, 1.0]), 0.95).p == 0
    assert excess(moments([1.0, 1.0]), moments([1.0, 1.0]), 0.95).p == 1


def test_so_many_rows_as_are_needed_find_the_difference_four_times_in_five() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(0.4, 1, 40), rng.normal(0, 1, 400)
    a, b = (a - a.mean()) / a.std() + 0.3, (b - b.mean()) / b.std()
    needed = rows_needed(moments(a), moments(b), 0.01)
    assert needed is not None
    found = [
        excess(moments(rng.normal(0.3, 1, needed)), moments(rng.normal(0, 1, 10 * needed)), 0.95).p < 0.01
        for _ in range(600)
    ]
    assert np.mean(found) == pytest.approx(0.8, abs=0.05)
    assert rows_needed(moments(b), moments(a), 0.01) is None


def test_moments_by_code_are_those_of_each_group() -> None:
    rng = np.random.default_rng(0)
    codes, values = rng.integers(0, 5, 200), rng.normal(size=200)
    found = by_code(codes, values, 6)
    for code in range(5):
        alone = moments(values[codes == code])
        assert found.rows[code] == alone.rows
        assert found.variance[code] == pytest.approx(float(alone.variance))
    assert found.rows[5] == 0
    assert found.variance[5] == np.inf


@pytest.mark.parametrize(("floor", "exponent"), [(0.0, 0.3), (0.1, 0.5), (2.0, 1.0)])
def test_a_power_law_is_found_again(floor: float, exponent: float) -> None:
    rows = np.array([100, 300, 1000, 3000, 10_000])
    errors = floor + 3 * rows**-exponent
    law = fit_power_law(rows, errors)
    assert law(40_000) == pytest.approx(floor + 3 * 40_000**-exponent, rel=0.01)


def test_an_error_that_does_not_fall_has_no_law() -> None:
    assert fit_power_law([10, 100, 1000], [0.1, 0.2, 0.3]).scale == 0
    assert fit_power_law([10, 100, 1000], [0.2, 0.2, 0.2])(10**6) == pytest.approx(0.2)
