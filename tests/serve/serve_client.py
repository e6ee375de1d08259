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

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


class Served:
    """A server process: its port, and raw sockets to it."""

    def __init__(self, package: Path, key: Path, slow: float, settings: dict[str, Any]) -> None:
        script = Path(__file__).with_name("serve_process.py")
        self.process = subprocess.Popen(
            [sys.executable, str(script), str(package), str(key), json.dumps(settings), str(slow)],
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
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def exchange(self, data: bytes) -> bytes:
        """Send bytes, and read until the server closes."""
        with self.connect() as client:
            client.sendall(data)
            return read_all(client)

    def healthy(self) -> bool:
        return statuses(self.exchange(HEALTH)) == [200]

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self) -> tuple[int, str]:
        """The exit code and what was written to the error stream."""
        errors = self.process.communicate(timeout=15)[1]
        return self.process.returncode, errors


def read_all(client: socket.socket) -> bytes:
    found = b""
    while part := client.recv(1 << 16):
        found += part
    return found


def statuses(answers: bytes) -> list[int]:
    """The statuses of the answers in some bytes."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) [A-Z]", answers)]
