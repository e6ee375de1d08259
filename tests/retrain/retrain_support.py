"""A project whose data can grow, and whose relation can change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def rows(n: int, seed: int, *, turned: bool = False) -> pa.Table:
    """`y` follows from `a`, or from its opposite; times go on from seed to seed."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=n), rng.normal(size=n)
    y = (-a if turned else a) + rng.normal(size=n) * 0.5 > 0
    when = np.datetime64("2026-01-01", "us") + (seed * 10_000 + np.arange(n)) * np.timedelta64(1, "m")
    return pa.table({"a": a, "b": b, "when": when, "y": np.where(y, "yes", "no")})


def write_project(folder: Path, data: pa.Table, *, by: str = "when", **monitor: Any) -> Path:
    """A project file beside its data. by: the time whose last rows are tested on; '' for any."""
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(data, folder / "data.parquet")
    project = {
        "name": "grows",
        "data": "data.parquet",
        "target": "y",
        "track": {"mlflow": "off", "tensorboard": "off"},
        "prepare": {
            "split": {**({"by": by} if by else {}), "test": 0.25, "valid": 0.15},
            "exclude": ["when"],
        },
        "train": {"learner": "linear"},
        "monitor": {"retrain": monitor or True},
    }
    path = folder / "bessemer.yaml"
    path.write_text(json.dumps(project), "utf-8")
    return path
