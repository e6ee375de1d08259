"""Errors by bins: exact tests against brute force, and what is due to other rows told from what is due to labels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import fisher_exact, hypergeom

from bessemer.stats import error_bins as under_test
from bessemer.stats.error_bins import ErrorBins, error_bins, relation_p, split


def known(counts: list[float], errors: list[float]) -> ErrorBins:
    return ErrorBins(np.linspace(0, 1, len(counts) + 1), np.array(counts), np.array(errors), np.zeros(0))


@pytest.mark.parametrize(("n", "k"), [(50, 10), (50, 0), (300, 31), (7, 7)])
def test_one_bin_is_fishers_exact_test(n: int, k: int) -> None:
    more, fewer = relation_p(known([400.0], [40.0]), [n], [k])
    table = [[k, n - k], [40, 360]]
    assert more == pytest.approx(fisher_exact(table, alternative="greater").pvalue, rel=1e-9)
    assert fewer == pytest.approx(fisher_exact(table, alternative="less").pvalue, rel=1e-9)


def test_several_bins_against_all_their_outcomes() -> None:
    before = known([20.0, 30.0, 9.0], [2.0, 9.0, 9.0])
    n, k = [6, 5, 3], [3, 2, 3]
    laws = [hypergeom(20 + 6, 2 + 3, 6), hypergeom(30 + 5, 9 + 2, 5), hypergeom(9 + 3, 9 + 3, 3)]
    more = sum(
        laws[0].pmf(a) * laws[1].pmf(b) * laws[2].pmf(c)
        for a in range(7)
        for b in range(6)
        for c in range(4)
        if a + b + c >= sum(k)
    )
    assert relation_p(before, n, k)[0] == pytest.approx(more, rel=1e-9)


def test_with_many_rows_the_normal_law_is_as_good(monkeypatch: pytest.MonkeyPatch) -> None:
    before, n, k = known([3000.0, 5000.0], [300.0, 1500.0]), [2000, 2000], [235, 640]
    exact = relation_p(before, n, k)
    monkeypatch.setattr(under_test, "_EXACT", 0)
    assert relation_p(before, n, k) == pytest.approx(exact, rel=0.03)


def _drawn(
    rng: np.random.Generator, rows: int, hard: float, worse: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of four kinds, of which the model is less and less sure; `hard`: how many are of the last two."""
    counts = rng.multinomial(rows, [(1 - hard) / 2, (1 - hard) / 2, hard / 2, hard / 2])
    return counts.astype(float), rng.binomial(counts, np.array([0.02, 0.08, 0.2, 0.4]) + worse).astype(float)


@pytest.mark.slow
def test_harder_rows_are_not_taken_for_other_labels() -> None:
    """Far more errors, all of them because of the rows: at one in twenty, 32 or more of 400 once in 200 times."""
    alarms, harder = 0, []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        before = ErrorBins(np.arange(5.0), *_drawn(rng, 2000, 0.3), np.zeros(0))
        now = _drawn(rng, 500, 0.7)
        alarms += relation_p(before, *now)[0] <= 0.05
        found = split(before, *now)
        assert found.before + found.harder + found.relation == pytest.approx(found.now)
        harder.append((found.harder - 0.1) / found.spread_harder)  # (0.3 - 0.05) * 0.4
    assert alarms < 32
    assert abs(np.mean(harder)) < 0.2
    assert 0.8 < np.std(harder) < 1.2, "the spread is what it says"


def test_other_labels_are_not_taken_for_harder_rows() -> None:
    rng = np.random.default_rng(3)
    before = ErrorBins(np.arange(5.0), *_drawn(rng, 4000, 0.3), np.zeros(0))
    now = _drawn(rng, 1500, 0.3, worse=0.06)
    found = split(before, *now)
    assert relation_p(before, *now)[0] < 1e-6
    assert abs(found.harder) < 2.6 * found.spread_harder
    assert abs(found.relation - 0.06) < 2.6 * found.spread_relation
    assert found.alike == pytest.approx(found.now, abs=0.02)


def test_numbers_are_wrong_where_one_in_ten_was() -> None:
    rng = np.random.default_rng(1)
    predicted = rng.uniform(0, 100, 4000)
    truth = predicted + rng.normal(size=4000) * (1 + predicted / 10)
    found = error_bins(truth, predicted, None, 10)
    assert found.rate == pytest.approx(0.1, abs=0.002)
    assert np.all(np.diff(found.limits) > 0), "greater numbers may be further off"
    wide = predicted + 2 * (truth - predicted)
    assert found.wrong(wide, predicted).mean() > 0.3


def test_ties_and_one_value_alone() -> None:
    found = error_bins([1, 0, 1], [1, 1, 1], [0.7, 0.7, 0.7], 20)
    assert (found.counts.tolist(), found.errors.tolist()) == ([3.0], [1.0])
    assert found.places([0.1, 0.7, 0.9]).tolist() == [0, 0, 0]
    assert math.isnan(known([0.0], [0.0]).rate)
