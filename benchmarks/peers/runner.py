"""One tool, in its own environment: `python -m peers.runner fit|predict TOOL TASK` prints one line of JSON.

`fit` and `predict` are two processes, so that what predicts is what was saved.
"""

from __future__ import annotations

import importlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from peers.task import Predict, Task

#: One-row requests: so many that are not timed, then so many that are, or as many as fit into the seconds.
WARM, ROWS, SECONDS = 10, 300, 10.0
BATCHES = 3


def main() -> None:
    phase, name, path = sys.argv[1:]
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the tools print goes to the log, the line of JSON alone to the harness
    task = Task.read(path)
    tool = importlib.import_module(f"peers.tools.{name}")
    figures: dict[str, Any] = {"versions": {package: version(package) for package in tool.PACKAGES}}
    figures |= fit(tool, task) if phase == "fit" else predict(tool, task)
    print(json.dumps(figures), file=out, flush=True)
    if hasattr(tool, "close"):
        tool.close()


def fit(tool: Any, task: Task) -> dict[str, Any]:
    """Fit and save; seconds are of both, without imports. The tool may give its own `fit_seconds` and a `note`."""
    started = time.perf_counter()
    found = tool.fit(task) or {}
    return {"fit_seconds": time.perf_counter() - started, "bytes": size(task.model), **found}


def predict(tool: Any, task: Task) -> dict[str, float]:
    """Predict the test rows into `predictions.npy`, then time one row and all of them."""
    X = task.features(task.test)
    started = time.perf_counter()
    model = tool.load(task)
    figures = {"load_seconds": time.perf_counter() - started}
    np.save(task.folder / "predictions.npy", np.asarray(model(X), dtype=np.float64))
    figures["row_ms"] = row_milliseconds(model, X)
    batch = min(seconds(lambda: model(X)) for _ in range(BATCHES))
    return figures | {"batch_us": batch / len(X) * 1e6}


def row_milliseconds(model: Predict, X: pd.DataFrame) -> float:
    """The median of warm one-row predictions from a DataFrame of one raw row."""
    rows = [X.iloc[[i]] for i in range(min(len(X), WARM + ROWS))]
    for row in rows[:WARM]:
        model(row)
    times: list[float] = []
    until = time.perf_counter() + SECONDS
    for row in rows[WARM:]:
        times.append(seconds(partial(model, row)))
        if time.perf_counter() > until:
            break
    return statistics.median(times) * 1e3


def seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def size(path: Path) -> int | None:
    """Bytes of a file, or of all files of a folder; None if there is none."""
    if path.is_file():
        return path.stat().st_size
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file()) if path.exists() else None


if __name__ == "__main__":
    main()
