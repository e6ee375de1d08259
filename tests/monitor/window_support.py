"""References of real sketches, and windows that are drawn from the same rows or changed on purpose."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bessemer.core.sql import connect, literal
from bessemer.monitor.check import Check, compared, decide
from bessemer.monitor.joint import PARTS
from bessemer.monitor.plugins import USUAL
from bessemer.monitor.reference import Reference
from bessemer.monitor.scan import scan
from bessemer.monitor.window import Window
from bessemer.profile.columns import sketch_columns
from bessemer.profile.joint import joint_facts
from bessemer.profile.limits import limits

DTYPES: dict[str, Any] = {
    "age": "integer",
    "income": "number",
    'city "São"': "string",
    "member": "boolean",
    "since": "timestamp",
    "id": "string",
}
DAY = 86_400_000_000


def rows(n: int, seed: int) -> dict[str, np.ndarray]:
    """Columns of every type, some values missing; a text with 5 values and one that has its own in nearly every row."""
    rng = np.random.default_rng(seed)
    income = rng.lognormal(10, 1, n)
    income[rng.random(n) < 0.1] = np.nan
    return {
        "age": rng.integers(18, 90, n),
        "income": income,
        'city "São"': rng.choice(["Bern", "Zürich", "", "</b>", "Genève"], n, p=[0.5, 0.3, 0.05, 0.05, 0.1]),
        "member": rng.random(n) < 0.3,
        "since": np.datetime64("2020-01-01", "us") + rng.integers(0, 365, n) * np.timedelta64(DAY, "us"),
        "id": rng.integers(0, 10**6, n).astype(str),
    }


def table(columns: Mapping[str, Any]) -> pa.Table:
    return pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()})


def reference_of(data: pa.Table, folder: Path, dtypes: Mapping[str, Any] = DTYPES, **more: Any) -> Reference:
    """The reference that the profile stage would make of these rows."""
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(data, folder / "train.parquet")
    connection = connect(threads=1, memory=2**30, temporary=folder)
    sketches = sketch_columns(connection, folder / "train.parquet", dtypes, bins=256, categories=100)
    found = limits(
        sketches,
        lambda name: np.random.default_rng(zlib.crc32(name.encode())),
        window=1000,
        false_alarm=0.01,
        groups=10,
    )
    relation = f"read_parquet({literal(folder / 'train.parquet')})"
    joint, kept = joint_facts(connection, relation, sketches, data.num_rows, 2000)
    return Reference(
        {
            "format": 1,
            "rows": data.num_rows,
            "false_alarm": 0.01,
            "columns": sketches,
            "thresholds": found,
            **joint,
            **more,
        },
        kept,
    )


def scanned(data: pa.Table, reference: Reference, folder: Path) -> Window:
    """The window of a table in memory."""
    return next(scanned_one_by_one([data], reference, folder))


def scanned_one_by_one(tables: Iterable[pa.Table], reference: Reference, folder: Path) -> Iterator[Window]:
    """The windows of tables in memory, by one DuckDB: to start one takes as long as to scan a small table."""
    connection = connect(threads=2, memory=2**30, temporary=folder)
    for data in tables:
        connection.register("data", data)
        yield scan(connection, "data", reference, PARTS)


def check(
    reference: Reference,
    window: Window,
    *,
    detectors: Sequence[str] = USUAL,
    false_alarm: float | None = None,
) -> Check:
    """What is found in a window, at the reference's own rate of false alarms where no other is given."""
    wanted = reference.false_alarm if false_alarm is None else false_alarm
    return decide(compared(reference, window, detectors), window.rows, wanted)
