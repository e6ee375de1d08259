"""The rows of train, valid and test, streamed: a batch of raw columns at a time, and never more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.stats.arrays import Floats

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.artifact import Artifact

PARTS = ("train", "valid", "test")

#: Values (rows x columns) of a batch: bounds what is held, however wide the table.
_CELLS = 2_000_000
_ROWS = 65_536
#: What is more distant than this from zero is an infinity in the graph, and so missing.
FLOAT32_MAX = 3.4028234e38

_TYPES = {"bool": "BOOLEAN", "int64": "BIGINT", "double": "DOUBLE", "timestamp[us]": "TIMESTAMP"}


@dataclass(frozen=True)
class Batch:
    """Some rows of a part. start: the number of its first row, counted over all parts; y: float64 (rows,)."""

    part: int
    start: int
    rows: pa.RecordBatch
    y: Floats


@dataclass(frozen=True)
class Parts:
    """The parts of a split that are there, in the order of `PARTS`."""

    splits: Artifact

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(part for part in PARTS if f"{part}.parquet" in self.splits.files)

    @cached_property
    def rows(self) -> tuple[int, ...]:
        import pyarrow.parquet as pq

        return tuple(int(pq.read_metadata(self._path(part)).num_rows) for part in self.names)

    @cached_property
    def types(self) -> dict[str, str]:
        """Each raw column and its type, one of the five of a dataset."""
        import pyarrow.parquet as pq

        schema = pq.read_schema(self._path(self.names[0]))
        return {field.name: _TYPES.get(str(field.type), "VARCHAR") for field in schema}

    def batches(self, columns: Sequence[str], *, dictionaries: Sequence[str] = ()) -> Iterator[Batch]:
        """All rows in order; `dictionaries` are the texts that come as codes and a dictionary."""
        import pyarrow.parquet as pq

        size = max(1024, min(_ROWS, _CELLS // max(1, len(columns))))
        # pre_buffer would hold all bytes that were read until the file is closed
        options = {"read_dictionary": list(dictionaries), "pre_buffer": False}
        start = 0
        for number, part in enumerate(self.names):
            y = np.load(self.splits.path(f"{part}.y.npy"), mmap_mode="r")
            first = start
            with pq.ParquetFile(self._path(part), **options) as file:
                for rows in file.iter_batches(size, columns=list(columns)):
                    at = start - first
                    yield Batch(number, start, rows, np.asarray(y[at : at + len(rows)], dtype=np.float64))
                    start += len(rows)

    def _path(self, part: str) -> Any:
        return self.splits.path(f"{part}.parquet")


def numbers(array: Any) -> Floats:
    """A boolean, number or timestamp column as float64 (rows,); times as microseconds since 1970.

    NaN means missing: NULL, NaN, and what is an infinity in the graph.
    """
    import pyarrow as pa

    if pa.types.is_timestamp(array.type):
        array = array.cast(pa.int64())
    elif pa.types.is_boolean(array.type):
        array = array.cast(pa.uint8())
    values = array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    if pa.types.is_floating(array.type):
        values = np.where(np.abs(values) <= FLOAT32_MAX, values, np.nan)
    return np.asarray(values, dtype=np.float64)
