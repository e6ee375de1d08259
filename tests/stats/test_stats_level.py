"""What is remembered, and how surprising the next value is: against closed forms, and over many quiet weeks."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats

from bessemer.stats.level import Level, Seasonal, expected_within, surprise


def test_nothing_forgotten_is_mean_and_variance() -> None:
    values = np.random.default_rng(0).normal(3, 2, 9)  # so few that none is cut off
    level = Level.of(values.tolist(), kept=1.0)
    assert (level.weight, level.mean) == (9, pytest.approx(values.mean()))
    assert level.variance == pytest.approx(values.var(ddof=1))
    assert Level(*json.loads(json.dumps(level.to_json()))) == level


def test_forgetting_weighs_by_age() -> None:
    values = np.random.default_rng(1).normal(0, 1, 9)
    weights = 0.9 ** np.arange(8, -1, -1)
    level = Level.of(values.tolist(), kept=0.9)
    assert level.weight == pytest.approx(weights.sum())
    assert level.mean == pytest.approx(np.average(values, weights=weights))
    assert level.squares == pytest.approx(np.sum(weights * (values - level.mean) ** 2))


def test_one_outage_does_not_hide_the_next() -> None:
    usual = Level.of(np.random.default_rng(2).normal(10, 1, 50).tolist())
    after = usual.add(-1000.0)
    assert after.variance < 1.5 * usual.variance
    p = surprise(0.0, after.mean, after.variance, after.weight, after.weight - 1)
    assert p < 1e-6


def test_surprise_is_the_prediction_interval() -> None:
    """Of normal values, the next one lies outside as often as the p-value says: 8 values known, so that t matters."""
    rng = np.random.default_rng(3)
    values = rng.normal(5, 2, (20_000, 9))
    known = values[:, :8]
    p = [
        surprise(x, m, v, 8, 7)
        for x, m, v in zip(values[:, 8], known.mean(axis=1), known.var(axis=1, ddof=1), strict=True)
    ]
    assert stats.kstest(p, "uniform").pvalue > 0.001


@pytest.mark.parametrize("least", [0.0, 0.5])
def test_the_threshold_has_the_probability(least: float) -> None:
    away = expected_within(1.3, 12, 11, 0.01, least)
    assert surprise(4 + away, 4, 1.3, 12, 11, least=least) == pytest.approx(0.01)
    assert surprise(4 - away, 4, 1.3, 12, 11, least=least) == pytest.approx(0.01)
    assert surprise(4 + away, 4, 1.3, 12, 11, least=least, one_sided=True) == pytest.approx(0.005)


def test_what_cannot_be_judged() -> None:
    assert math.isnan(surprise(1, 0, 0.0, 5, 4))
    assert math.isnan(surprise(1, 0, 1.0, 5, 0))


def busy(hour: float) -> float:
    """The logarithm of the rows an hour: days, nights and weekends."""
    return 7 + math.sin(2 * math.pi * (hour % 24) / 24) - (1.0 if (hour // 24) % 7 >= 5 else 0.0)


def weeks(seed: int, count: int, spread: float) -> tuple[Seasonal, list[tuple[str, float]]]:
    """Hours of an autocorrelated load that is far from Poisson: what each was expected by, and its p-value."""
    rng, seasonal, found, noise = np.random.default_rng(seed), Seasonal(), [], 0.0
    for hour in range(count * 168):
        noise = 0.6 * noise + 0.8 * rng.normal() * spread
        value = math.log(rng.poisson(math.exp(busy(hour) + noise)) + 0.5)
        expected = seasonal.expected(hour)
        if expected is not None:
            p = surprise(value, expected.mean, expected.variance, expected.known, max(1, expected.freedom))
            found.append((expected.by, p))
        seasonal.add(hour, value, 1.0)
    return seasonal, found


def test_quiet_weeks_are_quiet_from_the_second_day_on() -> None:
    found = [each for seed in range(3) for each in weeks(seed, 6, 0.25)[1]]
    assert {by for by, _ in found} == {"all hours", "hour of the day", "hour of the week"}
    p = np.array([p for _, p in found])
    assert len(p) == 3 * (6 * 168 - 24)
    for level in (0.05, 0.01, 0.001):
        assert (p <= level).mean() <= 1.5 * level + 2 / len(p)


def test_a_quiet_sunday_is_expected_and_a_quiet_monday_is_not() -> None:
    seasonal, _ = weeks(0, 6, 0.15)
    sunday, monday = 6 * 168 + 6 * 24 + 12, 7 * 168 + 12

    def p(hour: int, value: float) -> float:
        now = seasonal.expected(hour)
        assert now is not None
        assert now.by == "hour of the week"
        return surprise(value, now.mean, now.variance, now.known, now.freedom)

    assert p(sunday, busy(sunday)) > 0.05
    assert p(monday, busy(sunday)) < 1e-4


def test_a_new_level_is_learned_within_days() -> None:
    seasonal, _ = weeks(1, 6, 0.15)
    rng, first, last = np.random.default_rng(9), [], []
    for hour in range(6 * 168, 7 * 168):
        value = busy(hour) + math.log(3) + 0.15 * rng.normal()
        now = seasonal.expected(hour)
        assert now is not None
        (first if hour < 6 * 168 + 12 else last).append(
            surprise(value, now.mean, now.variance, now.known, now.freedom)
        )
        seasonal.add(hour, value, 1.0)
    assert max(first) < 0.01
    assert np.median(last[-24:]) > 0.1


def test_it_is_of_bounded_size_and_goes_on_where_it_was() -> None:
    seasonal, _ = weeks(2, 4, 0.2)
    state = json.loads(json.dumps(seasonal.to_json()))
    assert len(json.dumps(state)) < 20_000
    again = Seasonal(state)
    hour = 4 * 168 + 5
    assert again.expected(hour).mean == pytest.approx(seasonal.expected(hour).mean)
    later, _ = weeks(2, 12, 0.2)
    assert len(json.dumps(later.to_json())) < 20_000


@pytest.mark.parametrize(("name", "known"), [("nightly", 7), ("weekly", 21)])
def test_a_job_is_learned_once_its_hour_is_known(name: str, known: int) -> None:
    """One that sends a hundred times the usual rows: each night, or on Sundays."""
    rng, seasonal, surprised = np.random.default_rng(5), Seasonal(), []
    for hour in range(8 * 168):
        job = hour % 24 == 3 and (name == "nightly" or (hour // 24) % 7 == 6)
        value = 5.7 + 4.6 * job + 0.15 * rng.normal()
        now = seasonal.expected(hour)
        if now is not None and surprise(value, now.mean, now.variance, now.known, max(1, now.freedom)) < 1e-5:
            surprised.append(hour // 24)
        seasonal.add(hour, value, 1.0)
    assert surprised, "what it has never seen is a surprise"
    assert max(surprised) <= known


def test_an_hour_that_is_known_is_not_forgotten_by_one_outage() -> None:
    seasonal, _ = weeks(3, 6, 0.15)
    at, gone = 6 * 168 + 12, math.log(0.5)
    now = seasonal.expected(at)
    assert now is not None
    seasonal.add(at, gone, 1.0)
    after = seasonal.expected(at + 168)
    assert after is not None
    assert after.mean > now.mean - 0.2
    assert surprise(gone, after.mean, after.variance, after.known, after.freedom) < 1e-6
