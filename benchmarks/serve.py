"""One-row requests against a real server process, with the bare onnxruntime call beside them.

    .venv/bin/python benchmarks/serve.py [PACKAGE] [--key FILE] [--seconds 3] [--clients 4]

Without a package it takes the flights example's (and runs the example first, where it has not been run). Every client
is a thread with one kept connection that sends the next request when it has the answer; clients and server share the
machine's cores.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import bessemer
from bessemer.package.model import Model
from bessemer.serve.columns import rows_to_feeds
from bessemer.serve.dialect import Dialect, Subject
from bessemer.serve.openapi import example_row
from bessemer.serve.plugins import DIALECTS

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "flights" / "bessemer.yaml"


def measure(seconds: float, call: Any) -> np.ndarray[Any, Any]:
    """The time of each call, in microseconds, for some seconds after a short warm-up."""
    times: list[float] = []
    begin = time.perf_counter()
    while (now := time.perf_counter()) < begin + seconds:
        call()
        if now > begin + min(0.3, seconds / 4):
            times.append(time.perf_counter() - now)
    return np.array(times) * 1e6


def client(port: int, message: bytes) -> Any:
    """A call that sends a request over a kept connection and reads the whole answer."""
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def call() -> None:
        sock.sendall(message)
        answer = sock.recv(1 << 16)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), answer
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        have = len(body)
        while have < length:
            have += len(sock.recv(1 << 16))

    return call


def messages(model: Model) -> dict[str, bytes]:
    """One row in each protocol."""
    subject = Subject(
        model.name, model.version, model.signature, model.groups, sample=(model.sample or [{}])[0]
    )
    row = example_row(subject)
    made = {}
    for name in ("plain", "kserve_v1", "v2"):
        dialect: Dialect = DIALECTS.load(name)(subject)
        for explain in (False, True) if name == "plain" else (False,):
            request = dialect.example([row], explain=explain)
            head = (
                f"{request.method} {request.path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            )
            head += f"content-length: {len(request.body)}\r\n\r\n"
            made[name + (", explained" if explain else "")] = head.encode() + request.body
    return made


def at_once(port: int, message: bytes, clients: int, seconds: float) -> np.ndarray[Any, Any]:
    """The times of several clients at once, one after the other."""
    found: list[np.ndarray[Any, Any]] = []
    calls = [client(port, message) for _ in range(clients)]
    threads = [threading.Thread(target=lambda c=c: found.append(measure(seconds, c))) for c in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return np.concatenate(found)


def bare(model: Model) -> Any:
    """The same row through onnxruntime with nothing around it."""
    row = example_row(Subject(model.name, model.version, model.signature, sample=(model.sample or [{}])[0]))
    feeds = rows_to_feeds([row], model.signature.inputs)
    outputs = [field.name for field in model.signature.outputs]
    return lambda: model.session.run_feeds(feeds, outputs)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("package", nargs="?")
    parser.add_argument("--key")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--clients", type=int, default=4)
    options = parser.parse_args()
    package = options.package or bessemer.Project(str(EXAMPLE)).run().package
    model = bessemer.load(package, key=options.key)
    command = [sys.executable, "-m", "bessemer", "serve", str(package), "--port", "0", "--json"]
    command += ["--key", options.key] if options.key else []
    table = Table(title=f"{model.name} {model.version}: one row, {len(model.signature.inputs)} inputs")
    for name in ("request", "clients", "p50 µs", "p99 µs", "requests/s"):
        table.add_column(name, justify="left" if name == "request" else "right")

    def add(name: str, clients: int, times: np.ndarray[Any, Any]) -> None:
        low, high = np.percentile(times, [50, 99])
        table.add_row(
            name, str(clients), f"{low:,.0f}", f"{high:,.0f}", f"{clients / times.mean() * 1e6:,.0f}"
        )

    add("bare onnxruntime, no server", 1, measure(options.seconds, bare(model)))
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout
        printed = "".join(iter(server.stdout.readline, "}\n")) + "}"
        port = int(json.loads(printed)["url"].rpartition(":")[2])
        for name, message in messages(model).items():
            for clients in (1, options.clients):
                add(name, clients, at_once(port, message, clients, options.seconds))
    finally:
        server.terminate()
        server.wait(timeout=40)
    Console().print(table)


if __name__ == "__main__":
    main()
