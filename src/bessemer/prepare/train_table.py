"""The train part as a table that transforms are fitted on: safe names, one meaning of missing, folds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bessemer.core.sql import literal, quote
from bessemer.prepare.labelled import ROW, Labelled
from bessemer.prepare.mixing import mixed, mixed_sql
from bessemer.prepare.transforms.base import Column, Target, TrainColumn
from bessemer.prepare.transforms.target_mean import sums_sql

#: Columns looked at together: one query, and for wide files one scan, for this many.
CHUNK = 500
#: From this many columns on, reading the file's description costs more than the rows: chunks are copied.
WIDE = 400
#: A regression target is counted in steps of about 2**-51 of its largest value: sums of them are exact.
_BITS = 51


def clean_sql(dtype: str, x: str) -> str:
    """The value with one meaning of missing: NULL for '', NaN and infinity.

    >>> clean_sql("string", "x0")
    "nullif(x0, '')"
    """
    if dtype == "string":
        return f"nullif({x}, '')"
    return f"CASE WHEN isfinite({x}) THEN {x} END" if dtype == "number" else x


class Folds:
    """The fold of a row of the train part, by its number: the same in SQL and in numpy."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed = count, seed

    @property
    def sql(self) -> str:
        return f"({mixed_sql(ROW, self.seed)} % {self.count})"

    def of(self, rows: np.ndarray) -> np.ndarray:
        """Row numbers (N,) to folds (N,), both int64."""
        folds: np.ndarray = mixed(rows, self.seed) % self.count
        return folds


def read_target(connection: Any, data: Labelled, path: Path, folds: Folds) -> Target:
    """The target of the train part, with the sums of each fold."""
    source, unit, sql = f"read_parquet({literal(path)})", 1.0, data.class_sql()
    if data.task == "regression":
        name = quote(data.target)
        (largest,) = connection.execute(f"SELECT max(abs({name})) FROM {source}").fetchone()
        unit = 2.0 ** (math.frexp(float(largest or 0.0))[1] - _BITS)
        sql = f"CAST(round({name} / CAST('{unit!r}' AS DOUBLE)) AS BIGINT)"
    means = sums_sql(data.task, len(data.classes))
    found = connection.execute(
        f"SELECT fold, count(*), {means} FROM (SELECT {folds.sql} AS fold, {sql} AS y FROM {source}) GROUP BY fold"
    ).fetchall()
    rows = np.zeros(folds.count, dtype=object)
    sums = np.zeros((folds.count, len(found[0]) - 2), dtype=object)
    for fold, n, *values in found:
        rows[fold], sums[fold] = n, values
    return Target(data.target, data.task, data.classes, sql, unit, rows, sums)


def chunks(
    connection: Any,
    path: Path,
    columns: Sequence[Column],
    target: Target,
    folds: Folds,
    *,
    width: int,
    split_by: str | None,
) -> Iterator[list[TrainColumn]]:
    """The columns in groups, each group ready to be queried until the next one is asked for.

    Args:
        path: the train part.
        width: columns of the file.
        split_by: the column that orders the split, if any.
    """
    kind = "TEMP TABLE" if width > WIDE else "TEMP VIEW"
    for start in range(0, len(columns), CHUNK):
        group = columns[start : start + CHUNK]
        values = ", ".join(f"({c.sql}) AS x{i}" for i, c in enumerate(group))
        cleaned = ", ".join(f"{clean_sql(c.dtype, f'x{i}')} AS x{i}" for i, c in enumerate(group))
        connection.execute(
            f"CREATE OR REPLACE {kind} train AS SELECT y, fold, {cleaned} FROM "
            f"(SELECT {target.sql} AS y, {folds.sql} AS fold, {values} FROM read_parquet({literal(path)}))"
        )
        yield [
            TrainColumn(c, connection, "train", f"x{i}", target, c.name == split_by)
            for i, c in enumerate(group)
        ]
