"""A table or a query of a PostgreSQL: Arrow all the way, one snapshot of the database, streamed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, Field

from bessemer.acquire.served import ServedSource
from bessemer.acquire.tables import TableOptions, pick
from bessemer.core.errors import DataError, did_you_mean
from bessemer.core.postgres import PostgresUrl, connect, explained
from bessemer.core.postgres_types import TOO_LATE, Column, columns, converted, select
from bessemer.core.redaction import without_password
from bessemer.core.sql import quote, statement

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.stage import Context

_TABLES = """
SELECT n.nspname, c.relname, pg_table_is_visible(c.oid) AND n.nspname NOT LIKE 'pg\\_%'
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p') AND NOT c.relispartition AND n.nspname <> 'information_schema'
ORDER BY 1, 2
"""
#: The session's variable that has the value to begin from: a COPY takes no parameters.
_AFTER = "bessemer.after"


class PostgresSource(TableOptions):
    model_config = ConfigDict(serialize_by_alias=True)

    postgres: PostgresUrl = Field(
        description="The database, as postgresql://user:${PASSWORD}@host:5432/database. ${NAME} is taken from the "
        "environment as it is there; without a password, ~/.pgpass and the client's own variables count."
    )
    of_schema: str | None = Field(
        default=None,
        alias="schema",
        min_length=1,
        description="The schema that the table is in; the user's search path by default.",
    )


class Postgres(ServedSource[PostgresSource]):
    """A table or a query. A server has no fingerprint.

    Everything is read in one read-only transaction that sees one moment of the database, with times in UTC.
    """

    def uri(self) -> str:
        return without_password(self.options.postgres)

    def newer(self, after: Any, ctx: Context) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        setting = f"acquire.sources.{self.name}.postgres"
        database = connect(self.options.postgres, setting)
        with closing(database), explained(self.uri()), closing(database.cursor()) as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cursor.execute("SET LOCAL TIME ZONE 'UTC'")
            query = self._query(cursor)
            there = columns(cursor.adbc_execute_schema(query))
            where = "" if after is None else self._since(cursor, there, after)
            cursor.execute(select(there, query, where))
            reader = cursor.fetch_record_batch()
            yield converted(
                pa.RecordBatch.from_pylist([], reader.schema), there
            )  # its columns, if it has no rows
            for batch in reader:
                yield converted(batch, there)

    def _query(self, cursor: Any) -> str:
        if self.options.query:
            return statement(self.options.query)
        cursor.execute(_TABLES)
        found = cursor.fetchall()
        schema, table = self.options.of_schema, self.options.table
        if schema is not None and schema not in (schemas := sorted({row[0] for row in found})):
            raise DataError(f"no schema '{schema}' in '{self.uri()}'", fix=did_you_mean(schema, schemas))
        names = [name for of, name, visible in found if (visible if schema is None else of == schema)]
        elsewhere = [of for of, name, _ in found if name == table]
        if table is not None and table not in names and elsewhere:
            raise DataError(
                f"no table '{table}' in '{self.uri()}'",
                why=f"it is in another schema than {'the search path' if schema is None else repr(schema)}",
                fix=f"`schema: {elsewhere[0]}`",
            )
        chosen = quote(pick(table, names, self.uri()))
        return f"SELECT * FROM {chosen if schema is None else f'{quote(schema)}.{chosen}'}"

    def _since(self, cursor: Any, there: list[Column], after: Any) -> str:
        """The condition for rows from the cursor's value on, which goes to the server as a parameter."""
        wanted = self.options.incremental.cursor if self.options.incremental else ""
        column = next((column for column in there if column.name == wanted), None)
        if column is None:
            names = [column.name for column in there]
            raise DataError(f"source '{self.name}' has no column '{wanted}'", fix=did_you_mean(wanted, names))
        cursor.execute(f"SELECT set_config('{_AFTER}', $1, true)", (_text(after),))
        cursor.fetchall()
        bound = f"current_setting('{_AFTER}')"
        if isinstance(after, dt.datetime):
            kind = "timestamp" if column.type in ("date", "timestamp") else "timestamptz"
            return f"{column.alias} >= {bound}::{kind} AND {column.alias} < '{TOO_LATE}'"
        if isinstance(after, int):
            return f"{column.alias} >= {bound}::{'int8' if column.type.startswith('int') else 'numeric'}"
        if isinstance(after, float):  # the greatest value was rounded to one
            return f"{column.alias}::float8 >= {bound}::float8"
        return f'({column.expression}) COLLATE "C" >= {bound}'  # as the greatest was found: by bytes


def _text(value: Any) -> str:
    """A value as the server reads it.

    >>> _text(dt.datetime(2024, 1, 1, tzinfo=dt.UTC)), _text(0.1), _text("a")
    ('2024-01-01 00:00:00+00:00', '0.1', 'a')
    """
    if isinstance(value, dt.datetime):
        return (value if value.tzinfo else value.replace(tzinfo=dt.UTC)).isoformat(" ")
    return str(value)
