"""A table of an SQLite file, by the standard library."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.types as pt

from bessemer.core.sql import quote
from bessemer.predict.sinks.database import Database

if TYPE_CHECKING:
    from bessemer.predict.protocol import Job, Target


class Sqlite(Database):
    """Times become ISO 8601 text, nested values JSON text; NaN, which SQLite does not have, becomes NULL."""

    kind = "sqlite"
    error = sqlite3.Error

    def __init__(self, target: Target, job: Job) -> None:
        super().__init__(target, job)
        names = ", ".join(quote(name) for name in job.schema.names)
        marks = ", ".join("?" * len(job.schema))
        self._insert = f"INSERT INTO {quote(self._table)} ({names}) VALUES ({marks})"

    def connect(self, file: str) -> sqlite3.Connection:
        return sqlite3.connect(Path(file).expanduser(), isolation_level=None, timeout=30)

    def columns(self, connection: Any, table: str) -> list[str]:
        return [row[1] for row in connection.execute(f"PRAGMA table_info({quote(table)})")]

    def create(self, connection: Any, table: str, schema: pa.Schema) -> None:
        listed = ", ".join(f"{quote(field.name)} {_type(field.type)}" for field in schema)
        connection.execute(f"CREATE TABLE {quote(table)} ({listed})")

    def insert(self, connection: Any, table: str, rows: pa.Table) -> None:
        columns = [_values(column) for column in rows.columns]
        connection.executemany(self._insert, zip(*columns, strict=True))


def _type(kind: pa.DataType) -> str:
    if pt.is_boolean(kind) or pt.is_integer(kind):
        return "INTEGER"
    if pt.is_floating(kind):
        return "REAL"
    return "BLOB" if pt.is_binary(kind) or pt.is_large_binary(kind) else "TEXT"


_PLAIN: tuple[Callable[[pa.DataType], bool], ...] = (
    pt.is_boolean, pt.is_integer, pt.is_floating, pt.is_string, pt.is_large_string, pt.is_string_view, pt.is_null,
    pt.is_binary, pt.is_large_binary,
)  # fmt: skip


def _values(column: pa.ChunkedArray) -> list[Any]:
    values: list[Any] = column.to_pylist()
    if any(is_kind(column.type) for is_kind in _PLAIN):
        return values
    return [None if value is None else _text(value) for value in values]


def _text(value: Any) -> str:
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value.isoformat(" ") if hasattr(value, "hour") and hasattr(value, "year") else value)
