"""Figures of association against SciPy, and their limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bessemer.stats.dependence import (
    correlation,
    correlation_ratio,
    cramers_v,
    homogeneity,
    mean_ranks,
    separation,
)

cases = settings(max_examples=40, deadline=None, derandomize=True)


@cases
@given(st.lists(st.integers(-5, 5).map(float) | st.floats(-1e9, 1e9), min_size=1, max_size=50))
def test_ranks_are_scipys(values: list[float]) -> None:
    np.testing.assert_array_equal(mean_ranks(values), stats.rankdata(values))


def test_correlation_of_ranks_is_spearmans() -> None:
    rng = np.random.default_rng(1)
    x = rng.integers(0, 9, 300).astype(float)
    y = x + rng.normal(size=300) * 3
    assert correlation(mean_ranks(x), mean_ranks(y)) == pytest.approx(stats.spearmanr(x, y).statistic)
    assert correlation(x, y) == pytest.approx(stats.pearsonr(x, y).statistic)
    assert math.isnan(correlation(np.ones(5), np.arange(5.0)))
    assert math.isnan(correlation(np.zeros(0), np.zeros(0)))


def test_separation_follows_from_the_test_of_mann_and_whitney() -> None:
    rng = np.random.default_rng(6)
    inside = rng.random(400) < 0.1
    values = np.round(rng.normal(size=400) + inside, 1)
    u = stats.mannwhitneyu(values[inside], values[~inside]).statistic
    wanted = 2 * u / (inside.sum() * (~inside).sum()) - 1
    assert separation(inside, mean_ranks(values)) == pytest.approx(wanted)
    assert math.isnan(separation(np.zeros(4, dtype=bool), np.arange(4.0)))


def test_the_correlation_ratio_follows_from_the_analysis_of_variance() -> None:
    rng = np.random.default_rng(2)
    codes = rng.integers(0, 4, 500)
    values = codes * 0.3 + rng.normal(size=500)
    f = stats.f_oneway(*(values[codes == code] for code in range(4))).statistic
    epsilon = (f - 1) / (f + (500 - 4) / (4 - 1))  # Kelley's epsilon squared by F (Carroll and Nordholm 1975)
    assert correlation_ratio(codes, values) ** 2 == pytest.approx(epsilon)


def test_many_categories_explain_nothing_by_chance() -> None:
    rng = np.random.default_rng(3)
    found = [correlation_ratio(rng.integers(0, 200, 1000), rng.normal(size=1000)) ** 2 for _ in range(50)]
    assert np.mean(found) < 0.03  # without the correction it is about 0.2
    tables = [np.histogram2d(*rng.integers(0, 20, (2, 500)), bins=20)[0] for _ in range(50)]
    assert np.mean([cramers_v(table) for table in tables]) < 0.08
    assert np.mean([stats.contingency.association(table.astype(int) + 0) for table in tables]) > 0.15


def test_cramers_v_without_its_correction_is_scipys() -> None:
    rng = np.random.default_rng(4)
    table = rng.integers(100_000, 900_000, (3, 5))  # so many rows that the correction does nothing
    assert cramers_v(table) == pytest.approx(stats.contingency.association(table), abs=1e-4)


@cases
@given(st.lists(st.lists(st.integers(0, 50), min_size=3, max_size=3), min_size=1, max_size=6))
def test_cramers_v_is_a_share_or_unknown(table: list[list[int]]) -> None:
    v = cramers_v(table)
    assert math.isnan(v) or 0 <= v <= 1
    turned = cramers_v(np.transpose(table))
    assert turned == pytest.approx(v, nan_ok=True)


def test_homogeneity_is_the_chi_square_test() -> None:
    a, b = [30, 40, 50], [60, 20, 50]
    assert homogeneity(a, b) == pytest.approx(stats.chi2_contingency([a, b], correction=False).pvalue)
    assert math.isnan(homogeneity([5, 0], [7, 0]))
    assert math.isnan(homogeneity([5, 5], [0, 0]))


def test_homogeneity_keeps_its_level_also_with_rare_bins() -> None:
    rng = np.random.default_rng(5)
    shares = np.array([0.5, 0.3, 0.15, 0.03, 0.01, 0.005, 0.005])
    p = [homogeneity(rng.multinomial(900, shares), rng.multinomial(120, shares)) for _ in range(2000)]
    assert 0.03 < np.mean(np.array(p) < 0.05) < 0.07
