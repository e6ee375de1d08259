"""What a process that delivers segments did, as it tells the server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bessemer.core.redaction import hidden
from bessemer.package.prediction_log.convert import LogBatch, convert
from bessemer.package.prediction_log.journal import Segment


@dataclass
class Rolled:
    """failures: segments that stay for the next try, the last one's reason in `error`.

    segments, rows: made into Parquet. damaged: segments set aside. lost: what did not reach a sink and never will by
    itself: given up because too much waited, or set aside.
    """

    segments: int = 0
    rows: int = 0
    failures: int = 0
    damaged: int = 0
    error: str = ""
    lost: str = ""

    def failed(self, where: str, error: Exception) -> None:
        self.failures += 1
        self.error = hidden(f"{where}: {type(error).__name__}: {error}")

    def lose(self, what: str) -> None:
        """Of many the first and the last are told."""
        self.lost = f"{self.lost.partition('; ')[0]}; {what}" if self.lost else what


class Rows:
    """A segment's batches for one sink. count: rows so far. fault: what ended them, where it was not the sink."""

    def __init__(self, segment: Segment) -> None:
        self.segment, self.count = segment, 0
        self.fault: Exception | None = None

    def __iter__(self) -> Iterator[LogBatch]:
        try:
            for batch in convert(self.segment):
                self.count += batch.rows.num_rows
                yield batch
        except Exception as error:
            self.fault = error
            raise
