"""Rows of Python values become the tensors that Arrow makes of them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessemer.core.errors import DataError, UsageError
from bessemer.core.signature import MISSING_TIMESTAMP, Field
from bessemer.package.feeds import to_feeds
from bessemer.package.model import BATCH_ROWS
from bessemer.package.records import rows_to_feeds
from bessemer.package.tabular import as_table
from bessemer.testing.models import ROWS, TASKS, tiny_model

NUMBER, WIDE = Field("x", "number", "float32"), Field("x", "number", "float64")
WHOLE, FLAG = Field("x", "integer", "float32"), Field("x", "boolean", "float32")
TEXT, TIME = Field("x", "string", "string"), Field("x", "timestamp", "int64")
FIELDS = (NUMBER, WIDE, WHOLE, FLAG, TEXT, TIME)

_text_numbers = st.sampled_from(
    ["1", " -2.5 ", "1e3", ".5", "5.", "+7", "inf", "-Infinity", "NaN", "", "1_0", "0x1", "many"]
)
_texts = st.text(max_size=5) | st.sampled_from(
    ["true", "FALSE", "1", "0", "2020-01-02", "2020-01-02T03:04:05.6+02:00", "1970-01-01T00:00"]
)
_moments = st.datetimes(
    dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1), timezones=st.sampled_from([None, dt.UTC])
)
_numbers = st.floats(width=64) | st.floats(width=32)
#: Columns of one type, as Arrow takes them.
_COLUMNS = st.one_of(
    *(
        st.lists(st.none() | kind, min_size=1, max_size=6)
        for kind in (
            st.booleans(),
            st.integers(-(2**63), 2**63 - 1),
            st.sampled_from([0, 1]),
            _numbers,
            st.sampled_from([0.0, 1.0, float("nan")]),
            _text_numbers,
            _texts,
            _moments,
            st.dates(dt.date(1700, 1, 1), dt.date(2200, 1, 1)),
            st.binary(max_size=3),
            st.lists(st.integers(0, 3), max_size=2),
            st.sampled_from([np.float32(1.1), np.float32("nan")]),
            st.sampled_from([np.int8(3), np.int64(-(2**62))]),
        )
    )
)  # fmt: skip


def outcome(function: Any) -> Any:
    """The tensor, or the words of its refusal."""
    try:
        return function()["x"]
    except DataError as error:
        return error.what


@pytest.mark.slow
@settings(max_examples=1500, deadline=None)
@given(_COLUMNS, st.sampled_from(FIELDS))
def test_a_column_becomes_what_arrow_makes_of_it(values: list[Any], field: Field) -> None:
    rows = [{"x": value} for value in values]
    try:
        table = as_table(rows)
    except DataError:
        return  # time zones that differ: Arrow has no type for both
    expected, found = outcome(lambda: to_feeds(table, [field])), outcome(lambda: rows_to_feeds(rows, [field]))
    if isinstance(expected, str):
        assert isinstance(found, str), f"{values} was taken as {found}"
    else:
        np.testing.assert_array_equal(found, expected, strict=True)
        if expected.dtype.kind == "f":  # a zero has a sign that counts, a NaN one that does not
            zero = expected == 0
            np.testing.assert_array_equal(np.signbit(found[zero]), np.signbit(expected[zero]))


@pytest.mark.parametrize(
    ("values", "field", "expected"),
    [
        ([1, "2", None, True, Decimal("2.5"), np.float32(0.5)], NUMBER, [1, 2, np.nan, 1, 2.5, 0.5]),
        ([True, "false", 0, 1.0, np.bool_(True), float("nan")], FLAG, [1, 0, 0, 1, 1, np.nan]),
        (["a", 5, True, None, float("nan"), np.str_("b"), pd.NA], TEXT, ["a", "5", "true", "", "", "b", ""]),
        ([1e39, -1e39], NUMBER, [np.inf, -np.inf]),
        (
            [dt.date(1970, 1, 2), "1970-01-01T01:00+01:00", 7, None, pd.NaT, np.datetime64(1, "us")],
            TIME,
            [86_400_000_000, 0, 7, MISSING_TIMESTAMP, MISSING_TIMESTAMP, 1],
        ),
        ([np.datetime64("NaT"), pd.Timestamp("1970-01-01", tz="UTC")], TIME, [MISSING_TIMESTAMP, 0]),
    ],
)  # fmt: skip
def test_values_of_several_types(values: list[Any], field: Field, expected: list[Any]) -> None:
    found = rows_to_feeds([{"x": value} for value in values], [field])["x"]
    np.testing.assert_array_equal(found[:, 0], expected)


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ("many", NUMBER), ("1_000", NUMBER), ("١", NUMBER), (10**400, NUMBER), ([1], NUMBER), (b"1", NUMBER),
        (np.zeros(2), NUMBER), (dt.date(2020, 1, 1), NUMBER), (2, FLAG), ("yes", FLAG), (1.5, TEXT), (b"a", TEXT),
        ("soon", TIME), (1.5, TIME), (True, TIME), (2**63, TIME), (np.timedelta64(1, "s"), TIME), (1j, NUMBER),
    ],
)  # fmt: skip
def test_what_is_refused_is_named(value: Any, field: Field) -> None:
    with pytest.raises(DataError) as caught:
        rows_to_feeds([{"x": None}, {"x": value}], [field])
    assert caught.value.what.startswith("column 'x', row 1: ")
    assert caught.value.what.endswith(f" is no {field.dtype}")
    assert len(caught.value.what) < 120


def test_all_faults_are_told_at_once_and_a_wrong_name_has_the_nearest() -> None:
    fields = [Field("age", "number", "float32", nullable=False), Field("city", "string", "string"), TIME]
    with pytest.raises(DataError) as caught:
        rows_to_feeds([{"agee": 3, "city": 1.5, "x": "soon"}], fields)
    said = str(caught.value)
    assert "3 columns" in said
    assert "no column 'age' (did you mean 'agee'?)" in said
    assert "column 'city', row 0: 1.5 is no string" in said
    with pytest.raises(UsageError, match="row 1 is a int"):
        rows_to_feeds([{"age": 1}, 5], fields)  # type: ignore[list-item]


def test_rows_that_lack_keys_are_missing() -> None:
    found = rows_to_feeds([{"x": 1, "other": object()}, {}], [NUMBER, Field("y", "string", "string")])
    assert found["y"].tolist() == [[""], [""]]
    assert np.isnan(found["x"]).tolist() == [[False], [True]]


@pytest.mark.parametrize("task", TASKS)
def test_a_model_predicts_rows_as_it_does_tables(task: Any) -> None:
    model = tiny_model(task)
    for explain in (False, True):
        found = model.predict_rows(ROWS, explain=explain)
        assert found == model.predict(list(ROWS), explain=explain).to_pylist()
        assert tuple(found[0]) == model.columns(explain=explain)
    assert model.predict_rows([]) == []
    for wrong in ({"tenure": 1}, "rows", 5, iter(ROWS)):
        with pytest.raises(UsageError, match="cannot take rows"):
            model.predict_rows(wrong)  # type: ignore[arg-type]


def test_many_rows_are_cut_into_batches() -> None:
    model = tiny_model("regression")
    found = model.predict_rows([*ROWS[:1]] * (BATCH_ROWS + 2))
    assert len(found) == BATCH_ROWS + 2
    assert found[0] == found[-1]


def test_a_model_predicts_a_matrix_where_all_inputs_are_numbers(build: Any, make_trained: Any) -> None:
    with pytest.raises(UsageError, match="takes no matrix"):
        build(make_trained("binary", "linear")).predict_matrix(np.zeros((1, 6)))
