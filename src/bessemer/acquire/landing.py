"""Landing: whatever the columns were, they become one of five types, and the rows one Parquet file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.core.errors import DataError, Fault, ProjectError, did_you_mean
from bessemer.core.parquet import write_parquet
from bessemer.core.sql import quote
from bessemer.engines.columns import Column, canonical, describe

if TYPE_CHECKING:
    from bessemer.core.stage import Context

_MIN, _MAX = -(2**63), 2**63 - 1


def land(
    connection: Any, relation: str, path: Path, ctx: Context, images: Sequence[str] = ()
) -> list[Column]:
    """Write a relation's rows to `path` with canonical types; gives its columns.

    Integers wider than 64 bits land as BIGINT where all values fit, else as DOUBLE.

    Args:
        images: binary columns that land as the base64 of their bytes.

    Raises:
        ProjectError: `images` names a column that is not there or holds something else.
        DataError: nothing to learn from: fewer than two columns, or no rows.
    """
    import duckdb

    types = describe(connection, relation)
    if images:
        relation, types = _as_texts(relation, types, images)
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


def _as_texts(
    relation: str, types: list[tuple[str, str]], images: Sequence[str]
) -> tuple[str, list[tuple[str, str]]]:
    """The relation with the named binary columns as base64, and its types."""
    known = dict(types)
    for i, name in enumerate(images):
        if known.get(name) not in ("BLOB", "VARCHAR"):
            is_there = (
                f"'{name}' is a {known[name]} column" if name in known else f"no column '{name}' in the data"
            )
            fix = did_you_mean(name, [n for n, kind in types if kind == "BLOB"])
            raise ProjectError([Fault(f"acquire.images.{i}", None, f"{is_there}; images are binary", fix)])
    binary = [name for name in images if known[name] == "BLOB"]
    replaced = ", ".join(f"to_base64({quote(name)}) AS {quote(name)}" for name in binary)
    chosen = f"(SELECT * REPLACE ({replaced}) FROM {relation})" if binary else relation
    return chosen, [(name, "VARCHAR" if name in binary else kind) for name, kind in types]


def _columns(types: list[tuple[str, str]], too_wide: set[str], ctx: Context | None) -> list[Column]:
    landed = [canonical(n, t, wide_as="DOUBLE" if n in too_wide else "BIGINT") for n, t in types]
    left_out = [name for (name, _), column in zip(types, landed, strict=True) if column is None]
    if left_out and ctx is not None:
        listed = ", ".join(left_out)
        ctx.warn(
            f"left out binary column{'s' * (len(left_out) > 1)}: {listed}; "
            f"if they are images: `acquire: {{images: [{listed}]}}`"
        )
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
