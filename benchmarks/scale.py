"""Scale: the flights project on 1x, 3x and 10x replicas of its table.

    .venv/bin/python benchmarks/scale.py

Each replica shifts the schedule by a minute and changes nothing else. Each run is a process of its own; peak memory is
what the kernel says of that process (ru_maxrss).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import yaml

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "flights"
FACTORS = tuple(int(arg) for arg in sys.argv[1:]) or (1, 3, 10)


def project(folder: Path, factor: int, table: Path) -> int:
    """Write the replicated table and its project file; give the number of rows."""
    connection = duckdb.connect()
    connection.execute(
        "COPY (SELECT t.* REPLACE (sched_departure + to_minutes(k) AS sched_departure) "
        f"FROM read_parquet('{table}') t, range({factor}) r(k)) TO '{folder / 'flights.parquet'}' (FORMAT parquet)"
    )
    spec = yaml.safe_load((EXAMPLE / "bessemer.yaml").read_text())
    spec["acquire"] = {"sources": {"flights": {"parquet": "flights.parquet"}}}
    (folder / "bessemer.yaml").write_text(json.dumps(spec))
    return int(connection.execute(f"SELECT count(*) FROM '{folder / 'flights.parquet'}'").fetchone()[0])


def run(folder: Path) -> tuple[float, float, list[dict[str, float]]]:
    """Seconds, peak MB and the stages of a run in a process of its own."""
    started = time.perf_counter()
    with (folder / "run.json").open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "bessemer", "run", "--json", "--no-track"],
            cwd=folder, stdout=out, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, f"exit status {status}"
    shown = json.loads((folder / "run.json").read_text())
    return time.perf_counter() - started, usage.ru_maxrss / 1024, shown["stages"]


def main() -> None:
    import bessemer

    flights = bessemer.Project(EXAMPLE)
    flights.run(upto="acquire", track=False)
    table = flights.artifact("raw").path("data.parquet")
    print(f"{'factor':>6} {'rows':>10} {'seconds':>8} {'peak MB':>8}   stages: seconds")
    for factor in FACTORS:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            rows = project(folder, factor, table)
            seconds, peak, stages = run(folder)
            detail = " ".join(f"{s['stage']} {s['seconds']:.1f} ({s['peak_mb']:.0f} MB)" for s in stages)
            print(f"{factor:>5}x {rows:>10,} {seconds:>8.1f} {peak:>8.0f}   {detail}", flush=True)


if __name__ == "__main__":
    main()
