"""Parquet written by DuckDB: one set of settings, so that equal rows have equal bytes; and a full disk explained."""

from __future__ import annotations

import errno
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bessemer.core.errors import EnvironmentFault
from bessemer.core.sql import literal
from bessemer.core.store import explained

ROW_GROUP = 122_880
_DISK_FULL = ("no space left", "disk quota exceeded", "file too large", "max_temp_directory_size")


@contextmanager
def machine_explained(what: str, where: object) -> Iterator[None]:
    """Turn DuckDB's words for a full disk or too little memory into errors that say what to do.

    Other errors of DuckDB pass unchanged: the caller knows what they mean.
    """
    import duckdb

    try:
        with explained(what, where):
            try:
                yield
            except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
                if any(words in str(error).lower() for words in _DISK_FULL):
                    raise OSError(errno.ENOSPC, str(error)) from error
                if "permission denied" in str(error).lower():
                    raise PermissionError(errno.EACCES, str(error)) from error
                raise
    except duckdb.OutOfMemoryException as error:
        raise EnvironmentFault(
            f"out of memory while {what} {where}",
            why=str(error).splitlines()[0],
            fix="give the run more memory (`resources: {memory: 4GB}`), or select fewer columns",
        ) from error


def bytes_a_row(path: Path, columns: Collection[str] | None = None) -> int:
    """How large a row of a Parquet file is on average before compression; of some columns only, if they are given."""
    import pyarrow.parquet as pq

    found, size = pq.read_metadata(path), 0
    for group in map(found.row_group, range(found.num_row_groups)):
        for chunk in map(group.column, range(found.num_columns)):
            if columns is None or chunk.path_in_schema in columns:
                size += int(chunk.total_uncompressed_size)
    return size // max(1, int(found.num_rows))


def rows_at(path: Path, positions: Any, columns: list[str]) -> Any:
    """The rows at some positions, an Arrow table; the file is read as a stream, so that memory follows the answer.

    Args:
        positions: int64 (n,), ascending. columns: which, and in which order.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, pre_buffer=False) as file:
        schema = pa.schema([file.schema_arrow.field(name) for name in columns])
        batches, first = [], 0
        for batch in file.iter_batches(batch_size=65_536, columns=columns, use_threads=False):
            low, high = np.searchsorted(positions, [first, first + len(batch)])
            if high > low:
                batches.append(batch.select(columns).take(pa.array(positions[low:high] - first)))
            first += len(batch)
    return pa.Table.from_batches(batches, schema).combine_chunks()


def write_parquet(connection: Any, query: str, path: Path) -> int:
    """Write a query's rows to a Parquet file, streaming, in order; gives the number of rows.

    A part-written file is removed.

    Raises:
        StoreError: disk full or read-only.

    >>> import tempfile, duckdb
    >>> write_parquet(duckdb.connect(), "SELECT 1 AS a", Path(tempfile.mkdtemp()) / "a.parquet")
    1
    """
    options = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP}"
    try:
        with machine_explained("writing", path):
            return int(connection.execute(f"COPY ({query}\n) TO {literal(path)} ({options})").fetchone()[0])
    except BaseException:
        path.unlink(missing_ok=True)
        raise
