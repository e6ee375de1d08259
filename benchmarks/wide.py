"""Statistics of tables of many columns and few rows, as of genes or sensors: CPU seconds on one thread.

    .venv/bin/python benchmarks/wide.py [--rows 300] [--columns 1000 3000 10000]

A quarter of the columns each are numbers, integers, texts of a few values and numbers with gaps.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from peers.machine import machine

from bessemer.core.sql import for_width, literal
from bessemer.core.stage import Context
from bessemer.core.store import Store
from bessemer.validate.statistics import describe

TYPES = ["DOUBLE", "BIGINT", "VARCHAR", "DOUBLE"]


def table(rows: int, columns: int) -> pa.Table:
    rng = np.random.default_rng(7)

    def column(kind: int) -> pa.Array:
        if kind == 1:
            return pa.array(rng.integers(0, 1000, rows))
        if kind == 2:
            return pa.array(rng.choice(["low", "middle", "high"], rows))
        return pa.array(rng.normal(size=rows), mask=rng.random(rows) < 0.1 if kind == 3 else None)

    return pa.table({f"c{i}": column(i % 4) for i in range(columns)})


def seconds(folder: Path, rows: int, columns: int) -> float:
    path = folder / f"{columns}.parquet"
    pq.write_table(table(rows, columns), path)
    ctx = Context(
        store=Store(folder / "store"), stage="validate", shared={}, seed=7, project_dir=folder, workdir=folder,
        threads=1,
    )  # fmt: skip
    connection = ctx.connect()
    for_width(connection, columns)
    started = time.process_time()
    describe(
        connection,
        f"read_parquet({literal(path)})",
        [(f"c{i}", TYPES[i % 4]) for i in range(columns)],
        ctx,
    )
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--columns", type=int, nargs="+", default=[1_000, 3_000, 10_000])
    options = parser.parse_args()
    print(machine())
    print(f"{options.rows:,} rows\n\n| columns | CPU seconds |\n| --- | --- |")
    with tempfile.TemporaryDirectory() as name:
        for columns in options.columns:
            print(f"| {columns:,} | {seconds(Path(name), options.rows, columns):.1f} |", flush=True)


if __name__ == "__main__":
    main()
