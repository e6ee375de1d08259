"""A table of a DuckDB file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from bessemer.core.sql import quote
from bessemer.predict.sinks.database import Database

if TYPE_CHECKING:
    import pyarrow as pa


_MEMORY = "1GiB"


class DuckDB(Database):
    """Columns keep their Arrow types."""

    kind = "duckdb"
    error = duckdb.Error

    def connect(self, file: str) -> Any:
        connection = duckdb.connect(str(Path(file).expanduser()))
        connection.execute("SET autoinstall_known_extensions = false").fetchall()
        connection.execute(f"SET memory_limit = '{_MEMORY}'").fetchall()
        connection.execute("SET TimeZone = 'UTC'").fetchall()
        return connection

    def columns(self, connection: Any, table: str) -> list[str]:
        found = connection.execute(
            "SELECT column_name FROM duckdb_columns() WHERE table_name = ? AND database_name = current_database() "
            "AND schema_name = current_schema() ORDER BY column_index",
            [table],
        ).fetchall()
        return [row[0] for row in found]

    def create(self, connection: Any, table: str, schema: pa.Schema) -> None:
        connection.register("incoming", schema.empty_table())
        connection.execute(f"CREATE TABLE {quote(table)} AS SELECT * FROM incoming").fetchall()
        connection.unregister("incoming")

    def insert(self, connection: Any, table: str, rows: pa.Table) -> None:
        connection.register("incoming", rows)
        names = ", ".join(quote(name) for name in rows.column_names)
        connection.execute(f"INSERT INTO {quote(table)} ({names}) SELECT {names} FROM incoming").fetchall()
        connection.unregister("incoming")
