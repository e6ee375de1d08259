"""Whether an engine gives the table that DuckDB gives."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bessemer.core.stage import Context
from bessemer.core.store import Store
from bessemer.engines.remote import Remote

Rows = list[tuple[Any, ...]]


def context(folder: Path) -> Context:
    work = folder / "work"
    work.mkdir(parents=True, exist_ok=True)
    return Context(Store(folder / "store"), "acquire", {}, 7, folder, work, memory=2**30)


def remote(engine: Any, name: str, tables: dict[str, pa.Table], folder: Path) -> Remote:
    """The engine with tables brought to it."""
    made = Remote(engine, name)
    for table, rows in tables.items():
        file = folder / f"{table}.parquet"
        pq.write_table(rows, file)
        made.add(table, engine.load(table, [file]))
    return made


def duckdb_rows(sql: str, tables: dict[str, pa.Table], folder: Path) -> tuple[list[tuple[str, str]], Rows]:
    """Columns (the five types) and rows as they land with DuckDB."""
    from bessemer.acquire.landing import land
    from bessemer.engines.duckdb import DuckDBEngine

    ctx = context(folder)
    connection = ctx.connect()
    engine = DuckDBEngine(connection, ctx)
    files = []
    for name, rows in tables.items():
        files.append(ctx.workdir / f"{name}.parquet")
        pq.write_table(rows, files[-1])
        engine.add(name, f"SELECT * FROM read_parquet('{files[-1]}')")
    columns: list[tuple[str, str]] = []
    target = ctx.temporary("landed.parquet")
    relation = engine.select(sql, files)
    columns = [(c.name, c.dtype) for c in land(connection, relation, target, ctx)]
    found = ctx.connect().execute(f"SELECT * FROM read_parquet('{target}')").fetchall()
    return columns, found


def asked_rows(sql: str, there: Remote) -> tuple[list[tuple[str, str]], Rows]:
    """Columns and rows as the engine answers a question."""
    query = there.query(sql)
    return list(query.columns), there.engine.ask(query.sql)


def landed_rows(sql: str, there: Remote) -> tuple[list[tuple[str, str]], Rows]:
    """The same as a stream of batches, whose types must be the five."""
    query = there.query(sql)
    batches = list(there.engine.batches(query.sql))
    table = pa.Table.from_batches(batches)
    types = {
        "BOOLEAN": pa.bool_(),
        "BIGINT": pa.int64(),
        "DOUBLE": pa.float64(),
        "VARCHAR": pa.string(),
        "TIMESTAMP": pa.timestamp("us"),
    }
    for (name, dtype), field in zip(query.columns, table.schema, strict=True):
        assert (field.name, field.type) == (name, types[dtype])
    return list(query.columns), list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def _key(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(
        (
            value is None,
            type(value).__name__,
            round(value, 6) if isinstance(value, float) and math.isfinite(value) else str(value),
        )
        for value in row
    )


def same(left: Any, right: Any) -> bool:
    """Equal values; floats up to 1e-12 of their size."""
    if isinstance(left, float) and isinstance(right, float):
        return left == right or math.isclose(left, right, rel_tol=1e-12, abs_tol=1e-12)
    return type(left) is type(right) and left == right


def differences(ours: Iterable[tuple[Any, ...]], theirs: Iterable[tuple[Any, ...]]) -> list[tuple[Any, Any]]:
    """The rows that are not the same, both sides sorted."""
    left, right = sorted(ours, key=_key), sorted(theirs, key=_key)
    if len(left) != len(right):
        return [(f"{len(left)} rows", f"{len(right)} rows")]
    return [(a, b) for a, b in zip(left, right, strict=True) if not all(map(same, a, b))]
