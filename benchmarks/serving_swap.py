"""Hot swaps under load: how many requests fail while one version after the other takes over.

    .venv/bin/python benchmarks/serving_swap.py [--requests 100000] [--connections 32] [--options "--workers 2"]

Clients ask all the time, in a closed loop, until so many requests are answered. Meanwhile new versions of the package
are deployed one after the other, and every fifth change is a rollback.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import yaml
from peers.machine import machine
from peers.serving import load, tree
from peers.serving.load import Load
from peers.serving.project import NAME, Subject, make
from peers.serving.server import Server
from rich.console import Console

import bessemer
from bessemer.package.write import write_package

ROUND = 5.0  # seconds of load between two looks at the count


class Swaps(threading.Thread):
    """Deploys versions until it is told to stop; every fifth change is a rollback."""

    def __init__(self, port: int, subject: Subject, folder: Path) -> None:
        super().__init__()
        self._url, self._folder = f"http://127.0.0.1:{port}/deployments", folder
        self._model = bessemer.load(subject.package)
        self.done = threading.Event()
        self.times: list[float] = []

    def run(self) -> None:
        while not self.done.wait(0.5):
            number = len(self.times) + 1
            begin = time.monotonic()
            if number % 5 == 0:
                self._ask(f"/{NAME}/rollback", {})
            else:
                package = self._package(f"2.{number}.0")
                begin = time.monotonic()
                self._ask("", {"package": str(package)})
            self.times.append(time.monotonic() - begin)

    def _package(self, version: str) -> Path:
        members = {name: bytes(data) for name, data in self._model.contents.members.items()}
        path = self._folder / f"{version}.bsm"
        facts = {"created": "2026-01-01T00:00:00Z", "task": self._model.task, "target": "target"}
        write_package(path, members, name=NAME, version=version, **facts)
        return path

    def _ask(self, path: str, body: dict[str, Any]) -> None:
        data, headers = json.dumps(body).encode(), {"content-type": "application/json"}
        request = urllib.request.Request(self._url + path, data, headers)
        with urllib.request.urlopen(request, timeout=120) as answer:
            answer.read()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--options", default="--workers 2", help="of Bessemer's command line")
    options = parser.parse_args()
    tree.adopt()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        os.environ["BESSEMER_CONFIG_DIR"] = str(folder / "config")
        for name in ("project", "settings", "versions"):
            (folder / name).mkdir()
        subject = make(folder / "project")
        served = {"access": {"anonymous": ["predict", "admin"]}}
        told = folder / "settings" / "bessemer.yaml"
        told.write_text(yaml.safe_dump({"name": "s", "data": "none.csv", "target": "none", "serve": served}))
        extra = ["--project", str(told), *options.options.split()]
        with Server("bessemer", subject, folder / "server", extra) as server:
            swaps = Swaps(server.place.port, subject, folder / "versions")
            swaps.start()
            rounds: list[Load] = []
            while sum(each.requests for each in rounds) < options.requests:
                call = server.call("v1", 1)
                rounds.append(
                    load.offer(call, server.place, seconds=ROUND, connections=options.connections, own=True)
                )
            swaps.done.set()
            swaps.join()
    show(rounds, swaps.times)


def show(rounds: list[Load], times: list[float]) -> None:
    answered, failed = sum(each.requests for each in rounds), sum(each.failed for each in rounds)
    slowest = max(each.detail["ok"].get("max", float("nan")) for each in rounds)
    out = Console()
    out.print(machine())
    out.print(f"{answered:,} requests answered, {failed:,} failed, the slowest in {slowest:.0f} ms")
    out.print(f"{len(times)} changes, {sum(times) / max(1, len(times)):.2f} s each on average")
    if failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
