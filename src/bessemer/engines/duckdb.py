"""The project's SQL on DuckDB, in this process: sources become views, the query one landed file.

The query runs on one thread: sums, joins and unordered results are then the same in every run. It can read
the sources and nothing else, so nothing it depends on is missing from the cache's key.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.core.errors import DataError
from bessemer.core.spec import Spec
from bessemer.core.sql import for_width, literal, quote
from bessemer.engines.binding import explain, one_select, result_columns
from bessemer.engines.columns import describe

if TYPE_CHECKING:
    from bessemer.core.stage import Context

RESULT = "bessemer_result"


class DuckDBSettings(Spec):
    """There is nothing to say: the run's own limits hold."""


class DuckDBEngine:
    """Runs one SELECT over named sources.

    connection: a private DuckDB connection, which the engine restricts and uses up.
    """

    Settings = DuckDBSettings

    def __init__(self, connection: Any, ctx: Context) -> None:
        self.connection, self.ctx = connection, ctx
        self._columns: dict[str, list[str]] = {}

    def add(self, name: str, query: str) -> int:
        """Make a query's rows known to the SQL as table `name`; gives the number of rows."""
        self.connection.execute(f"CREATE VIEW {quote(name)} AS {query}")
        self._columns[name] = [column for column, _ in describe(self.connection, quote(name))]
        return int(self.connection.execute(f"SELECT count(*) FROM {quote(name)}").fetchone()[0])

    def select(self, sql: str, readable: list[Path]) -> str:
        """Check the SQL and give the relation that stands for its result.

        Args:
            readable: the files behind the views; nothing else can be read.

        Raises:
            DataError: not one SELECT, an SQL error, or duplicate columns.
        """
        import duckdb

        try:
            statement = one_select(self.connection, sql)
            self._restrict(readable)
            result_columns(self.connection, statement)
        except duckdb.Error as error:
            raise self.explain(error) from error
        self.connection.execute(f"CREATE TEMP VIEW {RESULT} AS {statement}")
        return RESULT

    def _restrict(self, readable: list[Path]) -> None:
        folders = [self.ctx.workdir, self.ctx.temporary("x").parent]
        self.connection.execute(f"SET allowed_directories = [{', '.join(literal(f) for f in folders)}]")
        self.connection.execute(f"SET allowed_paths = [{', '.join(literal(f) for f in readable)}]")
        self.connection.execute("SET enable_external_access = false")
        self.connection.execute("SET python_enable_replacements = false")
        for_width(self.connection, max(map(len, self._columns.values()), default=0))
        self.connection.execute("SET threads = 1")
        self.connection.execute("SELECT setseed(0.5)")  # random() then gives the same values in every run
        self.connection.execute("SET lock_configuration = true")

    def explain(self, error: Exception) -> DataError:
        """DuckDB's message, with the nearest of our own tables and columns."""
        return explain(error, self._columns)
