"""A model of trees over raw columns of every kind: 600 customers, prepared and trained by the stages themselves."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from bessemer.api import Project
from bessemer.attack.protocol import Sample, Victim
from bessemer.attack.stage import drawn
from bessemer.core.constraints import Limit
from bessemer.core.signature import Field, Signature
from bessemer.package.graph import GraphBuilder
from bessemer.testing.attacks import context

TELCO = Path(__file__).parents[3] / "shared" / "data" / "telco" / "train.csv"
COLUMNS = ["tenure", "MonthlyCharges", "Contract", "InternetService", "PaperlessBilling", "Churn"]


def project(folder: Path, columns: list[str] = COLUMNS, **keys: Any) -> Project:
    """A project over a few columns, trained; one value of a column in fifteen is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    table = pyarrow.csv.read_csv(TELCO).slice(0, 600).select(columns)
    gaps = pa.array(np.arange(600) % 15 == 7)
    charges = pa.compute.if_else(gaps, pa.scalar(None, pa.float64()), table["MonthlyCharges"])
    table = table.set_column(columns.index("MonthlyCharges"), "MonthlyCharges", charges)
    pq.write_table(table, folder / "data.parquet")
    train = {"learner": "lightgbm", "rounds": 15, "params": {"num_leaves": 7, "learning_rate": 0.3}}
    track = {"mlflow": "off", "tensorboard": "off"}
    own = {
        "name": "churn",
        "data": "data.parquet",
        "target": columns[-1],
        "train": train,
        "track": track,
        **keys,
    }
    (folder / "bessemer.yaml").write_text(json.dumps(own), "utf-8")
    made = Project(folder)
    made.run(upto="train", track=False)
    return made


def victim_of(made: Project, constraints: Mapping[str, Limit] | None = None) -> Victim:
    model = made.artifact("model")
    parts = (made.artifact("splits"), made.artifact("preprocessor"))
    signature = Signature.from_json(model.json("signature.json"))
    return Victim(model.json("model.json"), signature, model, *parts, constraints or {})


def sample_of(one: Victim, rows: int, folder: Path) -> Sample:
    return drawn(one, rows, 0.95, context(folder))


def neighbours(case: Any, row: int, budget: float, rng: np.random.Generator, most: int = 400) -> np.ndarray:
    """Raw rows (n, C) within an l_inf budget that keep the constraints: combinations of what columns may be, drawn
    without looking at the trees."""
    choices = []
    for c, column in enumerate(case.board.columns):
        own = case.rows.values[row, c]
        if column.ordered:
            tried = own + np.concatenate(
                [[0.0], rng.uniform(-1, 1, 6) * budget * column.scale / column.limit.cost]
            )
            tried = np.trunc(tried) if column.kind == "integer" else tried
        else:
            tried = np.append(np.arange(len(column.levels)), own).astype(float)
        fine = column.may(own, tried) & (column.distance(own, tried) <= budget)
        choices.append(tried[fine])
    every = itertools.product(*choices)
    return np.array(list(itertools.islice(every, 20_000)))[:: max(1, 20_000 // most)]


LEVELS = ("blue", "green", "red")


def small(
    folder: Path, seed: int, classes: int = 2, constraints: Mapping[str, Limit] | None = None
) -> Victim:
    """Random trees over a number, a whole number from 0 to 9 and a category of three levels."""
    from bessemer.package.trees.codec import encode
    from bessemer.package.trees.model import Tree, Trees
    from bessemer.package.trees.onnx import to_onnx
    from bessemer.testing.attacks import victim

    rng = np.random.default_rng(seed)
    outputs = 1 if classes == 2 else classes
    trees = []
    for t in range(5 * outputs):
        feature = rng.integers(0, 5, 3).astype(np.int32)
        threshold = np.where(feature == 0, rng.normal(size=3), rng.integers(0, 9, 3)).astype(np.float32)
        threshold[feature > 1] = 0.5
        sides = (np.array([1, -1, -3], dtype=np.int32), np.array([2, -2, -4], dtype=np.int32))
        value = rng.normal(size=(4, 1)).astype(np.float32).astype(np.float64)
        trees.append(Tree(feature, threshold, rng.random(3) < 0.5, *sides, value, np.ones(4), t % outputs))
    grown = Trees(tuple(trees), np.zeros(outputs), 5)
    n = 60
    number = rng.normal(size=n).astype(np.float32).astype(np.float64)
    number[::9] = np.nan
    whole, level = rng.integers(0, 10, n), rng.integers(0, 3, n)
    X = np.column_stack([number, whole, np.eye(3)[level]]).astype(np.float32)
    margin = grown.margin(X)
    y = (margin[:, 0] > 0).astype(np.float64) if outputs == 1 else margin.argmax(axis=1).astype(np.float64)
    raw = pa.table(
        {
            "a": pa.array(number, mask=np.isnan(number)),
            "b": whole,
            "c": [LEVELS[i] for i in level],
        }
    )
    kinds = [("a", "number"), ("b", "number"), *(("c", "indicator") for _ in LEVELS)]
    features = [{"name": f"f{i}", "group": g, "kind": k, "meaning": ""} for i, (g, k) in enumerate(kinds)]
    facts = {"features": features, "native": {"kind": "trees", "file": "native/trees"}}
    files = {"native/trees": encode(grown)}
    made = victim(
        folder, _graph(to_onnx(grown), outputs), X, y, list(range(classes)), facts=facts, files=files
    )
    fields = (
        Field("a", "number", "float32"),
        Field("b", "integer", "float32"),
        Field("c", "string", "string"),
    )
    return with_raw(made, folder, raw, fields, constraints)


def _graph(head: Any, outputs: int) -> bytes:
    """Raw columns -> features, side by side, -> score."""
    g = GraphBuilder("small")
    a, b = (g.input(name, "float32", ("N", 1)) for name in "ab")
    c = g.input("c", "string", ("N", 1))
    index = g.op(
        "LabelEncoder",
        [c],
        domain="ai.onnx.ml",
        keys_strings=list(LEVELS),
        values_int64s=[0, 1, 2],
        default_int64=3,
    )
    table = g.constant(np.eye(4, 3, dtype=np.float32))
    rows = g.op("Reshape", [index, g.constant(np.array([-1], dtype=np.int64))])
    x = g.op("Concat", [a, b, g.op("Gather", [table, rows], axis=0)], axis=1, name="features")
    made = g.embed(head, {"features": x}, "head_")
    g.output(g.op("Identity", [made["score"]], name="score"), "float32", ("N", outputs))
    data: bytes = g.model().SerializeToString()
    return data


def every_row(one: Victim, own: Mapping[str, Any], thresholds: list[float]) -> pa.Table:
    """All rows worth looking at: the last raw number before each threshold's float32 ends and the first behind it,
    every whole number and every level."""
    train = pq.read_table(one.splits.path("train.parquet"))
    numbers = [v for v in train["a"].to_pylist() if v is not None]
    low, high = min(numbers), max(numbers)
    ends = [end for t in thresholds for end in last_and_next(t)]
    a = [own["a"]] if own["a"] is None else [own["a"], *(v for v in ends if low <= v <= high)]
    b = range(min(train["b"].to_pylist()), max(train["b"].to_pylist()) + 1)
    made = list(itertools.product(a, b, LEVELS))
    return pa.table(
        {
            "a": pa.array([r[0] for r in made], pa.float64()),
            "b": [r[1] for r in made],
            "c": [r[2] for r in made],
        }
    )


def last_and_next(threshold: float) -> tuple[float, float]:
    """The greatest float64 whose float32 is not above a float32 threshold, and the least whose is: by halving."""
    low, high = threshold, float(np.nextafter(np.float32(threshold), np.float32(np.inf)))
    while np.nextafter(low, high) < high:
        middle = low + (high - low) / 2
        low, high = (middle, high) if np.float32(middle) <= threshold else (low, middle)
    return low, high


def one_split(folder: Path, threshold: float, raw: pa.Table, kind: str, constraints: Any = None) -> Victim:
    """A tree that says the second class of what lies above a threshold of `v`, the only column, of a kind of field."""
    from bessemer.package.trees.codec import encode
    from bessemer.package.trees.model import Tree, Trees
    from bessemer.package.trees.onnx import to_onnx
    from bessemer.testing.attacks import victim

    def array(*values: float, dtype: Any = np.int32) -> np.ndarray:
        return np.array(values, dtype=dtype)

    value = np.array([[-1.0], [1.0]])
    tree = Tree(
        array(0),
        array(threshold, dtype=np.float32),
        np.array([True]),
        array(-1),
        array(-2),
        value,
        np.ones(2),
    )
    grown = Trees((tree,), np.zeros(1), 1)
    X = raw["v"].cast(pa.float64(), safe=False).to_numpy().astype(np.float32)[:, None]
    g = GraphBuilder("one")
    x = g.op("Identity", [g.input("v", "float32", ("N", 1))], name="features")
    made = g.embed(to_onnx(grown), {"features": x}, "head_")
    g.output(g.op("Identity", [made["score"]], name="score"), "float32", ("N", 1))
    features = [{"name": "v", "group": "v", "kind": "number", "meaning": ""}]
    facts = {"features": features, "native": {"kind": "trees", "file": "native/trees"}}
    y = (grown.margin(X)[:, 0] > 0).astype(np.float64)
    one = victim(
        folder,
        g.model().SerializeToString(),
        X,
        y,
        [0, 1],
        facts=facts,
        files={"native/trees": encode(grown)},
    )
    return with_raw(one, folder, raw, (Field("v", kind, "float32"),), constraints)


def with_raw(
    one: Victim, folder: Path, raw: pa.Table, fields: tuple[Field, ...], constraints: Any = None
) -> Victim:
    """A victim whose training and test rows are these."""
    path = folder / "raw.parquet"
    pq.write_table(raw, path)
    ctx = context(folder)
    names = ("train.X.npy", "train.y.npy", "test.X.npy", "test.y.npy")
    splits = {name: one.splits.path(name).read_bytes() for name in names}
    splits |= {f"{part}.parquet": path.read_bytes() for part in ("train", "test")}
    ref = ctx.store.put("splits", splits, dict(one.splits.meta))
    return Victim(
        one.facts, Signature(fields, ()), one.model, ctx.open(ref), one.preprocessor, constraints or {}
    )
