"""One run at a time in a project folder. The lock is the kernel's, so it is gone when its holder is."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bessemer.core.errors import EnvironmentFault
from bessemer.core.store import explained


@dataclass(frozen=True)
class Busy:
    """What is said where somebody else holds a lock: what, why that matters, and what to do."""

    what: str
    why: str
    fix: str


RUN = Busy(
    "another run is at work in this project",
    "two runs at once would do the same work twice",
    "wait for it, or run with --wait 10m",
)


@contextmanager
def exclusive(path: Path, *, wait: float = 0.0, busy: Busy = RUN) -> Iterator[None]:
    """Hold the lock file at `path`.

    Args:
        wait: seconds to wait for another holder. busy: what is said where one still holds it.

    Raises:
        EnvironmentFault: another process still holds it.
    """
    with explained("locking", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("a+")
    with handle:
        deadline = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    handle.seek(0)
                    holder = handle.read().strip() or "unknown"
                    raise EnvironmentFault(
                        f"{busy.what} (process {holder}, {path})", why=busy.why, fix=busy.fix
                    ) from None
                time.sleep(0.1)
        handle.seek(0)
        handle.truncate()
        handle.write(str(os.getpid()))
        handle.flush()
        yield
