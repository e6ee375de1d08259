"""Landing: whatever the columns were, they become one of five types, and the rows one Parquet file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.core.errors import DataError
from bessemer.core.parquet import write_parquet
from bessemer.core.sql import quote
from bessemer.engines.columns import Column, canonical, describe

if TYPE_CHECKING:
    from bessemer.core.stage import Context

_MIN, _MAX = -(2**63), 2**63 - 1


def land(connection: Any, relation: str, path: Path, ctx: Context) -> list[Column]:
    """Write a relation's rows to `path` with canonical types; gives its columns.

    Integers wider than 64 bits land as BIGINT where all values fit, else as DOUBLE.

    Raises:
        DataError: nothing to learn from: fewer than two columns, or no rows.
    """
    import duckdb

    types = describe(connection, relation)
    columns = _columns(types, set(), ctx)
    try:
        rows = write_parquet(connection, _select(columns, relation), path)
    except (duckdb.ConversionException, duckdb.OutOfRangeException):
        wide = [c for c in columns if c.wide]
        if not wide:
            raise
        columns = _columns(types, _too_wide(connection, wide, relation), None)
        rows = write_parquet(connection, _select(columns, relation), path)
    if rows == 0:
        raise DataError(
            "there are no rows", why="the columns are there, the data is not", fix="check the source"
        )
    return columns


def _columns(types: list[tuple[str, str]], too_wide: set[str], ctx: Context | None) -> list[Column]:
    landed = [canonical(n, t, wide_as="DOUBLE" if n in too_wide else "BIGINT") for n, t in types]
    left_out = [name for (name, _), column in zip(types, landed, strict=True) if column is None]
    if left_out and ctx is not None:
        ctx.warn(f"left out binary column{'s' * (len(left_out) > 1)}: {', '.join(left_out)}")
    columns = [column for column in landed if column is not None]
    if len(columns) < 2:
        shown = f": '{columns[0].name}'" if columns else ""
        raise DataError(
            f"only {len(columns)} column{'s' * (len(columns) != 1)}{shown}",
            why="a target and at least one column to learn from are needed",
            fix="check the source, or the columns that `acquire.sql` selects",
        )
    return columns


def _select(columns: list[Column], relation: str) -> str:
    return f"SELECT {', '.join(f'{c.expression} AS {quote(c.name)}' for c in columns)} FROM {relation}"


def _too_wide(connection: Any, wide: list[Column], relation: str) -> set[str]:
    tests = ", ".join(f"coalesce(bool_and({quote(c.name)} BETWEEN {_MIN} AND {_MAX}), true)" for c in wide)
    fits = connection.execute(f"SELECT {tests} FROM {relation}").fetchone()
    return {column.name for column, fit in zip(wide, fits, strict=True) if not fit}
