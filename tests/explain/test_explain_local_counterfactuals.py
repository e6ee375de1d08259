"""Counterfactuals: they flip, keep every constraint, and are as near as can be where the nearest is known."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from local_support import of_formula

from bessemer.explain.explainers.counterfactuals import Counterfactuals
from bessemer.explain.sample import draw
from bessemer.explain.subject import open_subject
from bessemer.testing.explainers import check_explanation


@pytest.fixture
def ctx(made: Callable[..., Any]) -> Any:
    return made("binary").context()


def people(rows: int = 1500) -> pa.Table:
    rng = np.random.default_rng(0)
    return pa.table(
        {
            "age": rng.integers(18, 80, rows),
            "income": rng.normal(size=rows),
            "sex": rng.choice(["f", "m"], rows),
            "city": rng.choice(["Bern", "Basel", "Chur"], rows),
        }
    )


def old_and_rich(table: pa.Table) -> np.ndarray:
    """Positive from age + 10 * income > 60 on; men get 5 for nothing."""
    age, income = (table.column(name).to_numpy() for name in ("age", "income"))
    man = np.array([value == "m" for value in table.column("sex").to_pylist()])
    return np.asarray((age + 10 * income + 5 * man - 60) / 10)


def explained(table: pa.Table, score: Any, ctx: Any, row: int, task: str = "binary", **settings: Any) -> Any:
    subject, sample = of_formula(table, score, asked=[row], task=task)
    found = Counterfactuals(Counterfactuals.Settings(**settings)).explain(subject, sample, ctx, lambda: None)
    check_explanation(found, subject, sample)
    return found.content["rows"][0]


def short_of(table: pa.Table, low: float, high: float) -> int:
    """A row whose score is between two values."""
    score = old_and_rich(table)
    return int(np.flatnonzero((score > low) & (score < high))[0])


def test_the_nearest_single_change_is_found(ctx: Any) -> None:
    table = people()
    row = short_of(table, -0.6, -0.3)
    found = explained(table, old_and_rich, ctx, row)["found"]
    assert {tuple(one["changes"]) for one in found} >= {("age",), ("income",)}
    score, income = old_and_rich(table)[row], table.column("income").to_numpy()
    enough = np.sort(income[income > income[row] - score])[
        0
    ]  # the smallest income anybody has that is enough
    assert {"income": [pytest.approx(income[row]), pytest.approx(enough)]} in [
        one["changes"] for one in found
    ]
    assert len({tuple(one["changes"]) for one in found}) == len(found), "of different columns"


def test_every_constraint_is_kept(ctx: Any) -> None:
    table = people()
    settings: dict[str, Any] = {"immutable": ["sex"], "increase": ["age"], "decrease": ["income"], "count": 5}
    answers = [explained(table, old_and_rich, ctx, row, **settings) for row in range(25)]
    found = [one for answer in answers for one in answer["found"]]
    assert len(found) > 20
    ages = set(table.column("age").to_pylist())
    for one in found:
        assert "sex" not in one["changes"]
        if "age" in one["changes"]:
            before, after = one["changes"]["age"]
            assert isinstance(after, int)
            assert after > before
            assert after in ages
        if "income" in one["changes"]:
            assert one["changes"]["income"][1] < one["changes"]["income"][0]
    blocked = [answer for answer in answers if not answer["found"]]
    assert all("may not change freely" in answer["why"] for answer in blocked)


def test_where_nothing_may_change_it_says_so(ctx: Any) -> None:
    table = people()
    answer = explained(table, old_and_rich, ctx, 0, immutable=table.column_names)
    assert answer["found"] == []
    assert "4 columns may not change freely" in answer["why"]


def test_a_prediction_that_nobody_gets_is_not_invented(ctx: Any) -> None:
    answer = explained(people(), lambda t: np.full(t.num_rows, -3.0), ctx, 0)
    assert answer["found"] == []
    assert "none of 1,500" in answer["why"]
    assert "3 of the score short" in answer["why"]


def test_more_changes_than_allowed_are_not_given(ctx: Any) -> None:
    """Only three columns together can do it."""

    def score(table: pa.Table) -> np.ndarray:
        met = [
            np.array([v == w for v in table.column(n).to_pylist()])
            for n, w in (("sex", "m"), ("city", "Chur"))
        ]
        return np.asarray(np.where(met[0] & met[1] & (table.column("age").to_numpy() > 60), 2.0, -2.0))

    table = people()
    row = next(
        i
        for i, one in enumerate(table.to_pylist())
        if one["sex"] == "f" and one["city"] == "Bern" and one["age"] < 50
    )
    assert not explained(table, score, ctx, row, changes=2)["found"]
    assert "raise `changes`" in explained(table, score, ctx, row, changes=2)["why"]
    (one, *_) = explained(table, score, ctx, row, changes=3)["found"]
    assert set(one["changes"]) == {"sex", "city", "age"}
    assert one["changes"]["age"][1] == 61, "the nearest age that will do"


def test_missing_values_are_filled_and_never_made(ctx: Any) -> None:
    table = people(400)
    income = [None if i % 3 == 0 else v for i, v in enumerate(table.column("income").to_pylist())]
    table = table.set_column(1, "income", pa.array(income, pa.float64()))

    def score(t: pa.Table) -> np.ndarray:
        values = t.column("income").to_numpy(zero_copy_only=False)
        return np.asarray(np.where(np.isnan(values), 2.0, np.nan_to_num(values) - 0.5))

    for row in range(6):
        for one in explained(table, score, ctx, row)["found"]:
            before, after = one["changes"]["income"]
            assert after is not None
            assert (before is None) == (income[row] is None)


@pytest.mark.parametrize(
    ("wanted", "holds"),
    [
        ("> 100", lambda v, was: v > 100),
        ("<= -20", lambda v, was: v <= -20),
        ("+10%", lambda v, was: v >= was + 0.1 * abs(was)),
        ("-15", lambda v, was: v <= was - 15),
        (None, lambda v, was: True),
    ],
)
def test_a_value_is_brought_where_it_is_wanted(
    ctx: Any, wanted: str | None, holds: Callable[..., bool]
) -> None:
    table = people()
    answer = explained(
        table, lambda t: 100 * old_and_rich(t), ctx, short_of(table, 0.1, 0.5), "regression", wanted=wanted
    )
    assert answer["found"]
    assert all(holds(one["prediction"], answer["prediction"]) for one in answer["found"])


def test_what_is_there_already_is_said(ctx: Any) -> None:
    table = people()
    answer = explained(table, old_and_rich, ctx, short_of(table, -2, -1), wanted="no")
    assert answer["why"] == "it is predicted as wanted already: no"


def test_wrong_settings_are_refused_with_words_that_help() -> None:
    subject, _ = of_formula(people(), old_and_rich)
    numbers, _ = of_formula(people(), old_and_rich, task="regression")
    wrong: list[tuple[Any, dict[str, Any], str]] = [
        (subject, {"immutable": ["Age"]}, "did you mean 'age'"),
        (subject, {"increase": ["city"]}, "no order"),
        (subject, {"wanted": "Yes"}, "did you mean 'yes'"),
        (numbers, {"wanted": "about 5"}, "write '> 100'"),
        (numbers, {"wanted": "> 1.2.3"}, "write '> 100'"),
    ]
    for one, settings, words in wrong:
        assert words in Counterfactuals(Counterfactuals.Settings(**settings)).refuses(one)
    for wanted in ("> 1", ">=-2.5e3", "+10 %", "- .5"):
        assert Counterfactuals(Counterfactuals.Settings(wanted=wanted)).refuses(numbers) == ""


def test_a_threshold_of_the_models_own_is_what_has_to_be_crossed(ctx: Any) -> None:
    """The graph says yes from 0.9 on: what reaches 0.6 is no answer."""
    table = people()
    subject, sample = of_formula(table, old_and_rich, asked=[short_of(table, -1, -0.5)])
    session: Any = subject.session
    bare = session.run

    def strict(t: pa.Table, outputs: Any, **more: Any) -> Any:
        found = bare(t, ["score", "probability", "prediction", "features"], **more)
        found["prediction"] = np.where(found["probability"][:, 1] >= 0.9, "yes", "no").astype(object)
        return {name: found[name] for name in outputs}

    session.run = strict
    decision = {"threshold": 0.9, "objective": "", "costs": None, "groups": [], "fair": None}
    decision |= {"tolerance": 0.0, "table": [], "rows": []}
    strict_one = replace(subject, facts={**subject.facts, "decision": decision})
    found = Counterfactuals(Counterfactuals.Settings()).explain(strict_one, sample, ctx, lambda: None)
    (answer,) = found.content["rows"]
    assert answer["found"]
    assert all(one["probability"] >= 0.9 for one in answer["found"])
    assert min(one["probability"] for one in answer["found"]) < 0.93, "and no further than that"
    check_explanation(found, strict_one, sample)


@pytest.mark.slow
def test_real_models_of_every_task_are_answered(made: Callable[..., Any]) -> None:
    """On most rows; each answer is run through the graph by the conformance suite."""
    for task in ("binary", "multiclass", "regression"):
        one = made(task)
        model, splits = (one.store.get(one.refs[ref]) for ref in ("model", "splits"))
        subject = open_subject(model)
        sample = draw(splits, subject, 200, one.context())
        settings = Counterfactuals.Settings(rows=10, immutable=["seen"])
        found = Counterfactuals(settings).explain(subject, sample, one.context(), lambda: None)
        check_explanation(found, subject, sample)
        assert found.error.value is not None
        assert found.error.value <= 0.2, json.dumps(found.content)[:2000]
        assert all("seen" not in one["changes"] for row in found.content["rows"] for one in row["found"])
