"""A model and splits as artifacts, made by hand from a small table: what train and prepare would hand over."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bessemer.core.artifact import ArtifactRef
from bessemer.core.signature import Field, Signature
from bessemer.core.stage import Context
from bessemer.core.store import Store
from bessemer.package.graph import GraphBuilder, serialize

PARTS = ("train", "valid", "test")


@dataclass
class Heard:
    """Everything a stage told the user."""

    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __call__(self, kind: str, data: Any) -> None:
        self.events.append((kind, dict(data)))

    def texts(self, kind: str) -> list[str]:
        return [data["text"] for k, data in self.events if k == kind]


def context(folder: Path, stage: str, heard: Heard | None = None, seed: int = 7) -> Context:
    work = folder / f"work-{stage}"
    work.mkdir(parents=True, exist_ok=True)
    return Context(
        store=Store(folder / "store"),
        stage=stage,
        shared={},
        seed=seed,
        project_dir=folder,
        workdir=work,
        emit=heard or Heard(),
    )


def outputs(
    g: GraphBuilder, features: str, weights: np.ndarray, bias: np.ndarray, classes: Sequence[Any]
) -> None:
    """score = where(isnan(x), 0, x) @ weights + bias, and the outputs of the task (no classes: regression)."""
    filled = g.op("Where", [g.op("IsNaN", [features]), g.constant(np.float32(0)), features])
    bound = [g.constant(weights.astype(np.float32)), g.constant(bias.astype(np.float32))]
    score = g.op("Gemm", [filled, *bound], name="score")
    k = weights.shape[1]
    g.output(score, "float32", ("N", k))
    flat = g.constant(np.array([-1], dtype=np.int64))
    if not classes:
        g.output(g.op("Reshape", [score, flat], name="prediction"), "float32", ("N",))
        return
    if len(classes) == 2:
        p = g.op("Sigmoid", [score])
        q = g.op("Sub", [g.constant(np.float32(1)), p])
        probability = g.op("Concat", [q, p], name="probability", axis=1)
        positive = g.op("GreaterOrEqual", [p, g.constant(np.float32(0.5))])
        index = g.op("Reshape", [g.cast(positive, "int64"), flat])
    else:
        probability = g.op("Softmax", [score], name="probability", axis=1)
        index = g.op("ArgMax", [score], axis=1, keepdims=0)
    g.output(probability, "float32", ("N", len(classes)))
    tensor = {bool: "bool", int: "int64", str: "string"}[type(classes[0])]
    g.output(g.op("Gather", [g.constant(np.array(list(classes))), index], name="prediction"), tensor, ("N",))


def head(weights: np.ndarray, bias: np.ndarray, classes: Sequence[Any]) -> bytes:
    g = GraphBuilder("head")
    x = g.input("features", "float32", ("N", weights.shape[0]))
    outputs(g, x, weights, bias, classes)
    return serialize(g.model())


def whole(fields: Sequence[Field], weights: np.ndarray, bias: np.ndarray, classes: Sequence[Any]) -> bytes:
    """The whole graph: numbers as they are, texts as whether they are there, timestamps as a number."""
    g = GraphBuilder("model")
    parts = []
    for f in fields:
        x = g.input(f.name, f.tensor, ("N", 1))
        if f.tensor == "string":
            missing = g.op("Equal", [x, g.constant(np.array([[""]]))])
            x = g.cast(g.op("Not", [missing]), "float32")
        elif f.tensor == "int64":
            x = g.op("Mul", [g.cast(x, "float32"), g.constant(np.float32(1e-20))])
        parts.append(x)
    outputs(g, g.op("Concat", parts, name="features", axis=1), weights, bias, classes)
    return serialize(g.model())


@dataclass
class Case:
    """Artifacts of one model. truth: class index or value of every row of the table, float64."""

    inputs: dict[str, ArtifactRef]
    parts: dict[str, pa.Table]
    truth: dict[str, np.ndarray]
    model: bytes
    signature: Signature


def fields_of(table: pa.Table) -> list[Field]:
    found = []
    for column in table.schema:
        if pa.types.is_string(column.type):
            found.append(Field(column.name, "string", "string"))
        elif pa.types.is_timestamp(column.type):
            found.append(Field(column.name, "timestamp", "int64"))
        else:
            kind = "boolean" if pa.types.is_boolean(column.type) else "number"
            found.append(Field(column.name, kind, "float32"))
    return found


def case(
    ctx: Context,
    table: pa.Table,
    truth: np.ndarray,
    classes: Sequence[Any],
    weights: np.ndarray,
    bias: np.ndarray,
    *,
    learner: str = "lightgbm",
    metric: str = "",
    linear: tuple[np.ndarray, np.ndarray] | None = None,
) -> Case:
    """Split a table of inputs 50/25/25 in order and store it with its linear model; the constant is bias-only."""
    task = "regression" if not classes else "binary" if len(classes) == 2 else "multiclass"
    fields = fields_of(table)
    signature = Signature(tuple(fields), (), task=task, target="y", classes=tuple(classes))
    cuts = [0, len(truth) // 2, len(truth) * 3 // 4, len(truth)]
    files: dict[str, Path | bytes] = {}
    parts, truths = {}, {}
    for name, low, high in zip(PARTS, cuts, cuts[1:], strict=False):
        parts[name], truths[name] = (
            table.slice(low, high - low),
            np.asarray(truth[low:high], dtype=np.float64),
        )
        raw, X, y = (ctx.workdir / f"{name}.{end}" for end in ("parquet", "X.npy", "y.npy"))
        pq.write_table(parts[name], raw)
        np.save(X, features(parts[name]))
        np.save(y, truths[name])
        files |= {f"{name}.parquet": raw, f"{name}.X.npy": X, f"{name}.y.npy": y}
    meta = {"rows": {n: len(t) for n, t in truths.items()}, "task": task, "classes": list(classes)}
    model = whole(fields, weights, bias, classes)
    facts = {"learner": learner, "task": task, "classes": list(classes), "target": "y", "metric": metric}
    weak = linear or (weights * 0, bias)
    stored = {
        "model.onnx": model,
        "signature.json": json.dumps(signature.to_json()).encode(),
        "model.json": json.dumps(facts).encode(),
        "baselines/constant.onnx": head(weights * 0, constant_bias(truths["train"], classes), classes),
        "baselines/linear.onnx": head(*weak, classes),
    }
    inputs = {
        "splits": ctx.store.put("splits", files, meta),
        "model": ctx.store.put("model", stored, {"learner": learner, "task": task, "metric": metric}),
    }
    return Case(inputs, parts, truths, model, signature)


def constant_bias(truth: np.ndarray, classes: Sequence[Any]) -> np.ndarray:
    if not classes:
        return np.array([truth.mean()])
    counts = np.bincount(truth.astype(int), minlength=len(classes)) + 0.5
    shares = counts / counts.sum()
    return np.array([np.log(shares[1] / shares[0])]) if len(classes) == 2 else np.log(shares)


def features(table: pa.Table) -> np.ndarray:
    """The matrix that the graph's `features` would be."""
    columns = []
    for column in table.columns:
        if pa.types.is_string(column.type):
            columns.append([float(v not in (None, "")) for v in column.to_pylist()])
        elif pa.types.is_timestamp(column.type):
            columns.append((column.cast(pa.int64()).to_numpy() * 1e-20).tolist())
        else:
            columns.append(column.cast(pa.float64()).to_numpy().tolist())
    return np.array(columns, dtype=np.float32).T.copy()
