"""Traffic of many clients, harmless and not, as windows of a prediction log; real rows of the census of 1994."""

from __future__ import annotations

import datetime as dt
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
from attacks import Rows, joined, size, take

from bessemer.core.sql import connect
from bessemer.monitor.finding import Test
from bessemer.monitor.reference import Reference
from bessemer.monitor.watching.logged import LoggedWindow
from bessemer.monitor.watching.watched import Watched
from bessemer.profile.columns import sketch_columns
from bessemer.profile.queries import describe_queries

START = dt.datetime(2026, 3, 1)
Traffic = Sequence[tuple[str, Rows]]


def read(path: Path, dtypes: Mapping[str, str]) -> Rows:
    """Columns of a CSV: numbers as float64, all else as objects."""
    table, found = pc.read_csv(path), {}
    for name, dtype in dtypes.items():
        column = table.column(name)
        if dtype in ("integer", "number"):
            found[name] = column.cast(pa.float64()).to_numpy()
        else:
            found[name] = np.array(column.cast(pa.string()).to_pylist(), dtype=object)
    return found


def dtypes_of(path: Path, target: str) -> dict[str, Any]:
    """The type of each input of a CSV."""
    kinds = {pa.int64(): "integer", pa.float64(): "number", pa.bool_(): "boolean"}
    return {
        field.name: kinds.get(field.type, "string")
        for field in pc.read_csv(path).schema
        if field.name != target
    }


def reference(rows: Rows, dtypes: Mapping[str, Any]) -> Reference:
    """What the profile stage would say of usual queries."""
    table = pa.table({name: pa.array(values, from_pandas=True) for name, values in rows.items()})
    with tempfile.TemporaryDirectory() as folder:
        pq.write_table(table, Path(folder) / "train.parquet")
        connection = connect(threads=1, memory=2**30, temporary=Path(folder))
        sketches = sketch_columns(
            connection, Path(folder) / "train.parquet", dtypes, bins=256, categories=100
        )
        connection.close()
    queries = describe_queries(table, sketches, np.random.default_rng(zlib.crc32(b"queries")))
    return Reference({"format": 1, "columns": sketches, "queries": queries})


def window(folder: Path, traffic: Traffic, rng: np.random.Generator) -> LoggedWindow:
    """An hour in which clients ask side by side, each its rows in their order."""
    who = np.concatenate([np.full(size(rows), client, dtype=object) for client, rows in traffic])
    when = np.concatenate([np.sort(rng.random(size(rows))) for _, rows in traffic])
    order, rows = np.argsort(when, kind="stable"), joined([rows for _, rows in traffic])
    times = (when[order] * 3.6e9).astype(np.int64) + int(
        (START - dt.datetime(1970, 1, 1)).total_seconds() * 1e6
    )
    columns = {
        "prediction_id": [f"{i}" for i in range(len(who))],
        "time": pa.array(times, pa.timestamp("us")),
        "client": who[order].tolist(),
    } | {f"in.{name}": pa.array(values[order], from_pandas=True) for name, values in rows.items()}
    path = folder / "window.parquet"
    pq.write_table(pa.table(columns), path)
    return LoggedWindow(path, len(who), tuple(rows), START, START + dt.timedelta(hours=1))


class Looking:
    """A watcher with its memory, window after window."""

    def __init__(self, watcher: Any, reference: Reference) -> None:
        self.watcher = watcher
        self.memory: Any = {}
        self.figures: Any = {}
        self.only_told: frozenset[str] = frozenset()
        self._reference = reference

    def at(self, one: LoggedWindow) -> dict[str, Test]:
        """What it says of each client."""
        watched = Watched(
            *(
                None,
                self._reference,
                "tiny",
                one,
                Path(),
                START,
                1,
                self.memory,
                0.01,
                np.random.default_rng(7),
            ),
        )
        said = self.watcher.watch(watched)
        self.memory, self.figures, self.only_told = said.memory, said.figures, said.only_told
        return {test.column: test for test in said.tests}


def harmless(rows: Rows, turn: int) -> list[tuple[str, Rows]]:
    """The traffic of a window: clients who ask little or much, in a column's order, for one segment, repeatedly."""
    rng = np.random.default_rng(turn)
    n, found = size(rows), []
    for i in range(6):
        found.append((f"small-{turn}-{i}", take(rows, rng.permutation(n)[: rng.integers(20, 200)])))
    found.append(("heavy", take(rows, rng.integers(0, n, 2500))))
    numbers = [name for name, values in rows.items() if values.dtype.kind == "f"]
    order, start = np.argsort(rows[rng.choice(numbers)], kind="stable"), rng.integers(0, n - 600)
    found.append((f"sorted-{turn}", take(rows, order[start : start + 600])))
    name = str(rng.choice([name for name in rows if name not in numbers]))
    among = np.flatnonzero(rows[name] == rows[name][rng.integers(n)])
    found.append((f"segment-{turn}", take(rows, rng.permutation(among)[:1500])))
    found.append(("retries", take(rows, np.repeat(rng.permutation(n)[:150], rng.integers(1, 4, 150)))))
    found.append(("health", take(rows, np.tile([7, 8, 9], 100))))
    found.append(("", take(rows, rng.permutation(n)[:400])))
    return found
