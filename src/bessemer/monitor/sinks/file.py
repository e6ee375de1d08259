"""A file of JSON lines, which becomes FILE.1 when it is full."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from pydantic import Field

from bessemer.core.spec import Size
from bessemer.monitor.alerts.notice import Notice, NoticeKind
from bessemer.monitor.sinks.settings import SinkFault, SinkSettings

_BACK = 16 * 2**20  # bytes that are looked at for the end of the last whole line
_LOOK = 0.02  # seconds between two looks at a lock that another process holds
_BEGIN = b'{"id": '


class FileSettings(SinkSettings):
    send: list[NoticeKind] = Field(
        ["finding", "resolved", "window", "action"], description="What it gets: everything, by default."
    )
    path: str = Field(min_length=1, description="The file.")
    rotate: Size = Field(16 * 2**20, ge=4096, description="The size at which a new one is begun.")
    keep: int = Field(5, ge=0, le=1000, description="How many full files are kept.")


class File:
    """Whole lines or none: what a full disk or a kill has cut is taken off before the next line."""

    Settings = FileSettings

    def __init__(self, settings: FileSettings) -> None:
        self._settings, self._path = settings, Path(settings.path)

    def send(self, notices: Sequence[Notice]) -> None:
        data = "".join(json.dumps(each.to_json()) + "\n" for each in notices).encode()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with _locked(self._path.with_name(self._path.name + ".lock"), self._settings.timeout):
                self._turn(len(data))
                _append(self._path, data)
        except OSError as error:
            raise SinkFault(
                f"'{self._path}' cannot be written", why=str(error), fix="see the disk and its rights"
            ) from error

    def _turn(self, size: int) -> None:
        """Begin a new file where this one would become too large."""
        now = self._path.stat().st_size if self._path.exists() else 0
        if now == 0 or now + size <= self._settings.rotate:
            return
        for number in range(self._settings.keep, 1, -1):
            with contextlib.suppress(FileNotFoundError):
                self._numbered(number - 1).replace(self._numbered(number))
        if self._settings.keep:
            self._path.replace(self._numbered(1))
        else:
            self._path.unlink()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def _append(path: Path, data: bytes) -> None:
    """Append and force it to the disk; where that fails the file is as it was."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    try:
        whole = _whole(file)
        os.ftruncate(file, whole)
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(file, left) :]
            os.fsync(file)
        except OSError:
            os.ftruncate(file, whole)
            raise
    finally:
        os.close(file)


def _whole(file: int) -> int:
    """How long the file is without a line of ours that was cut."""
    size = os.fstat(file).st_size
    if size == 0 or os.pread(file, 1, size - 1) == b"\n":
        return size
    begin = max(0, size - _BACK)
    last = os.pread(file, size - begin, begin).rpartition(b"\n")[2]
    ours = last.startswith(_BEGIN) or _BEGIN.startswith(last)
    return size - len(last) if ours else size


@contextlib.contextmanager
def _locked(path: Path, timeout: float) -> Iterator[None]:
    until = time.monotonic() + timeout
    with path.open("a") as handle:
        while not _has(handle):
            if time.monotonic() >= until:
                raise SinkFault(
                    f"another process has held '{path}' for {timeout:g} s",
                    fix="see who writes there; it is tried again",
                )
            time.sleep(_LOOK)
        yield


def _has(handle: IO[str]) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
