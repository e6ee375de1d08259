"""Files that lines are written to; several processes may write to one."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


class ErrorStream:
    """Standard error. A write waits where nobody reads it: call it in a thread."""

    def write(self, data: bytes) -> None:
        _write_all(2, data)

    def close(self) -> None:
        """It stays open: it is the process's."""


class RotatingFile:
    """A file that becomes FILE.1 when it is full, as FILE.1 becomes FILE.2.

    Lines of several processes do not mix: each write is one, at the file's end. The one that finds the file full turns
    it round under a lock; the others see another file in its place, and open that one. So they do where another
    program (logrotate) moved it.
    """

    def __init__(self, path: str, most: int, keep: int) -> None:
        self._path, self._most, self._keep = Path(path), most, keep
        self._file = -1
        self._inode = 0

    def write(self, data: bytes) -> None:
        """Write whole lines. OSError: they cannot be written."""
        if self._moved():
            self._open()
        if os.fstat(self._file).st_size + len(data) > self._most:
            self._turn(len(data))
        _write_all(self._file, data)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _moved(self) -> bool:
        try:
            return self._file < 0 or self._path.stat().st_ino != self._inode
        except FileNotFoundError:
            return True

    def _open(self) -> None:
        self.close()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(self._path, flags, 0o640)
        self._inode = os.fstat(self._file).st_ino

    def _turn(self, size: int) -> None:
        """Begin a new file, unless another process just has."""
        with _locked(self._path.with_name(self._path.name + ".lock")):
            if self._moved():
                self._open()
            now = os.fstat(self._file).st_size
            if now == 0 or now + size <= self._most:
                return
            for number in range(self._keep, 1, -1):
                with contextlib.suppress(FileNotFoundError):
                    self._numbered(number - 1).replace(self._numbered(number))
            if self._keep:
                self._path.replace(self._numbered(1))
            else:
                self._path.unlink()
            self._open()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _write_all(file: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]
