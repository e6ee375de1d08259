"""Parquet files in the log's own folder, which `read_log` reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bessemer.package.prediction_log.convert import LogBatch
from bessemer.package.prediction_log.parts import write_parts


class Parquet:
    """A file for each segment, model, version and day, named by the segment."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, segment: str, batches: Iterator[LogBatch]) -> None:
        write_parts(self._folder, segment, batches)
