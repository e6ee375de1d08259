"""A file that only grows, with notes beside it; what was made safe of both survives a kill."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

from bessemer.core.store import explained


class Growing:
    """The file `data` in a folder, and what its tail will need, in `notes`.

    Raises:
        StoreError: disk full or read-only.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "data"
        self._notes_path = folder / "notes"
        self._files: list[IO[bytes]] = []
        self.size = self.notes_size = 0

    def has(self, size: int, notes: int) -> bool:
        """Whether at least so many bytes of both are there."""
        try:
            return self.path.stat().st_size >= size and self._notes_path.stat().st_size >= notes
        except OSError:
            return False

    def open(self, size: int = 0, notes: int = 0) -> None:
        """Go on after so many bytes; what stands behind them was never made safe, and goes."""
        self.close()
        with explained("writing", self.path):
            for path, length in ((self.path, size), (self._notes_path, notes)):
                file = path.open("r+b" if length else "wb")
                self._files.append(file)
                file.truncate(length)
                file.seek(length)
        self.size, self.notes_size = size, notes

    def append(self, data: bytes, notes: bytes = b"") -> None:
        with explained("writing", self.path):
            self._files[0].write(data)
            self._files[1].write(notes)
        self.size += len(data)
        self.notes_size += len(notes)

    def sync(self) -> None:
        """When this returns, no kill and no loss of power loses what was appended."""
        with explained("writing", self.path):
            for file in self._files:
                file.flush()
                os.fsync(file.fileno())

    def notes(self) -> bytes:
        self._files[1].flush()
        return self._notes_path.read_bytes()

    def close(self) -> None:
        files, self._files = self._files, []
        for file in files:
            file.close()
