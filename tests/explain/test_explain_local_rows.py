"""LIME, anchors and prototypes against truths that are known, and on tables that are hard."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from local_support import of_formula

from bessemer.explain import mmd
from bessemer.explain.anchor_search import Search, kl_bound
from bessemer.explain.distance import Gower
from bessemer.explain.explainers.anchors import Anchors
from bessemer.explain.explainers.counterfactuals import Counterfactuals
from bessemer.explain.explainers.lime import Lime, ridge
from bessemer.explain.explainers.prototypes import Prototypes
from bessemer.explain.perturb import as_column
from bessemer.explain.sample import draw
from bessemer.explain.subject import open_subject
from bessemer.testing.explainers import check_explanation


@pytest.fixture
def ctx(made: Callable[..., Any]) -> Any:
    return made("binary").context()


def people(rows: int = 2000, seed: int = 0) -> pa.Table:
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "age": rng.integers(18, 80, rows),
            "income": rng.normal(size=rows),
            "city": rng.choice(["Bern", "Basel", 'São "Paulo"'], rows),
            "noise": rng.normal(size=rows),
        }
    )


def is_bern(table: pa.Table) -> np.ndarray:
    return np.array([value == "Bern" for value in table.column("city").to_pylist()], dtype=float)


# LIME


def test_lime_finds_the_columns_of_an_additive_truth_and_is_sure_of_it(ctx: Any) -> None:
    """Of 3 where it is Bern, and 1 for an age above 40: the gap between the row's bin and the others."""
    table = people()
    old = lambda t: np.array(t.column("age").to_pylist()) > 40  # noqa: E731
    row = int(np.flatnonzero((is_bern(table) == 1) & (np.array(table.column("age").to_pylist()) > 70))[0])
    subject, sample = of_formula(table, lambda t: 3 * is_bern(t) + 1.0 * old(t), asked=[row])
    found = Lime(Lime.Settings(samples=5000)).explain(subject, sample, ctx, lambda: None)
    (answer,) = found.content["rows"]
    assert list(answer["contributions"])[:2] == ["city", "age"]
    assert answer["contributions"]["city"] == pytest.approx(3, abs=0.1)
    assert abs(answer["contributions"]["noise"]) < 4 * answer["error"]["noise"] + 0.02
    assert answer["fidelity"] > 0.9
    check_explanation(found, subject, sample)


def test_lime_says_when_no_straight_line_fits(ctx: Any) -> None:
    """The parity of two columns: a local model of single columns explains nothing, and the fidelity says so."""
    table = people()
    twisted = lambda t: np.sign(np.array(t.column("income")) * np.array(t.column("noise"))) * 3.0  # noqa: E731
    subject, sample = of_formula(table, twisted)
    found = Lime(Lime.Settings(width=5.0)).explain(subject, sample, ctx, lambda: None)
    assert found.content["rows"][0]["fidelity"] < 0.2


def test_ridge_has_the_standard_errors_that_repeated_draws_show() -> None:
    rng = np.random.default_rng(0)
    found, errors = [], []
    for _ in range(200):
        x = rng.integers(0, 2, size=(300, 2)).astype(float)
        y = 1 + 2 * x[:, 0] + rng.normal(size=300) * (1 + x[:, 1])
        coef, error = ridge(x, y, np.ones(300))
        found.append(coef[1:])
        errors.append(error[1:])
    assert np.allclose(np.std(found, axis=0), np.mean(errors, axis=0), rtol=0.2)


# Anchors


def test_an_anchor_names_the_condition_that_decides(ctx: Any) -> None:
    table = people()
    row = int(np.flatnonzero(is_bern(table))[0])
    subject, sample = of_formula(table, lambda t: 10 * is_bern(t) - 5, asked=[row])
    found = Anchors(Anchors.Settings()).explain(subject, sample, ctx, lambda: None)
    (rule,) = found.content["rows"]
    assert rule["conditions"] == [{"column": "city", "operator": "=", "value": "Bern"}]
    assert rule["precision"] == 1
    assert rule["coverage"] == pytest.approx(1 / 3, abs=0.05)
    check_explanation(found, subject, sample)


def test_an_anchor_of_two_columns_needs_both(ctx: Any) -> None:
    """Positive only in Bern with a high income; neither alone holds it."""
    table = people()
    score = lambda t: np.where((is_bern(t) == 1) & (np.array(t.column("income")) > 0.7), 4.0, -4.0)  # noqa: E731
    income = np.array(table.column("income"))
    row = int(np.flatnonzero((is_bern(table) == 1) & (income > 1.0))[0])
    subject, sample = of_formula(table, score, asked=[row])
    found = Anchors(Anchors.Settings(bins=5)).explain(subject, sample, ctx, lambda: None)
    (rule,) = found.content["rows"]
    assert {one["column"] for one in rule["conditions"]} == {"city", "income"}
    assert rule["low"] > 0.9


def test_the_stated_precision_holds_on_new_rows(made: Callable[..., Any]) -> None:
    """Measured anew, by other code: rows of the training part with values for which the rule is true."""
    one = made("binary")
    model, splits = (one.store.get(one.refs[ref]) for ref in ("model", "splits"))
    subject = open_subject(model)
    sample = draw(splits, subject, 200, one.context())
    found = Anchors(Anchors.Settings(rows=4)).explain(subject, sample, one.context(), lambda: None)
    training = sample.training.draw(10**6, np.random.default_rng(0)).table  # type: ignore[union-attr]
    rng = np.random.default_rng(99)
    for rule in found.content["rows"]:
        everywhere = np.ones(training.num_rows, dtype=bool)
        rows = training.take(rng.integers(training.num_rows, size=4000))
        for column in {cond["column"] for cond in rule["conditions"]}:
            holds = np.ones(training.num_rows, dtype=bool)
            for cond in (cond for cond in rule["conditions"] if cond["column"] == column):
                holds &= _true_of(training.column(column), cond["operator"], cond["value"])
            everywhere &= holds
            values = training.column(column).take(rng.choice(np.flatnonzero(holds), 4000))
            rows = rows.set_column(rows.column_names.index(column), training.schema.field(column), values)
        said = subject.session.run(rows.combine_chunks(), ["prediction"])["prediction"]
        precision = float(np.mean(said == rule["prediction"]))
        assert rule["low"] - 0.02 <= precision <= rule["high"] + 0.02, rule
        assert rule["coverage"] == pytest.approx(everywhere.mean(), abs=0.01)


def _true_of(column: Any, operator: str, value: Any) -> np.ndarray:
    values = column.to_pylist()
    if isinstance(value, str) and values and isinstance(values[0], dt.datetime):
        value = dt.datetime.fromisoformat(value)
    tests = {
        "=": lambda v: v == value,
        "<=": lambda v: v is not None and v == v and v <= value,
        ">": lambda v: v is not None and v == v and v > value,
        "is missing": lambda v: v is None or v != v,
    }
    return np.array([bool(tests[operator](v)) for v in values])


def test_the_search_keeps_its_budget_and_prefers_short_rules_of_high_coverage() -> None:
    rng = np.random.default_rng(0)
    truth = {(): 0.5, (0,): 0.99, (1,): 0.99, (2,): 0.6}
    used = []

    def attempt(rules: Any, times: int) -> list[int]:
        used.append(len(rules) * times)
        return [int(rng.binomial(times, truth.get(rule, 0.99))) for rule in rules]

    cover = {(0,): 0.2, (1,): 0.4}
    follow = lambda rule: [tuple(sorted((*rule, p))) for p in range(3) if p not in rule]  # noqa: E731
    search = Search(attempt, lambda rule: cover.get(rule, 0.1), follow, 0.95, 5000)
    assert search.run(3) == (1,)
    assert sum(used) == search.used <= 5000


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 1.0])
def test_kl_bounds_cover_the_share_as_often_as_they_say(share: float) -> None:
    rng = np.random.default_rng(0)
    level = np.log(1 / 0.05) / 100
    seen = rng.binomial(100, share, size=300) / 100
    above = np.mean([kl_bound(s, level, upper=True) < share - 1e-9 for s in seen])
    below = np.mean([kl_bound(s, level, upper=False) > share + 1e-9 for s in seen])
    assert max(above, below) <= 0.06


# Prototypes


def test_prototypes_stand_for_each_cluster_and_criticisms_for_what_is_left(ctx: Any) -> None:
    rng = np.random.default_rng(0)
    centres = np.repeat([0.0, 10.0, 20.0], [200, 100, 100])
    x = centres + 0.1 * rng.normal(size=400)
    x[-1] = 15.0  # of no cluster
    subject, sample = of_formula(
        pa.table({"x": x, "y": x + 0.1}), lambda t: np.array(t.column("x")), task="regression"
    )
    found = Prototypes(Prototypes.Settings(prototypes=3, criticisms=1)).explain(
        subject, sample, ctx, lambda: None
    )
    nearest = sorted(round(one["row"]["x"] / 10) for one in found.content["prototypes"])
    assert nearest == [0, 1, 2]
    assert found.content["prototypes"][0]["share"] == pytest.approx(0.5, abs=0.02)
    check_explanation(found, subject, sample)


def test_prototypes_are_nearer_to_the_rows_than_random_ones() -> None:
    rng = np.random.default_rng(1)
    points = rng.normal(size=(300, 3))
    k = mmd.kernel(np.abs(points[:, None] - points[None]).sum(axis=2))
    chosen = mmd.prototypes(k, 6)
    assert len(set(chosen)) == 6
    best = min(mmd.mmd2(k, rng.choice(300, 6, replace=False).tolist()) for _ in range(200))
    assert mmd.mmd2(k, chosen) < best
    assert mmd.mmd2(k, list(range(300))) == pytest.approx(0, abs=1e-12)
    others = mmd.criticisms(k, chosen, 4)
    assert len({*others, *chosen}) == 10


# Distances


def test_gower_is_a_distance_over_every_kind_of_column() -> None:
    table = pa.table(
        {
            "n": [1.0, 5.0, None, float("inf"), 1.0],
            "t": pa.array([0, 10, None, 5, 0], pa.timestamp("us")),
            "c": ["a", "b", None, "", "a"],
            "b": [True, False, None, True, True],
            "same": [3, 3, 3, 3, 3],
            "none": pa.nulls(5, pa.float64()),
        }
    )
    columns = [as_column(name, table.column(name)) for name in table.column_names]
    values = np.column_stack([column.values for column in columns])
    found = Gower.of(columns).between(values, values)
    assert np.allclose(found, found.T)
    assert np.allclose(np.diag(found), 0)
    assert found[0, 4] == 0
    assert found[0, 1] == pytest.approx(4 / 6)
    assert found[2, 3] == pytest.approx(2 / 6), "both are missing in n and c"
    assert found.min() >= 0
    assert found.max() <= 1


# Hard tables


HARD = {
    "one row": pa.table({"a": [1.0], "b": ["x"]}),
    "constant": pa.table({"a": [1.0] * 30, "b": ["x"] * 30}),
    "all missing": pa.table({"a": pa.nulls(30, pa.float64()), "b": pa.nulls(30, pa.string())}),
    "huge and tiny": pa.table({"a": [1e300, -1e300, 1e-300] * 10, "b": ["x", "", None] * 10}),
    "odd names": pa.table(
        {"a": np.arange(30.0), "b": ["</script>", "'", '"'] * 10, "é ü\n`": [True, None, False] * 10}
    ),
    "timestamps": pa.table(
        {"a": np.arange(30.0), "t": pa.array([dt.datetime(2020, 1, d + 1) for d in range(30)])}
    ),
    "whole": pa.table({"a": pa.array([2**53 + 1, None, -5] * 10, pa.int64()), "b": ["x", "y", "z"] * 10}),
}


@pytest.mark.parametrize("kind", [Lime, Anchors, Counterfactuals, Prototypes])
@pytest.mark.parametrize("name", HARD)
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_hard_tables_are_explained_or_said_to_have_no_answer(
    ctx: Any, kind: Any, name: str, task: str
) -> None:
    table = HARD[name]

    def score(t: pa.Table) -> np.ndarray:
        values = np.array(t.column("a").cast(pa.float64(), safe=False).fill_null(0).to_pylist())
        return np.tanh(values)

    subject, sample = of_formula(table, score, task=task, asked=range(min(3, table.num_rows)))
    settings = kind.Settings(**({"samples": 500} if kind in (Lime, Anchors) else {}))
    check_explanation(kind(settings).explain(subject, sample, ctx, lambda: None), subject, sample)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Lime, Anchors, Counterfactuals, Prototypes])
def test_two_hundred_columns(ctx: Any, kind: Any) -> None:
    rng = np.random.default_rng(0)
    table = pa.table({f"c{i}": rng.normal(size=300) for i in range(200)})
    subject, sample = of_formula(table, lambda t: np.array(t.column("c7")) + np.array(t.column("c8")))
    check_explanation(kind(kind.Settings()).explain(subject, sample, ctx, lambda: None), subject, sample)


def test_an_anchor_is_found_among_two_hundred_columns(ctx: Any) -> None:
    rng = np.random.default_rng(0)
    table = pa.table({f"c{i}": rng.normal(size=2000) for i in range(200)})
    both = lambda t: np.where((np.array(t.column("c7")) > 0.3) & (np.array(t.column("c8")) > 0.3), 3.0, -3.0)  # noqa: E731
    subject, sample = of_formula(table, both, asked=[int(np.flatnonzero(both(table) > 0)[0])])
    found = Anchors(Anchors.Settings()).explain(subject, sample, ctx, lambda: None)
    (rule,) = found.content["rows"]
    assert {"c7", "c8"} <= {one["column"] for one in rule["conditions"]}
    assert rule["low"] > 0.9
