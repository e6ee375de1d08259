"""Rows that never were: mixed from the row that is explained and from background rows, cell by cell.

Every value of a mixed row is one that somebody has had, so integers stay whole, categories known and numbers within
their range, whatever the type of the column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bessemer.explain.sample import pick

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.explain.sample import Floats, Sample
    from bessemer.explain.subject import Subject
    from bessemer.explain.values import Kind

Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Column:
    """A raw column as an array.

    kind: numbers and timestamps have an order, categories (texts and booleans) have none.
    values: float64 (N,): the number, microseconds since 1970, or the position of the category in `levels`; NaN is
        missing. An infinity and an empty text are missing to the graph, so they are here.
    """

    name: str
    kind: Kind
    values: Floats
    levels: tuple[Any, ...] = ()

    @property
    def ordered(self) -> bool:
        return self.kind != "category"


@dataclass(frozen=True)
class Pool:
    """The cells that rows are mixed from: first the `rows` that are explained, then those of the background.

    table: the raw columns of the graph, in its order. text: what the background is, in words.
    """

    table: pa.Table
    rows: tuple[int, ...]
    text: str

    @property
    def first(self) -> int:
        """The position of the first background row."""
        return len(self.rows)

    @property
    def size(self) -> int:
        """How many background rows there are."""
        return int(self.table.num_rows) - self.first

    @cached_property
    def background(self) -> pa.Table:
        return self.table.slice(self.first)

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        return tuple(as_column(name, self.table.column(name)) for name in self.table.column_names)

    def mixed(self, places: Places) -> pa.Table:
        """A table of N rows; places (N, C) says for each cell which row of the pool it is taken from."""
        import pyarrow as pa

        cells = [self.table.column(c).take(pa.array(places[:, c])) for c in range(places.shape[1])]
        return pa.table(cells, schema=self.table.schema)


def pool(subject: Subject, sample: Sample, rows: Sequence[int], most: int, rng: np.random.Generator) -> Pool:
    """The rows at these positions of the sample before up to `most` training rows.

    Where no training rows are there, the sample's own rows are the background.
    """
    import pyarrow as pa

    asked = sample.table.take(pa.array(rows, type=pa.int64()))
    if sample.training is not None:
        behind, text = sample.training.draw(most, rng).table, sample.training.text
    else:
        behind, text = sample.table.take(pa.array(pick(len(sample), most, rng))), "rows that were given"
    tables = [part.select(subject.columns) for part in (asked, behind.cast(sample.table.schema))]
    return Pool(pa.concat_tables(tables).combine_chunks(), tuple(rows), f"{behind.num_rows:,} {text}")


def as_column(name: str, column: pa.ChunkedArray) -> Column:
    """A raw Arrow column as numbers.

    >>> import pyarrow as pa
    >>> as_column("b", pa.chunked_array([["x", None, "y", ""]])).values.tolist()
    [0.0, nan, 1.0, nan]
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_timestamp(kind):
        micro = column.cast(pa.timestamp("us")).cast(pa.int64()).cast(pa.float64(), safe=False)
        return Column(name, "timestamp", micro.to_numpy())
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        values = column.cast(pa.float64(), safe=False).to_numpy()
        return Column(name, "number", np.where(np.isfinite(values), values, np.nan))
    if pa.types.is_string(kind):
        column = pc.if_else(pc.equal(column, ""), None, column)
    coded = column.combine_chunks().dictionary_encode()
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.combine_chunks()
    codes = coded.indices.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return Column(name, "category", codes, tuple(coded.dictionary.to_pylist()))
