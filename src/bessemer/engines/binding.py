"""DuckDB judges the project's SQL and says the types of its result, whatever engine then runs it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bessemer.core.errors import DataError, did_you_mean
from bessemer.core.sql import quote
from bessemer.engines.columns import check_names

#: Names and DuckDB types of a table's columns.
Schema = Sequence[tuple[str, str]]


def one_select(connection: Any, sql: str) -> str:
    """The text of the one SELECT that `acquire.sql` must be.

    Raises:
        DataError: several statements, or one that does not select.
        duckdb.Error: a syntax error.
    """
    import duckdb

    statements = connection.extract_statements(sql)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise DataError(
            f"`acquire.sql` has {len(statements)} statements or does not select",
            fix="write one SELECT; common table expressions (WITH) hold intermediate results",
        )
    return str(statements[0].query).strip().rstrip(";")


def result_columns(connection: Any, statement: str) -> list[tuple[str, str]]:
    """Names and DuckDB types of a SELECT's result.

    Raises:
        DataError: two columns have one name.
        duckdb.Error: it does not bind.
    """
    columns = [(row[0], row[1]) for row in connection.execute(f"DESCRIBE {statement}").fetchall()]
    check_names(
        [name for name, _ in columns],
        lambda: "name the columns one by one in `acquire.sql`, or use `join ... using (column)`",
    )
    return columns


def bind(sql: str, tables: Mapping[str, Schema]) -> tuple[str, list[tuple[str, str]]]:
    """The SELECT and its result's columns over tables without rows.

    Args:
        tables: name -> columns.

    Raises:
        DataError: it is no SELECT over these tables, in DuckDB's words and with the nearest name.

    >>> bind("select a + 1 as b from t;", {"t": [("a", "INTEGER")]})
    ('select a + 1 as b from t', [('b', 'INTEGER')])
    """
    import duckdb

    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for name, columns in tables.items():
            listed = ", ".join(f"{quote(column)} {kind}" for column, kind in columns)
            connection.execute(f"CREATE TABLE {quote(name)} ({listed})")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET python_enable_replacements = false")
        connection.execute("SET lock_configuration = true")
        try:
            statement = one_select(connection, sql)
            return statement, result_columns(connection, statement)
        except duckdb.Error as error:
            known = {name: [column for column, _ in columns] for name, columns in tables.items()}
            raise explain(error, known) from error


def explain(error: Exception, tables: Mapping[str, Sequence[str]]) -> DataError:
    """DuckDB's message, with the nearest of our own tables and columns."""
    message = re.sub(r"LINE 1: DESCRIBE (.*)\n {9}", r"LINE 1: \1\n", str(error).strip())
    fix = "correct `acquire.sql`"
    if table := re.search(r"Table with name (.+?) does not exist", message):
        fix = f"the tables are the names under `acquire.sources`; {did_you_mean(table[1], tables)}"
        message = message.partition("\n")[0]
    elif column := re.search(
        r'[Cc]olumn "(.+?)" (?:not found|does not exist)|have a column named "(.+?)"', message
    ):
        known = sorted({name for names in tables.values() for name in names})
        fix = did_you_mean(column[1] or column[2], known)
    elif "disabled by configuration" in message or "Permission Error" in message:
        fix = (
            "the SQL reads a file by itself: name the file under `acquire.sources` and select from that name"
        )
    return DataError("`acquire.sql` does not run", why=message, fix=fix)
