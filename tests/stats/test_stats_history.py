"""Numbers against earlier ones, tails and quantiles: by simulation and by counting everything."""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import Any

import numpy as np
import pytest
from scipy.special import betainc, expit
from scipy.stats import binom

from bessemer.stats.history import (
    binomial_critical,
    binomial_tail,
    bucket_quantile,
    newcomer_critical,
    newcomer_p,
    newcomer_share_p,
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


def night_and_day(samples: int) -> np.ndarray:
    return np.where(np.arange(samples) % 24 < 8, 300, 20_000)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("differ", "before", "now", "share", "samples"),
    [
        (0.3, 300, 20_000, 0.02, 100),
        (0.3, 20_000, 300, 0.02, 100),
        (0.3, night_and_day, 300, 0.02, 100),
        (0.3, night_and_day, 20_000, 0.005, 100),
        (0.3, 1000, 1000, 0.01, 20),
        (0.0, 20_000, 300, 0.02, 100),
        (0.0, 1000, 1000, 0.0001, 100),
    ],
)
def test_shares_of_samples_of_any_size_are_found_as_seldom_as_asked(
    differ: float, before: Any, now: int, share: float, samples: int
) -> None:
    """How often a new sample is beyond what is critical after some histories: not drawn, but added up by its law."""
    rng, middle = np.random.default_rng(0), np.log(share / (1 - share))
    sizes = before(samples) if callable(before) else np.full(samples, before)
    normal = np.linspace(-8, 8, 801)
    weights = np.exp(-(normal**2) / 2) / np.exp(-(normal**2) / 2).sum()
    found: dict[float, list[float]] = {1e-3: [], 2e-5: []}
    for _ in range(15):
        events = rng.binomial(sizes, expit(middle + differ * rng.normal(size=samples)))
        history = np.stack([events, sizes], axis=1)
        for probability in found:
            least = bisect_left(
                range(now + 1), -probability, key=lambda k: -newcomer_share_p(k, now, history)
            )
            tails = betainc(max(least, 1), now - least + 1, expit(middle + differ * normal))
            found[probability].append(float(weights @ tails))
    assert np.mean(found[1e-3]) < 2.5e-3
    assert np.mean(found[2e-5]) < 1e-4


def test_a_share_that_grew_is_found_and_samples_without_events_say_little() -> None:
    rng = np.random.default_rng(1)
    history = [(int(k), n) for n in (300, 20_000) * 20 for k in [rng.binomial(n, 0.02)]]
    assert newcomer_share_p(30, 300, history) < 1e-5
    assert newcomer_share_p(6, 300, history) > 0.3
    assert newcomer_share_p(0, 300, history) == 1.0
    assert 0.005 < newcomer_share_p(1, 100, [(0, 100)] * 50) < 0.1
    assert newcomer_share_p(100, 100, [(100, 100)] * 50) > 0.5
    assert math.isnan(newcomer_share_p(1, 10, [(1, 10)]))


def test_of_large_samples_it_is_students_law_of_the_logarithms() -> None:
    rng = np.random.default_rng(3)
    logs = np.log(0.001) + 0.1 * rng.normal(size=25)
    history = np.stack([1e10 * np.exp(logs), np.full(25, 1e10)], axis=1)
    for away in (0.15, 0.3, 0.45):
        value = logs.mean() + away
        exact = newcomer_p(value, logs)
        assert newcomer_share_p(1e10 * np.exp(value), 1e10, history) == pytest.approx(exact, rel=0.5)
