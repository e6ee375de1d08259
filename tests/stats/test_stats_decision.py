"""Thresholds: what all others would have done, by trying them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, matthews_corrcoef

from bessemer.stats.decision import Constraint, best, best_by_group, choices, value

COSTS = {"false_positive": 1.0, "false_negative": 4.0, "true_positive": -0.5, "true_negative": 0.25}
ROWS = 60


def rows(seed: int, count: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = np.round(rng.random(count), 2).astype(np.float32)  # many ties
    return rng.random(count) < p, p


def cost(y: np.ndarray, said: np.ndarray) -> float:
    table = np.array(
        [[COSTS["true_negative"], COSTS["false_positive"]], [COSTS["false_negative"], COSTS["true_positive"]]]
    )
    return float(-table[y.astype(int), said.astype(int)].mean())


SCORES = {
    "accuracy": accuracy_score,
    "balanced_accuracy": balanced_accuracy_score,
    "f1": lambda y, s: f1_score(y, s, zero_division=0),
    "mcc": matthews_corrcoef,
    "cost": cost,
}


@pytest.mark.parametrize("objective", SCORES)
def test_the_best_threshold_beats_all_others(objective: str) -> None:
    y, p = rows(1)
    found = choices(y, p)
    threshold = np.float32(best(found, objective, COSTS))
    tried = [SCORES[objective](y, p >= t) for t in (*np.unique(p), np.float32(2))]
    assert SCORES[objective](y, p >= threshold) == pytest.approx(max(tried))
    own = value(objective, found.tp, found.fp, found.positives, found.negatives, COSTS)
    each = [SCORES[objective](y, p >= t) for t in found.thresholds]
    np.testing.assert_allclose(own, each, atol=1e-12)


def test_a_threshold_lies_between_the_probabilities_of_float32() -> None:
    p = np.array([0.5, np.nextafter(np.float32(0.5), np.float32(1)), 1.0, 0.0], dtype=np.float32)
    found = choices([True, False, True, False], p)
    counts = [int((p >= t).sum()) for t in found.thresholds]
    assert counts == [0, 1, 2, 3, 4]
    assert counts == (found.tp + found.fp).tolist()


def test_rows_of_one_class_have_the_usual_threshold() -> None:
    assert best(choices([True, True], [0.2, 0.9]), "f1") == 0.5
    assert best(choices([], []), "accuracy") == 0.5
    assert best(choices([False, False], [0.2, 0.9]), "cost", COSTS | {"true_negative": 0.0}) > np.float32(0.9)


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["accuracy", "balanced_accuracy", "f1", "cost"])
@pytest.mark.parametrize(
    ("constraint", "tolerance"),
    [(None, 0.0), ("demographic_parity", 0.06), ("equal_opportunity", 0.0), ("equalised_odds", 0.2)],
)
def test_thresholds_by_group_are_the_best_of_all_pairs(
    objective: str, constraint: Constraint | None, tolerance: float
) -> None:
    (y1, p1), (y2, p2) = rows(1), rows(2, 40)
    one, two = choices(y1, p1), choices(y2, p2 * np.float32(0.7))
    p2 = p2 * np.float32(0.7)
    y, told = np.concatenate([y1, y2]), {}
    rates = [group.rates(constraint) if constraint else np.zeros((1, len(group.tp))) for group in (one, two)]
    for a, b in itertools.product(range(len(one.tp)), range(len(two.tp))):
        if np.all(np.abs(rates[0][:, a] - rates[1][:, b]) <= tolerance + 1e-9):
            said = np.concatenate([p1 >= one.thresholds[a], p2 >= two.thresholds[b]])
            told[int(said[y].sum()), int(said.sum())] = said  # all of the same counts have the same score
    scores = [SCORES[objective](y, said) for said in told.values()]
    found = np.array(best_by_group([one, two], objective, constraint, tolerance, COSTS), dtype=np.float32)
    said = np.concatenate([p1 >= found[0], p2 >= found[1]])
    assert SCORES[objective](y, said) == pytest.approx(max(scores))
    if constraint:
        own = [[np.flatnonzero(g.thresholds == t)[0]] for g, t in zip((one, two), found, strict=True)]
        assert np.all(np.abs(rates[0][:, own[0]] - rates[1][:, own[1]]) <= tolerance + 1e-9)


def test_many_rows_keep_the_constraint() -> None:
    parts = [choices(*rows(seed, 5000 + 100 * seed)) for seed in range(6)]
    found = best_by_group(parts, "accuracy", "demographic_parity", 0.01)
    shares = []
    for part, threshold in zip(parts, found, strict=True):
        place = int(np.flatnonzero(part.thresholds == np.float32(threshold))[0])
        shares.append((part.tp[place] + part.fp[place]) / (part.positives + part.negatives))
    assert max(shares) - min(shares) <= 0.01 + 1e-9
