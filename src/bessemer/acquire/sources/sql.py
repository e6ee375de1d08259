"""SQL databases: DuckDB files by DuckDB itself, SQLite by the standard library, PostgreSQL as the source of its own
name, all others through ibis."""

from __future__ import annotations

import datetime as dt
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field

from bessemer.acquire.files import digest_of, find
from bessemer.acquire.options import PathText
from bessemer.acquire.protocol import Place, Relation
from bessemer.acquire.remote import always
from bessemer.acquire.sources.postgres import Postgres, PostgresSource
from bessemer.acquire.tables import TableOptions, pick
from bessemer.core.errors import DataError, EnvironmentFault, MissingExtra, ProjectError, did_you_mean
from bessemer.core.redaction import without_password
from bessemer.core.secrets import expanded, no_literal_password
from bessemer.core.sql import literal, quote, statement

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.stage import Context

_ROWS = 50_000
_FILE = re.compile(r"^(sqlite|duckdb):///(.+)$")


class SqlSource(TableOptions):
    sql: Annotated[PathText, AfterValidator(no_literal_password)] = Field(
        description="The database: sqlite:///file.db, duckdb:///file.duckdb, or any URL ibis connects to "
        "(postgres://, mysql://...). ${NAME} is taken from the environment, so that no password is written here."
    )


class Sql:
    """A table or a query of a database. A database file has its content as fingerprint, a server none."""

    def __init__(self, name: str, options: SqlSource) -> None:
        self.name, self.options = name, options

    def uri(self) -> str:
        return without_password(self.options.sql)

    def _local(self, project_dir: Path) -> tuple[str, Path] | None:
        if found := _FILE.match(self._url()):
            return found[1], find(found[2], project_dir, "sql")[0]
        return None

    def _url(self) -> str:
        return expanded(self.options.sql, f"acquire.sources.{self.name}.sql")

    def fingerprint(self, place: Place) -> str:
        local = self._local(place.project_dir)
        return digest_of(local[1], place) if local else always()

    def open(self, connection: Any, ctx: Context) -> Relation:
        local = self._local(ctx.project_dir)
        if local and local[0] == "duckdb":
            return self._duckdb(connection, local[1])
        if local:
            return Relation(batches=self._sqlite(local[1]))
        if postgres := self._postgres():
            return postgres.open(connection, ctx)
        return Relation(batches=self._ibis())

    def newer(self, after: Any, ctx: Context) -> Iterator[pa.RecordBatch]:
        local = self._local(ctx.project_dir)
        if local and local[0] == "duckdb":
            return self._duckdb_newer(local[1], after, ctx)
        if local:
            return self._sqlite(local[1], after)
        if postgres := self._postgres():
            return postgres.newer(after, ctx)
        return self._ibis(after)

    def _postgres(self) -> Postgres | None:
        options = self.options
        if not options.sql.startswith(("postgres://", "postgresql://")):
            return None
        found = PostgresSource(
            postgres=options.sql, table=options.table, query=options.query, incremental=options.incremental
        )
        return Postgres(self.name, found)

    def _cursor(self, columns: Sequence[str]) -> str:
        """The cursor's name, which is one of the columns."""
        assert self.options.incremental is not None
        cursor = self.options.incremental.cursor
        if cursor not in columns:
            raise DataError(
                f"source '{self.name}' has no column '{cursor}'", fix=did_you_mean(cursor, columns)
            )
        return cursor

    def _pick(self, tables: list[str]) -> str:
        return pick(self.options.table, tables, self.uri())

    def _failed(self, error: Exception) -> DataError:
        return DataError(
            f"'{self.uri()}' cannot be read",
            why=f"{type(error).__name__}: {str(error).strip()}",
            fix="check the query",
        )

    def _duckdb(self, connection: Any, file: Path) -> Relation:
        import duckdb

        database = quote(f"source {self.name}")
        try:
            connection.execute(f"ATTACH {literal(file)} AS {database} (READ_ONLY)")
            if self.options.query:
                own = connection.cursor()  # its own default database, and its own result
                own.execute(f"USE {database}")
                return Relation(batches=iter(own.sql(self.options.query).to_arrow_reader(_ROWS)))
            rows = connection.execute(
                "SELECT table_name FROM duckdb_tables() WHERE database_name = ? UNION ALL "
                "SELECT view_name FROM duckdb_views() WHERE database_name = ? AND NOT internal ORDER BY 1",
                [f"source {self.name}"] * 2,
            ).fetchall()
        except duckdb.Error as error:
            raise self._failed(error) from error
        return Relation(f"SELECT * FROM {database}.{quote(self._pick([row[0] for row in rows]))}")

    def _duckdb_newer(self, file: Path, after: Any, ctx: Context) -> Iterator[pa.RecordBatch]:
        import duckdb

        with closing(ctx.connect()) as connection:
            relation = self._duckdb(connection, file)
            try:
                if after is None and relation.batches is not None:
                    yield from relation.batches
                    return
                own = connection.cursor()
                query = relation.query
                if self.options.query:
                    own.execute(f"USE {quote(f'source {self.name}')}")
                    query = statement(self.options.query)
                found = own.sql(query)
                if after is not None:
                    name = self._cursor(found.columns)
                    kind = str(found.types[found.columns.index(name)])
                    if isinstance(after, dt.datetime) and kind == "TIMESTAMP_NS":
                        after = after.replace(
                            tzinfo=None
                        )  # these are not compared with times that have a zone
                    found = own.sql(f"SELECT * FROM ({query}\n) WHERE {quote(name)} >= ?", params=[after])
                yield from found.to_arrow_reader(_ROWS)
            except duckdb.Error as error:
                raise self._failed(error) from error

    def _sqlite(self, file: Path, after: Any = None) -> Iterator[pa.RecordBatch]:
        try:
            with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as database:
                query = self.options.query
                if not query:
                    named = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name"
                    tables = [row[0] for row in database.execute(named) if not row[0].startswith("sqlite_")]
                    query = f"SELECT * FROM {quote(self._pick(tables))}"
                cursor = database.execute(query)
                names = [column[0] for column in cursor.description]
                if after is not None:
                    since = f"SELECT * FROM ({statement(query)}\n) WHERE {quote(self._cursor(names))} >= ?"
                    cursor = database.execute(since, [after])
                while rows := cursor.fetchmany(_ROWS):
                    yield _batch(names, rows)
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def _ibis(self, after: Any = None) -> Iterator[pa.RecordBatch]:
        try:
            import ibis
        except ImportError as error:
            raise MissingExtra("sql", "ibis", "ibis") from error
        try:
            connection = ibis.connect(self._url())
            if self.options.query:
                expression = connection.sql(self.options.query)
            else:
                expression = connection.table(self._pick(sorted(connection.list_tables())))
            if after is not None:
                column = expression[self._cursor(expression.columns)]
                zoned = getattr(column.type(), "timezone", None) is not None
                naive = after.replace(tzinfo=None) if isinstance(after, dt.datetime) and not zoned else after
                expression = expression.filter(column >= naive)
            yield from expression.to_pyarrow_batches(chunk_size=_ROWS)
        except (DataError, ProjectError):
            raise
        except ImportError as error:
            scheme = self.uri().partition(":")[0]
            raise EnvironmentFault(
                f"ibis cannot load what '{scheme}' needs",
                why=str(error.__cause__ or error).splitlines()[0],
                fix=f"pip install 'ibis-framework[{scheme}]'",
            ) from error
        except Exception as error:
            raise self._failed(error) from error


def _batch(names: list[str], rows: list[tuple[Any, ...]]) -> pa.RecordBatch:
    """A column of SQLite may hold any mix of types: numbers become the widest, everything else text."""
    import pyarrow as pa

    return pa.record_batch([_array(list(column)) for column in zip(*rows, strict=True)], names=names)


def _array(values: list[Any]) -> pa.Array:
    import pyarrow as pa

    kinds = {type(value) for value in values} - {type(None)}
    if kinds == {int, float}:
        return pa.array([None if v is None else float(v) for v in values], pa.float64())
    if len(kinds) > 1:
        return pa.array([None if v is None else str(v) for v in values], pa.string())
    return pa.array(values)
