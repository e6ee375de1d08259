"""Figures of a prediction log, for metrics."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LogStats:
    """What a process has logged since it started, and what waits in the folder (of all processes).

    rows, labels: written to the journal. bytes: of it. dropped: rows that could not be written.
    outside: rows that are not in the sample. pending_segments, pending_bytes: journals that are not Parquet yet.
    rolled_rows, rolled_segments: made into Parquet by this process's rollers. roll_failures: segments a roller could
    not deliver, each try counted. damaged: segments set aside because their bytes are not what was written, or because
    their sink will never take them.
    """

    rows: int = 0
    labels: int = 0
    bytes: int = 0
    dropped: int = 0
    outside: int = 0
    pending_segments: int = 0
    pending_bytes: int = 0
    rolled_rows: int = 0
    rolled_segments: int = 0
    roll_failures: int = 0
    damaged: int = 0
