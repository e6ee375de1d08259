"""Whether an engine gives the table that DuckDB gives."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bessemer.core.errors import DataError
from bessemer.core.stage import Context
from bessemer.core.store import Store
from bessemer.engines.remote import Remote
from bessemer.prepare.expressions import parse
from engines.cases import DERIVED, REFUSED, tables

Rows = list[tuple[Any, ...]]
Read = Callable[[str, Remote], tuple[list[tuple[str, str]], Rows]]


def context(folder: Path) -> Context:
    work = folder / "work"
    work.mkdir(parents=True, exist_ok=True)
    return Context(Store(folder / "store"), "acquire", {}, 7, folder, work, memory=2**30)


def remote(engine: Any, name: str, there: dict[str, pa.Table], folder: Path) -> Remote:
    """The engine with tables brought to it."""
    made = Remote(engine, name)
    for table, rows in there.items():
        file = folder / f"{table}.parquet"
        pq.write_table(rows, file)
        made.add(table, engine.load(table, [file]))
    return made


def duckdb_rows(sql: str, there: dict[str, pa.Table], folder: Path) -> tuple[list[tuple[str, str]], Rows]:
    """Columns (the five types) and rows as they land with DuckDB."""
    from bessemer.acquire.landing import land
    from bessemer.engines.duckdb import DuckDBEngine

    ctx = context(folder)
    connection = ctx.connect()
    engine = DuckDBEngine(connection, ctx)
    files = []
    for name, rows in there.items():
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


def agrees(sql: str, there: Remote, folder: Path, read: Read = asked_rows) -> None:
    """The engine gives the columns and the rows that DuckDB gives."""
    columns, rows = duckdb_rows(sql, tables(), folder)
    found, answer = read(sql, there)
    assert found == columns
    assert not differences(rows, answer)


def derived_agree(there: Remote, folder: Path) -> None:
    """Derived features have the values that DuckDB gives them, each by itself."""
    types: dict[str, Any] = {
        "x": "number",
        "y": "number",
        "n": "integer",
        "big": "integer",
        "paid": "boolean",
    }
    types |= {"Shop": "string", "note": "string", "moment": "timestamp"}
    made = {f"d{i}": parse(f"d{i}", text, types).sql for i, text in enumerate(DERIVED)}
    sql = f"SELECT id, {', '.join(f'{text} AS {name}' for name, text in made.items())} FROM orders"
    columns, rows = duckdb_rows(sql, tables(), folder)
    found, answer = asked_rows(sql, there)
    assert found == columns
    for place, text in enumerate(DERIVED, 1):
        sides = ([(row[0], row[place]) for row in side] for side in (rows, answer))
        assert not differences(*sides), text


def refuses(sql: str, there: Remote) -> None:
    """What does not mean the same is refused, with the words that say what."""
    with pytest.raises(DataError) as caught:
        there.query(sql)
    assert all(words in str(caught.value) for words in REFUSED[sql]), caught.value


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
