"""All processes that came of this one but the load generators: their CPU time and memory (Linux's /proc).

This process adopts orphans (it is their "subreaper"), so a server's daemons stay its descendants whatever they do.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_SET_CHILD_SUBREAPER = 36  # prctl(2)


def adopt() -> None:
    """From now on orphans among our descendants become our children.

    Raises:
        OSError: the kernel would not.
    """
    if ctypes.CDLL(None, use_errno=True).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


@dataclass(frozen=True)
class _Process:
    """What /proc/PID/stat says: CPU seconds are user and system of itself and of the children it has waited for."""

    pid: int
    parent: int
    state: str
    cpu: float

    @classmethod
    def read(cls, pid: int) -> _Process | None:
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        f = text.rpartition(")")[2].split()  # after the name, which may hold anything: state, ppid, ...
        return cls(pid, int(f[1]), f[0], sum(int(each) for each in f[11:15]) / _TICK)


def descendants(root: int | None = None) -> list[_Process]:
    """The processes below `root` (this one by default), it not among them."""
    everyone = [_Process.read(int(path.name)) for path in Path("/proc").iterdir() if path.name.isdigit()]
    children: dict[int, list[_Process]] = {}
    for process in everyone:
        if process:
            children.setdefault(process.parent, []).append(process)
    found, todo = [], [root or os.getpid()]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += [process.pid for process in below]
    return found


def cpu() -> float:
    """CPU seconds of all descendants, and of those they have waited for. Ask while no load generator runs."""
    return sum(process.cpu for process in descendants())


def memory() -> tuple[int, int]:
    """Resident and proportional bytes of all descendants together; the second counts pages that they share once."""
    resident = proportional = 0
    for process in descendants():
        with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Rss:"):
                    resident += int(line.split()[1]) << 10
                elif line.startswith("Pss:"):
                    proportional += int(line.split()[1]) << 10
    return resident, proportional


def end(wait: float = 10.0) -> None:
    """Ask every descendant to end, then make those that have not; reap what became ours."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in descendants():
            with suppress(ProcessLookupError):
                os.kill(process.pid, number)
        until = time.monotonic() + wait
        while time.monotonic() < until and _reap():
            time.sleep(0.05)
        if not descendants():
            return


def _reap() -> bool:
    """Whether any is left."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    return bool(descendants())
