"""PostgreSQL: sources in its own database stay where they are, others are copied into temporary tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from bessemer.core.postgres import PostgresUrl, connect, explained, parameters
from bessemer.core.postgres_types import columns, converted, select
from bessemer.core.redaction import without_password
from bessemer.core.spec import Spec
from bessemer.core.sql import quote, statement
from bessemer.engines.connected import Connected
from bessemer.engines.protocol import Corrections

if TYPE_CHECKING:
    import pyarrow as pa

#: The server's types in DuckDB's words.
_TYPES = {
    "bool": "BOOLEAN", "int2": "SMALLINT", "int4": "INTEGER", "int8": "BIGINT", "float4": "FLOAT",
    "float8": "DOUBLE", "date": "DATE", "timestamp": "TIMESTAMP", "timestamptz": "TIMESTAMP WITH TIME ZONE",
    "text": "VARCHAR", "varchar": "VARCHAR", "name": "VARCHAR", "bytea": "BLOB",
}  # fmt: skip
#: Where a connection is the same, and what its names and rights are.
_PLACE = ("host", "hostaddr", "port", "dbname", "service", "user", "options")


class PostgresSettings(Spec):
    url: PostgresUrl = Field(
        description="The database, as postgresql://user:${PASSWORD}@host/database; ${NAME} is taken from the "
        "environment."
    )
    of_schema: str = Field(
        default="bessemer",
        alias="schema",
        min_length=1,
        max_length=63,
        description="Where the tables are that are kept; it is made where it is not there.",
    )


class Postgres(Connected):
    """One connection, in UTC. Texts compare by their bytes, as DuckDB's do."""

    Settings = PostgresSettings
    dialect = "postgres"
    settings: PostgresSettings

    def corrections(self) -> Corrections:
        from bessemer.engines.postgres_sql import CORRECTIONS

        return CORRECTIONS

    def find(self, kind: str, options: Any) -> str | None:
        """A table of this database, as a view that gives it types that DuckDB has."""
        query = self._query(options) if kind == "postgres" else ""
        if kind == "at_engine":
            query = f"SELECT * FROM {'.'.join(map(quote, options.at_engine.split('.')))}"
        if not query:
            return None
        with self._cursor() as cursor:
            there = columns(cursor.adbc_execute_schema(query))
            view = self._own("view")
            cursor.execute(f"CREATE TEMPORARY VIEW {view} AS {select(there, query, typed=True)}")
        return f"pg_temp.{view}"

    def _query(self, options: Any) -> str:
        """The SELECT of a `postgres` source; '' where it is of another database or user, or says no table."""
        place, ours = (parameters(url) for url in (options.postgres, self.settings.url))
        if any(place.get(name) != ours.get(name) for name in _PLACE):
            return ""
        if options.query:
            return statement(options.query)
        named = [name for name in (options.of_schema, options.table) if name]
        return f"SELECT * FROM {'.'.join(map(quote, named))}" if options.table else ""

    def _own(self, what: str) -> str:
        """A new name for something that ends with the connection."""
        self._brought += 1
        return f"bessemer_{what}_{self._brought}"

    def load(self, name: str, files: Sequence[Path]) -> str:
        import pyarrow.dataset as ds

        data = ds.dataset(list(files), format="parquet")
        kinds = [(field.name, _kind(field.type)) for field in data.schema]
        kept = [(column, kind) for column, kind in kinds if kind]
        table = self._own("source")
        collated = {"text": 'text COLLATE "C"'}
        listed = ", ".join(f"{quote(column)} {collated.get(kind, kind)}" for column, kind in kept)
        reader = data.scanner(columns=[column for column, _ in kept]).to_reader()
        with self._cursor() as cursor:
            cursor.execute(f"CREATE TEMPORARY TABLE {table} ({listed})")
            cursor.adbc_ingest(table, _ingestible(reader), mode="append", temporary=True)
            cursor.execute(f"ANALYZE {table}")
        return f"pg_temp.{table}"

    def describe(self, relation: str) -> list[tuple[str, str]]:
        with self._cursor() as cursor:
            there = columns(cursor.adbc_execute_schema(f"SELECT * FROM {relation}"))
        return [(column.name, _described(column)) for column in there]

    def keep(self, name: str, sql: str) -> str:
        table = self._named(name)
        with self._cursor() as cursor:
            self._schema(cursor)
            cursor.execute("BEGIN")
            try:
                cursor.execute(f"DROP TABLE IF EXISTS {table}")
                cursor.execute(f"CREATE TABLE {table} AS {sql}")
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
            cursor.execute("COMMIT")
            cursor.execute(f"ANALYZE {table}")
        return table

    def _schema(self, cursor: Any) -> None:
        """Make the schema, which only who may do so can ask for, where it is not there."""
        cursor.execute("SELECT to_regnamespace($1) IS NOT NULL", (quote(self.settings.of_schema),))
        if not cursor.fetchone()[0]:
            cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(self.settings.of_schema)}")

    def kept(self, name: str) -> str | None:
        table = self._named(name)
        with self._cursor() as cursor:
            cursor.execute("SELECT to_regclass($1) IS NOT NULL", (table,))
            return table if cursor.fetchone()[0] else None

    def _named(self, name: str) -> str:
        return f"{quote(self.settings.of_schema)}.{quote(name)}"

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        for batch in self._read(sql):
            rows += zip(*(_values(column) for column in batch.columns), strict=True)
        return rows

    def batches(self, sql: str) -> Iterator[pa.RecordBatch]:
        """As a COPY gives them, which holds a few megabytes."""
        import pyarrow as pa

        for batch in self._read(sql):
            plain = [
                column.cast(pa.timestamp("us")) if pa.types.is_timestamp(column.type) else column
                for column in batch.columns
            ]
            yield pa.record_batch(plain, names=batch.schema.names)

    def _read(self, sql: str) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        with self._cursor() as cursor:
            there = columns(cursor.adbc_execute_schema(sql))
            cursor.execute(select(there, sql))
            reader = cursor.fetch_record_batch()
            yield converted(pa.RecordBatch.from_pylist([], reader.schema), there)
            for batch in reader:
                yield converted(batch, there)

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        with explained(without_password(self.settings.url), "used"):
            if self._connection is None:
                self._connection = connect(self.settings.url, "acquire.engine.postgres.url", autocommit=True)
                with closing(self._connection.cursor()) as cursor:
                    cursor.execute("SET TIME ZONE 'UTC'")
            with closing(self._connection.cursor()) as cursor:
                yield cursor


def _described(column: Any) -> str:
    if column.type == "numeric":
        return "DOUBLE" if column.decimal is None else f"DECIMAL({column.decimal[0]},{column.decimal[1]})"
    return _TYPES.get(column.type, "VARCHAR")


def _kind(kind: pa.DataType) -> str:
    """The server's type for one of Arrow; '' for what it does not take."""
    import pyarrow.types as pt

    if pt.is_decimal(kind):
        return f"numeric({kind.precision},{kind.scale})"
    if pt.is_timestamp(kind):
        return "timestamptz" if kind.tz else "timestamp"
    tests = {
        "bool": pt.is_boolean, "int2": pt.is_int16, "int4": pt.is_int32, "int8": pt.is_int64,
        "float4": pt.is_float32, "float8": pt.is_float64, "date": pt.is_date, "text": pt.is_string,
        "time": pt.is_time,
    }  # fmt: skip
    found = next((name for name, test in tests.items() if test(kind)), "")
    if not found and pt.is_integer(kind):
        return {"int8": "int2", "uint8": "int2", "uint16": "int4", "uint32": "int8"}.get(
            str(kind), "numeric(20,0)"
        )
    return found or ("text" if pt.is_large_string(kind) else "")


def _ingestible(reader: Any) -> Any:
    """The batches with text for what the driver does not write: it knows no unsigned integers, and no NaN in them."""
    import pyarrow as pa

    wanted = pa.schema([(field.name, _wanted(field.type)) for field in reader.schema])
    batches = (
        pa.record_batch([c.cast(f.type) for c, f in zip(batch.columns, wanted, strict=True)], schema=wanted)
        for batch in reader
    )
    return pa.RecordBatchReader.from_batches(wanted, batches)


def _wanted(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    narrow = {"int8": pa.int16(), "uint8": pa.int16(), "uint16": pa.int32(), "uint32": pa.int64()}
    return pa.decimal128(20, 0) if str(kind) == "uint64" else narrow.get(str(kind), kind)


def _values(column: pa.Array) -> list[Any]:
    """Python values; times without a zone, in UTC."""
    import pyarrow as pa

    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us"))
    return list(column.to_pylist())
