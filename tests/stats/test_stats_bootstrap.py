from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessemer.stats.bootstrap import bootstrap, interval, resample
from bessemer.stats.intervals import chi_square_quantile, wilson


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(1, 5000), st.integers(0, 2**32 - 1))
def test_a_resample_draws_as_many_rows_as_there_are(rows: int, seed: int) -> None:
    weights = resample(rows, np.random.default_rng(seed))
    assert weights.shape == (rows,)
    assert weights.sum() == rows


def test_interval_of_a_mean_is_that_of_theory() -> None:
    values = np.random.default_rng(1).normal(size=2000)
    (draws,) = bootstrap([lambda w: np.array([(w * values).mean()])], 2000, 600, np.random.default_rng(7))
    low, high = interval(draws[:, 0], 0.95)
    half = 1.96 * values.std() / np.sqrt(2000)
    assert low == pytest.approx(values.mean() - half, abs=half * 0.2)
    assert high == pytest.approx(values.mean() + half, abs=half * 0.2)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    rng, covered = np.random.default_rng(3), 0
    for _ in range(200):
        values = rng.exponential(size=150)
        (draws,) = bootstrap([lambda w, v=values: np.array([(w * v).mean()])], 150, 150, rng)
        low, high = interval(draws[:, 0], 0.9)
        covered += low <= 1.0 <= high
    assert 0.82 <= covered / 200 <= 0.95


def test_statistics_of_a_call_see_the_same_resamples() -> None:
    values = np.random.default_rng(1).normal(size=500)
    first, second = bootstrap(
        [lambda w: np.array([(w * values).mean()]), lambda w: np.array([(w * (values + 1)).mean()])],
        500,
        50,
        np.random.default_rng(7),
    )
    np.testing.assert_allclose(second - first, 1.0)


def test_the_same_seed_gives_the_same_bits() -> None:
    def once() -> bytes:
        return bootstrap([lambda w: w[:3]], 100, 20, np.random.default_rng(5))[0].tobytes()

    assert once() == once()


def test_undefined_replicates_are_left_out_until_they_are_most() -> None:
    low, high = interval([1.0, 2.0, np.nan], 0.9)
    assert 1.0 <= low < high <= 2.0
    assert np.isnan(interval([1.0, np.nan, np.nan], 0.9)).all()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(1, 10_000), st.floats(0, 1), st.floats(0.5, 0.999))
def test_wilson_holds_the_share_and_stays_inside(rows: int, share: float, confidence: float) -> None:
    events = round(rows * share)
    low, high = wilson(events, rows, confidence)
    assert 0 <= low <= events / rows + 1e-12
    assert events / rows - 1e-12 <= high <= 1


@pytest.mark.parametrize("freedom", [3, 9, 20.5, 100])
@pytest.mark.parametrize("share", [0.9, 0.99, 0.9999])
def test_chi_square_quantile_against_scipy(freedom: float, share: float) -> None:
    from scipy.stats import chi2

    ratio = chi_square_quantile(share, freedom) / chi2.ppf(share, freedom)
    assert 0.99 < ratio < (1.04 if share > 0.99 else 1.01)
