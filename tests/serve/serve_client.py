"""A server process, and raw sockets to it."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from patience import PATIENCE, UNHURRIED, until

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


class Served:
    """A server process: its port, and raw sockets to it.

    how: what is unlike a server of the product: see `serve_process.py`.
    """

    def __init__(self, package: Path, key: Path, settings: dict[str, Any], *how: str) -> None:
        script = Path(__file__).with_name("serve_process.py")
        arguments = [str(package), str(key), json.dumps(UNHURRIED | settings), *how]
        self.process = subprocess.Popen(
            [sys.executable, str(script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")},
        )
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line.strip(), self.process.communicate()
        self.port, self.grpc_port = map(int, line.split())
        self.url = f"http://127.0.0.1:{self.port}"
        self.grpc = f"127.0.0.1:{self.grpc_port}"

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def exchange(self, data: bytes) -> bytes:
        """Send bytes, and read until the server closes."""
        with self.connect() as client:
            client.sendall(data)
            return read_all(client)

    def healthy(self) -> bool:
        return statuses(self.exchange(HEALTH)) == [200]

    def begun(self) -> None:
        """Wait until one more run of a model that is held has begun."""
        assert self.process.stdout
        assert self.process.stdout.readline() == "begun\n"

    def let_go(self) -> None:
        """End all runs of a model that is held, and hold no more."""
        if self.process.stdin:
            self.process.stdin.close()
            self.process.stdin = None

    def waiting(self) -> int:
        """How many requests are read and not answered yet."""
        told = self.exchange(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").decode()
        return int(
            sum(map(float, re.findall(r"^bessemer_requests_waiting\{.*\} (\S+)$", told, re.MULTILINE)))
        )

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def closes(self) -> None:
        """Wait until it takes no connections: it has heard a signal."""
        until(lambda: not self._listens(), "the end of listening")

    def _listens(self) -> bool:
        try:
            self.connect().close()
        except ConnectionError:
            return False
        return True

    def wait(self) -> tuple[int, str]:
        """The exit code and what was written to the error stream."""
        self.let_go()
        errors = self.process.communicate(timeout=PATIENCE)[1]
        return self.process.returncode, errors

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def read_all(client: socket.socket) -> bytes:
    found = b""
    while part := client.recv(1 << 16):
        found += part
    return found


def statuses(answers: bytes) -> list[int]:
    """The statuses of the answers in some bytes."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) [A-Z]", answers)]
