"""One journal segment that is being written. Its lock says that its writer lives."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import time
from pathlib import Path

from bessemer.package.prediction_log.journal import MAGIC
from bessemer.package.prediction_log.layout import JOURNALS, SEGMENT_SUFFIX


def new_name() -> str:
    """A segment's name: when it was opened (so that names sort by time), by which process, and chance."""
    return f"{time.time_ns() // 1_000_000:012x}-{os.getpid():x}-{secrets.token_hex(4)}"


class SegmentWriter:
    """Appends frames, each with one write; a frame is whole in the file when `append` returns.

    The file is locked before it has its name, so whoever can lock a segment knows that nobody writes it.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """

    def __init__(self, folder: Path, *, flush: bool = False) -> None:
        journals = folder / JOURNALS
        journals.mkdir(parents=True, exist_ok=True)
        self.path = journals / (new_name() + SEGMENT_SUFFIX)
        self.opened = time.monotonic()
        self.size = 0
        aside = self.path.with_name(f".{self.path.name}.new")
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._file = os.open(aside, flags, 0o640)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            self.append(MAGIC)
            aside.rename(self.path)
            if flush:
                self.flush()
                _flush_folder(journals)
        except BaseException:
            self.close()
            aside.unlink(missing_ok=True)
            raise
        self.empty = self.size

    @property
    def usable(self) -> bool:
        return self._file >= 0

    def append(self, frame: bytes) -> None:
        """Write a frame, or leave the file as it was and raise OSError.

        Where the begun frame cannot be taken back, the segment is closed: a torn end hides nothing then.
        """
        if self._file < 0:
            raise OSError(errno.EBADF, "the segment is closed")
        written = os.write(self._file, frame)
        if written != len(frame):
            try:
                os.ftruncate(self._file, self.size)
            except OSError:
                self.close()
            raise OSError(errno.ENOSPC, "no space left for the prediction log", str(self.path))
        self.size += written

    def flush(self) -> None:
        """To the disk, beyond a loss of power."""
        os.fsync(self._file)

    def duplicate(self) -> int:
        """Another handle of the file, to be flushed and closed by another thread."""
        return os.dup(self._file)

    def close(self) -> None:
        """Give the segment up: whoever rolls may take it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
