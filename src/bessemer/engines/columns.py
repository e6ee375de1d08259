"""The five types of a dataset's columns, and how each of DuckDB's types becomes one of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bessemer.core.errors import DataError
from bessemer.core.sql import quote

_SAME = {"BOOLEAN", "BIGINT", "VARCHAR"}
_SMALL = {"TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER"}
_WIDE = {"UBIGINT", "HUGEINT", "UHUGEINT"}
_TIMES = {"TIMESTAMP", "DATE", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"}
_SECONDS = {"TIME", "TIME_NS", "INTERVAL", "TIME WITH TIME ZONE"}
_LEFT_OUT = {"BLOB", "GEOMETRY"}


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
    if kind == "TIMESTAMPTZ_NS":  # DuckDB's isfinite does not know it
        c, kind = f"CAST({c} AS TIMESTAMPTZ)", "TIMESTAMP WITH TIME ZONE"
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
