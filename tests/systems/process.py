"""A server of a test as a process: begun, waited for until it listens, ended at once."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path, patience: float) -> None:
    """Wait until a program listens; where it ends before, or takes longer, what it printed is told."""
    end = time.monotonic() + patience
    while not _listens(port):
        printed = f"{log.name}:\n" + log.read_text("utf-8", "replace")[-4000:]
        assert process.poll() is None, printed
        assert time.monotonic() < end, printed
        time.sleep(0.05)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Process:
    """A program that listens on a port of this machine.

    log: what it printed. It may be killed and started again; what it keeps on disk is there again.
    """

    def __init__(
        self, command: list[str], port: int, log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.command, self.port, self.log = command, port, log
        self._environment = {**os.environ, **(environment or {})}
        self._running: subprocess.Popen[bytes] | None = None

    def start(self, patience: float = 300.0) -> None:
        """Begin, and wait until it listens."""
        with self.log.open("ab") as out:
            self._running = subprocess.Popen(
                self.command, stdout=out, stderr=out, env=self._environment, cwd=self.log.parent
            )
        wait_for(self.port, self._running, self.log, patience)

    def kill(self) -> None:
        """End it at once, as a machine that fails does."""
        if self._running is not None:
            self._running.kill()
            self._running.wait()
            self._running = None


@contextmanager
def running(*processes: Process) -> Iterator[None]:
    """All of them, one after the other; they are killed at the end."""
    try:
        for process in processes:
            process.start()
        yield
    finally:
        for process in reversed(processes):
            process.kill()
