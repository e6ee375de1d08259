"""The graph session against plain onnxruntime: the same graph, the same rows, the same answers.

    .venv/bin/python benchmarks/session.py [ROWS]

The table is of the shape of flights joined to weather: 6 text columns (3 to 3,000 distinct values), 14 numbers with
missing values, 2 timestamps. Both sides start from the Arrow table, as a caller has it. The plain side converts every
column to a tensor and runs the whole graph; so does the session for fewer than 64 rows. Outputs are compared bit for
bit before anything is timed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime as ort
import pyarrow as pa

from bessemer.core.signature import Field
from bessemer.package.feeds import to_feeds
from bessemer.package.graph import GraphBuilder, serialize
from bessemer.package.session import GraphSession

DISTINCT = {"origin": 3, "carrier": 16, "dest": 105, "manufacturer": 35, "model": 127, "tailnum": 3000}
NUMBERS = [f"number {i}" for i in range(14)]
TIMES = ["sched_departure", "time_hour"]
BATCH = 65_536
TREES = 100


def table(rows: int) -> pa.Table:
    rng = np.random.default_rng(7)
    columns: dict[str, Any] = {}
    for name, count in DISTINCT.items():
        words = np.array([f"{name}-{i:05d}" for i in range(count)])
        columns[name] = pa.array(words[rng.integers(0, count, rows)], pa.string())
    for name in NUMBERS:
        columns[name] = pa.array(rng.normal(size=rows), mask=rng.random(rows) < 0.02)
    for name in TIMES:
        columns[name] = pa.array(rng.integers(0, 2**50, rows), pa.timestamp("us"))
    return pa.table(columns)


def graph(heavy: bool) -> tuple[bytes, list[Field]]:
    """Text through look-up tables (one index, four columns each), the rest as it is; then trees, if heavy."""
    g = GraphBuilder("flights-like")
    rng = np.random.default_rng(1)
    fields = [Field(n, "string", "string") for n in DISTINCT]
    fields += [Field(n, "number", "float32") for n in NUMBERS] + [
        Field(n, "timestamp", "int64") for n in TIMES
    ]
    for field in fields:
        g.input(field.name, field.tensor, ("N", 1))
    parts = list(NUMBERS)
    flat = g.constant(np.array([-1], dtype=np.int64))
    for name, count in DISTINCT.items():
        index = g.op(
            "LabelEncoder",
            [name],
            domain="ai.onnx.ml",
            keys_strings=[f"{name}-{i:05d}" for i in range(count)],
            values_int64s=list(range(count)),
            default_int64=count,
        )
        levels = g.constant(rng.normal(size=(count + 1, 4)).astype(np.float32))
        parts.append(g.op("Gather", [levels, g.op("Reshape", [index, flat])]))
    hour = g.constant(np.array([[3_600_000_000]], dtype=np.int64))
    parts += [g.cast(g.op("Div", [name, hour]), "float32") for name in TIMES]
    features = g.op("Concat", parts, name="features", axis=1)
    width = len(NUMBERS) + 4 * len(DISTINCT) + len(TIMES)
    if heavy:
        g.output(_trees(g, features, width), "float32", ("N", 1))
    else:
        g.output(features, "float32", ("N", width))
    return serialize(g.model()), fields


def _trees(g: GraphBuilder, features: str, width: int) -> str:
    """TREES complete trees of depth 6."""
    rng = np.random.default_rng(2)
    inner, leaves = 63, 64
    per_tree = inner + leaves
    ids = list(range(per_tree))
    left = [2 * i + 1 if i < inner else 0 for i in ids]
    right = [2 * i + 2 if i < inner else 0 for i in ids]
    return g.op(
        "TreeEnsembleRegressor",
        [features],
        domain="ai.onnx.ml",
        name="score",
        n_targets=1,
        nodes_treeids=np.repeat(range(TREES), per_tree).tolist(),
        nodes_nodeids=ids * TREES,
        nodes_featureids=rng.integers(0, width, TREES * per_tree).tolist(),
        nodes_values=rng.normal(size=TREES * per_tree).astype(np.float32).tolist(),
        nodes_modes=(["BRANCH_LEQ"] * inner + ["LEAF"] * leaves) * TREES,
        nodes_truenodeids=left * TREES,
        nodes_falsenodeids=right * TREES,
        nodes_missing_value_tracks_true=[1] * (TREES * per_tree),
        target_treeids=np.repeat(range(TREES), leaves).tolist(),
        target_nodeids=list(range(inner, per_tree)) * TREES,
        target_ids=[0] * (TREES * leaves),
        target_weights=rng.normal(size=TREES * leaves).astype(np.float32).tolist(),
    )


def best(run: Callable[[], object], times: int = 3) -> float:
    """The least of some wall-clock times, in seconds."""
    took = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        took.append(time.perf_counter() - start)
    return min(took)


def compare(what: str, rows: pa.Table, heavy: bool) -> None:
    model, fields = graph(heavy)
    output = "score" if heavy else "features"
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    plain = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    ours = GraphSession(model, fields)
    batches = [rows.slice(i, BATCH) for i in range(0, rows.num_rows, BATCH)]

    def run_plain() -> list[np.ndarray]:
        return [plain.run([output], to_feeds(batch, fields))[0] for batch in batches]

    def run_ours() -> list[np.ndarray]:
        return [ours.run(batch, [output])[output] for batch in batches]

    same = all(np.array_equal(a, b, equal_nan=True) for a, b in zip(run_plain(), run_ours(), strict=True))
    assert same, "the two differ"
    slow, fast, n = best(run_plain), best(run_ours), rows.num_rows
    print(f"{what:<34} {n / slow:>14,.0f} {n / fast:>14,.0f} {slow / fast:>7.1f}x")


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    print(f"{rows:,} rows, one thread\n")
    print(f"{'':<34} {'plain rows/s':>14} {'session rows/s':>14} {'ratio':>8}")
    whole = table(rows)
    compare("features", whole, heavy=False)
    compare(f"features and {TREES} trees", whole, heavy=True)
    compare("features, one row at a time", whole.slice(0, 1), heavy=False)


if __name__ == "__main__":
    main()
