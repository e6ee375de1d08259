"""A bounded sample of the rows, spread evenly over all of them, the same in every run: pictures are laid out by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.report.data.parts import Parts, numbers
from bessemer.stats.arrays import Bools, Floats, Ints

if TYPE_CHECKING:
    import pyarrow as pa

#: The most rows and the most values (rows x columns) of the sample.
ROWS = 50_000
CELLS = 4_000_000
#: Longer texts are cut: no picture shows more of them.
TEXT = 400


@dataclass(frozen=True)
class Sample:
    """Rows of all parts. table: raw columns, texts cut; y: float64 (n,); part: the number of each row's part (n,).

    whole: whether it is all rows.
    """

    table: pa.Table
    y: Floats
    part: Ints
    whole: bool

    def __len__(self) -> int:
        return len(self.y)

    def column(self, name: str) -> Any:
        """The column as one Arrow array."""
        return self.table.column(name).combine_chunks()

    @cached_property
    def missing(self) -> dict[str, Bools]:
        """For each column where the graph would take its value for missing."""
        return {name: missing(self.column(name)) for name in self.table.column_names}


def missing(array: Any) -> Bools:
    """NULL, an empty text, NaN or an infinity: bool (rows,)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_string(array.type):
        found = pc.fill_null(pc.equal(array, ""), True)
        return np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.bool_)
    return np.isnan(numbers(array))


def draw(parts: Parts, columns: Sequence[str]) -> Sample:
    """All rows, or about `ROWS` (fewer where the table is wide); a row is taken by its number (Knuth 6.4)."""
    import pyarrow as pa

    total, wanted = sum(parts.rows), min(ROWS, max(1000, CELLS // max(1, len(columns))))
    bound = 2**32 if total <= wanted else int(2**32 * wanted / total)
    tables, targets, places = [], [], []
    for batch in parts.batches(columns):
        number = np.arange(batch.start, batch.start + len(batch.y), dtype=np.uint64)
        taken = np.flatnonzero((number * np.uint64(2654435761)) % np.uint64(2**32) < bound)
        tables.append(pa.Table.from_batches([_cut(batch.rows.take(pa.array(taken)))]))
        targets.append(batch.y[taken])
        places.append(np.full(len(taken), batch.part, dtype=np.int64))
    if not tables:
        return Sample(pa.table({name: pa.nulls(0, pa.string()) for name in columns}), *_nothing(), True)
    table = pa.concat_tables(tables)
    return Sample(table, np.concatenate(targets), np.concatenate(places), total <= wanted)


def _nothing() -> tuple[Floats, Ints]:
    return np.zeros(0), np.zeros(0, dtype=np.int64)


def _cut(rows: pa.RecordBatch) -> pa.RecordBatch:
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = [
        pc.utf8_slice_codeunits(column, 0, TEXT) if pa.types.is_string(column.type) else column
        for column in rows.columns
    ]
    return pa.RecordBatch.from_arrays(columns, names=rows.schema.names)
