"""The project's SQL on DuckDB, in this process: sources become views, the query one landed file.

The query runs on one thread: sums, joins and unordered results are then the same in every run. It can read
the sources and nothing else, so nothing it depends on is missing from the cache's key.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.acquire.landing import check_names, describe
from bessemer.core.errors import DataError, did_you_mean
from bessemer.core.sql import for_width, literal, quote

if TYPE_CHECKING:
    from bessemer.core.stage import Context

RESULT = "bessemer_result"


class DuckDBEngine:
    """Runs one SELECT over named sources.

    connection: a private DuckDB connection, which the engine restricts and uses up.
    """

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
            statement = self._one_select(sql)
            self._restrict(readable)
            names = [row[0] for row in self.connection.execute(f"DESCRIBE {statement}").fetchall()]
        except duckdb.Error as error:
            raise self.explain(error) from error
        check_names(
            names, lambda: "name the columns one by one in `acquire.sql`, or use `join ... using (column)`"
        )
        self.connection.execute(f"CREATE TEMP VIEW {RESULT} AS {statement}")
        return RESULT

    def _one_select(self, sql: str) -> str:
        import duckdb

        statements = self.connection.extract_statements(sql)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise DataError(
                f"`acquire.sql` has {len(statements)} statements or does not select",
                fix="write one SELECT; common table expressions (WITH) hold intermediate results",
            )
        return str(statements[0].query).strip().rstrip(";")

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
        message = re.sub(r"LINE 1: DESCRIBE (.*)\n {9}", r"LINE 1: \1\n", str(error).strip())
        fix = "correct `acquire.sql`"
        if table := re.search(r"Table with name (.+?) does not exist", message):
            fix = f"the tables are the names under `acquire.sources`; {did_you_mean(table[1], self._columns)}"
            message = message.partition("\n")[0]
        elif column := re.search(
            r'[Cc]olumn "(.+?)" (?:not found|does not exist)|have a column named "(.+?)"', message
        ):
            known = sorted({name for names in self._columns.values() for name in names})
            fix = did_you_mean(column[1] or column[2], known)
        elif "disabled by configuration" in message or "Permission Error" in message:
            fix = "the SQL reads a file by itself: name the file under `acquire.sources` and select from that name"
        return DataError("`acquire.sql` does not run", why=message, fix=fix)
