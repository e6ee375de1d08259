"""Membership: what is said of scores that are known, and of models that learnt by heart or hardly at all."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trees_support import project, sample_of, small, victim_of

from bessemer.attack.attacks.membership import Membership, MembershipSettings, recognised
from bessemer.attack.parts import odds_of
from bessemer.stats.roc_interval import area_interval, recognised_at
from bessemer.testing.attacks import check_attack, context


def test_the_area_is_covered_as_often_as_is_said() -> None:
    """Normal scores, half a spread apart: the area is Phi(0.5 / sqrt 2)."""
    from scipy.special import ndtr

    from bessemer.stats.rank_sum import RankSum

    rng, truth, inside, times = np.random.default_rng(0), float(ndtr(0.5 / np.sqrt(2))), 0, 400
    for _ in range(times):
        scores = np.concatenate([rng.normal(0.5, 1, 60), rng.normal(0, 1, 90)])
        area = RankSum.of(np.arange(150) < 60, scores).area
        low, high = area_interval(area, 60, 90, 0.9)
        inside += low <= truth <= high
    assert 0.86 * times <= inside <= 0.94 * times


def test_the_share_recognised_is_covered_at_least_as_often_as_is_said() -> None:
    from scipy.special import ndtr, ndtri

    rng, inside, times = np.random.default_rng(1), 0, 200
    truth = float(ndtr(1 - ndtri(0.9)))
    for _ in range(times):
        value, low, high = recognised_at(rng.normal(1, 1, 100), rng.normal(0, 1, 100), 0.1, 0.9)
        assert low <= value <= high
        inside += low <= truth <= high
    assert inside >= 0.9 * times


def test_a_rate_that_the_rows_cannot_tell_has_no_lower_end() -> None:
    """All rows inside lie above all others, and yet: of 100 rows nobody knows what 0.1 % of all are like."""
    value, low, high = recognised_at(np.ones(100), np.zeros(100), 0.001, 0.95)
    assert (value, low, high) == (1.0, 0.0, 1.0)
    assert recognised_at(np.ones(100), np.zeros(5000), 0.001, 0.95)[1] > 0.9


@pytest.mark.parametrize(("proxies", "rate"), [(0, 0.1), (2, 0.1), (2, 0.02)])
def test_the_note_of_too_few_rows_is_right_to_the_row(proxies: int, rate: float, tmp_path: Path) -> None:
    """Where it ends, and not a row before, the interval of rows that are all recognised has a lower end."""
    from types import SimpleNamespace

    attack = Membership(MembershipSettings(proxies=proxies, rates=[rate]))
    victim: Any = SimpleNamespace(splits=SimpleNamespace(meta={}))
    names = ["by_loss", "calibrated"][: 1 + bool(proxies)]

    def lower_end(others: int) -> tuple[float, tuple[str, ...]]:
        scores = np.concatenate([np.ones(50), np.zeros(others)])
        member = np.arange(50 + others) < 50
        best, each, curve = recognised(dict.fromkeys(names, scores), member, [rate], 0.95)
        return curve[1].low, attack._notes(best, 50, others, each, victim)

    (note,) = (text for text in lower_end(5)[1] if "too few rows" in text)
    needed = int(re.search(r"takes (\d+) test rows", note)[1])  # type: ignore[index]
    low, notes = lower_end(needed - 1)
    assert low == 0
    assert any("too few rows" in text for text in notes)
    low, notes = lower_end(needed)
    assert low > 0
    assert not any("too few rows" in text for text in notes)


def test_equal_scores_recognise_nobody() -> None:
    value, low, _ = recognised_at(np.zeros(50), np.zeros(500), 0.1, 0.95)
    assert value == low == 0


def test_odds_are_of_the_right_class() -> None:
    score = np.array([[1.0, 2.0, 3.0], [5.0, 0.0, 0.0]])
    share = np.exp(score) / np.exp(score).sum(axis=1, keepdims=True)
    found = odds_of(score, np.array([2.0, 1.0]), "multiclass")
    np.testing.assert_allclose(found, np.log(share[[0, 1], [2, 1]] / (1 - share[[0, 1], [2, 1]])))
    near, far = odds_of(np.array([[1.1], [3.0]]), np.array([1.0, 1.0]), "regression")
    assert near > far
    assert np.isfinite(odds_of(np.array([[1.0]]), np.array([1.0]), "regression")).all()


@pytest.mark.slow
def test_the_same_rows_in_both_parts_are_told_apart_by_chance_alone(tmp_path: Path) -> None:
    """And a model of three classes keeps what every attack has to keep."""
    one = small(tmp_path, 3, classes=3)
    found = check_attack(
        Membership, {"proxies": 2}, one, sample_of(one, 20, tmp_path / "drawn"), tmp_path / "run"
    )
    area = found.curve[0]
    assert area.low < 0.5 < area.high
    assert area.more["by_loss"] == 0.5
    assert found.rows == 120
    assert [point.budget for point in found.curve] == [None, 0.001, 0.01, 0.1]
    assert any("too few rows" in note for note in found.notes)


def test_a_few_rows_are_refused(tmp_path: Path) -> None:
    one = small(tmp_path, 1)
    one.splits.meta["rows"]["test"] = 7
    assert "7 rows are too few" in Membership(MembershipSettings()).refuses(one)


#: Of categories a training row has the means of other folds, which blurs what was learnt by heart.
NUMBERS = ["tenure", "MonthlyCharges", "TotalCharges", "Churn"]
#: Trees grown until every leaf is pure, on all rows, and nothing smoothed.
BY_HEART: dict[str, Any] = {
    "learner": "extra_trees",
    "params": {"n_estimators": 30, "min_samples_leaf": 1, "max_leaf_nodes": 65536, "smoothing": 0.0},
    "calibrate": "none",
}


@pytest.mark.slow
def test_who_learns_by_heart_is_found_out_and_who_does_not_is_not(tmp_path: Path) -> None:
    found = {}
    for name, train in (("by heart", BY_HEART), ("linear", {"learner": "linear"})):
        one = victim_of(project(tmp_path / name, NUMBERS, train=train))
        sample = sample_of(one, 100, tmp_path / name)
        attack = Membership(MembershipSettings())
        found[name] = attack.attack(one, sample, context(tmp_path / name), lambda: None).curve
    assert found["by heart"][0].low > 0.7
    assert found["linear"][0].value < 0.6
    assert found["linear"][0].high < found["by heart"][0].low
    assert found["by heart"][-1].value > found["linear"][-1].value
