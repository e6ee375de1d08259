"""The types of the columns of records, which are lines of JSON: those that fit all values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bessemer.core.sql import literal, quote

_MOST_OBJECT = 256 * 2**20
_TIME = r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.]\d+)?)?(Z|[+-]\d\d(:?\d\d)?)?)?"


def typed(connection: Any, file: Path) -> str:
    """The SQL that reads the lines. Nested values are text; a column without any value has no type."""
    relation = (
        f"read_json({literal(file)}, format = 'newline_delimited', records = 'true', sample_size = -1, "
        f"map_inference_threshold = -1, maximum_object_size = {_MOST_OBJECT})"
    )
    columns = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    asked = [f"count({quote(name)}), {_all_times(name, kind)}" for name, kind, *_ in columns]
    (facts,) = connection.execute(f"SELECT {', '.join(asked)} FROM {relation}").fetchall()
    listed = ", ".join(
        _column(name, kind, count=facts[2 * i], times=facts[2 * i + 1])
        for i, (name, kind, *_) in enumerate(columns)
    )
    return f"SELECT {listed} FROM {relation}"


def _all_times(name: str, kind: str) -> str:
    """Whether all texts are times as ISO 8601 has them: DuckDB finds those without a fraction or a zone alone."""
    if kind != "VARCHAR":
        return "false"
    column = quote(name)
    tests = f"regexp_full_match({column}, '{_TIME}') AND TRY_CAST({column} AS TIMESTAMP) IS NOT NULL"
    return f"bool_and({tests}) FILTER ({column} IS NOT NULL)"


def _column(name: str, kind: str, *, count: int, times: bool) -> str:
    column = quote(name)
    if not count:
        return f"NULL AS {column}"
    if times:
        return f"CAST({column} AS TIMESTAMP) AS {column}"
    if kind == "JSON":  # values of several kinds, which stand as text
        return f"{column} ->> '$' AS {column}"
    if kind.startswith(("STRUCT", "MAP")) or kind.endswith("]"):
        return f"CAST(to_json({column}) AS VARCHAR) AS {column}"
    return column
