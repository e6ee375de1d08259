"""The landed rows in the order of their partitions and offsets, as one Parquet file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.acquire.streams.table import LandingTable
from bessemer.core.parquet import write_parquet
from bessemer.core.sql import literal

if TYPE_CHECKING:
    import pyarrow as pa

PLACE = ("_partition", "_offset")


def copy_ordered(connection: Any, table: LandingTable, names: Sequence[str], folder: Path) -> Path:
    """Copy the rows that could be read; neither the stream nor the sort holds them in memory.

    Args:
        names: the columns; `_partition` and `_offset` are there in any case.
    """
    parts, ordered = folder / "landed.parquet", folder / "ordered.parquet"
    columns = [*names, *(name for name in PLACE if name not in names)]
    _write(table.rows(columns), parts)
    write_parquet(
        connection, f"SELECT * FROM read_parquet({literal(parts)}) ORDER BY _partition, _offset", ordered
    )
    parts.unlink()
    return ordered


def _write(rows: pa.RecordBatchReader, path: Path) -> None:
    import pyarrow.parquet as pq

    with pq.ParquetWriter(path, rows.schema, compression="snappy") as writer:
        for batch in rows:
            writer.write_batch(batch)
