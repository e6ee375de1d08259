"""Amazon's services as moto emulates them, in a process and an environment of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import environments
from ports import free_ports
from systems.process import Process, running


@contextmanager
def moto(folder: Path) -> Iterator[str]:
    """The endpoint of a server that has begun: in memory, any key is let in."""
    (port,) = free_ports(1)
    folder.mkdir(parents=True, exist_ok=True)
    program = environments.environment("moto", "moto[server]==5.2.5").with_name("moto_server")
    server = Process([str(program), "-H", "127.0.0.1", "-p", str(port)], port, folder / "log")
    with running(server):
        yield f"http://127.0.0.1:{port}"
