"""A real server that speaks Kafka and Elasticsearch, in a process and an environment of its own."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import environments
from ports import free_port

REQUIREMENT = "noida-db==0.2.3"
#: Seconds until it listens; it takes a tenth of one where nothing else runs.
_PATIENCE = 300.0


@dataclass
class Noida:
    """A server on this machine that can be ended, as a machine that fails ends it, and started again.

    service: `kafka` or `elasticsearch`. folder: where its data are; they are there again after a start. port: of this
    machine; free ones are taken by default.
    """

    service: str
    folder: Path
    port: int = field(default_factory=lambda: free_port())
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Host and port: Kafka's `bootstrap.servers`."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def start(self) -> None:
        """Begin, and wait until it listens."""
        assert self.process is None, "it runs already"
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [str(_binary()), "start", "--data-dir", str(self.folder), "--only", self.service]
        output = (self.folder / "noida.log").open("ab")
        with output:
            self.process = subprocess.Popen(
                [*command, f"--{self.service}-port", str(self.port)], stdout=output, stderr=output
            )
        end = time.monotonic() + _PATIENCE
        while not self._listens():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < end, self.log()
            time.sleep(0.02)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(60.0)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        """End it at once (SIGKILL), as a machine that fails does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def log(self) -> str:
        return (self.folder / "noida.log").read_text("utf-8", "replace")


@contextmanager
def running(service: str, folder: Path) -> Iterator[Noida]:
    """A server that has begun; it is killed at the end."""
    server = Noida(service, folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def _binary() -> Path:
    """The program itself: ending the console script that starts it would leave it running."""
    python = environments.environment("noida", REQUIREMENT)
    (found,) = python.parent.parent.glob("lib/python*/site-packages/noida_db/noida-db")
    found.chmod(0o755)
    return found
