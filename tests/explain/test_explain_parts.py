"""Intervals, bins and values, on many inputs."""

from __future__ import annotations

import datetime as dt
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bessemer.explain.dependence import BINS, _quantile_bins, _ranks
from bessemer.explain.quality import Quality, mean_interval
from bessemer.explain.values import iso, plain, tidy
from bessemer.stats.metrics.table import METRICS


def test_labels_are_judged_as_the_graph_says_them() -> None:
    """A threshold of the model's own makes another F1 than one half does."""
    quality = Quality("binary", METRICS["binary"]["f1"])
    actual, probability = np.array([0.0, 1.0, 1.0]), np.array([[0.9, 0.1], [0.7, 0.3], [0.4, 0.6]])
    assert quality.needs_said
    assert quality(actual, probability) == pytest.approx(2 / 3)
    assert quality(actual, probability, np.array([0, 1, 1])) == 1.0
    assert not Quality("binary", METRICS["binary"]["log_loss"]).needs_said


numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200)


@given(numbers)
def test_bins_hold_every_row_once_in_ascending_order(values: list[float]) -> None:
    array = np.array(values)
    bins = _quantile_bins(array)
    assert sorted(np.concatenate(bins).tolist()) == list(range(len(array)))
    assert len(bins) <= BINS
    for low, high in itertools.pairwise(bins):
        assert array[low].max() < array[high].min()


@given(numbers)
def test_ranks_keep_the_order_of_the_values(values: list[float]) -> None:
    array = np.array([*values, np.nan])
    ranks = _ranks(array)
    assert ranks[-1] is None
    known = [r for r in ranks if r is not None]
    assert all(0 <= r <= 1 for r in known)
    order = np.argsort(array[:-1], kind="stable")
    assert all(known[a] <= known[b] for a, b in itertools.pairwise(order))


@settings(deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=2, max_size=30))
def test_interval_is_the_t_interval(values: list[float]) -> None:
    low, high = mean_interval(values)
    spread = float(np.std(values, ddof=1)) / len(values) ** 0.5
    if spread > 1e-9:
        expected = stats.t.interval(0.95, len(values) - 1, np.mean(values), spread)
        assert (low, high) == pytest.approx(expected)
    else:
        assert low == pytest.approx(high, abs=1e-6)


@pytest.mark.parametrize(
    ("task", "name", "good", "bad"),
    [
        ("binary", "roc_auc", [[0.9, 0.1], [0.1, 0.9]], [[0.1, 0.9], [0.9, 0.1]]),
        ("binary", "log_loss", [[0.9, 0.1], [0.1, 0.9]], [[0.5, 0.5], [0.5, 0.5]]),
        ("regression", "rmse", [[0.0], [1.0]], [[5.0], [1.0]]),
        ("regression", "r2", [[0.0], [1.0]], [[5.0], [1.0]]),
    ],
)
def test_loss_is_above_zero_where_it_gets_worse(
    task: str, name: str, good: list[list[float]], bad: list[list[float]]
) -> None:
    quality = Quality(task, METRICS[task][name])
    actual = np.array([0.0, 1.0])
    before, after = quality(actual, np.array(good)), quality(actual, np.array(bad))
    assert quality.loss(before, after) > 0 > quality.loss(after, before)


def test_values_as_json_holds_them() -> None:
    assert plain(dt.datetime(2020, 2, 29, 12)) == "2020-02-29T12:00:00"
    assert plain(float("nan")) == "nan"
    assert iso(1e6) == "1970-01-01T00:00:01"
    assert iso(-1e6) == "1969-12-31T23:59:59"
    assert tidy((1.23456789, {"k": [True, None, "x"]})) == [1.234568, {"k": [True, None, "x"]}]
