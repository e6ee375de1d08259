"""The control chart of errors against brute force, and how often it alarms when nothing has changed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import beta

from bessemer.stats.bernoulli_cusum import Chart, chart, levels
from bessemer.stats.cusum_chance import _reached, critical_level, reached_p
from bessemer.stats.excursion import Excursion, follow

CASES = [
    (0.1, 1.5, 0.0),
    (0.1, 1.5, 0.13),
    (0.45, 1.2, 0.0),
    (0.01, 2.0, 0.0),
    (0.0004, 3.0, 0.0),
    (0.9, 2.0, 0.95),
]


@pytest.mark.parametrize(("rate", "odds", "least"), CASES)
def test_a_chart_balances_between_both_rates(rate: float, odds: float, least: float) -> None:
    found = chart(rate, odds, least)
    assert rate < found.balance < found.worse < 1
    assert found.balance >= least * 0.999
    asked = odds * rate / (1 - rate + odds * rate)
    assert found.worse >= asked * 0.97
    # an error and a right answer are worth what the likelihoods say
    assert found.evidence(found.up) == pytest.approx(math.log(found.worse / rate), rel=1e-6)
    assert found.evidence(-found.down) == pytest.approx(math.log((1 - found.worse) / (1 - rate)), rel=1e-6)


@pytest.mark.parametrize("arguments", [(0.0, 2.0), (1.0, 2.0), (0.1, 1.0)])
def test_no_chart_for_what_is_no_rate(arguments: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="no chart"):
        chart(*arguments)


def _walked(asked: Chart, errors: np.ndarray) -> list[Excursion]:
    """Label by label."""
    at, found = Excursion(), []
    for i, error in enumerate(errors):
        level = max(0, at.level + (asked.up if error else -asked.down))
        begun = i if at.since is None else at.since
        at = Excursion(level, at.labels + 1, at.errors + int(error), begun) if level else Excursion()
        found.append(at)
    return found


@pytest.mark.parametrize("seed", range(20))
def test_a_stream_in_pieces_ends_where_the_whole_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    asked, errors = chart(0.2, 2.0), rng.random(300) < rng.choice([0.1, 0.3, 0.5])
    slowly = _walked(asked, errors)
    assert levels(asked, errors).tolist() == [each.level for each in slowly]
    end, highest = Excursion(), Excursion()
    for piece in np.array_split(np.arange(300), sorted(rng.integers(0, 300, 9))):
        end, peak = follow(asked, errors[piece], piece, end)
        highest = max(highest, peak, key=lambda each: each.level)
    assert (end, highest) == (slowly[-1], max(slowly, key=lambda each: each.level))
    assert follow(asked, errors, range(300), Excursion()) == (end, highest)


def _exactly(asked: Chart, level: int, rows: int, rate: float) -> float:
    """Label by label, from where the chart is in the long run."""
    size = 8 * level
    sinks = np.maximum(np.arange(size) - asked.down, 0)
    rises = np.minimum(np.arange(size) + asked.up, size - 1)

    def step(at: np.ndarray) -> np.ndarray:
        return np.bincount(sinks, at * (1 - rate), size) + np.bincount(rises, at * rate, size)

    at = np.zeros(size)
    at[0] = 1.0
    for _ in range(20_000):
        at = step(at)
    at[level:] = 0
    for _ in range(rows):
        at = step(at)
        at[level:] = 0
    return float(1 - at.sum())


@pytest.mark.parametrize(
    ("rate", "errors", "rows"), [(0.1, 8, 200), (0.1, 12, 2000), (0.11, 8, 200), (0.08, 6, 1)]
)
def test_the_chance_is_the_exact_one_and_never_too_small(rate: float, errors: int, rows: int) -> None:
    asked = Chart(0.1, 0.2, 6, 1)
    exact = _exactly(asked, errors * 7, rows, rate)
    found = float(_reached(asked, errors * 7, rows, np.array([rate]))[0])
    assert exact <= found < 1.6 * exact


def test_rare_errors_have_a_coarser_chain_that_is_never_too_sure() -> None:
    asked = chart(0.005, 2.0)
    assert asked.up + asked.down > 96
    exact = _exactly(asked, 3 * (asked.up + asked.down), 500, 0.005)
    found = float(_reached(asked, 3 * (asked.up + asked.down), 500, np.array([0.005]))[0])
    assert exact <= found < 2.5 * exact


@pytest.mark.slow
@pytest.mark.parametrize(("known", "rate"), [(400, 0.1), (20_000, 0.1), (5000, 0.3)])
def test_windows_without_a_change_alarm_as_rarely_as_was_asked_for(known: int, rate: float) -> None:
    """Each stream has test rows of its own: that they may mislead is part of the chance."""
    alarms = 0
    for seed in range(200):
        rng = np.random.default_rng([seed, known])
        wrong = int(rng.binomial(known, rate))
        possible = float(beta.ppf(0.999, wrong + 0.5, known - wrong + 0.5))
        asked, end = chart((wrong + 0.5) / (known + 1), 1.5, possible), Excursion()
        for _ in range(5):  # what it says of the last one, far from the beginning
            end, peak = follow(asked, rng.random(300) < rate, range(300), end)
        alarms += reached_p(asked, peak.level, 300, wrong, known) <= 0.1
    assert 4 <= alarms < 34, "20 on average; 34 or more once in a thousand times"


@pytest.mark.slow
def test_a_worse_rate_is_found_and_when_it_began() -> None:
    asked = chart(0.1, 1.5)
    critical = critical_level(asked, 1e-5, 1000, 5000, 50_000)
    assert critical is not None
    assert reached_p(asked, critical, 1000, 5000, 50_000) <= 1e-5
    began = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        errors = np.concatenate([rng.random(5000) < 0.1, rng.random(5000) < 0.2])
        _, peak = follow(asked, errors, range(10_000), Excursion())
        assert peak.level > critical
        began.append(peak.since)
    assert abs(float(np.median(np.array(began, dtype=float))) - 5000) < 100


def test_few_test_rows_leave_too_much_open() -> None:
    assert critical_level(chart(0.1, 1.5), 1e-6, 1000, 10, 100) is None
