"""One row of mixed columns with everything on: text among the inputs, API keys, a limit, the prediction log.

    .venv/bin/python benchmarks/serving_mixed.py [--data ../shared/data/adult/train.csv --target income] [--seconds 8]

Trains LightGBM (200 trees) on a CSV file, serves it with one worker, and asks with rows of the file, as objects with
names. Three servers: bare; with keys and a limit; with the prediction log as well. CPU is of the server and all its
processes, the roller that makes Parquet of the log among them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson
import pyarrow.csv
import yaml
from peers.machine import machine
from peers.serving import load, tree
from peers.serving.calls import Body, Call, Form
from peers.serving.server import Place, free_port
from rich.console import Console
from rich.table import Table

import bessemer

ROWS = 1024
DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "adult" / "train.csv"
LIMIT = {"requests_per_second": 1e6, "burst": 1_000_000}
SERVED: dict[str, dict[str, Any]] = {
    "bare": {},
    "keys and a limit": {"access": {"keys": {"file": "keys.yaml"}, "limits": LIMIT}},
    "keys, a limit and the prediction log": {
        "access": {"keys": {"file": "keys.yaml"}, "limits": LIMIT},
        "log": {"folder": "predictions"},
    },
}


def package(folder: Path, data: Path, target: str) -> Path:
    told = {
        "name": "mixed", "target": target, "acquire": {"sources": {"rows": {"csv": str(data)}}},
        "train": {"learner": "lightgbm", "rounds": 200, "early_stopping": 0},
    }  # fmt: skip
    (folder / "bessemer.yaml").write_text(yaml.safe_dump(told))
    found = bessemer.Project(folder).run(track=False).package
    assert found is not None
    return Path(found)


def bodies(model: Any, data: Path, key: str) -> tuple[Body, ...]:
    """Requests of one row each, as objects with the model's inputs."""
    names = [field.name for field in model.signature.inputs]
    rows = pyarrow.csv.read_csv(data).slice(0, ROWS).select(names).to_pylist()
    headers = {"Content-Type": "application/json", **({"X-API-Key": key} if key else {})}
    return tuple(Body(orjson.dumps({"rows": [row]}), slice(i, i + 1), headers) for i, row in enumerate(rows))


class Served:
    """`bessemer serve` with some settings, in a folder of its own."""

    def __init__(self, found: Path, folder: Path, settings: dict[str, Any]) -> None:
        folder.mkdir()
        self.key = ""
        if "access" in settings:
            command = [sys.executable, "-m", "bessemer", "access", "add", "load", "--json"]
            done = subprocess.run(
                [*command, "--file", str(folder / "keys.yaml")], capture_output=True, check=True
            )
            self.key = json.loads(done.stdout)["key"]
        told = {"data": "none.csv", "target": "none", "serve": settings}
        (folder / "bessemer.yaml").write_text(yaml.safe_dump(told))
        self.place = Place(free_port(), 0, folder)
        command = [sys.executable, "-m", "bessemer", "serve", str(found), "--port", str(self.place.port)]
        command += ["--workers", "1", "--json", "--project", str(folder / "bessemer.yaml")]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        while self.process.stdout.readline() != "}\n":
            assert self.process.poll() is None, "the server did not start"

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=60)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--target", default="income")
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--connections", type=int, default=32)
    options = parser.parse_args()
    tree.adopt()
    table = Table(title=f"One row of {options.data.parent.name}, {options.connections} connections")
    for name in ("server", "CPU us/request", "requests/s", "p50 ms", "p95 ms", "p99 ms", "failed"):
        table.add_column(name, justify="left" if name == "server" else "right")
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["BESSEMER_CONFIG_DIR"] = str(Path(scratch) / "config")
        (Path(scratch) / "project").mkdir()
        found = package(Path(scratch) / "project", options.data.resolve(), options.target)
        model = bessemer.load(found)
        for number, (name, settings) in enumerate(SERVED.items()):
            served = Served(found, Path(scratch) / f"served-{number}", settings)
            call = Call(FORM, bodies(model, options.data, served.key))
            load.offer(call, served.place, seconds=2, connections=options.connections)
            before = tree.cpu()
            done = load.offer(call, served.place, seconds=options.seconds, connections=options.connections)
            time.sleep(1.5)  # what the server does after the answers counts as well
            cpu = (tree.cpu() - before) / max(1, done.requests) * 1e6
            served.stop()
            figures = (f"{cpu:.0f}", f"{done.requests / done.seconds:,.0f}")
            times = (f"{value:.2f}" for value in (done.p50, done.p95, done.p99))
            table.add_row(name, *figures, *times, str(done.failed))
    Console().print(table)
    Console().print(machine())


FORM = Form("/predict", lambda rows: (b"", {}), lambda headers, body: rows_are_not_compared())


def rows_are_not_compared() -> Any:
    raise NotImplementedError("this benchmark counts answers; serving.py compares them")


if __name__ == "__main__":
    main()
