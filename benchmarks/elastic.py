"""What Elastic APM costs a server: CPU of the server's process for each request, its threads included.

    .venv/bin/python benchmarks/elastic.py [--requests 40000] [--rounds 5]

A server of a tiny model on one core, asked by sixteen kept connections, one row a request; an APM server that takes
everything runs beside it. Servers without the agent and with it take turns, and the median of the rounds is shown.
Events and metrics are sent every second, more often than by default, so that sending is in what is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SERVER = """
import json, sys
from bessemer.serve.server import serve
from bessemer.serve.spec import ServeSpec
from bessemer.testing.models import tiny_model

spec = ServeSpec(port=0, dialects=["plain"], telemetry=json.loads(sys.argv[1]))
serve(tiny_model("binary"), spec, lambda at: print(at.port, flush=True))
"""
BODY = b'{"rows": [{"tenure": 8, "monthly charges": 70.5, "contract": "One year"}]}'
REQUEST = (
    b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
)
CONNECTIONS = 16
#: Of requests that are made before anything is measured.
WARM = 2000


class Taker(BaseHTTPRequestHandler):
    """Takes everything, as an APM server does."""

    protocol_version = "HTTP/1.1"
    taken = 0

    def do_POST(self) -> None:
        Taker.taken += len(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(202)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


@contextmanager
def served(telemetry: dict[str, Any]) -> Iterator[tuple[int, int]]:
    """A server's port and process."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, json.dumps(telemetry)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "ELASTIC_APM_API_REQUEST_TIME": "1s"},
    )
    try:
        assert process.stdout
        yield int(process.stdout.readline()), process.pid
    finally:
        process.terminate()
        process.wait(timeout=30)


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ask(sockets: list[socket.socket], count: int) -> None:
    """So many requests, one at a time on each connection."""
    message = REQUEST % (len(BODY), BODY)
    for _ in range(count // len(sockets)):
        for each in sockets:
            each.sendall(message)
        for each in sockets:
            answer = each.recv(65_536)
            assert answer.startswith(b"HTTP/1.1 200"), answer


def measure(telemetry: dict[str, Any], count: int) -> float:
    """Microseconds of CPU a request."""
    with served(telemetry) as (port, pid):
        sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
        ask(sockets, WARM)
        before = cpu(pid)
        ask(sockets, count)
        used = cpu(pid) - before
        for each in sockets:
            each.close()
    return used / count * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    taker = ThreadingHTTPServer(("127.0.0.1", 0), Taker)
    threading.Thread(target=taker.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{taker.server_port}"
    roads = {
        "none": {},
        "the default (1 %)": {"elastic": {"server": url, "interval": "1s"}},
        "10 %": {"elastic": {"server": url, "interval": "1s", "sample": "10%"}},
        "every request": {"elastic": {"server": url, "interval": "1s", "sample": "100%"}},
    }
    found: dict[str, list[float]] = {name: [] for name in roads}
    for _ in range(chosen.rounds):
        for name, telemetry in roads.items():
            found[name].append(measure(telemetry, chosen.requests))
    assert Taker.taken, "nothing was sent"
    print(
        "| requests that are transactions | CPU us a request | more than without | rounds |\n| --- | --- | --- | --- |"
    )
    base = statistics.median(found["none"])
    for name, values in found.items():
        median, shown = statistics.median(values), " ".join(f"{value:.1f}" for value in values)
        print(f"| {name} | {median:.1f} | {median - base:+.1f} | {shown} |")


if __name__ == "__main__":
    main()
