"""The train part as a table that transforms are fitted on: safe names, one meaning of missing, folds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bessemer.core.sql import literal, quote
from bessemer.prepare.labelled import ROW, Labelled
from bessemer.prepare.mixing import group_sql, mixed, mixed_sql
from bessemer.prepare.transforms.base import Column, Target, TrainColumn
from bessemer.prepare.transforms.target_mean import sums_of, sums_sql

#: The table that transforms query.
TRAIN = "train"
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


class GroupFolds(Folds):
    """The same by the value of a column, so that rows of one group are in one fold: where the target goes with the
    group, the others of a row's group would tell it its own."""

    def __init__(self, count: int, seed: int, group: str, connection: Any, part: Path) -> None:
        """
        Args:
            part: the train part's Parquet file.
        """
        super().__init__(count, seed)
        self.group = group
        query = (
            f"SELECT CAST({self.sql} AS INTEGER) AS fold FROM read_parquet({literal(part)}) ORDER BY {ROW}"
        )
        self._known: np.ndarray = connection.execute(query).fetchnumpy()["fold"]

    @property
    def sql(self) -> str:
        return f"({group_sql(self.group, self.seed)} % {self.count})"

    def of(self, rows: np.ndarray) -> np.ndarray:
        folds: np.ndarray = self._known[rows].astype(np.int64)
        return folds


def value_sql(data: Labelled) -> str:
    """The target of a regression, NULL where it has no finite value."""
    return clean_sql(data.columns[data.target], quote(data.target))


def largest_sql(data: Labelled, source: str) -> str:
    """The query for the largest size of a regression target."""
    return f"SELECT max(abs({value_sql(data)})) AS largest FROM {source}"


def target_sql(data: Labelled, largest: float) -> tuple[str, float]:
    """`sql` and `unit` of `Target`; `largest` is the size of a regression target's largest value."""
    if data.task != "regression":
        return data.class_sql(), 1.0
    unit = 2.0 ** (math.frexp(largest)[1] - _BITS)
    return f"CAST(round({value_sql(data)} / CAST('{unit!r}' AS DOUBLE)) AS BIGINT)", unit


def totals_sql(data: Labelled) -> str:
    """What `Target` has of a fold: rows and sums, of `y`."""
    sums = sums_sql(data.task, len(data.classes))
    return ", ".join(["count(*) AS n", *(f"{sql} AS s{i}" for i, sql in enumerate(sums))])


class TrainRows(Protocol):
    """The rows that transforms learn from."""

    target: Target

    def chunks(self, columns: Sequence[Column]) -> Iterator[list[TrainColumn]]:
        """The columns in groups of one table each, in order. A group can be queried until the next is asked for."""
        ...


class PartRows:
    """The train part: a Parquet file, in a DuckDB connection."""

    def __init__(
        self,
        connection: Any,
        data: Labelled,
        path: Path,
        folds: Folds,
        split_by: str | None,
        largest: float = 0.0,
    ) -> None:
        """
        Args:
            split_by: the column that orders the split, if any.
            largest: of a regression target, among rows that are learnt from and not here.
        """
        self.connection, self.data, self.folds, self.split_by = connection, data, folds, split_by
        self.source = f"read_parquet({literal(path)})"
        if data.task == "regression":
            (here,) = connection.execute(largest_sql(data, self.source)).fetchone()
            largest = max(largest, float(here or 0.0))
        self.largest = largest
        self.target = self._target()

    def _target(self) -> Target:
        data, folds = self.data, self.folds
        sql, unit = target_sql(data, self.largest)
        found = self.connection.execute(
            f"SELECT fold, {totals_sql(data)} FROM (SELECT {folds.sql} AS fold, {sql} AS y FROM {self.source}) "
            "GROUP BY fold"
        ).fetchall()
        totals = {fold: (n, sums_of(data.task, values)) for fold, n, *values in found}
        means = len(next(iter(totals.values()))[1])
        rows, sums = np.zeros(folds.count, dtype=object), np.zeros((folds.count, means), dtype=object)
        for fold, (n, values) in totals.items():
            rows[fold], sums[fold] = n, values
        return Target(data.target, data.task, data.classes, sql, unit, rows, sums)

    def chunks(self, columns: Sequence[Column], size: int = CHUNK) -> Iterator[list[TrainColumn]]:
        """The columns in groups of `size`."""
        kind = "TEMP TABLE" if len(self.data.columns) > WIDE else "TEMP VIEW"
        for start in range(0, len(columns), size):
            group = {f"x{i}": column for i, column in enumerate(columns[start : start + size])}
            made = view_sql(group, self.target.sql, self.folds.sql, self.source)
            self.connection.execute(f"CREATE OR REPLACE {kind} {TRAIN} AS {made}")
            yield [
                TrainColumn(c, self.connection, TRAIN, x, self.target, c.name == self.split_by)
                for x, c in group.items()
            ]


def view_sql(columns: Mapping[str, Column], y: str, fold: str, source: str) -> str:
    """The table that transforms query: target, fold, and the columns under the names that are given."""
    values = "".join(f", ({c.sql}) AS {x}" for x, c in columns.items())
    cleaned = "".join(f", {clean_sql(c.dtype, x)} AS {x}" for x, c in columns.items())
    return f"SELECT y, fold{cleaned} FROM (SELECT {y} AS y, {fold} AS fold{values} FROM {source})"
