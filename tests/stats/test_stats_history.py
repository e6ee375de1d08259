"""Numbers against earlier ones, tails and quantiles: by simulation and by counting everything."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom

from bessemer.stats.history import (
    binomial_critical,
    binomial_tail,
    bucket_quantile,
    newcomer_critical,
    newcomer_p,
)


@pytest.mark.parametrize("n", [3, 20])
@pytest.mark.parametrize("both", [False, True])
def test_a_newcomer_of_the_same_law_is_as_unlikely_as_is_said(n: int, both: bool) -> None:
    rng = np.random.default_rng(1)
    draws = rng.normal(5, 2, (20_000, n + 1))
    found = np.array([newcomer_p(row[-1], row[:-1], both=both) for row in draws])
    for share in (0.01, 0.1, 0.5):
        assert (found <= share).mean() == pytest.approx(
            share, abs=4 * math.sqrt(share * (1 - share) / 20_000)
        )


def test_the_critical_distance_is_the_tests_own() -> None:
    earlier = [1.0, 2.0, 4.0, 3.0]
    for both in (False, True):
        away = newcomer_critical(0.003, earlier, both=both)
        assert newcomer_p(2.5 + away, earlier, both=both) == pytest.approx(0.003)


def test_what_did_not_vary_may_vary_tomorrow() -> None:
    assert newcomer_p(1.1, [1.0] * 50) == 0.0
    assert newcomer_p(1.1, [1.0] * 50, floor=0.1) > 0.1
    assert newcomer_p(0.5, [1.0] * 50) == 1.0
    assert math.isnan(newcomer_p(0.5, [1.0]))


def test_the_binomial_tail_is_the_sum_of_its_terms() -> None:
    for rows in (1, 7, 40):
        for events in range(rows + 1):
            whole = sum(math.comb(rows, k) * 0.03**k * 0.97 ** (rows - k) for k in range(events, rows + 1))
            assert binomial_tail(events, rows, 0.03) == pytest.approx(whole)
    assert binomial_tail(2, 1, 0.5) == 0.0


def test_the_critical_share_is_the_first_that_is_unlikely() -> None:
    for rows, probability in ((50, 0.01), (2000, 1e-5)):
        critical = round(binomial_critical(probability, rows, 0.02) * rows)
        assert binom.sf(critical - 1, rows, 0.02) <= probability < binom.sf(critical - 2, rows, 0.02)


def test_quantiles_of_buckets_are_within_their_bucket() -> None:
    rng = np.random.default_rng(2)
    edges = np.array([*np.geomspace(1e-4, 10, 40), np.inf])
    values = rng.lognormal(-5, 1, 50_000)
    counts = np.histogram(values, [0, *edges])[0]
    for share in (0.05, 0.5, 0.99):
        assert bucket_quantile(share, edges, counts) == pytest.approx(np.quantile(values, share), rel=0.03)
    assert math.isnan(bucket_quantile(0.5, edges, np.zeros(len(edges))))
    assert bucket_quantile(0.5, [1.0, math.inf], [0, 3]) == 1.0
