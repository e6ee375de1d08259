from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessemer.stats.binning import count, edges_from_cuts, merge_adjacent, quantile_edges, regroup
from bessemer.stats.distance import jensen_shannon, kolmogorov_smirnov, psi, psi_bias, psi_threshold

cases = settings(max_examples=40, deadline=None, derandomize=True)
numbers = st.lists(st.floats(-1e6, 1e6) | st.integers(-3, 3).map(float), min_size=1, max_size=200)
counts = st.lists(st.integers(0, 1000), min_size=2, max_size=30)


@pytest.mark.slow
@cases
@given(numbers, numbers, st.integers(2, 40))
def test_every_number_has_a_bin_and_sketches_merge(
    reference: list[float], other: list[float], bins: int
) -> None:
    edges = quantile_edges(reference, bins)
    assert len(edges) <= bins + 1
    assert edges == sorted(edges)
    assert count(reference, edges).sum() == len(reference)
    both = count(reference + other, edges)
    np.testing.assert_array_equal(both, count(reference, edges) + count(other, edges))


@cases
@given(numbers, st.integers(2, 40))
def test_a_bin_holds_what_its_edges_say(values: list[float], bins: int) -> None:
    edges = quantile_edges(values, bins)
    found = count(values, edges)
    x = np.array(values)
    for k, (low, high) in enumerate(itertools.pairwise(edges)):
        inside = (x <= high) & ((x > low) if k else (x >= low))
        assert found[k] == inside.sum()


def test_few_values_have_a_bin_each() -> None:
    edges = quantile_edges([0] * 90 + [1] * 10, 256)
    assert count([0] * 90 + [1] * 10, edges).tolist() == [90, 10]


def test_a_single_value_has_one_bin() -> None:
    assert quantile_edges([5.0], 256) == [5.0, 5.0]
    assert count([4, 5, 6], [5.0, 5.0]).tolist() == [3]
    assert edges_from_cuts([], 1, 2) == [1, 2]


@cases
@given(counts, st.integers(1, 12))
def test_groups_keep_every_count(sizes: list[int], groups: int) -> None:
    starts = merge_adjacent(sizes, groups)
    assert starts[0] == 0
    assert len(starts) <= groups
    assert starts == sorted(set(starts))
    assert regroup(sizes, starts).sum() == sum(sizes)


def test_groups_of_even_bins_are_even() -> None:
    assert regroup([4] * 256, merge_adjacent([4] * 256, 8)).tolist() == [128.0] * 8


@cases
@given(counts, st.integers(1, 5))
def test_distances_of_equal_shares_are_zero(sizes: list[int], factor: int) -> None:
    if sum(sizes) == 0:
        sizes = [1, *sizes[1:]]
    assert kolmogorov_smirnov(sizes, np.array(sizes) * factor) == pytest.approx(0, abs=1e-12)
    assert jensen_shannon(sizes, np.array(sizes) * factor) == pytest.approx(0, abs=1e-7)
    assert psi(sizes, sizes) == pytest.approx(0, abs=1e-12)


@cases
@given(st.integers(0, 10**6), st.integers(2, 20))
def test_distances_agree_with_scipy(seed: int, bins: int) -> None:
    from scipy.spatial.distance import jensenshannon

    rng = np.random.default_rng(seed)
    a, b = rng.integers(1, 100, bins), rng.integers(0, 100, bins)
    b[0] += 1
    assert jensen_shannon(a, b) == pytest.approx(jensenshannon(a, b, base=2), abs=1e-9)
    gap = np.abs(np.cumsum(a) / a.sum() - np.cumsum(b) / b.sum()).max()
    assert kolmogorov_smirnov(a, b) == pytest.approx(gap)
    assert 0 <= jensen_shannon(a, b) <= 1
    assert psi(a, b) >= 0
    assert psi(a, b) == pytest.approx(psi(b, a))


def test_psi_without_change_has_the_mean_that_its_bias_says() -> None:
    rng = np.random.default_rng(3)
    p = np.ones(10) / 10
    draws = psi(rng.multinomial(5000, p, 4000), rng.multinomial(1000, p, 4000))
    assert draws.mean() == pytest.approx(psi_bias(10, 5000, 1000), rel=0.05)


@pytest.mark.parametrize(
    "shares", [np.ones(10) / 10, 1 / np.arange(1, 16), np.array([0.9, 0.09, 0.008, 0.002])]
)
@pytest.mark.parametrize("false_alarm", [0.05, 0.002])
def test_the_threshold_keeps_its_promise(shares: np.ndarray, false_alarm: float) -> None:
    """Windows drawn from the reference exceed it about as often as promised, or less often, never much more."""
    rng = np.random.default_rng(11)
    reference = rng.multinomial(100_000, shares / shares.sum())
    limit = psi_threshold(reference, 1000, false_alarm, np.random.default_rng(7))
    windows = rng.multinomial(1000, reference / reference.sum(), 50_000)
    alarms = float((psi(reference, windows) > limit).mean())
    assert false_alarm * 0.3 < alarms < false_alarm * 1.7


def test_the_threshold_still_sees_a_change() -> None:
    reference = np.full(10, 1000)
    limit = psi_threshold(reference, 1000, 1e-4, np.random.default_rng(7))
    assert psi(reference, np.array([160, 140, 120, 100, 100, 100, 90, 80, 60, 50])) > limit


def test_one_bin_never_alarms() -> None:
    limit = psi_threshold([500, 0], 100, 0.01, np.random.default_rng(7))
    assert psi([500, 0], [100, 0]) <= limit
