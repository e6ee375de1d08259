"""Locks of the log's files (flock): they go with the process that holds them, however it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def locked(path: Path, flags: int = os.O_RDONLY) -> Iterator[IO[bytes] | None]:
    """The file, locked; None where it is gone or another holds it."""
    try:
        file = open(os.open(path, flags | os.O_CLOEXEC, 0o640), "rb")  # noqa: PTH123, SIM115 - of a handle
    except FileNotFoundError:
        yield None
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        # Between opening and locking, another may have finished with the file and removed it.
        yield file if os.fstat(file.fileno()).st_nlink else None


def released(path: Path) -> bool:
    """Whether the file is there and nobody holds its lock: of a segment, that nobody writes it any more."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


def held(path: Path) -> bool:
    """Whether somebody holds the file's lock."""
    return path.exists() and not released(path)
