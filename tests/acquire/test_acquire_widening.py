"""Columns of values whose types nobody says: what comes of them is what DuckDB makes of the same values."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessemer.acquire.batches import spool
from bessemer.acquire.widening import Widening, kind_of_value, text_of
from bessemer.core.errors import DataError

TIMES = st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31))
INTEGERS = st.integers(-(2**63), 2**63 - 1)
VALUES = st.one_of(st.booleans(), INTEGERS, st.floats(allow_nan=False), TIMES, st.dates(), st.text())
TYPES = {
    "boolean": "BOOLEAN",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "time": "TIMESTAMP",
    "date": "DATE",
    "text": "VARCHAR",
}


@settings(deadline=None)
@given(VALUES)
def test_a_value_as_text_is_what_duckdb_makes_of_it(value: Any) -> None:
    if isinstance(value, str) and "\0" in value:
        return
    query = f"SELECT CAST(CAST(? AS {TYPES[kind_of_value(value)]}) AS VARCHAR)"
    ((expected,),) = duckdb.execute(query, [value]).fetchall()
    assert text_of(value) == expected


def read(rows: list[dict[str, Any]], size: int, folder: Path, whole: bool = False) -> dict[str, list[Any]]:
    widening = Widening("rows", whole=whole)
    batches = (widening.batch(rows[i : i + size]) for i in range(0, len(rows), size))
    query, _ = spool(batches, folder / f"{size}", "rows")
    return duckdb.sql(query).to_arrow_table().to_pydict()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, None, 2.5], [1.0, None, 2.5]),
        ([1, "x"], ["1", "x"]),
        ([True, 2], ["true", "2"]),
        ([1.5, True, None], ["1.5", "true", None]),
        (
            [dt.date(2024, 1, 1), dt.datetime(2024, 1, 1, 12)],
            [dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, 12)],
        ),
        ([dt.date(2024, 1, 1), "x"], ["2024-01-01", "x"]),
        ([[1, {"a": None}], {"b": True}], ['[1, {"a": null}]', '{"b": true}']),
        ([b"a'\0", "x"], ["612700", "x"]),
        ([2**70, 1], [2.0**70, 1.0]),
        ([dt.time(0, 1), dt.timedelta(hours=30)], [60.0, 108_000.0]),
        ([None, None, 3], [None, None, 3]),
        ([None, None], [None, None]),
    ],
)
def test_columns_are_as_wide_as_all_their_values(
    values: list[Any], expected: list[Any], tmp_path: Path
) -> None:
    rows = [{"id": i, "x": value} for i, value in enumerate(values)]
    for size in (1, 2, 100):
        assert read(rows, size, tmp_path)["x"] == expected, size


def test_columns_that_come_late_and_go(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"id": 0}, {"id": 1, "late": "a"}, {"id": 2}, {"gone": 1}]
    for size in (1, 3, 100):
        found = read(rows, size, tmp_path)
        assert found == {
            "id": [0, 1, 2, None],
            "late": [None, "a", None, None],
            "gone": [None, None, None, 1],
        }


def test_whole_numbers_of_a_spreadsheet_are_integers(tmp_path: Path) -> None:
    rows = [{"a": 1.0, "b": 1.0, "c": 2.0**60}, {"a": 2.0, "b": "x", "c": 1.5}]
    assert read(rows, 1, tmp_path, whole=True) == {"a": [1, 2], "b": ["1", "x"], "c": [2.0**60, 1.5]}


def test_names_that_differ_by_case_alone_are_refused() -> None:
    widening = Widening("rows")
    widening.batch([{"Name": 1}])
    with pytest.raises(DataError, match="'Name' and 'name'"):
        widening.batch([{"name": 1}])
