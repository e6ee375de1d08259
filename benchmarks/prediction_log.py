"""What the prediction log costs: `take` on the hot path, rolling beside it, reading back. CPU time, one process each.

    .venv/bin/python benchmarks/prediction_log.py [--rows 1 16 256] [--total 200000]

Fourteen mixed columns as JSON rows and as tensors; the disk is the one of the temporary folder.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bessemer.core.signature import Field, Signature
from bessemer.package.prediction_log import layout
from bessemer.package.prediction_log.read import read_log
from bessemer.serve.log.entry import Entry
from bessemer.serve.log.prediction_log import PredictionLog
from bessemer.serve.log.spec import LogSpec

KINDS = ("integer", "number", "string", "boolean", "number", "string", "integer")
FIELDS = (
    *(
        Field(f"column {i}", kind, "string" if kind == "string" else "float32")
        for i, kind in enumerate((*KINDS, *KINDS[:6]))
    ),
    Field("moment", "timestamp", "int64"),
)
ROLLER = """
import sys
from bessemer.serve.log.roller import main
main(sys.argv[1])
print(open("/proc/self/status").read())
"""
OUTPUTS = (Field("prediction", "string", "string"), Field("probability", "number", "float32", shape=(2,)))
SIGNATURE = Signature(FIELDS, OUTPUTS, "binary", "y", ("no", "yes"))
CONTRACTS = ("Month-to-month", "One year", "Two year")


def batches(rows: int, count: int, as_json: bool) -> list[Entry]:
    """Batches of different values, made before anything is measured."""
    rng = np.random.default_rng(7)
    made = []
    for number in range(count):
        values = {
            "integer": lambda: int(rng.integers(0, 100)), "number": lambda: round(float(rng.normal(70, 30)), 2),
            "string": lambda: CONTRACTS[rng.integers(3)], "boolean": lambda: bool(rng.integers(2)),
            "timestamp": lambda: f"2026-01-{rng.integers(10, 29)}T12:00:00Z",
        }  # fmt: skip
        table = [tuple(values[f.dtype]() for f in FIELDS) for _ in range(rows)] if as_json else None
        feeds = None if as_json else {f.name: tensor(f, rows, rng) for f in FIELDS}
        positive = rng.random((rows, 1), dtype=np.float32)
        outputs = {
            "prediction": np.array(["yes"] * rows, dtype=object), "probability": np.hstack([1 - positive, positive]),
            "score": np.log(positive / (1 - positive)),
        }  # fmt: skip
        ids = [f"{number:032x}-{row}" for row in range(rows)]
        same = ([0.0012] * rows, ["shop"] * rows, ["plain"] * rows)
        made.append(Entry("bench", "1", ids, table, feeds, outputs, time.time(), *same))
    return made


def tensor(field: Field, rows: int, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    if field.dtype == "string":
        return np.array([CONTRACTS[i] for i in rng.integers(0, 3, rows)], dtype=object).reshape(-1, 1)
    if field.dtype == "timestamp":
        return rng.integers(1_700_000_000_000_000, 1_800_000_000_000_000, (rows, 1))
    return rng.integers(0, 2, (rows, 1)).astype(np.float32)


def rolled(spec: LogSpec) -> tuple[float, float]:
    """CPU seconds and peak megabytes of a roller process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-c", ROLLER, spec.model_dump_json()]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    return seconds, int(done.stdout.partition("VmHWM:")[2].split()[0]) / 1024


def measure(rows: int, count: int, as_json: bool, **settings: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        spec = LogSpec(folder=folder, **settings)
        log = PredictionLog(spec)
        log._watcher.stop()
        log.register("bench", "1", SIGNATURE)
        start, _ = rolled(spec)
        pool = batches(rows, count, as_json)
        each = np.zeros(count)
        for entry in pool[:100]:
            log.take(entry)
        used = time.process_time()
        for i, entry in enumerate(pool):
            begin = time.perf_counter()
            log.take(entry)
            each[i] = time.perf_counter() - begin
        used = (time.process_time() - used) / count * 1e6
        log._journal.close()
        total, size = log.stats().rows, log.stats().bytes
        reading = time.process_time()
        assert sum(batch.num_rows for batch in read_log(folder, "bench")) == total
        journal = time.process_time() - reading
        rolling, peak = rolled(spec)
        assert not layout.segments(Path(folder))
        parquet = sum(path.stat().st_size for path in Path(folder).rglob("*.parquet"))
        reading = time.process_time()
        assert sum(batch.num_rows for batch in read_log(folder, "bench")) == total
        reading = time.process_time() - reading
        what = ("JSON" if as_json else "tensors") + "".join(f", {k} {v}" for k, v in settings.items())
        figures = (
            used, used / rows, np.median(each) * 1e6, np.percentile(each, 99) * 1e6, start,
            max(rolling - start, 0) / total * 1e6, peak, journal / total * 1e6, reading / total * 1e6, size / total,
            parquet / total,
        )  # fmt: skip
        print(f"| {what} | {rows} | " + " | ".join(f"{each:.3g}" for each in figures) + " |")


HEAD = (
    "rows as", "rows a batch", "take, CPU us a batch", "us a row", "wall us, median", "p99", "roller start, CPU s",
    "roll, CPU us a row", "peak MB", "read journal, us a row", "read Parquet, us a row",
    "journal bytes a row", "Parquet",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="*", default=[1, 16, 256])
    parser.add_argument("--total", type=int, default=200_000, help="rows in all, for each measurement")
    chosen = parser.parse_args()
    print(f"| {' | '.join(HEAD)} |\n|{' --- |' * len(HEAD)}")
    for as_json in (True, False):
        for rows in chosen.rows:
            measure(rows, max(200, chosen.total // rows // (4 if rows == 1 else 1)), as_json)
    measure(16, 500, True, fsync="always")
    measure(16, 5000, True, sample=0.25)


if __name__ == "__main__":
    main()
