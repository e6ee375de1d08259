"""The report stage on 50,000, 1,000,000 and 10,000,000 rows of 21 columns, and tools that describe a table.

    .venv/bin/python benchmarks/report.py                       # our stage, all three sizes
    .venv/bin/python benchmarks/report.py --peers --rows 50000  # and the tools, on the same file

The rows are drawn from one distribution in chunks, each from a seed of its own. The model, its evaluation and its
explanations are those of the first 50,000 rows; the parts of the split, the statistics and the predictions have the
full number. Each measurement is a process of its own (Linux). The tools run in environments of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from peers import measure
from peers.environment import BENCHMARKS
from peers.machine import machine

CHUNK, BASE = 500_000, 50_000
PARTS = {"train": 0.65, "valid": 0.15, "test": 0.20}
WORDS = (
    "late",
    "early",
    "parcel",
    "box",
    "broken",
    "whole",
    "answer",
    "fast",
    "slow",
    "price",
    "fair",
    "good",
    "size",
)


def chunk(number: int, rows: int) -> Any:
    """A chunk of the table: 8 numbers, 3 integers, 5 categories, 2 booleans, a time, a text and a target."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rng = np.random.default_rng([20, number])
    columns: dict[str, Any] = {}
    hidden = rng.normal(size=rows)
    for i in range(8):
        values = rng.normal(size=rows) + hidden * i / 8
        values = np.exp(values) if i % 4 == 3 else values
        columns[f"number {i}"] = pa.array(values, mask=rng.random(rows) < 0.03 * (i % 3))
    for i, most in enumerate((9, 100, 1_000_000)):
        columns[f"integer {i}"] = pa.array(rng.integers(0, most, rows))
    for i, levels in enumerate((3, 12, 50, 400, 5000)):
        names = pa.array([f"level {j}" for j in range(levels)])
        picked = np.minimum(rng.geometric(4 / (levels + 4), rows) - 1, levels - 1)
        columns[f"category {i}"] = names.take(pa.array(picked, mask=rng.random(rows) < 0.05 * (i == 2)))
    columns["flag 0"], columns["flag 1"] = pa.array(rng.random(rows) < 0.2), pa.array(hidden > 1)
    seconds = rng.integers(0, 730 * 86_400, rows)
    columns["time"] = pa.array((1_640_995_200 + seconds) * 1_000_000).cast(pa.timestamp("us"))
    words = pa.array(WORDS)
    picked_words = [words.take(pa.array(rng.integers(0, len(WORDS), rows))) for _ in range(7)]
    columns["text"] = pc.binary_join_element_wise(*picked_words, " ")
    columns["target"] = pa.array(hidden + rng.normal(size=rows) > 1)
    return pa.table(columns)


def chunks(rows: int) -> Iterator[Any]:
    for number, start in enumerate(range(0, rows, CHUNK)):
        yield chunk(number, min(CHUNK, rows - start))


def write(path: Path, rows: int) -> None:
    import pyarrow.parquet as pq

    writer: Any = None
    for table in chunks(rows):
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table, row_group_size=122_880)
    writer.close()


# artifacts ------------------------------------------------------------------------------------------------------
def base(folder: Path) -> tuple[Any, dict[str, Any]]:
    """A project on the first rows, run up to its report: its store, and the artifacts the report stage takes."""
    import bessemer
    from bessemer.core.artifact import ArtifactRef
    from bessemer.flow import STAGES

    folder.mkdir()
    write(folder / "data.parquet", BASE)
    spec = {"name": "rows", "data": "data.parquet", "target": "target", "train": {"rounds": 100}}
    (folder / "bessemer.yaml").write_text(json.dumps(spec))
    project = bessemer.Project(folder)
    run = project.run(upto="report", track=False)
    made = {kind: digest for stage in run.stages for kind, digest in stage.outputs.items()}
    takes = next(row.takes for row in STAGES if row.name == "report")
    return project.store, {kind: ArtifactRef(kind, made[kind]) for kind in takes if kind in made}


def enlarged(store: Any, refs: dict[str, Any], rows: int, folder: Path) -> dict[str, Any]:
    """The artifacts with so many rows: parts of the split, statistics and predictions."""
    splits = store.get(refs["splits"])
    files: dict[str, Any] = {}
    sizes = {part: round(rows * share) for part, share in PARTS.items()}
    for part, size in sizes.items():
        path = folder / f"{part}.parquet"
        _write_part(path, size, first=list(sizes).index(part) * 1000)
        files |= {f"{part}.parquet": path, f"{part}.y.npy": _target(path, folder / f"{part}.y.npy")}
    described = _statistics(files["train.parquet"], folder)
    put = store.put
    return {
        **refs,
        "splits": put("splits", files, {**splits.meta, "rows": sizes}),
        "statistics": put("statistics", {"statistics.json": described}, {"rows": rows}),
        "evaluation": _predictions(store, refs["evaluation"], sizes["test"], folder),
    }


def _write_part(path: Path, rows: int, first: int) -> None:
    import pyarrow.parquet as pq

    writer: Any = None
    for number, start in enumerate(range(0, rows, CHUNK)):
        table = chunk(first + number, min(CHUNK, rows - start))
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table, row_group_size=122_880)
    writer.close()


def _target(parquet: Path, path: Path) -> Path:
    import pyarrow.parquet as pq

    column = pq.read_table(parquet, columns=["target"]).column("target")
    np.save(path, column.to_numpy().astype(np.float64))
    return path


def _statistics(parquet: Path, folder: Path) -> bytes:
    from bessemer.core import canonical
    from bessemer.core.sql import connect, literal
    from bessemer.core.stage import Context
    from bessemer.core.store import Store
    from bessemer.validate.statistics import describe

    connection = connect(threads=2, memory=4 * 2**30, temporary=folder / "spill")
    relation = f"read_parquet({literal(parquet)})"
    columns = [
        (row[0], row[1]) for row in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    ]
    context = Context(Store(folder / "none"), "validate", {}, 1, folder, folder)
    return canonical.dump_bytes(describe(connection, relation, columns, context).to_json())


def _predictions(store: Any, ref: Any, rows: int, folder: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    evaluation = store.get(ref)
    table = pq.read_table(evaluation.path("predictions.parquet"))
    tiled = pa.concat_tables([table] * -(-rows // len(table))).slice(0, rows)
    pq.write_table(tiled, folder / "predictions.parquet")
    files = {
        "evaluation.json": evaluation.bytes("evaluation.json"),
        "predictions.parquet": folder / "predictions.parquet",
    }
    return store.put("evaluation", files, evaluation.meta)


# measuring ------------------------------------------------------------------------------------------------------
def child(store: Path, refs: Path) -> None:
    """The report stage alone, in this process: its seconds and its peak memory, as JSON."""
    from bessemer.core.artifact import ArtifactRef
    from bessemer.core.stage import Context
    from bessemer.core.store import Store
    from bessemer.report.spec import ReportSpec
    from bessemer.report.stage import run

    opened = Store(store)
    inputs = {kind: ArtifactRef(kind, digest) for kind, digest in json.loads(refs.read_text()).items()}
    shared = {"name": "rows", "version": "1", "description": ""}
    context = Context(opened, "report", shared, 1, store, refs.parent)
    started, cpu = time.perf_counter(), time.process_time()
    made = run(ReportSpec(), inputs, context)
    found = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}
    status = dict(row.split(":", 1) for row in Path("/proc/self/status").read_text().splitlines())
    peak = int(status["VmHWM"].split()[0]) / 1024  # of this program; ru_maxrss begins with the parent's
    page = len(opened.get(made["report"]).bytes("report.html")) / 1e6
    print(json.dumps({**found, "peak_mb": peak, "page_mb": page}))


def measured(command: list[Any], folder: Path, env: dict[str, str]) -> tuple[measure.Usage, str]:
    out, log = folder / "out.txt", folder / "log.txt"
    usage = measure.run(command, env=env, cwd=folder, out=out, log=log, limit=1800)
    assert usage.status == 0, log.read_text()[-2000:]
    return usage, out.read_text()


def line(
    title: str, rows: int, wall: float, cpu: float, peak: float, page: float, than: tuple[float, ...] = ()
) -> None:
    figures = (wall, cpu, peak, page)
    ratios = [f" ({a / b:.2g}x)" for a, b in zip(figures, than, strict=True)] if than else [""] * 4
    shown = [f"{value:,.{d}f}{ratio}" for value, d, ratio in zip(figures, (1, 1, 0, 2), ratios, strict=True)]
    print(f"| {title:<26} | {rows:>10,} | " + " | ".join(f"{text:>15}" for text in shown) + " |", flush=True)


def ours(sizes: list[int], folder: Path) -> tuple[float, ...]:
    """Measure our stage at each size; gives the figures of the whole process at the smallest."""
    store, refs = base(folder / "project")
    env = {**os.environ, "PYTHONPATH": str(BENCHMARKS.parent / "src")}
    first: tuple[float, ...] = ()
    for rows in sizes:
        with tempfile.TemporaryDirectory(dir=folder) as name:
            place = Path(name)
            wanted = enlarged(store, refs, rows, place)
            (place / "refs.json").write_text(json.dumps({kind: ref.digest for kind, ref in wanted.items()}))
            command = [sys.executable, BENCHMARKS / "report.py", "--child", store.root, place / "refs.json"]
            usage, out = measured(command, place, env)
            found = json.loads(out.splitlines()[-1])
            line(
                "Bessemer, the stage",
                rows,
                found["seconds"],
                found["cpu"],
                found["peak_mb"],
                found["page_mb"],
            )
            whole = (usage.wall, usage.cpu, usage.peak / 2**20, found["page_mb"])
            line("Bessemer, whole process", rows, *whole)
            first = first or whole
    return first


def peers(rows: int, folder: Path, than: tuple[float, ...]) -> None:
    from peers import pages

    write(folder / "table.parquet", rows)
    for name, tool in pages.TOOLS.items():
        python, page = pages.python(name), folder / f"{name}.html"
        env = {**os.environ, "MPLBACKEND": "agg", "DO_NOT_TRACK": "1", "YDATA_PROFILING_NO_ANALYTICS": "True"}
        (folder / f"{name}_page.py").write_text(tool.program)
        command = [python, folder / f"{name}_page.py", folder / "table.parquet", page]
        usage, _ = measured(command, folder, env)
        line(tool.title, rows, usage.wall, usage.cpu, usage.peak / 2**20, page.stat().st_size / 1e6, than)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[50_000, 1_000_000, 10_000_000])
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--child", type=Path, nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(*given.child)
        return
    print(machine())
    heads = [
        f"{'':<26}",
        f"{'rows':>10}",
        *(f"{name:>15}" for name in ("wall s", "CPU s", "peak MB", "page MB")),
    ]
    print(f"| {' | '.join(heads)} |\n|{' --- |' * len(heads)}")
    with tempfile.TemporaryDirectory() as name:
        than = ours(sorted(given.rows), Path(name))
        if given.peers:
            peers(min(given.rows), Path(name), than)


if __name__ == "__main__":
    main()
