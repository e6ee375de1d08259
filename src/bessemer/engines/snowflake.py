"""Snowflake: sources in the same account stay where they are, others are copied into temporary tables."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from bessemer.core.errors import DataError
from bessemer.core.snowflake import SnowflakeLogin, connect, explained
from bessemer.core.snowflake_load import loaded
from bessemer.core.snowflake_types import converted, types
from bessemer.core.sql import quote, statement
from bessemer.engines.connected import Connected
from bessemer.engines.protocol import Corrections

if TYPE_CHECKING:
    import pyarrow as pa

#: The connector's numbers of types that are no number, in DuckDB's words.
_TYPES = {
    1: "DOUBLE", 2: "VARCHAR", 3: "DATE", 4: "TIMESTAMP", 6: "TIMESTAMP WITH TIME ZONE",
    7: "TIMESTAMP WITH TIME ZONE", 8: "TIMESTAMP", 13: "BOOLEAN",
}  # fmt: skip
#: The errors of a table, and of a database or schema, that is not there or may not be seen.
_MISSING = (2003, 2043)
#: What an account or a user may have set otherwise: weeks begin on Monday, times have no zone, dates are ISO's.
_SESSION: Mapping[str, Any] = {
    "WEEK_START": 1,
    "TIMESTAMP_TYPE_MAPPING": "TIMESTAMP_NTZ",
    "DATE_INPUT_FORMAT": "AUTO",
    "DATE_OUTPUT_FORMAT": "YYYY-MM-DD",
    "TIMESTAMP_INPUT_FORMAT": "AUTO",
}


class SnowflakeSettings(SnowflakeLogin):
    account: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")] = Field(
        description="The account, as organisation-account."
    )
    database: str = Field(min_length=1, description="Where tables are kept; it must be there.")
    of_schema: str = Field(
        default="PUBLIC", alias="schema", min_length=1, description="The schema that they are in."
    )


class Snowflake(Connected):
    """One session, in UTC."""

    Settings = SnowflakeSettings
    dialect = "snowflake"
    settings: SnowflakeSettings

    def corrections(self) -> Corrections:
        from bessemer.engines.snowflake_sql import CORRECTIONS

        return CORRECTIONS

    def find(self, kind: str, options: Any) -> str | None:
        """A table of this account, its name as written or in capitals, or a query of the engine's own schema.

        A source of another user or role may see other rows: it is brought.
        """
        if kind == "at_engine":
            return ".".join(map(quote, options.at_engine.split(".")))
        if kind != "snowflake" or options.snowflake != self.settings.account:
            return None
        if (options.user, options.role) != (self.settings.user, self.settings.role):
            return None
        place = (options.database, options.of_schema)
        if options.query:
            ours = (self.settings.database, self.settings.of_schema)
            return f"(\n{statement(options.query)}\n)" if place == ours else None
        names = (*place, options.table) if options.table else ()
        written = (".".join(map(quote, each)) for each in (names, tuple(map(str.upper, names))) if each)
        return next(filter(self._there, written), None)

    def load(self, name: str, files: Sequence[Path]) -> str:
        """By a stage that ends with the session."""
        import pyarrow.dataset as ds

        self._brought += 1
        schema = ds.dataset(list(files), format="parquet").schema
        return loaded(self._run, self._brought, schema, files)

    def describe(self, relation: str) -> list[tuple[str, str]]:
        with self._cursor() as cursor:
            return [
                (column.name, _described(column)) for column in cursor.describe(f"SELECT * FROM {relation}")
            ]

    def keep(self, name: str, sql: str) -> str:
        table = self._named(name)
        self._run(f"CREATE OR REPLACE TABLE {table} AS {sql}")
        return table

    def kept(self, name: str) -> str | None:
        table = self._named(name)
        return table if self._there(table) else None

    def _there(self, table: str) -> bool:
        from snowflake.connector.errors import ProgrammingError

        with self._cursor() as cursor:
            try:
                cursor.describe(f"SELECT * FROM {table}")
            except ProgrammingError as error:
                if error.errno in _MISSING:
                    return False
                raise
        return True

    def _named(self, name: str) -> str:
        """Names are in capitals, as they are where nobody quotes them."""
        return ".".join(map(quote, (self.settings.database, self.settings.of_schema, name.upper())))

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with self._cursor() as cursor:
            cursor.execute(sql)
            return [tuple(map(_plain, row)) for row in cursor.fetchall()]

    def batches(self, sql: str) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        with self._cursor() as cursor:
            cursor.execute(sql)
            names, wanted = [column.name for column in cursor.description], types(cursor.description)
            five = [_landed(kind) for kind in wanted]
            yield pa.RecordBatch.from_pylist([], pa.schema(list(zip(names, five, strict=True))))
            for table in cursor.fetch_arrow_batches():
                for batch in converted(table, names, wanted):
                    columns = [_cast(*each) for each in zip(batch.columns, five, names, strict=True)]
                    yield pa.record_batch(columns, names=names)

    def _run(self, sql: str) -> None:
        with self._cursor() as cursor:
            cursor.execute(sql)

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        settings = self.settings
        if self._connection is None:
            self._connection = connect(
                settings, settings.account, settings.database, settings.of_schema, _SESSION
            )
        with explained(settings.account, "used"), self._connection.cursor() as cursor:
            yield cursor


def _described(column: Any) -> str:
    if column.type_code == 0:  # whole numbers are mostly declared with 38 digits, which few of them have
        return f"DECIMAL({column.precision or 38},{column.scale})" if column.scale else "BIGINT"
    return _TYPES.get(column.type_code, "BLOB")


def _cast(column: pa.Array, kind: pa.DataType, name: str) -> pa.Array:
    import pyarrow as pa

    try:
        return column.cast(kind)
    except pa.ArrowInvalid as error:
        raise DataError(
            f"column '{name}' has values that its type does not hold",
            why=str(error),
            fix=f"`cast({name} as double) as {name}` in `acquire.sql`",
        ) from None


def _landed(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    if pa.types.is_timestamp(kind):
        return pa.timestamp("us")
    if pa.types.is_decimal(kind):
        return pa.int64() if kind.scale == 0 else pa.float64()
    return kind


def _plain(value: Any) -> Any:
    return value.astimezone(dt.UTC).replace(tzinfo=None) if getattr(value, "tzinfo", None) else value
