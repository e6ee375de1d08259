"""A table or a query of Snowflake: Arrow, in the batches it comes in."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import ConfigDict, Field

from bessemer.acquire.served import ServedSource
from bessemer.acquire.tables import TableOptions, pick
from bessemer.core.errors import DataError, did_you_mean
from bessemer.core.snowflake import SnowflakeLogin, connect, explained
from bessemer.core.snowflake_types import converted, types
from bessemer.core.sql import quote, statement

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.stage import Context


class SnowflakeSource(TableOptions, SnowflakeLogin):
    model_config = ConfigDict(serialize_by_alias=True)

    snowflake: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")] = Field(
        description="The account, as organisation-account."
    )
    database: str = Field(min_length=1, description="The database.")
    of_schema: str = Field(
        default="PUBLIC", alias="schema", min_length=1, description="The schema that the table is in."
    )


class Snowflake(ServedSource[SnowflakeSource]):
    """A table or a query, which one statement reads: it sees one moment. A server has no fingerprint."""

    def uri(self) -> str:
        return f"{self.options.snowflake}/{self.options.database}/{self.options.of_schema}"

    def newer(self, after: Any, ctx: Context) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        options = self.options
        database = connect(options, options.snowflake, options.database, options.of_schema)
        with closing(database), explained(self.uri()), database.cursor() as cursor:
            query, values = self._query(cursor), ()
            if after is not None:
                condition, values = self._since(cursor.describe(query), after)
                query = f"SELECT * FROM (\n{query}\n) WHERE {condition}"
            cursor.execute(query, values)
            names, wanted = [column.name for column in cursor.description], types(cursor.description)
            schema = pa.schema(list(zip(names, wanted, strict=True)))
            yield pa.RecordBatch.from_pylist([], schema)  # its columns, if it has no rows
            for table in cursor.fetch_arrow_batches():
                yield from converted(table, names, wanted)

    def _query(self, cursor: Any) -> str:
        """The query, or that for the table; names are as written, or in capitals as Snowflake keeps them."""
        if self.options.query:
            return statement(self.options.query)
        database = _kept(self.options.database, self._names(cursor, "DATABASES"), "database")
        schemas = self._names(cursor, f"SCHEMAS IN DATABASE {quote(database)}")
        schema = _kept(self.options.of_schema, schemas, "schema")
        place = f"{quote(database)}.{quote(schema)}"
        tables = self._names(cursor, f"OBJECTS IN SCHEMA {place}")
        wanted = self.options.table
        if wanted is not None and wanted not in tables and wanted.upper() in tables:
            wanted = wanted.upper()
        return f"SELECT * FROM {place}.{quote(pick(wanted, tables, self.uri()))}"

    def _names(self, cursor: Any, of: str) -> list[str]:
        cursor.execute(f"SHOW TERSE {of}")
        at = [column.name for column in cursor.description].index("name")
        return [row[at] for row in cursor.fetchall()]

    def _since(self, description: Sequence[Any], after: Any) -> tuple[str, tuple[Any, ...]]:
        """The condition for rows from the cursor's value on, and what is bound to it."""
        wanted = self.options.incremental.cursor if self.options.incremental else ""
        there = {column.name: kind for column, kind in zip(description, types(description), strict=True)}
        if wanted not in there:
            raise DataError(f"source '{self.name}' has no column '{wanted}'", fix=did_you_mean(wanted, there))
        column = quote(wanted)
        if isinstance(after, dt.datetime):
            moment = after.astimezone(dt.UTC).replace(tzinfo=None) if after.tzinfo else after
            if getattr(there[wanted], "tz", None):
                column = f"CONVERT_TIMEZONE('UTC', {column})::TIMESTAMP_NTZ"
            return f"{column} >= TO_TIMESTAMP_NTZ(?)", (moment.isoformat(" "),)
        if isinstance(after, float):  # the greatest value was rounded to one
            return f"{column}::FLOAT >= ?", (after,)
        return f"{column} >= ?", (after,)


def _kept(name: str, there: Sequence[str], what: str) -> str:
    """The name as Snowflake keeps it.

    >>> _kept("shop", ["SHOP"], "database")
    'SHOP'
    >>> _kept("shpo", ["SHOP"], "database")
    Traceback (most recent call last):
    bessemer.core.errors.DataError: no database 'shpo'
      fix: did you mean 'SHOP'?
    """
    found = next((each for each in (name, name.upper()) if each in there), None)
    if found is None:
        raise DataError(f"no {what} '{name}'", fix=did_you_mean(name.upper(), there))
    return found
