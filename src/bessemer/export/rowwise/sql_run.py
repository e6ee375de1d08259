"""Running a query that scores rows, on rows that stand in the query itself: nothing is written to the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bessemer.core.signature import Field
from bessemer.export.protocol import NotRunError
from bessemer.export.rowwise.sql_words import literal, quoted, word

#: Rows that go into one query.
ROWS = 100
#: Milliseconds that PostgreSQL may take for a query.
_PATIENCE = 300_000
_TABLE, _ROW = "checked_rows", "checked_row"

#: Gives the columns and rows of a query's result.
Run = Callable[[str], tuple[list[str], list[Sequence[Any]]]]


def engine_of(dialect: str) -> tuple[str, Run]:
    """An engine and its version, and what runs a query in it.

    Raises:
        NotRunError: there is none here.
    """
    if dialect not in _ENGINES:
        raise NotRunError(f"{dialect} runs in the cloud alone: ask it about some rows yourself")
    return _ENGINES[dialect]()


def asked(
    run: Run,
    dialect: str,
    columns: Sequence[Field],
    rows: Sequence[Mapping[str, Any]],
    query: Callable[[str, Sequence[str]], str],
    names: Sequence[str],
) -> tuple[list[list[float]], list[Any]]:
    """What an engine says of rows.

    Args:
        query: the text that reads a table and keeps some of its columns. names: of the columns of numbers.

    Returns:
        the numbers (N, C); the predictions.
    """
    found: list[list[float]] = []
    labels: list[Any] = []
    for text in queries(dialect, columns, rows, query):
        said, made = run(text)
        order = {name: said.index(name) for name in [*names, "prediction", _ROW]}
        for row in sorted(made, key=lambda row: int(row[order[_ROW]])):
            found.append([float("nan") if row[order[n]] is None else float(row[order[n]]) for n in names])
            labels.append(row[order["prediction"]])
    return found, labels


def queries(
    dialect: str,
    columns: Sequence[Field],
    rows: Sequence[Mapping[str, Any]],
    query: Callable[[str, Sequence[str]], str],
) -> Iterator[str]:
    """The query over some of the rows after the others, which stand in it."""
    text = query(_TABLE, [_ROW])
    for start in range(0, len(rows), ROWS):
        lines = [
            _row(dialect, columns, row, number)
            for number, row in enumerate(rows[start : start + ROWS], start)
        ]
        given = " UNION ALL ".join(lines)
        yield text.replace("WITH ", f"WITH {_TABLE} AS ({given}), ", 1)


def _row(dialect: str, columns: Sequence[Field], row: Mapping[str, Any], number: int) -> str:
    parts = [f"{_value(dialect, c, row.get(c.name))} AS {quoted(c.name, dialect)}" for c in columns]
    return f"SELECT {number} AS {quoted(_ROW, dialect)}, {', '.join(parts)}"


_CASTS = {
    "string": "CAST({0} AS VARCHAR)",
    "timestamp": "CAST({0} AS TIMESTAMP)",
    "boolean": "CAST({0} AS BOOLEAN)",
}


def _value(dialect: str, column: Field, value: Any) -> str:
    cast = _CASTS.get(column.dtype, "CAST({0} AS DOUBLE)")
    if value is None:
        return word(cast, dialect, "NULL")
    if column.dtype in ("string", "timestamp"):
        return word(cast, dialect, literal(str(value), "str", dialect))
    kind: Any = "bool" if isinstance(value, bool) else "f64"
    return word(cast, dialect, literal(value, kind, dialect))


def _duckdb() -> tuple[str, Run]:
    import duckdb

    connection = duckdb.connect(":memory:", config={"threads": 1})

    def run(text: str) -> tuple[list[str], list[Sequence[Any]]]:
        done = connection.execute(text)
        return [str(column[0]) for column in done.description], done.fetchall()

    return f"DuckDB {duckdb.__version__}", run


def _postgres() -> tuple[str, Run]:
    """The server that the environment names, as for psql: PGHOST, PGPORT, PGUSER, PGSERVICE..."""
    try:
        import psycopg
    except ImportError:
        raise NotRunError("'psycopg' is not installed: pip install 'bessemer[postgres]'") from None
    try:
        connection = psycopg.connect(
            connect_timeout=10, autocommit=True, options=f"-c statement_timeout={_PATIENCE}"
        )
    except psycopg.Error as error:
        why = str(error).strip().splitlines()[0].rstrip(".")
        raise NotRunError(f"no PostgreSQL answers; PGHOST and its like say where one is: {why}") from None

    def run(text: str) -> tuple[list[str], list[Sequence[Any]]]:
        done = connection.execute(text.encode())
        return [column.name for column in done.description or ()], list(done.fetchall())

    return f"PostgreSQL {connection.info.server_version // 10000}", run


_ENGINES: Mapping[str, Callable[[], tuple[str, Run]]] = {"duckdb": _duckdb, "postgres": _postgres}
