"""SQL databases: DuckDB files by DuckDB itself, SQLite by the standard library, all others through ibis."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from bessemer.acquire.files import digest_of, find
from bessemer.acquire.options import PathText
from bessemer.acquire.protocol import Place, Relation
from bessemer.acquire.remote import always
from bessemer.core.errors import DataError, EnvironmentFault, MissingExtra, ProjectError, did_you_mean
from bessemer.core.redaction import without_password
from bessemer.core.secrets import expanded
from bessemer.core.spec import Spec
from bessemer.core.sql import literal, quote

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.stage import Context

_ROWS = 50_000
_FILE = re.compile(r"^(sqlite|duckdb):///(.+)$")


class SqlSource(Spec):
    sql: PathText = Field(
        description="The database: sqlite:///file.db, duckdb:///file.duckdb, or any URL ibis connects to "
        "(postgres://, mysql://...). ${NAME} is taken from the environment, so that no password is written here."
    )
    table: str | None = Field(default=None, min_length=1, description="The table to read.")
    query: str | None = Field(default=None, min_length=1, description="Or a query in the database's own SQL.")

    @model_validator(mode="after")
    def _one_of(self) -> SqlSource:
        if self.table and self.query:
            raise ValueError("give `table` or `query`, not both")
        return self


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
        return Relation(batches=self._ibis())

    def _pick(self, tables: list[str]) -> str:
        """The table to read: the one named, or the only one."""
        wanted = self.options.table or (tables[0] if len(tables) == 1 else "")
        if wanted in tables:
            return wanted
        what = (
            f"no table '{wanted}'" if wanted else f"{len(tables)} tables in '{self.uri()}', and none is named"
        )
        raise DataError(
            what, fix=did_you_mean(wanted, tables) if wanted else f"`table:` one of {', '.join(tables)}"
        )

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

    def _sqlite(self, file: Path) -> Iterator[pa.RecordBatch]:
        try:
            with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as database:
                query = self.options.query
                if not query:
                    named = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name"
                    tables = [row[0] for row in database.execute(named) if not row[0].startswith("sqlite_")]
                    query = f"SELECT * FROM {quote(self._pick(tables))}"
                cursor = database.execute(query)
                names = [column[0] for column in cursor.description]
                while rows := cursor.fetchmany(_ROWS):
                    yield _batch(names, rows)
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def _ibis(self) -> Iterator[pa.RecordBatch]:
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
