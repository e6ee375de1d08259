"""Parquet files in the log's own folder, which `read_log` reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from bessemer.serve.log.sink import NoSettings

if TYPE_CHECKING:
    from bessemer.package.prediction_log.convert import LogBatch


class Parquet:
    """A file for each segment, model, version and day, named by the segment."""

    Settings = NoSettings
    beside: ClassVar[bool] = False

    def __init__(self, folder: Path, settings: Any = None) -> None:
        self._folder = folder

    def write(self, segment: str, batches: Iterator[LogBatch]) -> None:
        from bessemer.package.prediction_log.parts import write_parts

        write_parts(self._folder, segment, batches)
