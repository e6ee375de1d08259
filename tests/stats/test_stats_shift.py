"""Means that have moved: against SciPy, against enumeration, and honest where values lean to a side."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from bessemer.stats.shift import Sums, exceeds, exceeds_critical, gap_moved, gaps, moved, risen


def one(values: np.ndarray) -> Sums:
    return Sums.of(values, np.zeros(len(values), dtype=int), 1)


def test_sums_are_those_of_each_group() -> None:
    rng = np.random.default_rng(0)
    values, codes = rng.normal(size=100), rng.integers(0, 3, 100)
    sums = Sums.of(values, codes, 4)
    for k in range(3):
        assert sums.mean[k] == pytest.approx(values[codes == k].mean())
        assert sums.variance[k] == pytest.approx(values[codes == k].var(ddof=1))
        assert sums.rest().mean[k] == pytest.approx(values[codes != k].mean())
    assert math.isnan(sums.mean[3])


@pytest.mark.parametrize(("then", "here"), [(1, 2), (2, 1)])
def test_risen_is_welch_with_the_greater_spread_on_both_sides(then: float, here: float) -> None:
    rng = np.random.default_rng(1)
    before, now = rng.normal(0, then, 300), rng.normal(0.1, here, 80)
    spread = max(before.std(ddof=1), now.std(ddof=1))
    wanted = stats.ttest_ind_from_stats(
        *(now.mean(), spread, 80, before.mean(), spread, 300), equal_var=False, alternative="greater"
    ).pvalue
    assert risen(one(before), one(now))[0] == pytest.approx(wanted)


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["left", "right"])
def test_risen_is_honest_where_losses_lean(shape: str) -> None:
    """40 rows against 5,000: Welch's test alone is too sure where values lean to the left."""
    rng = np.random.default_rng(2)
    sign = -1 if shape == "left" else 1
    p = np.array(
        [
            risen(one(sign * rng.exponential(1, 5000)), one(sign * rng.exponential(1, 40)))[0]
            for _ in range(4000)
        ]
    )
    assert (p < 0.01).mean() < 0.015
    assert (p < 0.001).mean() < 0.002


@pytest.mark.slow
def test_risen_is_honest_where_the_test_rows_are_few() -> None:
    """40 test rows of rare events against 1,000: those that had none of them by chance also varied less."""
    rng = np.random.default_rng(12)

    def losses(n: int) -> np.ndarray:
        said = rng.beta(0.2, 6, n)
        squares: np.ndarray = ((rng.random(n) < said) - said) ** 2
        return squares

    p = np.array([risen(one(losses(40)), one(losses(1000)))[0] for _ in range(4000)])
    assert (p < 0.01).mean() <= 0.01
    assert (p < 0.001).mean() <= 0.002


def test_few_rows_are_not_judged() -> None:
    assert math.isnan(risen(one(np.arange(100.0)), one(np.arange(29.0)))[0])
    assert math.isnan(risen(one(np.ones(100)), one(np.ones(100)))[0])
    assert math.isnan(moved(one(np.arange(29.0)), one(np.arange(100.0)))[1])


def binned(values: np.ndarray, seed: int) -> Sums:
    return Sums.of(values, np.random.default_rng(seed).integers(0, 6, len(values)), 6)


def test_moved_is_chi_square_where_nothing_has() -> None:
    """Also of what is 0 or 1 in most rows, as errors of a sure model are; and it finds one bin that moved."""
    rng = np.random.default_rng(3)
    p = []
    for seed in range(1500):
        before, now = ((rng.random(n) < 0.15).astype(float) for n in (4000, 500))
        p.append(moved(binned(before, seed), binned(now, seed + 10**5), 1.0)[1])
    for level in (0.05, 0.01):
        assert np.mean(np.array(p) < level) < level + 4 * math.sqrt(level / 1500)
    assert np.mean(np.array(p) < 0.05) > 0.01, "nor is it blind"
    before, now = binned(rng.normal(size=4000), 1), binned(rng.normal(size=600), 2)
    now.total[2] += 0.6 * now.rows[2]
    now.squares[2] += 0.6 * now.rows[2]
    assert moved(before, now)[1] < 1e-3


@pytest.mark.slow
def test_rare_events_are_no_normal_sum() -> None:
    """Two of a hundred in each bin: a chi-square of them is ten times too sure at 0.001."""
    rng, p = np.random.default_rng(8), []
    for _ in range(4000):
        before, now = (rng.binomial(n, 0.02, 6).astype(float) for n in (800, 80))
        sums = (Sums(np.full(6, float(n)), x, x) for n, x in ((800, before), (80, now)))
        p.append(moved(*sums, 1.0)[1])
    assert np.mean(np.array(p) < 0.001) <= 0.002
    assert np.mean(np.array(p) < 0.0001) <= 0.0005


def test_small_bins_stand_with_a_neighbour() -> None:
    before = Sums(np.array([10.0, 100, 100, 5]), np.zeros(4), np.array([10.0, 100, 100, 5]))
    now = Sums(np.array([30.0, 5, 60, 5]), np.zeros(4), np.array([30.0, 5, 60, 5]))
    assert moved(before, now)[2] == 2  # the first two together, the last with the third


def test_gaps_are_honest_and_blind_to_what_all_share() -> None:
    rng = np.random.default_rng(4)
    share = np.array([0.2, 0.3, 0.5])

    def drawn(n: int, rate: np.ndarray) -> Sums:
        rows = rng.multinomial(n, share).astype(float)
        events = rng.binomial(rows.astype(int), rate).astype(float)
        return Sums(rows, events, events)

    rate = np.array([0.5, 0.4, 0.3])
    p = np.array([gap_moved(drawn(4000, rate), drawn(800, rate)) for _ in range(2000)])
    for level in (0.05, 0.01):
        assert np.all(np.abs((p < level).mean(axis=0) - level) < 5 * math.sqrt(level / 2000))
    shared = np.array([gap_moved(drawn(4000, rate), drawn(800, rate + 0.2))[2] for _ in range(500)])
    assert (shared < 0.01).mean() < 0.03
    closed = gap_moved(drawn(4000, rate), drawn(2000, np.array([0.4, 0.4, 0.4])))
    assert closed.min() < 1e-4
    assert gaps(drawn(10**6, rate))[0] == pytest.approx(0.5 - (0.3 * 0.4 + 0.5 * 0.3) / 0.8, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(("then", "here"), [(40, 400), (400, 40), (1000, 30)])
def test_gaps_of_rare_events_in_small_groups_are_honest(then: int, here: int) -> None:
    """A normal test of them is 5 to 11 times too sure at 0.001."""
    rng, runs = np.random.default_rng(6), 6000

    def drawn(group: int) -> Sums:
        events = np.stack([rng.binomial(group, 0.02, runs), rng.binomial(5000, 0.02, runs)]).astype(float)
        return Sums(np.repeat([[float(group)], [5000.0]], runs, axis=1), events, events)

    before, now = drawn(then), drawn(here)

    def of(sums: Sums, k: int) -> Sums:
        return Sums(sums.rows[:, k], sums.total[:, k], sums.squares[:, k])

    p = np.array([gap_moved(of(before, k), of(now, k), 1.0)[0] for k in range(runs)])
    for level in (0.01, 0.001):
        assert (p < level).mean() <= level
    assert (p < 0.05).mean() > 0.001, "nor is it blind"


def test_exceeds_is_the_binomial_tail() -> None:
    for events in range(12):
        wanted = sum(math.comb(11, k) * 0.2**k * 0.8 ** (11 - k) for k in range(events, 12))
        assert exceeds(events, 11, 0.2) == pytest.approx(wanted)
    criticals = [exceeds_critical(1000, 0.01, p) for p in (0.1, 0.01, 1e-6)]
    assert all(a < b for a, b in pairwise(criticals))
    for p, critical in zip((0.1, 0.01, 1e-6), criticals, strict=True):
        assert exceeds(critical, 1000, 0.01) <= p < exceeds(critical - 1, 1000, 0.01)
