"""Times of a log as text. A client may name a year that Python's dates do not have; Arrow and Parquet keep it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any, Literal

import pyarrow as pa

_EPOCH = dt.datetime(1970, 1, 1)
_MICROSECOND = dt.timedelta(microseconds=1)
_FIRST, _LAST = ((moment - _EPOCH) // _MICROSECOND for moment in (dt.datetime.min, dt.datetime.max))


def iso(micro: int | None, timespec: Literal["auto", "microseconds"] = "auto") -> str | None:
    """Microseconds since 1970 as ISO 8601 in UTC; None where the year is not of 1 to 9999.

    >>> iso(1_500_000), iso(1_500_000_000), iso(2**62)
    ('1970-01-01T00:00:01.500000Z', '1970-01-01T00:25:00Z', None)
    """
    if micro is None or not _FIRST <= micro <= _LAST:
        return None
    return f"{(_EPOCH + micro * _MICROSECOND).isoformat(timespec=timespec)}Z"


def rows_of(batch: pa.RecordBatch, at_once: int = 512) -> Iterator[dict[str, Any]]:
    """Rows as Python values, times as microseconds since 1970.

    Few at a time (`at_once`): a whole batch of them would take many times its room.

    >>> list(rows_of(pa.record_batch({"t": pa.array([2**62], pa.timestamp("us"))})))
    [{'t': 4611686018427387904}]
    """
    columns = [
        column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column for column in batch.columns
    ]
    plain = pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
    for start in range(0, plain.num_rows, at_once):
        yield from plain.slice(start, at_once).to_pylist()
