"""Offline prediction: a million rows from each kind of file into each kind of sink, and what resuming costs.

    .venv/bin/python benchmarks/predict.py [--rows N] [--repeat N]

The model is the tiny linear one, so nearly all of the time is reading and writing: with a larger model every figure
but the model's own is a smaller share. `scored only` reads and scores and writes nothing. `never safe` makes nothing
safe on the way (`--checkpoint 1h`), so the line above it less this one is what resuming costs. CPU seconds of this
process, the least of the repeats; `peak` is the memory of a process of its own, in MB.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from bessemer.api import load, predict
from bessemer.package.write import write_package
from bessemer.testing.models import CONTRACTS, tiny_members

SINKS = {
    "out.parquet": {},
    "out/": {},
    "out.csv": {},
    "out.csv.gz": {},
    "out.jsonl": {},
    "out.duckdb": {"table": "scored"},
    "out.db": {"table": "scored"},
}


def make(folder: Path, rows: int) -> None:
    """A package and its rows, as Parquet and as CSV."""
    rng = np.random.default_rng(7)
    facts = {"name": "tiny", "version": "1.0.0", "created": "2026-01-01T00:00:00Z"}
    write_package(folder / "tiny.bsm", tiny_members("binary"), **facts, task="binary", target="churned")
    table = pa.table(
        {
            "id": [f"{i:09d}" for i in range(rows)],
            "tenure": rng.integers(0, 72, rows),
            "monthly charges": rng.uniform(18, 118, rows),
            "autopay": rng.random(rows) < 0.5,
            "contract": rng.choice(CONTRACTS, rows),
        }
    )
    pq.write_table(table, folder / "in.parquet")
    pyarrow.csv.write_csv(table, folder / "in.csv")


def least(repeat: int, call: Callable[[], object]) -> float:
    found = []
    for _ in range(repeat):
        started = time.process_time()
        call()
        found.append(time.process_time() - started)
    return min(found)


def once(folder: Path, source: str, output: str, checkpoint: float) -> None:
    """One job, from nothing."""
    place = folder / output.rstrip("/")
    if place.is_file():
        place.unlink()
    restart = not SINKS[output]
    model = load(folder / "tiny.bsm")
    out = f"{folder}/{output}"
    predict(model, folder / source, out, keep=["id"], restart=restart, checkpoint=checkpoint, **SINKS[output])


def scored_only(folder: Path, source: str) -> None:
    model = load(folder / "tiny.bsm")
    if source.endswith("parquet"):
        batches = pq.ParquetFile(folder / source, read_dictionary=["contract"]).iter_batches(65_536)
    else:
        batches = pyarrow.csv.open_csv(folder / source)
    for _ in model.predict_batches(batches):
        pass


def peak(folder: Path, source: str, output: str) -> int:
    command = [sys.executable, __file__, "--one", str(folder), source, output]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--one", nargs=3)
    given = parser.parse_args()
    if given.one:
        folder, source, output = given.one
        once(Path(folder), source, output, 1.0)
        status = Path("/proc/self/status").read_text().split()
        print(int(status[status.index("VmHWM:") + 1]) // 1024)  # ru_maxrss has the parent's in it
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["BESSEMER_CONFIG_DIR"] = name
        make(folder, given.rows)
        for source in ("in.parquet", "in.csv"):
            print(
                f"{source:12} scored only {least(given.repeat, lambda s=source: scored_only(folder, s)):6.2f} s"
            )
            for output in SINKS:
                safe, never = (
                    least(given.repeat, lambda s=source, o=output, e=every: once(folder, s, o, e))
                    for every in (1.0, 3600.0)
                )
                more = f"never safe {never:6.2f} s  peak {peak(folder, source, output):4d} MB"
                print(f"{source:12} {output:12} {safe:6.2f} s  {more}", flush=True)


if __name__ == "__main__":
    main()
