"""Influence of training rows: held against models that were trained again without them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from local_support import retrained

from bessemer.explain.explainers.influence import Influence
from bessemer.explain.influence_linear import LastLayer, newton_removal
from bessemer.explain.influence_models import Fitted, removal
from bessemer.explain.losses import Loss
from bessemer.explain.sample import draw
from bessemer.explain.subject import open_subject
from bessemer.package.natives import Weighted, encode_ensemble, open_native


def opened(one: Any, rows: int = 200) -> tuple[Any, Any, Any]:
    model, splits = (one.store.get(one.refs[ref]) for ref in ("model", "splits"))
    subject = open_subject(model)
    return subject, draw(splits, subject, rows, one.context()), splits


def supports(one: Any, rows: list[int]) -> tuple[np.ndarray, Any, Any]:
    """(R, N): how far the log-odds of each row's actual class, or the nearness to its value, lean on training rows."""
    subject, sample, _ = opened(one)
    train = sample.training.draw(10**6, np.random.default_rng(0))
    explainer = Influence(Influence.Settings())
    found = removal(
        subject.facts["native"]["kind"],
        subject.native,
        subject.facts,
        Loss(subject.task, train.actual),
        Fitted(train.features, sample.features[rows], len(train)),
        explainer._pull(subject, sample, rows),
    )
    return -found.change, sample, found


def support(subject: Any, sample: Any, row: int) -> float:
    """The log-odds of the row's actual class, or how near the value is, by a model."""
    score = subject.scored(sample.table.slice(row, 1))[0]
    if subject.task == "regression":
        return -abs(float(score[0]) - float(sample.actual[row]))
    sign = 1 if sample.actual[row] == 1 else -1
    return sign * float(score[0])


@pytest.mark.slow
@pytest.mark.parametrize("learner", ["lightgbm", "linear", "hist_boosting", "random_forest"])
def test_without_the_most_helpful_rows_predictions_suffer_more_than_without_random_ones(
    made: Callable[..., Any], learner: str
) -> None:
    """Twenty rows at once: trees that are grown again differ a little in any single one, whatever is left out."""
    one = made("binary", learner)
    subject, sample, _ = opened(one)
    rows = [int(i) for i in np.argsort(np.abs(sample.score[:, 0]))[:20]]  # where the model is in doubt
    found, _, _ = supports(one, rows)
    before = np.mean([support(subject, sample, row) for row in rows])

    def lost(without: np.ndarray) -> float:
        after = retrained(one, learner, without)
        return float(before - np.mean([support(after, sample, row) for row in rows]))

    rng = np.random.default_rng(0)
    random = [lost(rng.choice(found.shape[1], 40, replace=False)) for _ in range(3)]
    helpful = lost(np.argsort(-found.mean(axis=0))[:40])
    assert helpful > max(random), (helpful, random)
    assert helpful - np.mean(random) > 0.3, (helpful, random)


def test_the_last_layer_of_a_network_is_what_its_scores_are_made_of(made: Callable[..., Any]) -> None:
    subject, sample, _ = opened(made("binary", "mlp"))
    seen = LastLayer(subject.native)(sample.features)
    margin = open_native("head", subject.native, 1).margin(sample.features)
    wide = np.column_stack([np.ones(len(seen)), seen])
    fitted, *_ = np.linalg.lstsq(wide, margin, rcond=None)
    assert np.allclose(wide @ fitted, margin, atol=1e-3 * max(1.0, np.abs(margin).max()))
    found = Influence(Influence.Settings(rows=2)).explain(
        subject, sample, made("binary", "mlp").context(), lambda: None
    )
    assert "last layer" in found.baseline.text
    assert all(answer["helpful"] for answer in found.content["rows"])


@pytest.mark.slow
def test_ridge_regression_is_left_one_out_exactly(made: Callable[..., Any]) -> None:
    """Up to the means and scales of the features, which move a little with the row."""
    one = made("regression", "linear")
    _, sample, _ = opened(one)
    found, _, told = supports(one, [5])
    strongest = np.argsort(-np.abs(found[0]))[:6]
    actual = []
    for i in strongest:
        after = retrained(one, "linear", [int(i)]).scored(sample.table.slice(5, 1))[0, 0]
        sign = -1.0 if sample.actual[5] < sample.predicted[5] else 1.0
        actual.append(sign * (sample.score[5, 0] - after))
    assert np.allclose(found[0][strongest], actual, rtol=0.05), (found[0][strongest], actual)
    assert told.value < 1e-4, "the slopes balance at the optimum"


@pytest.mark.slow
def test_single_rows_of_boosted_trees_are_ranked_as_training_again_does(made: Callable[..., Any]) -> None:
    one = made("regression", "lightgbm")
    _, sample, _ = opened(one)
    found, _, told = supports(one, [11])
    order = np.argsort(-found[0])
    chosen = [*order[:4], *order[-4:]]
    sign = -1.0 if sample.actual[11] < sample.predicted[11] else 1.0
    actual = [
        sign
        * (sample.score[11, 0] - retrained(one, "lightgbm", [int(i)]).scored(sample.table.slice(11, 1))[0, 0])
        for i in chosen
    ]
    assert np.mean(actual[:4]) > 0 > np.mean(actual[4:]), actual
    assert told.measure == "leaf R²"
    assert told.value > 0.9


def test_the_newton_step_of_logistic_regression_is_near_to_leaving_a_row_out() -> None:
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    z = rng.normal(size=(200, 3))
    y = (z[:, 0] + rng.normal(size=200) > 0).astype(float)

    def fitted(keep: np.ndarray) -> np.ndarray:
        model = LogisticRegression(C=1.0, tol=1e-10, max_iter=1000).fit(z[keep], y[keep])
        return z @ model.coef_[0] + model.intercept_[0]

    everyone = np.arange(200)
    margin = fitted(everyone)[:, None]
    slope, curve = Loss("binary", y).slopes(margin)
    found = newton_removal(z, slope, curve, z[:1], np.ones((1, 1)), 1.0)[0]
    strongest = np.argsort(-np.abs(found))[:5]
    actual = [fitted(np.delete(everyone, i))[0] - margin[0, 0] for i in strongest]
    assert np.allclose(found[strongest], actual, rtol=0.05)


@pytest.mark.parametrize("learner", ["xgboost", "catboost", pytest.param("ebm", marks=pytest.mark.slow)])
def test_other_learners_lean_on_rows_of_their_own_class(made: Callable[..., Any], learner: str) -> None:
    one = made("binary", learner)
    subject, sample, _ = opened(one)
    found = Influence(Influence.Settings(rows=6)).explain(subject, sample, one.context(), lambda: None)
    agreeing, total = 0, 0
    for answer in found.content["rows"]:
        actual = subject.classes[int(sample.actual[answer["row"]])]
        for side, own in (("helpful", True), ("harmful", False)):
            agreeing += sum((row["actual"] == actual) == own for row in answer[side])
            total += len(answer[side])
    assert total
    assert agreeing >= 0.75 * total
    assert found.error.value is None or found.error.measure == "imbalance" or found.error.value > 0.5


def test_a_constant_is_refused(made: Callable[..., Any]) -> None:
    subject, _, _ = opened(made("binary", "constant"))
    assert "constant" in Influence(Influence.Settings()).refuses(subject)


def test_a_draw_estimates_what_all_rows_say(made: Callable[..., Any]) -> None:
    """Half of the training rows judged gives about the influences that all of them give."""
    one = made("regression", "lightgbm")
    subject, sample, _ = opened(one)
    whole, _, _ = supports(one, [2])
    half = np.sort(np.random.default_rng(1).choice(whole.shape[1], whole.shape[1] // 2, replace=False))
    train = sample.training.draw(10**6, np.random.default_rng(0))
    found = removal(
        "trees",
        subject.native,
        subject.facts,
        Loss("regression", train.actual[half]),
        Fitted(train.features[half], sample.features[[2]], len(train)),
        Influence(Influence.Settings())._pull(subject, sample, [2]),
    )
    assert np.corrcoef(-found.change[0], whole[0][half])[0, 1] > 0.9
    assert 0.7 < np.abs(found.change).sum() / np.abs(whole[0][half]).sum() < 1.4


def test_an_ensemble_leans_on_rows_as_its_members_do_together(made: Callable[..., Any]) -> None:
    subject, sample, _ = opened(made("binary", "linear"))
    train = sample.training.draw(10**6, np.random.default_rng(0))
    fitted = Fitted(train.features, sample.features[:3], len(train))
    loss, pull = Loss("binary", train.actual), np.ones((3, 1))
    other = opened(made("binary", "lightgbm"))[0]
    members = [
        Weighted(0.25, "linear", subject.native),
        Weighted(0.75, "trees", other.native),
        Weighted(0.5, "constant", b'{"score": [1.0]}'),
    ]
    found = removal("ensemble", encode_ensemble(members), {}, loss, fitted, pull)
    parts = [removal(m.kind, m.content, {}, loss, fitted, m.weight * pull).change for m in members[:2]]
    assert np.allclose(found.change, sum(parts))
    assert found.value is None
    assert "2 members" in found.method
