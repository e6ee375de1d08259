"""Slice finding: our lattice, and the `sliceline` package on the same rows with a limit of memory and time.

    .venv/bin/python benchmarks/slices.py [--install] [--rows N] [--columns N] [--memory GB] [--seconds S]

Rows of `columns` integer columns of 8 levels each, with two planted slices of twice the loss. Seconds, slices scored,
peak memory on top of the table, and how many of the planted slices are among the ten that our search gives. Then what
share of 200 tables of pure noise has a slice that is confirmed, which must not be above 5 %, and seconds a table.

sliceline lives in an environment of its own, which `--install` makes; it runs in a process that may use so much memory
and time and no more. Without it the benchmark says that it is absent.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import tracemalloc
import venv
from pathlib import Path

import numpy as np

from bessemer.evaluate.levels import Coded, Level
from bessemer.evaluate.spec import FindSlices
from bessemer.evaluate.weak_slices import halves, search
from bessemer.stats.lattice import slices_in, worst

PEERS = Path.home() / ".cache" / "bessemer-bench" / "sliceline"
LEVELS = 8

SLICELINE = """
import json, resource, sys, time
limit = int(float(sys.argv[2]) * 2**30)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
import numpy as np
from sliceline.slicefinder import Slicefinder
data = np.load(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
begin = time.perf_counter()
found = Slicefinder(alpha=0.95, k=10, max_l=3, min_sup=int(0.005 * len(data["loss"])), verbose=False)
found.fit(data["codes"] + 1, data["loss"])
seconds = time.perf_counter() - begin
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(json.dumps({"seconds": seconds, "megabytes": peak / 1024}))
"""


def table(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, LEVELS, (rows, columns)).astype(np.int8)
    loss = rng.exponential(size=rows)
    loss[(codes[:, 0] == 1) & (codes[:, 1] == 2)] *= 2
    loss[codes[:, 2] == 3] *= 1.3
    return codes, loss


def ours(codes: np.ndarray, loss: np.ndarray) -> None:
    columns = [np.ascontiguousarray(column) for column in codes.T]
    settings = {"depth": 3, "fewest": int(0.005 * len(loss)), "most": 10}
    begin = time.perf_counter()
    worst(columns, [LEVELS] * len(columns), loss, **settings)
    seconds = time.perf_counter() - begin
    tracemalloc.start()  # a second time: it slows everything down
    found = worst(columns, [LEVELS] * len(columns), loss, **settings)
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    planted = {((0, 1), (1, 2)), ((2,), (3,))}
    hits = len(planted & {(cell.columns, cell.levels) for cell in found})
    count = slices_in([LEVELS] * len(columns), 3)
    print(f"ours:      {seconds:6.2f} s, {count:,} slices, {peak:,.0f} MB more, planted found: {hits} of 2")


def theirs(codes: np.ndarray, loss: np.ndarray, memory: float, seconds: float) -> None:
    python = PEERS / "bin" / "python"
    if not python.exists():
        print("sliceline: absent (--install makes its environment)")
        return
    file = PEERS / "table.npz"
    np.savez(file, codes=codes.astype(np.int64), loss=loss)
    command = [str(python), "-c", SLICELINE, str(file), str(memory)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        print(f"sliceline: not done after {seconds:.0f} s")
        return
    if done.returncode:
        print(f"sliceline: failed within {memory:g} GB: {done.stderr.strip().splitlines()[-1][:120]}")
        return
    said = json.loads(done.stdout.strip().splitlines()[-1])
    print(
        f"sliceline: {said['seconds']:6.2f} s, {said['megabytes']:,.0f} MB more (it ranks by another score)"
    )


def noise(tables: int = 200, rows: int = 2000) -> None:
    confirmed, begin = 0, time.perf_counter()
    for seed in range(tables):
        rng = np.random.default_rng(seed)
        columns = [
            Coded(
                f"c{k}",
                tuple(Level(f"c{k}", "=", v) for v in range(4)),
                rng.integers(0, 4, rows).astype(np.int8),
            )
            for k in range(12)
        ]
        found = search(columns, rng.exponential(size=rows), halves(rows, rng), FindSlices(), 0.05)
        confirmed += any(weak.p_adjusted <= 0.05 for weak in found)
    seconds = (time.perf_counter() - begin) / tables
    print(
        f"noise:     {confirmed} of {tables} tables have a confirmed slice; {seconds:.3f} s a table of {rows:,} x 12"
    )


def install() -> None:
    venv.create(PEERS, clear=True, with_pip=True)
    command = [str(PEERS / "bin" / "python"), "-m", "pip", "install", "--quiet", "sliceline==0.3.0"]
    subprocess.run(command, check=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--install", action="store_true")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--columns", type=int, default=15)
    parser.add_argument("--memory", type=float, default=4.0)
    parser.add_argument("--seconds", type=float, default=120.0)
    given = parser.parse_args()
    if given.install:
        install()
    codes, loss = table(given.rows, given.columns)
    print(f"{given.rows:,} rows, {given.columns} columns of {LEVELS} levels")
    ours(codes, loss)
    theirs(codes, loss, given.memory, given.seconds)
    noise()
    return 0


if __name__ == "__main__":
    sys.exit(main())
