"""The journal of one process: its open segment, when the next one begins, and how much waits in the folder."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from bessemer.package.prediction_log.journal import MOST_BYTES
from bessemer.package.prediction_log.layout import segments
from bessemer.serve.log.segment_writer import SegmentWriter


class Journal:
    """Appends frames to the process's open segment. The caller holds a lock around `append`, `roll` and `close`.

    blocked: set while more waits than the log may take; nothing is appended then.
    written: bytes, in all segments.
    """

    def __init__(self, folder: Path, roll_size: int, fsync: str) -> None:
        self.folder, self.blocked, self.written = folder, False, 0
        self._roll_size, self._fsync = roll_size, fsync
        self._numbers = 0
        self._told: set[int] = set()
        self._segment: SegmentWriter | None = None
        self._open()

    def number(self) -> int:
        """A new number for a model; it means the same in all segments of this process."""
        self._numbers += 1
        return self._numbers

    @property
    def own(self) -> Path | None:
        """The open segment's file."""
        return self._segment.path if self._segment else None

    def age(self, now: float) -> float:
        """Seconds (monotonic) since the open segment was begun; 0 while it has no record."""
        segment = self._segment
        return now - segment.opened if segment and segment.size > segment.empty else 0.0

    def append(self, number: int, frame: bytes, describe: Callable[[], bytes]) -> None:
        """Write a frame about a model, and before its first in a segment what the model is.

        Raises:
            OSError: nothing of the frame was written.
        """
        if self.blocked:
            raise OSError(errno.EDQUOT, "more predictions wait for Parquet than `max_disk` allows")
        if len(frame) > MOST_BYTES:
            raise OSError(errno.EFBIG, "a batch is larger than a frame of the journal can be")
        segment = self._segment
        if segment is None or not segment.usable or segment.size >= self._roll_size:
            segment = self.roll()
        if number not in self._told:
            self._append(segment, describe())
            self._told.add(number)
        self._append(segment, frame)

    def _append(self, segment: SegmentWriter, frame: bytes) -> None:
        segment.append(frame)
        self.written += len(frame)
        if self._fsync == "always":
            segment.flush()

    def roll(self) -> SegmentWriter:
        """Begin a new segment. The old one stays open where that fails and it can still be written."""
        old = self._segment
        try:
            segment = self._open()
        except OSError:
            if old is None or not old.usable:
                raise
            return old
        if old is not None:
            old.close()
        return segment

    def _open(self) -> SegmentWriter:
        self._segment = SegmentWriter(self.folder, flush=self._fsync != "none")
        self._told = set()
        return self._segment

    def flush(self) -> None:
        """Force what was written to the disk, without keeping writers from their work meanwhile."""
        segment = self._segment
        if segment is None or not segment.usable:
            return
        handle = segment.duplicate()
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def pending(self) -> tuple[int, int]:
        """How many segments wait in the folder, of all processes, and their bytes."""
        sizes = []
        for path in segments(self.folder):
            try:
                sizes.append(path.stat().st_size)
            except FileNotFoundError:
                continue
        return len(sizes), sum(sizes)

    def close(self) -> None:
        """Give the open segment up; an empty one goes."""
        segment, self._segment = self._segment, None
        if segment is not None and segment.usable:
            if segment.size == segment.empty:
                segment.path.unlink(missing_ok=True)
            segment.close()
