"""Where the rows of closed journal segments go: the protocol of sinks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from bessemer.package.prediction_log.convert import LogBatch


class Sink(Protocol):
    """Takes each closed segment once, and again when the process died before the segment was deleted.

    A sink must therefore do nothing new when it gets a segment of the same name again, and must return only
    when the rows are safe. An exception keeps the segment for the next try.
    """

    def __init__(self, folder: Path) -> None: ...

    def write(self, segment: str, batches: Iterator[LogBatch]) -> None: ...
