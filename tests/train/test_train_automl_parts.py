"""The parts of AutoML one by one: folds, selection, clock, target, portfolio, search spaces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessemer.train.automl.clock import Clock
from bessemer.train.automl.folds import count_for, holdout, resample
from bessemer.train.automl.members import FIRST, FLOOR, LATER, NETWORK, leaning, portfolio
from bessemer.train.automl.select import select
from bessemer.train.automl.target import in_target_units, log_problem, worth_a_log
from bessemer.train.learner import Part, Problem
from bessemer.train.metrics import Metric
from bessemer.train.plugins import LEARNERS
from bessemer.train.search.space import inside, levels, tunable


def make_part(y: np.ndarray) -> Part:
    return Part(np.arange(len(y), dtype=np.float32)[:, None], y.astype(np.float64))


@given(st.integers(2, 200), st.integers(2, 9), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_every_row_is_judged_once_by_fits_that_did_not_see_it(n: int, count: int, classes: int) -> None:
    y = np.arange(n) % max(1, classes)
    found = resample(make_part(y), count, np.random.default_rng(0), classes=classes)
    np.testing.assert_array_equal(np.sort(np.concatenate([f.judge for f in found.folds])), np.arange(n))
    for fold in found.folds:
        assert not set(fold.learn) & set(fold.judge)
        assert len(fold.learn) + len(fold.judge) == n
        np.testing.assert_array_equal(found.judged[found.place(fold)], fold.judge)
    sizes = [len(f.judge) for f in found.folds]
    assert max(sizes) - min(sizes) <= 1


def test_classes_are_spread_evenly() -> None:
    y = np.array([1] * 20 + [0] * 180)
    found = resample(make_part(y), 5, np.random.default_rng(0), classes=2)
    assert [int(y[f.judge].sum()) for f in found.folds] == [4] * 5


@given(st.lists(st.integers(0, 12), min_size=4, max_size=120), st.integers(2, 6))
@settings(max_examples=60, deadline=None)
def test_groups_are_never_cut(groups: list[int], count: int) -> None:
    y = np.zeros(len(groups))
    found = resample(make_part(y), count, np.random.default_rng(1), classes=0, groups=np.array(groups))
    where: dict[int, set[int]] = {}
    for number, fold in enumerate(found.folds):
        for row in fold.judge:
            where.setdefault(groups[row], set()).add(number)
    assert all(len(places) == 1 for places in where.values())
    assert len(found.folds) == min(count, len(set(groups)))


def test_a_valid_part_that_was_chosen_judges_alone() -> None:
    found = resample(make_part(np.zeros(10)), 5, np.random.default_rng(0), classes=0, judges=3)
    assert len(found.folds) == 1
    np.testing.assert_array_equal(found.folds[0].judge, [7, 8, 9])
    np.testing.assert_array_equal(found.judged, [7, 8, 9])
    assert len(holdout(found).folds) == 1


def test_folds_by_rows() -> None:
    assert [count_for(n) for n in (2_999, 3_000, 49_999, 50_000)] == [8, 5, 5, 3]


def test_selection_stops_at_the_most_members_and_weights_sum_to_one() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=400)
    candidates = {f"m{i}": (y + rng.normal(size=400))[:, None] for i in range(8)}
    judge = lambda m: float(np.sqrt(np.mean((m[:, 0] - y) ** 2)))  # noqa: E731
    alone = min(judge(m) for m in candidates.values())
    for most in (1, 3, 5):
        weights = select(candidates, judge, lambda a, b: a < b, most)
        assert len(weights) <= most
        assert sum(weights.values()) == pytest.approx(1)
        together = judge(sum(w * candidates[n] for n, w in weights.items()))  # type: ignore[arg-type]
        assert together <= alone + 1e-12
    assert len(select(candidates, judge, lambda a, b: a < b, 5)) > 1


def test_a_candidate_without_a_value_is_never_preferred() -> None:
    metric = Metric("regression", "rmse")
    y = np.arange(4.0)
    candidates = {"good": y[:, None] + 0.1, "bad": y[:, None] + 5}
    judge = lambda m: metric(y, m[:, 0])  # noqa: E731
    assert select(candidates, judge, metric.better, 3) == {"good": 1.0}


def test_the_clock_takes_the_lesser_of_wall_and_cpu_time() -> None:
    now = {"wall": 100.0, "cpu": 7.0}
    clock = Clock(10.0, spent=4.0, wall=lambda: now["wall"], cpu=lambda: now["cpu"])
    now["wall"] += 5.0  # others have the cores: nothing was learnt
    assert clock.used() == 4.0
    now["cpu"] += 2.0
    assert clock.left() == pytest.approx(4.0)
    now["cpu"] += 50.0  # several threads at once
    assert clock.used() == 9.0
    clock.reserve = 0.25
    assert clock.left() == pytest.approx(0.75)


def test_portfolio_order_and_filters() -> None:
    first, later = portfolio([], LEARNERS.names())
    assert first[0].name == "catboost"
    assert (tuple(first), tuple(later)) == (FIRST, LATER)
    first, later = portfolio(["catboost"], LEARNERS.names())
    assert {m.learner for m in (*first, *later)} == {"catboost"}
    assert portfolio(["catboost"], ["lightgbm"]) == ([], [])
    assert [m.learner for m in FLOOR] == ["constant", "linear", "lightgbm"]


def test_where_there_are_images_a_network_is_tried_first() -> None:
    first, later = portfolio([], LEARNERS.names(), blocks=True)
    assert tuple(first) == (NETWORK, *FIRST)
    assert tuple(later) == LATER
    first, later = portfolio(["network"], LEARNERS.names(), blocks=True)
    assert (first, later) == ([NETWORK], [])
    first, later = portfolio(["network"], LEARNERS.names())
    assert [m.learner for m in (*first, *later)] == ["network"]
    assert NETWORK not in portfolio([], ["catboost"], blocks=True)[0]


def test_what_is_found_decides_which_way_the_portfolio_goes_on() -> None:
    names = lambda lean: [m.name for m in leaning(LATER, lean)]  # noqa: E731
    assert names(0) == [m.name for m in LATER]
    assert names(1).index("catboost (depth 8)") < names(1).index("catboost (depth 4)")
    assert names(-1).index("catboost (depth 4)") < names(-1).index("catboost (depth 8)")


def test_every_member_has_parameters_its_learner_knows() -> None:
    for member in (*FLOOR, *FIRST, *LATER):
        assert set(member.params) <= set(LEARNERS.load(member.learner).PARAMS), member.name


def test_log_target_is_judged_in_the_target_s_units() -> None:
    y = np.exp(np.random.default_rng(0).normal(size=200) * 2)
    assert worth_a_log(y)
    assert not worth_a_log(np.random.default_rng(0).normal(size=200))
    assert not worth_a_log(np.array([]))
    problem = log_problem(Problem("regression", 0, Metric("regression", "rmse")))
    plain = Metric("regression", "rmse")
    assert problem.metric(np.log(y), np.log(y * 1.1)) == pytest.approx(plain(y, y * 1.1))


def test_only_trees_can_be_turned_back_from_a_logarithm() -> None:
    from bessemer.train.learners.constant import ConstantModel

    with pytest.raises(TypeError, match="ConstantModel"):
        in_target_units(ConstantModel(np.float32([1.0]), {}, 0, {}))


def test_defaults_lie_inside_the_ranges_that_are_searched() -> None:
    for name in LEARNERS.names():
        if LEARNERS.ref(name).missing():
            continue
        for key, param in tunable(LEARNERS.load(name).PARAMS).items():
            steps = levels(param)
            assert all(inside(param, step) == step for step in steps), (name, key)
            if param.default is not None and param.tune is not None and not param.tune.words:
                assert param.low is None or param.tune.low >= param.low, (name, key)
                assert param.high is None or param.tune.high <= param.high, (name, key)
