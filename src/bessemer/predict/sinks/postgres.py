"""A table of a PostgreSQL: each batch goes in by COPY, in one transaction with the note of how far the job is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
import pyarrow.types as pt
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.types.json import Jsonb

from bessemer.core.errors import DataError, StoreError
from bessemer.core.postgres import parameters
from bessemer.predict.sinks.database import JOBS, Database

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.predict.protocol import Job, Target

_PROGRESS = ("table", "batches", "rows", "file", "row", "complete")
_COLUMNS = """
SELECT a.attname FROM pg_attribute a
WHERE a.attrelid = to_regclass(?) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""


class Postgres(Database):
    """Nested values become jsonb. Rows keep their order of writing, which a table does not promise.

    The table may be named with its schema, as sales.scored.
    """

    kind = "postgres"
    error = psycopg.Error
    upsert = f"INSERT INTO {JOBS} VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (job) DO UPDATE SET " + ", ".join(
        f'"{name}" = excluded."{name}"' for name in _PROGRESS
    )

    def __init__(self, target: Target, job: Job) -> None:
        super().__init__(target, job)
        self._file = target.where

    def connect(self, file: str) -> Any:
        return psycopg.connect(make_conninfo(**parameters(file)), autocommit=True)

    def _run(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        cursor = self._connection.execute(statement.replace("?", "%s"), list(values))
        return list(cursor.fetchall()) if cursor.description else []

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """One at a time of all that write this job: a second one waits, and then sees what the first has noted."""
        with super()._transaction():
            self._run("SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", [f"{JOBS} {self._job.key}"])
            yield

    def create_jobs(self) -> None:
        """CREATE TABLE IF NOT EXISTS asks for the right to make tables, also where there is nothing to make."""
        if self._run("SELECT to_regclass(?)", [JOBS]) == [(None,)]:
            super().create_jobs()

    def columns(self, connection: Any, table: str) -> list[str]:
        return [row[0] for row in self._run(_COLUMNS, [_named(table).as_string()])]

    def create(self, connection: Any, table: str, schema: pa.Schema) -> None:
        listed = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(field.name), sql.SQL(_type(field.type)))
            for field in schema
        )
        connection.execute(sql.SQL("CREATE TABLE {} ({})").format(_named(table), listed))

    def insert(self, connection: Any, table: str, rows: pa.Table) -> None:
        names = sql.SQL(", ").join(map(sql.Identifier, rows.column_names))
        into = sql.SQL("COPY {} ({}) FROM STDIN").format(_named(table), names)
        columns = [_values(column) for column in rows.columns]
        with connection.cursor() as cursor, cursor.copy(into) as copy:
            for row in zip(*columns, strict=True):
                copy.write_row(row)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            said = " ".join(str(error).split())
            kind = StoreError if isinstance(error, psycopg.OperationalError) else DataError
            raise kind(
                f"cannot write table '{self._table}' in '{self._file}'",
                why=said,
                fix="check the address, the rights and the table; then call it again to go on",
            ) from None


def _named(table: str) -> sql.Identifier:
    return sql.Identifier(*table.split(".", 1))


def _type(kind: pa.DataType) -> str:
    """The type of a new column for values of this one."""
    if pt.is_decimal(kind):
        return f"numeric({kind.precision},{kind.scale})"
    if pt.is_timestamp(kind):
        return "timestamptz" if kind.tz else "timestamp"
    if pt.is_nested(kind):
        return "jsonb"
    if pt.is_unsigned_integer(kind):
        return "numeric(20,0)" if kind.bit_width == 64 else "bigint"
    tests = {
        "boolean": pt.is_boolean,
        "bigint": pt.is_integer,
        "double precision": pt.is_floating,
        "date": pt.is_date,
        "time": pt.is_time,
        "bytea": lambda k: pt.is_binary(k) or pt.is_large_binary(k),
    }
    return next((name for name, test in tests.items() if test(kind)), "text")


def _values(column: pa.ChunkedArray) -> list[Any]:
    values: list[Any] = column.to_pylist()
    if pt.is_nested(column.type):
        return [None if value is None else Jsonb(value) for value in values]
    if pt.is_string(column.type) or pt.is_large_string(column.type):  # the one character it cannot hold
        return [value if value is None else value.replace("\0", "") for value in values]
    return values
