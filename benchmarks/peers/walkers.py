"""Others that walk trees, in an interpreter of their own: us a row as JSON.

    PYTHON benchmarks/peers/walkers.py lightgbm|xgboost MODEL X.npy ROWS...

Each tool that is installed beside PYTHON is measured with the fastest call it documents, on one thread.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np


def best(run: Callable[[np.ndarray], object], x: np.ndarray, seconds: float = 0.4) -> float:
    """The least time of a call over many, in microseconds a row."""
    run(x)
    found, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        before = time.perf_counter()
        run(x)
        found = min(found, time.perf_counter() - before)
    return 1e6 * found / len(x)


def lleaves(kind: str, path: str) -> Callable[[np.ndarray], object] | None:
    if kind != "lightgbm":
        return None
    import lleaves

    model = lleaves.Model(model_file=path)
    model.compile()
    return lambda x: model.predict(x, n_jobs=1)


def _treelite(kind: str, path: str) -> Any:
    import treelite

    load = (
        treelite.frontend.load_lightgbm_model if kind == "lightgbm" else treelite.frontend.load_xgboost_model
    )
    return load(path)


def treelite(kind: str, path: str) -> Callable[[np.ndarray], object]:
    import treelite

    model = _treelite(kind, path)
    return lambda x: treelite.gtil.predict(model, x, nthread=1)


def tl2cgen(kind: str, path: str) -> Callable[[np.ndarray], object]:
    import tl2cgen

    library = Path(tempfile.mkdtemp()) / "model.so"
    tl2cgen.export_lib(_treelite(kind, path), toolchain="gcc", libpath=library, params={"parallel_comp": 2})
    predictor = tl2cgen.Predictor(library, nthread=1)
    return lambda x: predictor.predict(tl2cgen.DMatrix(x))


TOOLS = {"lleaves": lleaves, "treelite": treelite, "tl2cgen": tl2cgen}


def measured(kind: str, path: str, x: np.ndarray, sizes: list[int]) -> Iterator[tuple[str, Any]]:
    for name, load in TOOLS.items():
        if importlib.util.find_spec(name) is None:
            yield name, "not installed"
            continue
        before = time.perf_counter()
        try:
            run = load(kind, path)
        except Exception as error:  # noqa: BLE001 - whatever a peer raises is what is told of it
            yield name, f"{type(error).__name__}: {error}"[:200]
            continue
        took = time.perf_counter() - before
        if run is not None:
            yield name, {"load": took, **{str(n): best(run, np.ascontiguousarray(x[:n])) for n in sizes}}


if __name__ == "__main__":
    kind, model, matrix, *sizes = sys.argv[1:]
    rows = np.load(matrix)
    print(json.dumps(dict(measured(kind, model, rows, [int(n) for n in sizes]))))
