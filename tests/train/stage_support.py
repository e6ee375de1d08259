"""Inputs of the train stage: splits and a preprocessor that passes numbers through."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bessemer.core import canonical
from bessemer.core.artifact import ArtifactRef
from bessemer.core.signature import Field, Signature
from bessemer.core.stage import Context
from bessemer.core.store import Store
from bessemer.package.graph import GraphBuilder, serialize
from bessemer.testing.learners import rows
from bessemer.train.learner import Part

NAMES = {"binary": ["no", "yes"], "multiclass": ["a", "b", "c", "d"], "regression": []}
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def make_context(folder: Path, emitted: list[tuple[str, Any]] | None = None, seed: int = 7) -> Context:
    (folder / "work").mkdir(parents=True, exist_ok=True)
    return Context(
        store=Store(folder / "store"),
        stage="train",
        shared={},
        seed=seed,
        project_dir=folder,
        workdir=folder / "work",
        emit=lambda kind, data: None if emitted is None else emitted.append((kind, dict(data))),
    )


def preprocessor(columns: list[str]) -> tuple[bytes, Signature]:
    g = GraphBuilder("preprocessor")
    inputs = [g.input(name, "float32", ("N", 1)) for name in columns]
    g.output(g.op("Concat", inputs, axis=1, name="features"), "float32", ("N", len(columns)))
    fields = tuple(Field(name, "number", "float32") for name in columns)
    return serialize(g.model()), Signature(fields, (), "binary", "y")


def put_inputs(
    store: Store,
    task: str,
    parts: dict[str, Part],
    classes: list[Any],
    features: list[dict[str, str]] | None = None,
) -> dict[str, ArtifactRef]:
    columns = [f"column {i}" for i in range(parts["train"].X.shape[1])]
    graph, signature = preprocessor(columns)
    files = {f"{name}.X.npy": npy(part.X) for name, part in parts.items()}
    files |= {f"{name}.y.npy": npy(part.y) for name, part in parts.items()}
    table = io.BytesIO()
    pq.write_table(pa.table({c: parts["train"].X[:, i] for i, c in enumerate(columns)}), table)
    files["train.parquet"] = table.getvalue()
    facts = {"rows": {name: len(part) for name, part in parts.items()}, "task": task, "classes": classes}
    features = features or [{"name": c, "group": c, "kind": "number", "meaning": c} for c in columns]
    return {
        "splits": store.put("splits", files, {**facts, "target": "y", "method": "random", "refold": "rows"}),
        "preprocessor": store.put(
            "preprocessor",
            {
                "preprocessor.onnx": graph,
                "features.json": canonical.dump_bytes(features),
                "signature.json": canonical.dump_bytes(signature.to_json()),
            },
            {"features": len(columns), "inputs": len(columns)},
        ),
    }


def make_parts(task: str, n: int = 1500) -> dict[str, Part]:
    return {name: rows(task, n, seed) for seed, name in enumerate(("train", "valid", "test"))}  # type: ignore[arg-type]
