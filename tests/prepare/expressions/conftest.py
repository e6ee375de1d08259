"""Run one expression in DuckDB and in onnxruntime over the same rows."""

from __future__ import annotations

import datetime as dt
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import duckdb
import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pytest

from bessemer.core.signature import MISSING_TIMESTAMP
from bessemer.package.graph import GraphBuilder, serialize
from bessemer.prepare import expressions
from bessemer.prepare.expressions import Expression

ARROW = {
    "boolean": pa.bool_(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "string": pa.string(),
    "timestamp": pa.timestamp("us"),
}
TENSOR = {"string": "string", "timestamp": "int64"}
EPOCH = dt.datetime(1970, 1, 1)

#: The columns that test expressions use.
COLUMNS: dict[str, Any] = {
    "x": "number", "y": "number", "i": "integer", "j": "integer", "p": "boolean", "q": "boolean",
    "s": "string", "u": "string", "t": "timestamp", "v": "timestamp", 'air "time"': "number",
}  # fmt: skip

Rows = Sequence[Mapping[str, Any]]


def micros(value: dt.datetime) -> int:
    return (value - EPOCH) // dt.timedelta(microseconds=1)


def tensor(dtype: str, values: Sequence[Any]) -> np.ndarray:
    """A column as the graph takes it: missing is NaN, '' or the smallest int64."""
    if dtype == "string":
        array: Any = np.array([v or "" for v in values], dtype=object)
    elif dtype == "timestamp":
        array = np.array([MISSING_TIMESTAMP if v is None else micros(v) for v in values], dtype=np.int64)
    else:
        array = np.array([math.nan if v is None else float(v) for v in values])
    return array.reshape(-1, 1)


@functools.cache
def in_memory() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(":memory:", config={"threads": 1})


def in_duckdb(expr: Expression, rows: Rows) -> list[Any]:
    table = pa.table({c: pa.array([r[c] for r in rows], ARROW[COLUMNS[c]]) for c in COLUMNS})
    connection = in_memory()
    connection.register("data", table)
    return [row[0] for row in connection.execute(f"SELECT {expr.sql} FROM data").fetchall()]


def graph(expr: Expression) -> bytes:
    builder = GraphBuilder("expression")
    inputs = {c: builder.input(c, TENSOR.get(COLUMNS[c], "float64"), ("N", 1)) for c in expr.columns}
    builder.output(expressions.compile(expr, builder, inputs), TENSOR.get(expr.dtype, "float64"), ("N", 1))
    return serialize(builder.model())


def in_onnx(expr: Expression, rows: Rows) -> list[Any]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(graph(expr), options, providers=["CPUExecutionProvider"])
    feed = {c: tensor(COLUMNS[c], [row[c] for row in rows]) for c in expr.columns}
    (result,) = session.run(None, feed)
    assert result.shape == (len(rows), 1)
    return [plain(expr.dtype, value) for value in result.ravel().tolist()]


def plain(dtype: str, value: Any) -> Any:
    """A value of the graph as DuckDB would give it."""
    if dtype == "string":
        return value or None
    if dtype == "timestamp":
        return None if value == MISSING_TIMESTAMP else EPOCH + dt.timedelta(microseconds=value)
    if math.isnan(value):
        return None
    if dtype == "boolean":
        assert value in (0.0, 1.0)
        return bool(value)
    return value


def same(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)
    return type(a) is type(b) and bool(a == b)


def both(text: str, rows: Rows) -> list[Any]:
    """The values of an expression, the same from DuckDB and from onnxruntime."""
    expr = expressions.parse("feature", text, COLUMNS)
    sql, onnx = in_duckdb(expr, rows), in_onnx(expr, rows)
    for row, a, b in zip(rows, sql, onnx, strict=True):
        used = {c: row[c] for c in expr.columns}
        assert same(a, b), f"{text} of {used}: DuckDB {a!r}, onnxruntime {b!r}\n{expr.sql}"
    return sql


@pytest.fixture
def rows() -> Callable[..., list[dict[str, Any]]]:
    """Rows from columns: rows(x=[1, 2]) has all columns, NULL where none is given."""

    def make(**columns: Sequence[Any]) -> list[dict[str, Any]]:
        count = max(len(values) for values in columns.values())
        return [{c: columns[c][n] if c in columns else None for c in COLUMNS} for n in range(count)]

    return make


@pytest.fixture
def agreed() -> Callable[[str, Rows], list[Any]]:
    """See `both`."""
    return both


@pytest.fixture
def columns() -> dict[str, Any]:
    return dict(COLUMNS)
