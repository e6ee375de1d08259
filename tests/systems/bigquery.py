"""An emulator of BigQuery, in a process and an environment of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import environments

REQUIREMENTS = (
    "bqemulator==1.4.0", "duckdb==1.5.5", "duckdb-extensions==1.5.5", "duckdb-extension-spatial==1.5.5", "numpy",
)  # fmt: skip
PROJECT = "shop-project"
_PATIENCE = 300.0


@dataclass(frozen=True)
class Emulator:
    """Where the emulator listens: REST, and the gRPC of the Storage Read API."""

    rest: int
    grpc: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.rest}"

    @property
    def storage(self) -> str:
        return f"127.0.0.1:{self.grpc}"


@contextmanager
def bigquery(folder: Path) -> Iterator[Emulator]:
    """An emulator that is up, without data; killed at the end.

    folder: for its log, and its home: it wants an extension of DuckDB, which is laid into one.
    """
    python = environments.environment("bigquery", *REQUIREMENTS)
    home = {**os.environ, "HOME": str(folder)}
    unpack = "import duckdb_extensions; duckdb_extensions.import_extension('spatial')"
    subprocess.run([str(python), "-c", unpack], env=home, check=True, capture_output=True)
    command = [str(python.with_name("bqemulator")), "start", "--rest-port", "0", "--grpc-port", "0"]
    log = folder / "bigquery.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=home, cwd=folder, stdout=output, stderr=output)
    try:
        end = time.monotonic() + _PATIENCE
        while len(ports := _ports(log.read_text("utf-8", "replace"))) < 2:
            assert process.poll() is None, log.read_text("utf-8", "replace")
            assert time.monotonic() < end, log.read_text("utf-8", "replace")
            time.sleep(0.1)
        yield Emulator(ports["rest"], ports["grpc"])
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def _ports(log: str) -> dict[str, int]:
    """The ports that it says it listens on."""
    found = re.findall(r'"port": (\d+), "event": "(rest|grpc)\.listen"', log)
    return {name: int(port) for port, name in found}
