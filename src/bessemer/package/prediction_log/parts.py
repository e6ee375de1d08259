"""Typed batches -> Parquet files, each written aside and renamed into place when it is whole and flushed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from bessemer.package.prediction_log.convert import LogBatch
from bessemer.package.prediction_log.layout import part_name, partition

_GROUP_ROWS = 65_536
_GROUP_BYTES = 32 * 2**20


def write_parts(folder: Path, segment: str, batches: Iterable[LogBatch], *, flush: bool = True) -> list[Path]:
    """Write the rows of a segment into the partitions they belong to; gives the finished files.

    A file's name is that of the segment, so writing a segment again replaces its files and adds no row. When
    it fails, nothing unfinished is left.

    Args:
        flush: whether the files are on the disk, beyond a loss of power, when this returns.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    open_parts: dict[Path, _Part] = {}
    try:
        for batch in batches:
            version = None if batch.is_labels else batch.model.version
            path = partition(folder, batch.model.model, version, batch.date) / part_name(segment)
            if path not in open_parts:
                open_parts[path] = _Part(path, batch.rows.schema)
            open_parts[path].add(batch.rows)
        for part in open_parts.values():
            part.finish(flush)
    except BaseException:
        for part in open_parts.values():
            part.abandon()
        raise
    return list(open_parts)


class _Part:
    """A file in the making. Row groups are of a size that reads well, whatever the batches' sizes."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        import pyarrow.parquet as pq

        self.path, self._schema = path, schema
        path.parent.mkdir(parents=True, exist_ok=True)
        self._aside = path.with_name(f".{path.name}.unfinished")
        self._file = pa.OSFile(str(self._aside), "wb")
        self._writer: Any = pq.ParquetWriter(self._file, schema, compression="zstd", compression_level=3)
        self._waiting: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0

    def add(self, rows: pa.RecordBatch) -> None:
        self._waiting.append(rows)
        self._rows += rows.num_rows
        self._bytes += rows.nbytes
        if self._rows >= _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self._write()

    def _write(self) -> None:
        table = pa.Table.from_batches(self._waiting, self._schema)
        self._writer.write_table(table, row_group_size=max(1, table.num_rows))
        self._waiting, self._rows, self._bytes = [], 0, 0

    def finish(self, flush: bool) -> None:
        if self._waiting:
            self._write()
        self._writer.close()
        self._file.close()
        if flush:
            _flush(self._aside)
        self._aside.replace(self.path)
        if flush:
            _flush(self.path.parent)

    def abandon(self) -> None:
        """Remove what was written, if it has not been finished."""
        for each in (self._writer, self._file):
            with suppress(OSError, pa.ArrowException):  # the disk may be as full as before
                each.close()
        with suppress(OSError):
            self._aside.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
