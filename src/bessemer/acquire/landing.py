"""Landing: whatever the columns were, they become one of five types, and the rows one Parquet file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.core.errors import DataError
from bessemer.core.parquet import write_parquet
from bessemer.core.sql import quote

if TYPE_CHECKING:
    from bessemer.core.stage import Context

_SAME = {"BOOLEAN", "BIGINT", "VARCHAR"}
_SMALL = {"TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER"}
_WIDE = {"UBIGINT", "HUGEINT", "UHUGEINT"}
_TIMES = {"TIMESTAMP", "DATE", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"}
_SECONDS = {"TIME", "TIME_NS", "INTERVAL", "TIME WITH TIME ZONE"}
_LEFT_OUT = {"BLOB", "GEOMETRY"}
_MIN, _MAX = -(2**63), 2**63 - 1


@dataclass(frozen=True)
class Column:
    """A landed column: how it is computed from the relation, and its type (one of five).

    wide: an integer type larger than BIGINT; whether it fits is known only from the values.
    """

    name: str
    expression: str
    dtype: str
    wide: bool = False


def canonical(name: str, duckdb_type: str, *, wide_as: str = "BIGINT") -> Column | None:
    """How a DuckDB column lands; None for one that cannot be learned from (binary data).

    Decimals become DOUBLE (BIGINT without decimal places), dates TIMESTAMP, times and intervals DOUBLE seconds,
    times with a zone UTC, nested values JSON text; NaN and infinite times become NULL.

    >>> canonical("when", "DATE").dtype, canonical("price", "DECIMAL(8,2)").dtype, canonical("id", "UUID").dtype
    ('TIMESTAMP', 'DOUBLE', 'VARCHAR')
    """
    kind, c = duckdb_type.upper(), quote(name)
    if kind in _SAME:
        return Column(name, c, kind)
    if kind in _SMALL:
        return Column(name, f"CAST({c} AS BIGINT)", "BIGINT")
    if kind in _WIDE or (kind.startswith("DECIMAL") and kind.endswith(",0)")):
        return Column(name, f"CAST({c} AS {wide_as})", wide_as, wide=True)
    if kind in ("DOUBLE", "FLOAT") or kind.startswith("DECIMAL") or kind in ("BIGNUM", "VARINT"):
        return Column(name, f"nullif(CAST({c} AS DOUBLE), CAST('nan' AS DOUBLE))", "DOUBLE")
    if kind in _TIMES:
        return Column(name, f"CASE WHEN isfinite({c}) THEN CAST({c} AS TIMESTAMP) END", "TIMESTAMP")
    if kind == "TIMESTAMP WITH TIME ZONE":
        return Column(name, f"CASE WHEN isfinite({c}) THEN timezone('UTC', {c}) END", "TIMESTAMP")
    if kind in _SECONDS:
        return Column(name, f"CAST(epoch({c}) AS DOUBLE)", "DOUBLE")
    if kind.startswith(("STRUCT", "MAP", "UNION", "VARIANT")) or kind.endswith("]"):
        return Column(name, f"CAST(to_json({c}) AS VARCHAR)", "VARCHAR")
    if kind in _LEFT_OUT:
        return None
    return Column(
        name, f"CAST({c} AS VARCHAR)", "VARCHAR"
    )  # ENUM, UUID, JSON, BIT, "NULL" and what is to come


def check_names(names: Sequence[str], fix: Callable[[], str]) -> None:
    """Refuse names that stand twice, also if they differ only by case, which SQL does not see.

    Args:
        fix: gives what to do about it; asked only where there are duplicates.

    Raises:
        DataError: naming them all.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[name.lower()].append(name)
    twice = [" and ".join(f"'{n}'" for n in group) for group in groups.values() if len(group) > 1]
    if twice:
        shown = "; ".join(twice[:5]) + (f" and {len(twice) - 5} more" if len(twice) > 5 else "")
        raise DataError(
            f"duplicate column names: {shown}", why="upper and lower case are the same to SQL", fix=fix()
        )


def describe(connection: Any, relation: str) -> list[tuple[str, str]]:
    """Names and DuckDB types of a relation's columns."""
    return [(row[0], row[1]) for row in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()]


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
