"""Windows of a log without a server, for watchers that are looked at hundreds of times."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from log_support import DAY, at

from bessemer.monitor.reference import reference_of
from bessemer.monitor.watching.logged import LoggedWindow
from bessemer.monitor.watching.watched import Said, Watched
from bessemer.package.model import Model
from bessemer.package.prediction_log.model import LoggedModel
from bessemer.testing.models import CLASSES, INPUTS

NAMES = tuple(field.name for field in INPUTS)


def logged(model: Model, data: pa.Table, labels: Any = None, hour: float = 0.5, **columns: Any) -> pa.Table:
    """The rows as a log has them: what the model says of them, and labels (class indices or numbers; NaN is none)."""
    n = data.num_rows
    schema = LoggedModel.of(model.name, model.version, model.signature).predictions()
    named = ["score"] if model.task == "regression" else ["probability", "score"]
    made = model.session.run(data, ["prediction", *named])
    table: dict[str, Any] = {
        "prediction_id": [f"{hour:g}x{i}" for i in range(n)],
        "time": [at(hour) + dt.timedelta(milliseconds=i) for i in range(n)],
        "client": ["me"] * n,
        "dialect": ["plain"] * n,
        "latency_us": [1000] * n,
        **{f"in.{name}": data.column(name) for name in data.column_names},
        "out.prediction": made["prediction"].reshape(-1),
    }
    if model.task == "binary":
        table |= {"out.probability": made["probability"][:, 1], "out.score": made["score"][:, 0]}
    elif model.task == "multiclass":
        for k, name in enumerate(model.classes):
            table |= {
                f"out.probability_{name}": made["probability"][:, k],
                f"out.score_{name}": made["score"][:, k],
            }
    table |= columns
    arrays = [
        pa.chunked_array([pa.array(table[f.name], f.type)])
        if not isinstance(table[f.name], pa.ChunkedArray)
        else table[f.name].cast(f.type)
        for f in schema
    ]
    whole = pa.Table.from_arrays(arrays, names=schema.names)
    return whole.append_column("label", _labels(model, labels, n))


def _labels(model: Model, labels: Any, n: int) -> pa.Array:
    classes = CLASSES[model.task]
    kind = pa.float64() if not classes else pa.string() if isinstance(classes[0], str) else pa.int64()
    if labels is None:
        return pa.nulls(n, kind)
    told = [
        None if np.isnan(x) else classes[int(x)] if classes else float(x) for x in np.asarray(labels, float)
    ]
    return pa.array(told, kind)


def watch(
    watcher: Any,
    model: Model,
    table: pa.Table,
    folder: Path,
    memory: Mapping[str, Any] | None = None,
    *,
    start: float = 0.0,
    hours: float = 1.0,
    inputs: tuple[str, ...] = NAMES,
    looks: int = 1,
) -> Said:
    """What a watcher says of these rows as a window of so many hours."""
    path = folder / "window.parquet"
    pq.write_table(table, path)
    span = (DAY + dt.timedelta(hours=start), DAY + dt.timedelta(hours=start + hours))
    window = LoggedWindow(path, table.num_rows, inputs, *span)
    rng = np.random.default_rng(7)
    watched = Watched(
        model,
        reference_of(model),
        model.name,
        window,
        folder / "log",
        span[1],
        looks,
        memory or {},
        0.001,
        rng,
    )
    said: Said = watcher.watch(watched)
    return said
