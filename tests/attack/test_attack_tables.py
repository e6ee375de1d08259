"""Attacks on raw columns: constraints, distances, and the search by questions alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError
from trees_support import project, sample_of, small, victim_of

from bessemer.attack.attacks.minimal import nearest
from bessemer.attack.attacks.query_search import QuerySearch
from bessemer.attack.check import check_columns
from bessemer.attack.columns import Column, distances, table_of, values_of
from bessemer.attack.raw import raw_rows
from bessemer.attack.spec import AttackSpec
from bessemer.attack.trees.case import case_of
from bessemer.attack.trees.program import Program
from bessemer.core.constraints import Limit
from bessemer.testing.attacks import check_attack

NAN = float("nan")


def number(**limit: Any) -> Column:
    return Column("n", "number", Limit(**limit), 0.0, 10.0, 2.0)


@pytest.mark.parametrize(
    ("limit", "before", "allowed"),
    [
        ({}, 5.0, [True, True, False, False]),
        ({"increase_only": True}, 5.0, [False, True, False, False]),
        ({"decrease_only": True}, 5.0, [True, False, False, False]),
        ({"missing": True}, 5.0, [True, True, False, True]),
        ({"missing": True}, NAN, [True, True, False, True]),
        ({}, NAN, [False, False, False, True]),
        ({"immutable": True}, 5.0, [False, False, False, False]),
        ({}, 11.0, [True, True, True, False]),
    ],
)
def test_what_a_number_may_become(limit: dict[str, Any], before: float, allowed: list[bool]) -> None:
    assert number(**limit).may(before, np.array([4.0, 6.0, 11.0, NAN])).tolist() == allowed


def test_a_level_that_training_rows_do_not_have_is_not_chosen() -> None:
    column = Column("c", "category", Limit(), levels=("a", "b", "odd"), known=2)
    assert column.may(0.0, np.array([0.0, 1.0, 2.0, NAN])).tolist() == [True, True, False, False]
    assert column.may(2.0, np.array([0.0, 2.0])).tolist() == [True, True]


def test_distances_are_of_raw_columns() -> None:
    columns = (number(cost=3.0), Column("c", "category", Limit(), levels=("a", "b"), known=2))
    before = np.array([[4.0, 0.0], [NAN, 0.0], [4.0, 1.0]])
    after = np.array([[6.0, 1.0], [6.0, 0.0], [4.0, 1.0]])
    assert distances(columns, before, after, "l_inf").tolist() == [3.0, 3.0, 0.0]
    assert distances(columns, before, after, "l1").tolist() == [4.0, 3.0, 0.0]
    assert distances(columns, before, after, "l0").tolist() == [4.0, 3.0, 0.0]


def test_rows_become_numbers_and_rows_again(tmp_path: Path) -> None:
    rows = raw_rows(one := small(tmp_path, 1), sample_of(one, 20, tmp_path))
    assert [column.kind for column in rows.columns] == ["number", "integer", "category"]
    made = table_of(rows.columns, rows.values, rows.sample.table)
    np.testing.assert_array_equal(values_of(rows.columns, made), rows.values)
    assert made["c"].to_pylist() == rows.sample.table["c"].to_pylist()


def test_what_is_not_moved_stays_as_it_was() -> None:
    table = pa.table(
        {
            "n": pa.array([2**53 + 1, 7, None], pa.int64()),
            "x": [np.inf, 0.1, None],
            "c": pa.array(["", "a", None]).dictionary_encode(),
        }
    )
    columns = (
        Column("n", "integer", Limit()),
        Column("x", "number", Limit()),
        Column("c", "category", Limit(), levels=("a", "b"), known=2),
    )
    plain = table.set_column(2, "c", table["c"].cast(pa.string()))
    values = values_of(columns, table)
    assert table_of(columns, values, table).equals(plain)
    values[1] = [9.0, 0.5, 1.0]
    moved = table_of(columns, values, table)
    assert moved.schema == plain.schema
    assert moved.to_pydict() == {"n": [2**53 + 1, 9, None], "x": [np.inf, 0.5, None], "c": ["", "b", None]}


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["l0", "l1", "l_inf"])
@pytest.mark.parametrize("seed", [4, 9])
def test_questions_find_nothing_nearer_than_the_nearest(tmp_path: Path, seed: int, norm: Any) -> None:
    limits = {"b": Limit(decrease_only=True), "a": Limit(missing=True)}
    one = small(tmp_path, seed, 3, limits)
    sample = sample_of(one, 20, tmp_path)
    budgets = [1.0, 3.0]
    found = check_attack(
        QuerySearch, {"norm": norm, "budgets": budgets, "questions": 300}, one, sample, tmp_path
    )
    case = case_of(one, sample)
    program = Program(case.board, norm, 1000)
    least = [nearest(case, program, row, 3.0).least if case.rows.right[row] else 0.0 for row in range(20)]
    for point in found.curve[1:]:
        exact = sum(far > point.budget for far in least if far > 0) / 20  # type: ignore[operator]
        assert exact <= point.value + 1e-9
        assert point.value <= exact + 0.2, "and it is not far from what can be found"
    assert found.curve[-1].value < found.curve[0].value
    assert found.curve[-1].more["queries"] > 0


@pytest.mark.slow
def test_a_fallen_row_keeps_the_constraints(tmp_path: Path) -> None:
    limits = {"tenure": Limit(increase_only=True), "InternetService": Limit(immutable=True)}
    one = victim_of(project(tmp_path / "linear", train={"learner": "linear"}), limits)
    sample = sample_of(one, 30, tmp_path)
    found = check_attack(QuerySearch, {"budgets": [2.0], "questions": 300}, one, sample, tmp_path)
    assert found.samples
    for fallen in found.samples:
        assert fallen["columns"]
        assert 0 < fallen["budget"] <= 2.0 + 1e-6
        assert fallen["true"] != fallen["answer"]
        assert "InternetService" not in fallen["columns"]
        before, after = fallen["columns"].get("tenure", [0, 0])
        assert after >= before
        assert isinstance(after, int)


def test_constraints_on_what_is_not_there_or_are_no_numbers_are_told() -> None:
    asked = AttackSpec.model_validate(
        {"constraints": {"agee": "immutable", "plan": {"increase_only": True}, "age": {"min": 3}}}
    )
    faults = check_columns(asked, {"age": "BIGINT", "plan": "VARCHAR"}, {})
    assert [fault.path for fault in faults] == ["attack.constraints.agee", "attack.constraints.plan"]
    assert "age" in faults[0].fix
    assert "no number" in faults[1].what


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        ({"min": 3, "max": 2}, "min 3 is above max 2"),
        ({"increase_only": True, "decrease_only": True}, "write `immutable`"),
        ({"cost": 0}, "greater than 0"),
        ("frozen", "valid dictionary or instance of Limit"),
    ],
)
def test_a_constraint_that_cannot_be_is_refused(limit: Any, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        AttackSpec.model_validate({"constraints": {"age": limit}})
