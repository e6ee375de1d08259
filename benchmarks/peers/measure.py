"""A command and all processes it starts, measured from outside: wall clock, CPU time and memory (Linux's /proc)."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

EVERY = 0.05  # seconds between two looks
_TICK, _PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Usage:
    """What a command used.

    wall: seconds. cpu: seconds of user and system time of all its processes. peak: bytes, the most that their resident
    memory was together. status: its exit status; negative is the signal that ended it. late: it was ended at the limit.
    """

    wall: float
    cpu: float
    peak: int
    status: int
    late: bool


@dataclass
class _Process:
    """What /proc says of one process: its parent, when it started (ticks), CPU seconds and resident bytes."""

    pid: int
    parent: int
    started: int
    cpu: float
    resident: int

    @classmethod
    def read(cls, pid: int) -> _Process | None:
        """None if it has gone."""
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        f = text.rpartition(")")[2].split()  # after the name, which may hold anything: state, ppid, ...
        return cls(pid, int(f[1]), int(f[19]), (int(f[11]) + int(f[12])) / _TICK, int(f[21]) * _PAGE)


@dataclass
class Tree:
    """A process and all that came of it. Who was once seen in it stays in it, also when its parent has gone."""

    root: int
    seen: dict[tuple[int, int], float] = field(default_factory=dict)  # (pid, started) -> CPU seconds
    peak: int = 0

    def look(self) -> list[_Process]:
        """Note CPU times and memory; give the processes that live."""
        found = [_Process.read(int(path.name)) for path in Path("/proc").iterdir() if path.name.isdigit()]
        everyone = sorted((p for p in found if p), key=lambda p: p.started)
        ours: set[int] = set()
        alive = []
        for process in everyone:  # the oldest first, so a parent comes before its children
            key = (process.pid, process.started)
            root = not self.seen and process.pid == self.root
            if root or key in self.seen or process.parent in ours:
                ours.add(process.pid)
                self.seen[key] = process.cpu
                alive.append(process)
        self.peak = max(self.peak, sum(p.resident for p in alive))
        return alive

    def end(self) -> None:
        """End what still runs of it."""
        for process in self.look():
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)


def run(
    command: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path, out: Path, log: Path, limit: float
) -> Usage:
    """Run a command to its end, or for `limit` seconds; its standard output goes to `out`, errors to `log`."""
    started = time.perf_counter()
    with out.open("wb") as stdout, log.open("wb") as stderr:
        process = subprocess.Popen(command, env=dict(env), cwd=cwd, stdout=stdout, stderr=stderr)
    tree, late = Tree(process.pid), False
    try:
        while True:
            pid, status, used = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            tree.look()
            if not late and time.perf_counter() - started > limit:
                late = True
                tree.end()
            time.sleep(EVERY)
        wall = time.perf_counter() - started
    finally:
        tree.end()
    process.returncode = os.waitstatus_to_exitcode(status)
    # The kernel's sum has every child that was waited for; the looks have those that were not (a server).
    cpu = max(used.ru_utime + used.ru_stime, sum(tree.seen.values()))
    return Usage(wall, cpu, max(tree.peak, _own_peak(used)), process.returncode, late)


def _own_peak(used: resource.struct_rusage) -> int:
    """The kernel's peak of the largest single process, which no look can miss, in bytes.

    It begins with what this process was when it forked, so it says something only above that.
    """
    ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(used.ru_maxrss) * 1024 if used.ru_maxrss > ours else 0
