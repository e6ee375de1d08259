"""Figures and criteria of groups: what they are by hand, by fairlearn, and under weights."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from scipy import stats

import environments
from bessemer.stats.fairness import DECISION_FIGURES, DECISIONS, Decisions, Estimates, between, widest
from bessemer.stats.homogeneity import beta_draws, same_means, same_rates
from bessemer.stats.reweighing import reweighing

FAIRLEARN = """
import json, sys
import numpy as np
from fairlearn.metrics import (MetricFrame, demographic_parity_difference, demographic_parity_ratio,
    equal_opportunity_difference, equalized_odds_difference, false_positive_rate, selection_rate, true_positive_rate)
from sklearn.metrics import accuracy_score, precision_score
from fairlearn.postprocessing import ThresholdOptimizer
from sklearn.base import BaseEstimator
y, said, group, p = (np.array(part) for part in json.load(open(sys.argv[1])))
frame = MetricFrame(metrics={"selection_rate": selection_rate, "tpr": true_positive_rate, "fpr": false_positive_rate,
    "accuracy": accuracy_score, "precision": precision_score}, y_true=y, y_pred=said, sensitive_features=group)
class Given(BaseEstimator):
    def fit(self, X, y): self.fitted_ = True; return self
    def predict(self, X): return X[:, 0]
best = {}
names = {"demographic_parity": "demographic_parity", "equal_opportunity": "true_positive_rate_parity",
    "equalised_odds": "equalized_odds"}
for name, constraint in names.items():
    model = ThresholdOptimizer(estimator=Given(), constraints=constraint, objective="accuracy_score", prefit=False,
        predict_method="predict", grid_size=1000).fit(p[:, None], y, sensitive_features=group)
    chances = model._pmf_predict(p[:, None], sensitive_features=group)[:, 1]
    best[name] = float(np.mean(np.where(y == 1, chances, 1 - chances)))
print(json.dumps({"groups": frame.by_group.to_dict(), "criteria": {
    "demographic_parity": demographic_parity_difference(y, said, sensitive_features=group),
    "disparate_impact": demographic_parity_ratio(y, said, sensitive_features=group),
    "equal_opportunity": equal_opportunity_difference(y, said, sensitive_features=group),
    "equalised_odds": equalized_odds_difference(y, said, sensitive_features=group)}, "best": best}))
"""


@pytest.fixture(scope="module")
def people() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Truth, decision, group and probability of 3,000 rows in three groups that are treated differently."""
    rng = np.random.default_rng(3)
    group = rng.integers(0, 3, 3000)
    score = rng.normal(size=3000) + 0.6 * group
    p = (1 / (1 + np.exp(-score))).astype(np.float32)
    y = (rng.random(3000) < p * np.array([0.8, 0.9, 1.0])[group]).astype(int)
    return y, (p >= 0.6).astype(int), group, p


@pytest.fixture(scope="module")
def fairlearn(people: tuple[np.ndarray, ...], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("fairlearn") / "people.json"
    path.write_text(json.dumps([part.tolist() for part in people]))
    python = environments.environment("fairlearn", "fairlearn==0.15.0")
    found: dict[str, Any] = json.loads(environments.run(python, FAIRLEARN, str(path)))
    return found


@pytest.mark.slow
def test_figures_and_criteria_are_those_of_fairlearn(
    people: tuple[np.ndarray, ...], fairlearn: dict[str, Any]
) -> None:
    y, said, group, p = people
    judged = Decisions(group, 3, y, said, p)
    values = dict(zip(judged.figures, judged(), strict=True))
    for name, by_group in fairlearn["groups"].items():
        assert values[name].tolist() == pytest.approx(list(by_group.values()), abs=1e-12), name
    everyone = {name: np.ones(3, dtype=bool) for name in values}
    for name, expected in fairlearn["criteria"].items():
        pair = widest(DECISIONS[name], values, everyone)
        assert pair is not None
        ends = values[pair.figure][[pair.low]], values[pair.figure][[pair.high]]
        assert between(DECISIONS[name], *ends)[0] == pytest.approx(expected, abs=1e-12), name


@pytest.mark.slow
@pytest.mark.parametrize("constraint", ["demographic_parity", "equal_opportunity", "equalised_odds"])
def test_group_thresholds_are_about_as_good_as_the_lots_of_fairlearn(
    people: tuple[np.ndarray, ...], fairlearn: dict[str, Any], constraint: str
) -> None:
    from bessemer.stats.decision import best_by_group, choices

    y, _, group, p = people
    parts = [choices(y[group == k] == 1, p[group == k]) for k in range(3)]
    thresholds = best_by_group(parts, "accuracy", constraint, 0.02)  # type: ignore[arg-type]
    said = p >= np.array(thresholds, dtype=np.float32)[group]
    judged = Decisions(group, 3, y, said, p)
    values = dict(zip(judged.figures, judged(), strict=True))
    for figure in DECISIONS[constraint].figures:
        assert np.ptp(values[figure]) <= 0.02 + 1e-9
    ours, theirs = float(np.mean(said == y)), fairlearn["best"][constraint]
    # A tolerance of 2 % may win a little; a threshold without lots may lose a little.
    assert theirs - 0.01 < float(ours) < float(theirs) + 0.02


def test_weights_are_rows_that_are_there_more_than_once() -> None:
    rng = np.random.default_rng(1)
    codes, y, s, p = rng.integers(-1, 3, 200), rng.random(200) < 0.4, rng.random(200) < 0.5, rng.random(200)
    times = rng.integers(0, 4, 200)
    again = np.repeat(np.arange(200), times)
    weighted = Decisions(codes, 3, y, s, p)(times.astype(float))
    np.testing.assert_allclose(weighted, Decisions(codes[again], 3, y[again], s[again], p[again])())
    truth, said = rng.normal(size=200), rng.normal(size=200)
    weighted = Estimates(codes, 3, truth, said)(times.astype(float))
    np.testing.assert_allclose(weighted, Estimates(codes[again], 3, truth[again], said[again])())


def test_a_group_without_rows_has_no_figures() -> None:
    found = Decisions([0, 0], 2, [1, 1], [1, 0], [0.9, 0.2])()
    assert np.isnan(found[:, 1]).all()
    assert np.isnan(found[DECISION_FIGURES.index("fpr"), 0])  # nobody who could be selected wrongly
    nobody = {"selection_rate": np.array([0.5, np.nan])}
    assert widest(DECISIONS["demographic_parity"], nobody, {"selection_rate": np.ones(2, dtype=bool)}) is None


def test_equal_groups_have_a_ratio_of_one_and_a_difference_of_zero() -> None:
    values = {"selection_rate": np.array([0.0, 0.0])}
    allowed = {"selection_rate": np.ones(2, dtype=bool)}
    for name, expected in (("demographic_parity", 0.0), ("disparate_impact", 1.0)):
        pair = widest(DECISIONS[name], values, allowed)
        assert pair is not None
        assert pair.low != pair.high
        assert between(DECISIONS[name], np.zeros(1), np.zeros(1))[0] == expected


def test_the_tests_of_equal_groups_are_right_in_one_of_twenty_cases() -> None:
    rng = np.random.default_rng(5)
    rates = [same_rates(rng.binomial(200, 0.3, 4), np.full(4, 200.0)) for _ in range(2000)]
    assert 0.035 < np.mean(np.array(rates) < 0.05) < 0.065
    means = []
    for _ in range(2000):
        parts = [rng.normal(0, spread, 100) for spread in (1, 2, 4)]
        means.append(same_means([q.mean() for q in parts], [q.var(ddof=1) for q in parts], [100.0] * 3))
    assert 0.035 < np.mean(np.array(means) < 0.05) < 0.07
    expected = stats.chi2_contingency([[30, 70], [50, 50]], correction=False).pvalue
    assert same_rates([30, 50], [100, 100]) == pytest.approx(expected)


def test_reweighing_makes_group_and_class_independent_and_keeps_the_totals() -> None:
    rng = np.random.default_rng(2)
    codes, y, own = rng.integers(0, 3, 500), rng.integers(0, 2, 500), rng.random(500) + 0.5
    found = own * reweighing(codes, y, own)[codes, y]
    table = np.bincount(codes * 2 + y, found, minlength=6).reshape(3, 2)
    np.testing.assert_allclose(table, table.sum(1, keepdims=True) * table.sum(0) / table.sum())
    np.testing.assert_allclose(table.sum(0), np.bincount(y, own))
    np.testing.assert_allclose(table.sum(1), np.bincount(codes, own))


def test_a_rate_that_no_resample_changes_is_no_certainty() -> None:
    low, high = np.quantile(beta_draws(0, 30, 2000), [0.025, 0.975])
    assert 0 < low < 0.001
    assert high == pytest.approx(stats.beta.ppf(0.975, 0.5, 30.5), rel=0.02)


@pytest.mark.parametrize("events", [20, 100, 400])
def test_rates_of_a_small_group_with_rare_events_keep_their_level(events: int) -> None:
    """How often equal groups of 30 and 5,000 rows are called unlike, over all tables with so many events."""
    few = np.arange(min(30, events) + 1)
    chances = stats.hypergeom.pmf(few, 5030, events, 30)
    p = np.array([same_rates([k, events - k], [30, 5000]) for k in few])
    for level in (0.01, 0.05):
        assert chances[p < level].sum() <= level


def test_rare_rates_of_three_groups_are_those_of_all_tables() -> None:
    events, rows = np.array([2, 1, 9]), np.array([8, 20, 300])
    grid = np.array([(a, b, 12 - a - b) for a in range(9) for b in range(13 - a)])
    chances = stats.multivariate_hypergeom.pmf(grid, rows, 12)
    share = rows * 12 / 328

    def unlike(found: np.ndarray) -> np.ndarray:
        return np.asarray(np.sum((found - share) ** 2 / share, axis=-1))

    exact = chances[unlike(grid) >= unlike(events) - 1e-9].sum()
    assert same_rates(events, rows) == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 9_999))
    assert same_rates(events, rows) == same_rates(events, rows)
    # What the chi-square distribution would say.
    assert stats.chi2.sf(unlike(events) * 328 / 316, 2) < exact / 2
