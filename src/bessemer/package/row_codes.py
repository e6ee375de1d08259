"""Whole rows as codes: numbers by their normal scores, texts and booleans by their levels; at most 50,000 rows.

What a level is follows from the reference's sketches, so that a row has the same codes in training and in production.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bessemer.core.sql import quote
from bessemer.package.even import places, spread
from bessemer.package.joint import ROWS, scored_numbers
from bessemer.stats.arrays import Bools, Floats, Ints

#: The most columns of a row, and the most levels of a column that stand alone.
COLUMNS, LEVELS = 60, 16

#: So many standard deviations above the values that do not stand alone, one is more frequent for certain.
_BEYOND_CHANCE = 4.0

#: Of a column with more different values than this share of its rows, no value says anything of the next row's.
_NAMES = 0.5

#: A column with fewer rows off its main level is not stretched any further.
_LEAST_SPREAD = 0.2

Sketches = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Coded:
    """A column of a coded row.

    levels: of texts and booleans, the values that stand alone, as text; code k is the k-th of them, then come all
    others and then missing values. Numbers have none: their codes are scores, 0 where a value is missing.
    scale: what a level counts, so that a column varies as much as a number does.
    """

    name: str
    levels: tuple[str, ...] = ()
    boolean: bool = False
    scale: float = 1.0

    @property
    def is_number(self) -> bool:
        return not self.levels

    @property
    def width(self) -> int:
        return 1 if self.is_number else len(self.levels) + 2


def coded(sketches: Sketches, numbers: Collection[str]) -> list[Coded]:
    """The first `COLUMNS` columns whose values say something of a row, in the order of the sketches.

    A level stands alone where it is more frequent than the rest beyond chance: of many like values, the ones that were
    most frequent in one sample are less so in the next.

    Args:
        sketches: as in `reference.json`. numbers: the columns of numbers that vary (see `joint.chosen`).

    >>> kind = {"dtype": "string", "count": 100, "missing": 0, "distinct": 2, "other": 0}
    >>> [column.levels for column in coded({"kind": {**kind, "categories": [["a", 90], ["b", 10]]}}, ())]
    [('a', 'b')]
    """
    found = (_column(name, sketch, numbers) for name, sketch in sketches.items())
    return [column for column in found if column is not None][:COLUMNS]


def recoded(told: Sequence[Sequence[Any]], sketches: Sketches) -> list[Coded]:
    """The columns as a reference tells them: a name each, and of levels how many stand alone."""
    return [
        Coded(name) if not alone else _levels(name, sketches[name], int(alone[0])) for name, *alone in told
    ]


def told(columns: Sequence[Coded]) -> list[list[Any]]:
    return [[column.name] if column.is_number else [column.name, len(column.levels)] for column in columns]


def _column(name: str, sketch: Mapping[str, Any], numbers: Collection[str]) -> Coded | None:
    if name in numbers:
        return Coded(name)
    counts = [int(n) for _, n in sketch.get("categories", ())]
    if sketch.get("distinct", 0) < 2 or sketch["distinct"] > _NAMES * sketch["count"]:
        return None
    # the most frequent of those that do not stand alone; none where all do
    rest = counts[LEVELS] if len(counts) > LEVELS else counts[-1] if counts and sketch["other"] else 0
    alone = sum(n > rest + _BEYOND_CHANCE * rest**0.5 for n in counts[:LEVELS])
    return _levels(name, sketch, alone) if alone else None


def _levels(name: str, sketch: Mapping[str, Any], alone: int) -> Coded:
    counts = np.array([n for _, n in sketch["categories"]], dtype=np.float64)
    rows = float(sketch["count"] + sketch["missing"])
    parts = np.array([*counts[:alone], counts[alone:].sum() + sketch["other"], sketch["missing"]]) / rows
    scale = max(_LEAST_SPREAD, 1 - float((parts**2).sum())) ** -0.5
    boolean = sketch["dtype"] == "boolean"
    values = [str(value).lower() if boolean else str(value) for value, _ in sketch["categories"][:alone]]
    return Coded(name, tuple(values), boolean, scale)


@dataclass(frozen=True)
class Codes:
    """Rows of codes, column by column, (n,) each: float64 scores, or int64 levels."""

    columns: tuple[Coded, ...]
    values: tuple[Floats | Ints, ...]

    def __len__(self) -> int:
        return len(self.values[0]) if self.values else 0

    def batches(self, size: int = 2048) -> Iterator[Codes]:
        """The same, a few rows at a time: what is made of codes is larger than they are."""
        for start in range(0, len(self), size):
            yield self.take(slice(start, start + size))

    def take(self, rows: slice | Ints | Bools) -> Codes:
        return Codes(self.columns, tuple(values[rows] for values in self.values))

    def spread(self, most: int) -> Codes:
        """At most so many of the rows, spread evenly."""
        if len(self) <= most:
            return self
        return self.take(places(len(self), most))

    def matrix(self) -> Floats:
        """The codes as one matrix (n, columns), NaN where a value is missing."""
        return np.stack(
            [
                values if column.is_number else np.where(values > len(column.levels), np.nan, values)
                for column, values in zip(self.columns, self.values, strict=True)
            ],
            axis=1,
        )

    def numbers(self) -> Floats:
        """The scores of all columns of numbers, (n, numbers), 0 where a value is missing."""
        scores = [v for c, v in zip(self.columns, self.values, strict=True) if c.is_number]
        return np.nan_to_num(np.stack(scores, axis=1)) if scores else np.zeros((len(self), 0))

    def levels(self) -> Iterator[tuple[Coded, Ints]]:
        """The other columns, with their codes."""
        for column, values in zip(self.columns, self.values, strict=True):
            if not column.is_number:
                yield column, values.astype(np.int64, copy=False)


def read_codes(
    connection: Any,
    relation: str,
    columns: Sequence[Coded],
    sketches: Sketches,
    rows: int,
    scores: Mapping[str, Floats],
) -> Codes:
    """Codes of at most `joint.ROWS` rows, spread evenly.

    Args:
        relation: what stands after FROM; it has the columns. rows: how many rows it has.
        scores: of columns of numbers, where they have been read before.
    """
    values: list[Floats | Ints] = []
    for column in columns:
        if not column.is_number:
            values.append(_read_levels(connection, relation, column, rows))
        elif column.name in scores:
            values.append(scores[column.name])
        else:
            values.append(scored_numbers(connection, relation, column.name, sketches[column.name], rows))
    return Codes(tuple(columns), tuple(values))


def _read_levels(connection: Any, relation: str, column: Coded, rows: int) -> Ints:
    raw = quote(column.name)
    value = f"CAST({raw} AS VARCHAR)"
    if column.boolean:
        yes, no = (
            f"lower({value}) IN ('true', 't', '1', '1.0')",
            f"lower({value}) IN ('false', 'f', '0', '0.0')",
        )
        value = f"CASE WHEN {yes} THEN 'true' WHEN {no} THEN 'false' END"
    k = len(column.levels)
    code = f"CASE WHEN coalesce({value}, '') = '' THEN {k + 1} ELSE coalesce(list_position(?, {value}) - 1, {k}) END"
    found = connection.execute(
        spread(relation, f"{code} AS v", rows, ROWS), [list(column.levels)]
    ).fetchnumpy()["v"]
    return np.asarray(np.ma.filled(found, k + 1), dtype=np.int64)
