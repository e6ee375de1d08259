"""Checking a window of rows against a package's reference: what it costs, what it finds, and what it cries for nothing.

    .venv/bin/python benchmarks/monitoring.py [--rows 1000000 10000000] [--seeds 20] [--peers evidently alibi ...]

Twenty columns (14 of numbers, 5 of texts with 2 to 1,000 values, one boolean), a reference of 200,000 rows. In a
changed window six columns are changed by little; the other fourteen are as they were. A process of its own checks each
size, so that its peak is its own (Linux); finding is counted over windows of fresh seeds, changed and unchanged. Peers
get the same files, each in an environment of its own, which is made when it is not there; `--peer-seeds` says how many
windows they look at, since one of them takes minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from peers import drift
from peers.machine import machine
from peers.measure import run

from bessemer.core.sql import connect, literal
from bessemer.monitor.check import compared, decide
from bessemer.monitor.finding import WHOLE_ROWS
from bessemer.monitor.plugins import USUAL, parts_read
from bessemer.monitor.reference import Reference
from bessemer.monitor.scan import scan
from bessemer.monitor.tables import opened
from bessemer.profile.columns import sketch_columns
from bessemer.profile.joint import joint_facts
from bessemer.profile.limits import limits

NUMBERS, LEVELS = 14, (2, 5, 20, 100, 1000)
#: By how little six columns are changed: a shift and a scale of 2 % of a standard deviation, a tail, half a point of
#: missing values, two points of the boolean, a rare value twice as frequent.
CHANGED = ("n0", "n1", "n2", "n3", "b", "c2")
FALSE_ALARM = 0.01


def rows(n: int, seed: int, changed: bool) -> pa.Table:
    rng = np.random.default_rng(seed)
    columns: dict[str, Any] = {}
    for i in range(NUMBERS):
        values = rng.normal(size=n) if i % 3 else rng.lognormal(0, 1, n)
        columns[f"n{i}"] = np.where(rng.random(n) < 0.02, np.nan, values)
    for i, size in enumerate(LEVELS):
        columns[f"c{i}"] = rng.integers(0, size, n)
    columns["b"] = rng.random(n) < (0.32 if changed else 0.30)
    if changed:
        columns["n0"] = columns["n0"] * 1.02
        columns["n1"] = columns["n1"] + 0.02
        columns["n2"] = columns["n2"] * np.where(rng.random(n) < 0.01, 1.5, 1.0) * 1.01
        columns["n3"] = np.where(rng.random(n) < 0.005, np.nan, columns["n3"])
        columns["c2"] = np.where(rng.random(n) < 0.05, 0, columns["c2"])
    return pa.table(
        {
            name: pa.array([f"v{v}" for v in values] if name.startswith("c") else values, from_pandas=True)
            for name, values in columns.items()
        }
    )


def reference_of(folder: Path) -> Reference:
    """What the profile stage would make of 200,000 rows."""
    path = folder / "train.parquet"
    pq.write_table(rows(200_000, 0, False), path)
    dtypes: dict[str, Any] = {f"n{i}": "number" for i in range(NUMBERS)}
    dtypes |= {f"c{i}": "string" for i in range(len(LEVELS))} | {"b": "boolean"}
    connection = connect(threads=1, memory=2**30, temporary=folder)
    sketches = sketch_columns(connection, path, dtypes, bins=256, categories=100)
    rng = np.random.default_rng(0)
    found = limits(sketches, lambda name: rng, window=1000, false_alarm=FALSE_ALARM, groups=10)
    joint, _ = joint_facts(connection, f"read_parquet({literal(path)})", sketches, 200_000, 0)
    facts = {"rows": 200_000, "columns": sketches, "thresholds": found, **joint}
    return Reference({"format": 1, "false_alarm": FALSE_ALARM, **facts})


def one(reference: Reference, path: Path) -> dict[str, Any]:
    """Check a window here: seconds, CPU seconds, peak MB, and the columns that are found."""
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    with opened(path) as (connection, relation):
        window = scan(connection, relation, reference, parts_read(USUAL))
    found = decide(compared(reference, window, USUAL), window.rows, FALSE_ALARM)
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "wall": time.perf_counter() - started,
        "cpu": used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime,
        "peak": _peak(),
        "found": sorted({finding.column for finding in found.findings} - {WHOLE_ROWS}),
    }


def _peak() -> float:
    """MB, of this program: `ru_maxrss` begins with the parent's."""
    status = Path("/proc/self/status").read_text().split()
    return int(status[status.index("VmHWM:") + 1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument(
        "--seeds", type=int, default=20, help="windows of the first size, changed and unchanged"
    )
    parser.add_argument("--peers", nargs="*", choices=list(drift.TOOLS), default=[])
    parser.add_argument("--peer-seeds", type=int, default=1)
    parser.add_argument("--one", nargs=2, metavar=("REFERENCE", "WINDOW"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        reference = Reference(json.loads(Path(options.one[0]).read_text()))
        print(json.dumps(one(reference, Path(options.one[1]))))
        return
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reference = reference_of(folder)
        (folder / "reference.json").write_text(json.dumps(dict(reference.facts), default=str))
        print("| | rows | wall s | CPU s | peak MB |\n| --- | --- | --- | --- | --- |")
        for size in options.rows:
            cost(folder, size)
        for name in options.peers:
            peer(name, folder, options.rows[0], options.peer_seeds)
        finding(reference, folder, options.rows[0], options.seeds)


def cost(folder: Path, size: int) -> None:
    path = folder / "window.parquet"
    with pq.ParquetWriter(path, rows(10, 1, True).schema) as file:
        for part in range(0, size, 1_000_000):
            file.write_table(rows(min(1_000_000, size - part), part + 1, True))
    command = [sys.executable, __file__, "--one", str(folder / "reference.json"), str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    print(
        f"| Bessemer | {size:,} | {found['wall']:.2f} | {found['cpu']:.2f} | {found['peak']:.0f} |",
        flush=True,
    )


def peer(name: str, folder: Path, size: int, seeds: int) -> None:
    """What a tool takes and finds in changed windows of some seeds, and what it finds in unchanged ones."""
    tool, python = drift.TOOLS[name], drift.python(name)
    old, told = folder / "reference.parquet", folder / "found.json"
    plain(folder / "train.parquet", old)
    right = wrong = 0
    for changed in (True, False):
        for seed in range(seeds):
            path = folder / "peer.parquet"
            pq.write_table(rows(size, 10_000 + seed, changed), folder / "seed.parquet")
            plain(folder / "seed.parquet", path)
            command = [python, "-W", "ignore", "-c", tool.program, old, path]
            used = run(
                command, env={**os.environ}, cwd=folder, out=told, log=folder / "errors.txt", limit=3600
            )
            if used.status:
                print(f"{tool.title} failed:\n{(folder / 'errors.txt').read_text()[-2000:]}")
                return
            found = set(json.loads(told.read_text().splitlines()[-1]))
            right += len(found & set(CHANGED)) if changed else 0
            wrong += len(found - set(CHANGED)) if changed else len(found)
            if changed and not seed:
                print(
                    f"| {tool.title} | {size:,} | {used.wall:.2f} | {used.cpu:.2f} | {used.peak / 2**20:.0f} |"
                )
    print(f"  found {right} of {seeds * len(CHANGED)} changed columns, {wrong} others", flush=True)


def plain(path: Path, to: Path) -> None:
    """The same table as old readers take it."""
    connection = connect(threads=2, memory=2**30, temporary=to.parent)
    connection.execute(f"COPY (SELECT * FROM {literal(path)}) TO {literal(to)} (FORMAT parquet)")


def finding(reference: Reference, folder: Path, size: int, seeds: int) -> None:
    """How many of the changed columns are found, and how many of the others, in windows that are changed and not."""
    for changed in (True, False):
        right = wrong = 0
        for seed in range(seeds):
            path = folder / "seed.parquet"
            pq.write_table(rows(size, 10_000 + seed, changed), path)
            found = set(one(reference, path)["found"])
            right += len(found & set(CHANGED)) if changed else 0
            wrong += len(found - set(CHANGED)) if changed else len(found)
        said = f"{right} of {seeds * len(CHANGED)} changed columns found, " if changed else ""
        print(
            f"{'changed' if changed else 'unchanged'}: {said}{wrong} others in {seeds} windows of {size:,} rows"
        )


if __name__ == "__main__":
    main()
