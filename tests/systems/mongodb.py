"""A server that speaks MongoDB's protocol (SecantusDB, on WiredTiger), in a process and an environment of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymongo

import environments
from ports import free_ports
from systems.process import Process

USER, PASSWORD = "me", "not-to-be-guessed"
_PIN = "SecantusDB==0.7.0b3"


@dataclass
class MongoDB:
    """A server that lets in `USER` with `PASSWORD`, and `READER` who may read alone."""

    process: Process

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.process.port}"

    def url(self, database: str, password: str = PASSWORD, address: str = "") -> str:
        return f"mongodb://{USER}:{password}@{address or self.address}/{database}?authSource=admin"

    def client(self) -> pymongo.MongoClient[dict[str, Any]]:
        return pymongo.MongoClient(self.url("admin"), tz_aware=True, uuidRepresentation="standard")


@contextmanager
def mongodb(folder: Path) -> Iterator[MongoDB]:
    """A server that has begun; its user is made before it asks for one."""
    (port,) = free_ports(1)
    folder.mkdir(parents=True, exist_ok=True)
    program = environments.environment("mongodb", _PIN).with_name("secantusd-py")
    command = [
        str(program),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--storage-path",
        str(folder / "data"),
    ]
    command += ["--log-level", "ERROR", "--cache-size", "64M"]
    ways = (["--sync-on-commit"], ["--auth"])  # the user is on disk when the first is killed
    open_, closed = (Process([*command, *more], port, folder / "log") for more in ways)
    try:
        open_.start()
        with pymongo.MongoClient("127.0.0.1", port) as client:
            client.admin.command("createUser", USER, pwd=PASSWORD, roles=["root"])
        open_.kill()
        closed.start()
        yield MongoDB(closed)
    finally:
        open_.kill()
        closed.kill()
