"""Columns in a few levels each: what slices are made of, and what distributions are compared by.

Numbers and timestamps are cut at quantiles, texts and booleans keep their most frequent values. Missing is what the
graph takes for it (null, NaN, infinity, an empty text) and is a level of its own, as are all the rarer values together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as pt
from numpy.typing import NDArray

#: Values of a Parquet file that are read at once.
_AT_ONCE = 8_000_000
#: Texts are cut to so many letters where a condition is put in words.
_LONG = 60

Operator = Literal["=", "in range", "missing", "rarer"]


@dataclass(frozen=True)
class Level:
    """A condition on a column.

    value: for `=` the value; for `rarer` how many values the level stands for.
    low, high: for `in range`, low < x <= high; None is open. Timestamps are texts in ISO 8601.
    """

    column: str
    operator: Operator
    value: Any = None
    low: Any = None
    high: Any = None

    @property
    def text(self) -> str:
        """The condition in words.

        >>> Level("age", "in range", low=30, high=41.5).text, Level("paid", "=", True).text
        ('age above 30 to 41.5', 'paid = true')
        """
        if self.operator == "missing":
            return f"{self.column} missing"
        if self.operator == "rarer":
            return f"{self.column} one of {self.value} rarer values"
        if self.operator == "=":
            shown = str(self.value).lower() if isinstance(self.value, bool) else str(self.value)
            return f"{self.column} = {shown if len(shown) <= _LONG else shown[: _LONG - 1] + '…'}"
        low, high = _words(self.low), _words(self.high)
        if self.low is None:
            return f"{self.column} up to {high}"
        return f"{self.column} above {low}" + ("" if self.high is None else f" to {high}")

    def to_json(self) -> dict[str, Any]:
        named: dict[str, Any] = {"column": self.column, "operator": self.operator}
        if self.operator == "in range":
            return {**named, "low": self.low, "high": self.high}
        return named if self.operator == "missing" else {**named, "value": self.value}


@dataclass(frozen=True)
class Coded:
    """A column in levels. codes: the level of each row, int8 (n,)."""

    column: str
    levels: tuple[Level, ...]
    codes: NDArray[np.int8]

    def counts(self, rows: NDArray[Any]) -> NDArray[np.int64]:
        """How many of some rows (mask or places) are in each level, int64 (levels,)."""
        return np.bincount(self.codes[rows], minlength=len(self.levels)).astype(np.int64)


def columns_of(part: Path, names: Sequence[str], rows: NDArray[np.int64]) -> Iterator[tuple[str, pa.Array]]:
    """Each of some columns of a Parquet file, at some rows: a few columns are read at once, so that memory is bounded.

    Args:
        rows: places, in any order.
    """
    with pq.ParquetFile(part) as file:
        count = file.metadata.num_rows
        everything, places = len(rows) == count and bool((rows == np.arange(count)).all()), pa.array(rows)
        step = max(1, _AT_ONCE // max(1, count))
        for first in range(0, len(names), step):
            table = file.read(columns=list(names[first : first + step]), use_threads=False)
            for name in names[first : first + step]:
                values = table.column(name).combine_chunks()
                yield name, values if everything else values.take(places)


def coded_columns(
    part: Path, columns: Sequence[str], rows: NDArray[np.int64], *, bins: int, values: int
) -> Iterator[Coded]:
    """Each column in levels, one at a time, of some rows of a Parquet file; those of a single level are left out."""
    for column, given in columns_of(part, columns, rows):
        made = coded(column, given, bins, values)
        if len(made.levels) > 1:
            yield made


def coded(column: str, values: Any, bins: int, most: int) -> Coded:
    """A column in at most `bins` ranges, or its `most` frequent values, and what is rarer or missing.

    Whole numbers of at most `bins` different values keep their values.

    >>> [level.text for level in coded("x", pa.array([1.5, 2.5, None, 9.0]), 2, 5).levels]
    ['x up to 2.5', 'x above 2.5', 'x missing']
    """
    if isinstance(values, pa.ChunkedArray):
        values = pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], type=values.type)
    numeric = pt.is_floating(values.type) or pt.is_integer(values.type)
    if pt.is_timestamp(values.type) or (numeric and pc.count_distinct(values).as_py() > bins):
        return _ranges(column, values, bins)
    return _values(column, values, most)


def _values(column: str, values: Any, most: int) -> Coded:
    if pt.is_string(values.type) or pt.is_large_string(values.type):
        values = pc.if_else(pc.equal(values, ""), pa.scalar(None, values.type), values)
    if pt.is_floating(values.type):
        values = pc.if_else(pc.is_finite(values), values, pa.scalar(None, values.type))
    made = values.dictionary_encode()
    names = made.dictionary.to_pylist()
    given = pc.fill_null(made.indices, len(names)).to_numpy(zero_copy_only=False).astype(np.int64)
    counts = np.bincount(given, minlength=len(names) + 1)
    ranked = sorted(range(len(names)), key=lambda k: (-counts[k], names[k]))
    kept, rarer = ranked[:most], ranked[most:]
    levels = [Level(column, "=", names[k]) for k in kept]
    place = np.zeros(len(names) + 1, dtype=np.int8)
    place[kept] = np.arange(len(kept))
    if rarer:
        place[rarer] = len(levels)
        levels.append(Level(column, "rarer", len(rarer)))
    if counts[len(names)]:
        place[len(names)] = len(levels)
        levels.append(Level(column, "missing"))
    return Coded(column, tuple(levels), place[given])


def _ranges(column: str, values: Any, bins: int) -> Coded:
    timestamp = pt.is_timestamp(values.type)
    numbers = values.cast(pa.timestamp("us")).cast(pa.int64()) if timestamp else values
    missing = values.is_null(nan_is_null=True).to_numpy(zero_copy_only=False)
    filled = pc.fill_null(numbers, 0).to_numpy(zero_copy_only=False)
    missing = missing | ~np.isfinite(filled)
    known = filled[~missing]
    levels: list[Level] = []
    place = np.zeros(len(filled), dtype=np.int8)
    if len(known):
        cuts = np.unique(np.quantile(known, np.arange(1, bins) / bins, method="inverted_cdf"))
        cuts = cuts[cuts < known.max()]
        place = np.searchsorted(cuts, filled, side="left").astype(np.int8)
        ends = [None, *(_end(cut, timestamp=timestamp) for cut in cuts), None]
        levels = [Level(column, "in range", low=a, high=b) for a, b in pairwise(ends)]
    if missing.any():
        place[missing] = len(levels)
        levels.append(Level(column, "missing"))
    return Coded(column, tuple(levels), place)


def _end(cut: Any, *, timestamp: bool) -> Any:
    if timestamp:
        return str(np.datetime64(int(cut), "us").astype("datetime64[s]"))
    return int(cut) if isinstance(cut, np.integer) else float(cut)


def _words(end: Any) -> str:
    return end.replace("T", " ") if isinstance(end, str) else f"{end:.6g}" if end is not None else ""
