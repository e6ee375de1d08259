"""A small real model: a preprocessor of every kind of input, a LightGBM or linear head, calibration, outputs."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from bessemer.core.signature import MISSING_TIMESTAMP, Field, Signature
from bessemer.package.graph import GraphBuilder, serialize

CITIES = ["Bern", "Zürich", "東京", "", "São Paulo"]

INPUTS = (
    Field("age", "integer", "float32"),
    Field("income €", "number", "float32"),
    Field("member", "boolean", "float32"),
    Field("city", "string", "string", domain={"categories": CITIES}),
    Field("note", "string", "string"),
    Field("seen", "timestamp", "int64"),
)
FEATURES = [
    {"name": "age", "group": "age", "kind": "number", "meaning": "age"},
    {"name": "income €", "group": "income €", "kind": "number", "meaning": "income"},
    {"name": "member", "group": "member", "kind": "boolean", "meaning": "member"},
    {"name": "city frequency", "group": "city", "kind": "frequency", "meaning": "how common the city is"},
    {"name": "city = Bern", "group": "city", "kind": "indicator", "meaning": "whether the city is Bern"},
    {"name": "note words", "group": "note", "kind": "text", "meaning": "whether the note says urgent"},
    {"name": "city or note", "group": "note", "kind": "text", "meaning": "of two columns"},
    {"name": "seen day", "group": "seen", "kind": "calendar", "meaning": "days since 1970"},
]


def preprocessor() -> GraphBuilder:
    """Raw columns -> `features`, with a value that depends on two text columns at once."""
    g = GraphBuilder("model")
    for field in INPUTS:
        g.input(field.name, field.tensor, ("N", 1))
    table = g.constant(np.array([[0.1, 1], [0.4, 0], [0.2, 0], [0.05, 0], [0, 0]], dtype=np.float32))
    index = g.op(
        "LabelEncoder",
        ["city"],
        domain="ai.onnx.ml",
        keys_strings=["Bern", "Zürich", "東京", ""],
        values_int64s=[0, 1, 2, 3],
        default_int64=4,
    )
    flat = g.op("Reshape", [index, g.constant(np.array([-1], dtype=np.int64))])
    city = g.op("Gather", [table, flat], name="city_features")
    urgent = g.op("RegexFullMatch", ["note"], pattern="(?i).*urgent.*")
    note = g.cast(urgent, "float32", name="note_features")
    same = g.cast(g.op("Equal", ["city", "note"]), "float32")
    missing = g.op("Equal", ["seen", g.constant(np.array([[MISSING_TIMESTAMP]], dtype=np.int64))])
    day = g.cast(g.op("Div", ["seen", g.constant(np.array([[86_400_000_000]], dtype=np.int64))]), "float32")
    day = g.op("Where", [missing, g.constant(np.float32("nan")), day])
    parts = ["age", "income €", "member", city, note, same, day]
    g.op("Concat", parts, name="features", axis=1)
    return g


def linear_head(weights: np.ndarray, intercept: np.ndarray) -> Any:
    """score = where(isnan(x), 0, x) @ weights + intercept, as a head of its own."""
    g = GraphBuilder("linear")
    x = g.input("features", "float32", ("N", weights.shape[0]))
    filled = g.op("Where", [g.op("IsNaN", [x]), g.constant(np.float32(0)), x])
    bound = [g.constant(weights.astype(np.float32)), g.constant(intercept.astype(np.float32))]
    g.output(g.op("Gemm", [filled, *bound], name="score"), "float32", ("N", weights.shape[1]))
    return g.model()


def tree_head(booster: Any, features: int) -> Any:
    """A LightGBM booster as a TreeEnsembleRegressor, thresholds floored to float32."""
    g = GraphBuilder("trees")
    x = g.input("features", "float32", ("N", features))
    rows: dict[str, list[Any]] = {
        key: []
        for key in (
            "nodes_treeids",
            "nodes_nodeids",
            "nodes_featureids",
            "nodes_values",
            "nodes_modes",
            "nodes_truenodeids",
            "nodes_falsenodeids",
            "nodes_missing_value_tracks_true",
            "target_treeids",
            "target_nodeids",
            "target_ids",
            "target_weights",
        )
    }
    dump = booster.dump_model()
    outputs = dump["num_tree_per_iteration"]
    for tree, info in enumerate(dump["tree_info"]):
        numbers = iter(range(10_000))
        _walk(info["tree_structure"], tree, tree % outputs, numbers, rows)
    score = g.op("TreeEnsembleRegressor", [x], domain="ai.onnx.ml", name="score", n_targets=outputs, **rows)
    g.output(score, "float32", ("N", outputs))
    return g.model()


def _walk(node: dict[str, Any], tree: int, target: int, numbers: Any, rows: dict[str, list[Any]]) -> int:
    me = next(numbers)
    at = len(rows["nodes_treeids"])
    leaf = "leaf_value" in node
    threshold = 0.0
    if not leaf:
        threshold = float(np.float32(node["threshold"]))
        if threshold > node["threshold"]:
            threshold = float(np.nextafter(np.float32(threshold), np.float32(-np.inf)))
    for key, value in {
        "nodes_treeids": tree,
        "nodes_nodeids": me,
        "nodes_featureids": 0 if leaf else node["split_feature"],
        "nodes_values": threshold,
        "nodes_modes": "LEAF" if leaf else "BRANCH_LEQ",
        "nodes_truenodeids": 0,
        "nodes_falsenodeids": 0,
        "nodes_missing_value_tracks_true": 0 if leaf else int(_missing_goes_left(node)),
    }.items():
        rows[key].append(value)
    if leaf:
        for key, value in (
            ("treeids", tree),
            ("nodeids", me),
            ("ids", target),
            ("weights", node["leaf_value"]),
        ):
            rows[f"target_{key}"].append(value)
        return me
    rows["nodes_truenodeids"][at] = _walk(node["left_child"], tree, target, numbers, rows)
    rows["nodes_falsenodeids"][at] = _walk(node["right_child"], tree, target, numbers, rows)
    return me


def _missing_goes_left(node: dict[str, Any]) -> bool:
    return node["default_left"] if node["missing_type"] == "NaN" else node["threshold"] >= 0.0


def finish(g: GraphBuilder, head: Any, task: str, classes: list[Any], scale: float, offset: float) -> bytes:
    """Preprocessor + head + calibration + the outputs of the task."""
    k = len(classes) if task == "multiclass" else 1
    margin = g.embed(head, {"features": "features"}, "head/")["score"]
    scaled = g.op("Mul", [margin, g.constant(np.float32(scale))])
    score = g.op("Add", [scaled, g.constant(np.float32(offset))], name="score")
    if task == "regression":
        flat = g.constant(np.array([-1], dtype=np.int64))
        g.output(g.op("Reshape", [score, flat], name="prediction"), "float32", ("N",))
    else:
        if task == "binary":
            yes = g.op("Sigmoid", [score])
            both = [g.op("Sub", [g.constant(np.float32(1)), yes]), yes]
            probability = g.op("Concat", both, name="probability", axis=1)
        else:
            probability = g.op("Softmax", [score], name="probability", axis=1)
        best = g.op("ArgMax", [probability], axis=1, keepdims=0)
        prediction = g.op("Gather", [g.constant(np.array(classes)), best], name="prediction")
        kind = "string" if isinstance(classes[0], str) else "int64"
        g.output(prediction, kind, ("N",))
        g.output(probability, "float32", ("N", len(classes)))
    g.output(score, "float32", ("N", k))
    return serialize(g.model())


@dataclass(frozen=True)
class Trained:
    """What the train stage gives, in memory."""

    model: bytes
    signature: Signature
    model_json: dict[str, Any]
    native_name: str
    native: bytes
    table: pa.Table
    y: np.ndarray


def rows(n: int, seed: int = 0) -> pa.Table:
    """n rows with nulls in every column."""
    rng = np.random.default_rng(seed)

    def holes(values: list[Any]) -> list[Any]:
        return [None if hole else v for v, hole in zip(values, rng.random(n) < 0.1, strict=True)]

    start = dt.datetime(1969, 12, 1)
    return pa.table(
        {
            "age": pa.array(holes(rng.integers(18, 90, n).tolist()), pa.int64()),
            "income €": pa.array(holes(rng.lognormal(10, 1, n).tolist()), pa.float64()),
            "member": pa.array(holes((rng.random(n) < 0.5).tolist()), pa.bool_()),
            "city": pa.array(holes(rng.choice([*CITIES, "Oslo"], n).tolist()), pa.string()),
            "note": pa.array(holes(rng.choice(["Urgent!", "later", "Bern"], n).tolist()), pa.string()),
            "seen": pa.array(
                holes([start + dt.timedelta(hours=int(h)) for h in rng.integers(0, 9000, n)]),
                pa.timestamp("us"),
            ),
        }
    )


def train(task: str, kind: str, n: int = 2500) -> Trained:
    from bessemer.package.session import GraphSession

    table = rows(n)
    rng = np.random.default_rng(1)
    classes: list[Any] = {"binary": ["no", "yes"], "multiclass": [10, 20, 30], "regression": []}[task]
    k = len(classes) if task == "multiclass" else 1
    base = preprocessor()
    base.output("features", "float32", ("N", len(FEATURES)))
    x = GraphSession(base.model(), INPUTS).run(table, ["features"])["features"]
    wave = np.nan_to_num(x[:, 0]) / 30 + np.nan_to_num(x[:, 4]) + rng.normal(0, 0.5, n)
    y = wave if not classes else np.digitize(wave, [1.5] if task == "binary" else [1.2, 2.0]).astype(float)
    scale, offset = (1.1, -0.2) if task == "binary" else (0.9, 0.0) if task == "multiclass" else (1.0, 0.0)
    if kind == "lightgbm":
        import lightgbm

        objective = {"objective": task} | ({"num_class": k} if k > 1 else {})
        settings = {"verbosity": -1, "num_threads": 1, "deterministic": True, "num_leaves": 7}
        booster = lightgbm.train({**objective, **settings}, lightgbm.Dataset(x, y), 12)
        head, name, native = (
            tree_head(booster, x.shape[1]),
            "lightgbm.txt",
            booster.model_to_string().encode(),
        )
    else:
        weights = rng.normal(0, 0.02, (x.shape[1], k))
        weights[1] = 1e-6
        head, name = linear_head(weights, np.full(k, 0.3)), "linear.json"
        zero, one = [0.0] * x.shape[1], [1.0] * x.shape[1]
        coef = weights.astype(np.float32).astype(float).T.tolist()
        fitted = {"impute": zero, "mean": zero, "scale": one, "coef": coef, "intercept": [0.3] * k}
        native = json.dumps(fitted).encode()
    model_json = {
        "learner": kind,
        "params": {},
        "task": task,
        "classes": classes,
        "target": "left",
        "metric": "rmse" if task == "regression" else "log_loss",
        "iterations": 12,
        "calibration": {"method": "sigmoid", "scale": scale, "offset": offset},
        "features": FEATURES,
        "groups": list(dict.fromkeys(f["group"] for f in FEATURES)),
        "native": {"kind": kind, "file": f"native/{name}"},
        "valid": {},
    }
    model = finish(preprocessor(), head, task, classes, scale, offset)
    outputs = (Field("prediction", "number", "float32"),)
    signature = Signature(INPUTS, outputs, task=task, target="left", classes=tuple(classes))  # type: ignore[arg-type]
    return Trained(model, signature, model_json, f"native/{name}", native, table, y)


_MADE: dict[tuple[str, str], Trained] = {}


def trained(task: str, kind: str) -> Trained:
    """A model of the task, made once in a test run."""
    if (task, kind) not in _MADE:
        _MADE[task, kind] = train(task, kind)
    return _MADE[task, kind]


@pytest.fixture(params=["binary", "multiclass", "regression"])
def task(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["linear", "lightgbm"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def model_of(task: str, kind: str) -> Trained:
    return trained(task, kind)


@pytest.fixture
def make_trained() -> Any:
    return trained


@pytest.fixture
def make_rows() -> Any:
    return rows


@pytest.fixture(autouse=True)
def own_keys(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A config folder of the test's own, so that no test touches or needs the user's keys."""
    folder = tmp_path_factory.mktemp("config")
    monkeypatch.setenv("BESSEMER_CONFIG_DIR", str(folder))
    monkeypatch.delenv("BESSEMER_SIGNING_KEY", raising=False)
    return folder


def members_of(made: Trained) -> dict[str, bytes]:
    return {
        "model.onnx": made.model,
        "model.json": json.dumps(made.model_json).encode(),
        "signature.json": json.dumps(made.signature.to_json()).encode(),
        made.native_name: made.native,
    }


@pytest.fixture
def members() -> Any:
    return members_of


@pytest.fixture
def write(tmp_path: Any) -> Any:
    """Write a package of a trained model and give its path."""
    from bessemer.package.write import write_package

    def write(made: Trained, name: str = "churn.bsm", **more: Any) -> Any:
        facts = {"name": "churn", "version": "1.2.0", "created": "2020-01-02T03:04:05Z"}
        content = {**members_of(made), **more}
        write_package(tmp_path / name, content, **facts, task=made.signature.task, target="left")
        return tmp_path / name

    return write


@pytest.fixture
def build(write: Any) -> Any:
    """A model that was written to a package and loaded from it."""
    from bessemer.package.model import load

    return lambda made, **more: load(write(made), **more)


@pytest.fixture
def as_trees() -> Any:
    """A model of LightGBM with its trees in the neutral form, as the train stage writes them."""
    from dataclasses import replace

    from bessemer.package.trees.codec import encode
    from bessemer.train.learners.lightgbm_text import parse
    from bessemer.train.learners.lightgbm_trees import to_trees

    def as_trees(made: Trained) -> Trained:
        trees = to_trees(parse(made.native.decode()), len(FEATURES))
        info = {**made.model_json, "native": {"kind": "trees", "file": "native/trees.bin"}}
        return replace(made, model_json=info, native_name="native/trees.bin", native=encode(trees))

    return as_trees
