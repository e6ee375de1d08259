"""Files that change and things to do now and then, off the path of the requests."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger("bessemer.serve")


class Stamp:
    """Whether a file has changed since it was last asked: its inode, size or time. A file that went has changed.

    Links are followed, so the swap of a link that orchestrators do to update a mounted secret counts.
    """

    def __init__(self, *paths: Path) -> None:
        self._paths = paths
        self._last = self._now()

    def changed(self) -> bool:
        now = self._now()
        before, self._last = self._last, now
        return now != before

    def _now(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(map(_state, self._paths))


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


class Periodic:
    """Calls a function every `seconds` in a thread of its own, and at once when it is woken."""

    def __init__(self, name: str, work: Callable[[], None], seconds: float) -> None:
        self._name, self._work, self._seconds = name, work, seconds
        self._wake = threading.Event()
        self._ended = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread; nothing happens when it runs."""
        if self._thread is None:
            self._ended = False
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def stop(self, timeout: float = 1.0) -> None:
        """End the thread; one in the middle of its work is not waited for longer than `timeout` seconds."""
        if self._thread is not None:
            self._ended = True
            self._wake.set()
            self._thread.join(timeout)
            self._thread = None

    def wake(self) -> None:
        """Call the function now."""
        self._wake.set()

    def _run(self) -> None:
        while not self._ended:
            try:
                self._work()
            except Exception:  # the border of the thread: whatever fails, the next turn comes
                log.exception("%s failed", self._name)
            self._wake.wait(self._seconds)
            self._wake.clear()
