"""Arrow columns become tensors: what is converted, what missing becomes, what is refused and how."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessemer.core.errors import DataError
from bessemer.core.signature import MISSING_TIMESTAMP, Field
from bessemer.package.feeds import to_feeds

NUMBER = Field("x", "number", "float32")
WIDE = Field("x", "number", "float64")
INTEGER = Field("x", "integer", "float32")
BOOLEAN = Field("x", "boolean", "float32")
STRING = Field("x", "string", "string")
TIME = Field("x", "timestamp", "int64")
NAN = float("nan")
UTC = dt.UTC
TOKYO = dt.timezone(dt.timedelta(hours=9))


def feed(values: Any, field: Field) -> list[Any]:
    column = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values)
    array = to_feeds(pa.table({"x": column}), [field])["x"]
    assert array.shape == (len(column), 1)
    assert array.dtype == {"float32": np.float32, "float64": np.float64, "int64": np.int64}.get(
        field.tensor, object
    )
    return array[:, 0].tolist()


@pytest.mark.parametrize(
    ("values", "field", "expected"),
    [
        ([1, None, 3], NUMBER, [1, NAN, 3]),
        ([1.5, NAN, None, float("inf")], NUMBER, [1.5, NAN, NAN, float("inf")]),
        ([True, None, False], NUMBER, [1, NAN, 0]),
        ([Decimal("1.25"), None], WIDE, [1.25, NAN]),
        (["1.5", " 2 ", "", None], WIDE, [1.5, 2, NAN, NAN]),
        (pa.array([1, None], pa.uint8()), INTEGER, [1, NAN]),
        (pa.array([1.5, None], pa.float16()), NUMBER, [1.5, NAN]),
        (pa.nulls(2), NUMBER, [NAN, NAN]),
        (pa.array([1.5, 2.5, 1.5]).dictionary_encode(), NUMBER, [1.5, 2.5, 1.5]),
        ([0, 1, None], BOOLEAN, [0, 1, NAN]),
        ([0.0, 1.0, NAN], BOOLEAN, [0, 1, NAN]),
        ([-0.0, 1.0], BOOLEAN, [-0.0, 1]),
        (["true", "False", "0", None, ""], BOOLEAN, [1, 0, 0, NAN, NAN]),
        (["a", None, "", "é"], STRING, ["a", "", "", "é"]),
        (pa.array(["a", None, "b", "a"]).dictionary_encode(), STRING, ["a", "", "b", "a"]),
        (pa.chunked_array([pa.array([v]).dictionary_encode() for v in "aba"]), STRING, ["a", "b", "a"]),
        (pa.array(["a", None], pa.large_string()), STRING, ["a", ""]),
        (pa.array(["a", None], pa.string_view()), STRING, ["a", ""]),
        ([7, None], STRING, ["7", ""]),
        ([True, False], STRING, ["true", "false"]),
        ([NAN, None], STRING, ["", ""]),
        (pa.nulls(1), STRING, [""]),
        ([dt.datetime(1970, 1, 1, 0, 0, 1), None], TIME, [1_000_000, MISSING_TIMESTAMP]),
        ([dt.datetime(1969, 12, 31, tzinfo=UTC)], TIME, [-86_400_000_000]),
        ([dt.datetime(1970, 1, 1, 9, tzinfo=TOKYO)], TIME, [0]),
        (pa.array([dt.datetime(1970, 1, 1)], pa.timestamp("ns", "Asia/Tokyo")), TIME, [0]),
        (pa.array([1_500], pa.timestamp("ns")), TIME, [1]),
        ([dt.date(1970, 1, 2), None], TIME, [86_400_000_000, MISSING_TIMESTAMP]),
        (["1970-01-02", "1970-01-01T09:00:00+09:00", "1970-01-01T00:00:00Z", "", None], TIME, None),
        ([5, None], TIME, [5, MISSING_TIMESTAMP]),
        ([NAN, None], TIME, [MISSING_TIMESTAMP] * 2),
    ],
)
def test_what_is_converted(values: Any, field: Field, expected: list[Any] | None) -> None:
    expected = expected or [86_400_000_000, 0, 0, MISSING_TIMESTAMP, MISSING_TIMESTAMP]
    assert str(feed(values, field)) == str(
        [type(v)(e) for v, e in zip(feed(values, field), expected, strict=True)]
    )


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        (["1", "many"], NUMBER, "column 'x', row 1: 'many' is no number"),
        ([0, None, 2], BOOLEAN, "column 'x', row 2: 2 is no boolean"),
        (["yes"], BOOLEAN, "row 0: 'yes' is no boolean"),
        ([dt.datetime(2020, 1, 1)], NUMBER, "of type timestamp[us], and the model wants a number"),
        ([1.5, NAN], STRING, "row 0: 1.5 is no string"),
        ([b"\xff"], STRING, "row 0: b'\\xff' is no string"),
        ([[1]], STRING, "row 0: [1] is no string"),
        (["2020-01-01", "soon"], TIME, "row 1: 'soon' is no timestamp"),
        ([1.5], TIME, "row 0: 1.5 is no timestamp"),
        (pa.array([2**60], pa.timestamp("s")), TIME, "has a time that is no timestamp"),
        (pa.array([2**64 - 1], pa.uint64()), TIME, "has a time that is no timestamp"),
        (["x" * 100], NUMBER, "x... is no number"),
    ],
)
def test_what_is_refused(values: Any, field: Field, words: str) -> None:
    with pytest.raises(DataError) as caught:
        feed(values, field)
    assert words in str(caught.value)


def test_all_faults_are_told_at_once() -> None:
    table = pa.table({"Age": [1], "city": [dt.date(2020, 1, 1)], "income": ["much"]})
    fields = [
        Field("age", "number", "float32"),
        Field("city", "boolean", "float32"),
        Field("income", "number", "float32"),
        Field("zzz", "number", "float32"),
    ]
    with pytest.raises(DataError, match="4 columns cannot be fed") as caught:
        to_feeds(table, fields)
    text = str(caught.value)
    assert "no column 'age' (did you mean 'Age'?)" in text
    assert "of type date32[day], and the model wants a boolean" in text
    assert "row 0: 'much' is no number" in text
    assert "no column 'zzz' (known: Age, city, income)" in text


def test_two_columns_of_one_name_are_refused() -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"])
    with pytest.raises(DataError, match="2 columns named 'x'"):
        to_feeds(table, [NUMBER])


def test_absent_columns_are_allowed_where_nullable() -> None:
    table = pa.table({"y": [1, 2]})
    assert np.isnan(to_feeds(table, [NUMBER], allow_missing=True)["x"]).tolist() == [[True], [True]]
    assert to_feeds(table, [STRING], allow_missing=True)["x"].tolist() == [[""], [""]]
    with pytest.raises(DataError, match="no column 'x'"):
        to_feeds(table, [NUMBER])
    with pytest.raises(DataError, match="no column 'x'"):
        to_feeds(table, [Field("x", "number", "float32", nullable=False)], allow_missing=True)


def test_a_table_without_rows() -> None:
    for field in (NUMBER, WIDE, INTEGER, BOOLEAN, STRING, TIME):
        for kind in (pa.null(), pa.string(), pa.int64()):
            assert feed(pa.array([], kind), field) == []


@given(st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=30))
def test_an_integer_is_the_same_float_with_and_without_nulls_beside_it(values: list[int | None]) -> None:
    together = feed(pa.array(values, pa.int64()), NUMBER)
    for value, found in zip(values, together, strict=True):
        alone = feed(pa.array([value], pa.int64()), NUMBER)[0]
        assert alone == found or (alone != alone and value is None)
        assert value is None or found == float(np.float32(np.float64(value)))


@given(
    st.lists(
        st.one_of(st.none(), st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2100, 1, 1))), max_size=20
    )
)
def test_a_time_is_the_same_however_it_is_written(values: list[dt.datetime | None]) -> None:
    native = feed(pa.array(values, pa.timestamp("us")), TIME)
    text = pa.array([None if v is None else v.isoformat() for v in values], pa.string())
    zoned = pa.array([None if v is None else v.replace(tzinfo=UTC).isoformat() for v in values], pa.string())
    assert feed(text, TIME) == native == feed(zoned, TIME)
    assert feed(pa.array(values, pa.timestamp("us", "UTC")), TIME) == native


@given(st.lists(st.one_of(st.none(), st.text(max_size=5)), max_size=20))
def test_text_is_text_in_every_arrow_form(values: list[str | None]) -> None:
    expected = ["" if v is None else v for v in values]
    for kind in (pa.string(), pa.large_string(), pa.string_view()):
        assert feed(pa.array(values, kind), STRING) == expected
    assert feed(pa.array(values, pa.string()).dictionary_encode(), STRING) == expected
