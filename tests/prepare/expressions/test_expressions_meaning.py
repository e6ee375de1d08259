"""What expressions mean: the values SQL gives, the same from both engines."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import onnxruntime as ort
import pytest

from bessemer.package.graph import GraphBuilder, serialize
from bessemer.prepare import expressions

Agreed = Callable[..., list[Any]]
Rows = Callable[..., list[dict[str, Any]]]


def test_three_valued_logic_is_exact(agreed: Agreed, rows: Rows) -> None:
    three = [True, False, None]
    table = rows(p=[a for a in three for _ in three], q=three * 3)
    assert agreed("p AND q", table) == [True, False, None, False, False, False, None, False, None]
    assert agreed("p OR q", table) == [True, True, True, True, False, None, True, None, None]
    assert agreed("NOT p", table) == [False] * 3 + [True] * 3 + [None] * 3
    assert agreed("p = q", table) == [True, False, None, False, True, None, None, None, None]
    assert agreed("p IS DISTINCT FROM q", table) == [False, True, True, True, False, True, True, True, False]
    assert agreed("p IS NOT TRUE", table) == [False] * 3 + [True] * 6


def test_division_by_zero_and_what_is_not_finite_is_null(agreed: Agreed, rows: Rows) -> None:
    table = rows(x=[1.0, 0.0, math.inf, None, 1e308], y=[0.0, 0.0, 1.0, 1.0, 1e-5])
    assert agreed("x / y", table) == [None, None, None, None, None]
    assert agreed("1 / (x / y)", table) == [None, None, None, None, None]
    assert agreed("x IS NULL", table) == [False, False, True, True, False]
    assert agreed("x % y", table)[:2] == [None, None]
    assert agreed("coalesce(x / y, -1)", table) == [-1.0] * 5
    assert agreed("exp(-(x * 1e10))", table) == [0.0, 1.0, None, None, None]


def test_what_is_outside_a_functions_domain_is_null(agreed: Agreed, rows: Rows) -> None:
    table = rows(x=[-1.0, 0.0, 4.0])
    assert agreed("sqrt(x)", table) == [None, 0.0, 2.0]
    assert agreed("ln(x) IS NULL", table) == [True, True, False]
    assert agreed("floor(log(x * 250))", table) == [None, None, 3.0]
    assert agreed("asin(x)", table)[2] is None
    assert agreed("pow(x, -1)", table) == [-1.0, None, 0.25]


def test_rounding_is_duckdbs(agreed: Agreed, rows: Rows) -> None:
    table = rows(
        x=[2.5, -2.5, 0.49999999999999994, 2.675, 4503599627370497.0, 3e9, 32767.4, 32767.5, -32768.5]
    )
    assert agreed("round(x)", table)[:5] == [3.0, -3.0, 0.0, 3.0, 4503599627370497.0]
    assert agreed("round(x, 2)", table)[3] == 2.68
    assert agreed("cast(x AS bigint)", table)[:2] == [2.0, -2.0]
    assert agreed("cast(x AS integer)", table)[5] is None
    assert agreed("cast(x AS smallint)", table)[6:] == [32767.0, None, -32768.0]


def test_integers_divide_towards_zero(agreed: Agreed, rows: Rows) -> None:
    table = rows(i=[-7, 7, 2**53, None], j=[2, -2, 1, 1])
    assert agreed("i // j", table) == [-3.0, -3.0, float(2**53), None]
    assert agreed("i % j", table) == [-1.0, 1.0, 0.0, None]


DATES = [
    dt.datetime(1, 1, 1),
    dt.datetime(1600, 2, 29, 23, 59, 59, 999999),
    dt.datetime(1899, 12, 31),
    dt.datetime(1969, 12, 31, 23, 59, 59, 500000),
    dt.datetime(1970, 1, 1),
    dt.datetime(2000, 12, 31, 12),
    dt.datetime(2009, 12, 31),
    dt.datetime(2016, 1, 3, 4, 5, 6),
    dt.datetime(2100, 3, 1),
    dt.datetime(9999, 12, 31, 23, 59, 59, 999999),
    None,
]
PARTS = {
    "year": lambda d: d.year,
    "quarter": lambda d: (d.month + 2) // 3,
    "month": lambda d: d.month,
    "day": lambda d: d.day,
    "hour": lambda d: d.hour,
    "minute": lambda d: d.minute,
    "second": lambda d: d.second,
    "dow": lambda d: d.isoweekday() % 7,
    "isodow": lambda d: d.isoweekday(),
    "doy": lambda d: d.timetuple().tm_yday,
    "week": lambda d: d.isocalendar().week,
    "epoch": lambda d: (d - dt.datetime(1970, 1, 1)).total_seconds(),
}


@pytest.mark.parametrize("part", PARTS)
def test_parts_of_timestamps_are_pythons(agreed: Agreed, rows: Rows, part: str) -> None:
    *found, missing = agreed(f"extract({part} FROM t)", rows(t=DATES))
    assert missing is None
    assert found == pytest.approx([float(PARTS[part](d)) for d in DATES[:-1]], rel=1e-12)


@pytest.mark.parametrize("unit", ["second", "minute", "hour", "day", "week", "month", "quarter", "year"])
def test_starts_of_periods(agreed: Agreed, rows: Rows, unit: str) -> None:
    starts = agreed(f"date_trunc('{unit}', t)", rows(t=DATES))
    assert starts[-1] is None
    assert all(start <= moment for start, moment in zip(starts[:-1], DATES[:-1], strict=True))


def test_differences_count_borders_and_elapsed_units_do_not(agreed: Agreed, rows: Rows) -> None:
    table = rows(t=[dt.datetime(1969, 12, 31, 23, 59, 59)], v=[dt.datetime(1970, 1, 1)])
    for unit in ("year", "quarter", "month", "day", "hour", "minute", "second"):
        assert agreed(f"date_diff('{unit}', t, v)", table) == [1.0]
    assert agreed("date_sub('hour', t, v)", table) == [0.0]
    assert agreed("date_diff('day', v, t)", table) == [-1.0]


def test_timestamps_beyond_the_calendar_are_null(agreed: Agreed, rows: Rows) -> None:
    table = rows(t=[dt.datetime(9999, 12, 31, 23), dt.datetime(2013, 1, 1), None])
    assert agreed("t + INTERVAL '2 hours'", table) == [None, dt.datetime(2013, 1, 1, 2), None]
    assert agreed("t - INTERVAL '1 day' < '2013-01-01'", table) == [False, True, None]


def test_empty_texts_are_null(agreed: Agreed, rows: Rows) -> None:
    table = rows(s=["a", "", None, "É"], u=["", "b", None, "x"])
    assert agreed("s IS NULL", table) == [False, True, True, False]
    assert agreed("s = 'a'", table) == [True, None, None, False]
    assert agreed("s NOT IN ('a', 'b')", table) == [False, None, None, True]
    assert agreed("s NOT IN ('a', NULL)", table) == [False, None, None, None]
    assert agreed("s || u", table) == [None, None, None, "Éx"]
    assert agreed("concat(s, u)", table) == ["a", "b", None, "Éx"]
    assert agreed("lower(concat(s, 'A'))", table) == ["aa", "a", "a", "Éa"]
    assert agreed("regexp_matches(s, '^$')", table) == [False, None, None, False]


@pytest.mark.parametrize(
    "text",
    [
        "upper(s)",
        "s IN ('a', 'b')",
        "x IN (1, 2)",
        "extract(week FROM t)",
        "s LIKE 'a%'",
        "s || u",
        "p AND q",
    ],
)
def test_no_rows_give_no_rows(agreed: Agreed, text: str) -> None:
    assert agreed(text, []) == []


def test_numbers_and_conditions_as_text(agreed: Agreed, rows: Rows) -> None:
    table = rows(i=[1, -(2**53), None], p=[True, None, False], s=["a", "a", "a"])
    assert agreed("s || i", table) == ["a1", "a-9007199254740992", None]
    assert agreed("cast(p AS varchar)", table) == ["true", None, "false"]
    assert agreed("cast(i * i * i AS varchar)", table) == ["1", None, None]


@pytest.mark.parametrize("pattern", ["a.b%", "%\n%", "_", "%*", "[a]", "a|b", "(", "\\d", "日_"])
def test_like_takes_signs_literally(agreed: Agreed, rows: Rows, pattern: str) -> None:
    texts = ["a.b", "axb", "x\ny", "é", "日本", "**", "[a]", "a", "(", "\\d", "7", None]
    found = agreed(f"s LIKE '{pattern}'", rows(s=texts))
    assert True in found or pattern == "a|b"


def test_like_with_an_escape(agreed: Agreed, rows: Rows) -> None:
    table = rows(s=["10%", "100", "10_", "x"])
    assert agreed("s LIKE '10!%' ESCAPE '!'", table) == [True, False, False, False]
    assert agreed("s NOT LIKE '10!_' ESCAPE '!'", table) == [True, True, False, True]


@pytest.mark.parametrize(
    "text",
    [
        "-x ** 2", "2 ** x ** 2", "10 - x - 3", "7 // i * 2", "7 % i * 2", "i + 1 BETWEEN 1 AND 3 AND p",
        "NOT i = 2 AND p", "p OR q AND NOT p", "s || 'b' = 'ab'", "s || 'b' LIKE 'ab%'", "i = 2 IS NULL",
        "i IN (1, 2) = p", "x::integer + 1", "- i - 2", "i - -2", "@x + 1", "x IS NOT NULL = p",
    ],
)  # fmt: skip
def test_precedence_is_duckdbs(rows: Rows, text: str, agreed: Agreed) -> None:
    table = rows(x=[-3.0, 2.5], i=[2, -3], p=[True, False], q=[False, True], s=["a", "b"])
    values = "(-3e0, 2::bigint, true, false, 'a'), (2.5e0, -3, false, true, 'b')"
    found = duckdb.execute(f"SELECT {text} FROM (VALUES {values}) r(x, i, p, q, s)").fetchall()
    assert agreed(text, table) == [row[0] for row in found]


def test_long_texts_stay_linear_and_bound_names_shadow_no_column() -> None:
    columns: Any = {"value_1": "number", "value_2": "number"}
    text = "value_1"
    for n in range(1, 30):
        text = f"nullif({text} / value_2, {n})"
    expr = expressions.parse("f", text, columns)
    assert len(expr.sql) < 100 * len(text)
    query = f"SELECT {expr.sql} FROM (SELECT 3e0 AS value_1, 2e0 AS value_2)"
    assert duckdb.execute(query).fetchall() == [(3.0 / 2**29,)]


@pytest.mark.slow
def test_the_deepest_accepted_expression_runs(agreed: Agreed, rows: Rows) -> None:
    deep = "x"
    for _ in range(30):
        deep = f"abs({deep} - 1)"
    table = rows(x=[100.0, -5.0])
    assert agreed(deep, table) == [70.0, 1.0]
    chain = " + ".join(["x"] * 500)
    assert agreed(chain, table) == [50_000.0, -2_500.0]


def test_float32_inputs_are_computed_in_float64() -> None:
    expr = expressions.parse("f", "x * 3", {"x": "integer"})
    builder = GraphBuilder("f")
    x = builder.input("x", "float32", ("N", 1))
    builder.output(expressions.compile(expr, builder, {"x": x}), "float64", ("N", 1))
    session = ort.InferenceSession(serialize(builder.model()))
    (result,) = session.run(None, {"x": np.array([[16_777_215.0], [np.nan]], dtype=np.float32)})
    assert result[0, 0] == 50_331_645.0
    assert math.isnan(result[1, 0])


def test_the_graph_is_the_same_each_time_and_has_no_loose_ends() -> None:
    columns: Any = {"t": "timestamp", "s": "string"}

    def made() -> Any:
        builder = GraphBuilder("f")
        expr = expressions.parse("f", "extract(month FROM t) = 2 AND s IN ('a', 'b')", columns)
        inputs = {c: builder.input(c, {"t": "int64", "s": "string"}[c], ("N", 1)) for c in expr.columns}
        builder.output(expressions.compile(expr, builder, inputs), "float64", ("N", 1))
        return builder.model()

    model = made()
    assert serialize(model) == serialize(made())
    used = {name for node in model.graph.node for name in node.input} | {o.name for o in model.graph.output}
    given = {name for node in model.graph.node for name in node.output} | {
        i.name for i in model.graph.initializer
    }
    assert given <= used
