"""DuckDB, set up the same way everywhere, and names quoted safely."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def quote(name: str) -> str:
    """A column or table name as an SQL identifier.

    >>> quote('a "b"')
    '"a ""b\"""'
    """
    return '"' + str(name).replace('"', '""') + '"'


def literal(value: str | Path) -> str:
    """A text as an SQL string literal, where a statement does not take parameters.

    >>> literal("it's")
    "'it''s'"
    """
    return "'" + str(value).replace("'", "''") + "'"


def statement(query: str) -> str:
    """The user's query as it can stand in parentheses.

    >>> statement("select 1; ")
    'select 1'
    """
    return query.strip().rstrip(";").rstrip()


#: Above so many columns two of DuckDB's optimizers, quadratic in the columns, take longer than the query.
WIDE = 1000


def for_width(connection: Any, columns: int) -> None:
    """Prepare a connection for queries over so many columns; results do not depend on it."""
    off = "statistics_propagation,common_subexpressions" if columns > WIDE else ""
    connection.execute(f"SET disabled_optimizers = '{off}'")


def connect(*, threads: int, memory: int, temporary: Path) -> Any:
    """A private in-memory DuckDB that spills to `temporary` above `memory` bytes and keeps the order of rows.

    It never loads extensions from the network, and all times are UTC.
    """
    import duckdb

    connection = duckdb.connect(":memory:")
    connection.execute(f"SET threads = {int(threads)}")
    connection.execute(f"SET memory_limit = '{int(memory) // 2**20}MiB'")
    connection.execute(f"SET temp_directory = {literal(temporary)}")
    connection.execute("SET preserve_insertion_order = true")
    connection.execute("SET autoinstall_known_extensions = false")
    connection.execute("SET TimeZone = 'UTC'")
    return connection
