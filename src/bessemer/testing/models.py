"""A tiny real model of each task, for those who test what serves, exports or explains one.

A linear model over five inputs, one of each type; one name has a space and one is not ASCII. Its weights are
powers of two, so that its scores are exact on every machine.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from bessemer.core.signature import MISSING_TIMESTAMP, Field, Signature, Task
from bessemer.package.contributions import Contributions
from bessemer.package.graph import GraphBuilder, serialize
from bessemer.package.manifest import Manifest, describe
from bessemer.package.model import Model
from bessemer.package.read import PackageContents
from bessemer.package.session import GraphSession

TASKS: tuple[Task, ...] = ("binary", "multiclass", "regression")
CLASSES: dict[str, tuple[Any, ...]] = {"binary": ("no", "yes"), "multiclass": (1, 2, 3), "regression": ()}
CONTRACTS = ("Month-to-month", "One year", "Two year")
_DAY = 86_400_000_000

INPUTS = (
    Field("tenure", "integer", "float32", nullable=False, domain={"min": 0, "max": 72}),
    Field("monthly charges", "number", "float32", domain={"min": 18.25, "max": 118.75}),
    Field("autopay", "boolean", "float32"),
    Field("contract", "string", "string", domain={"categories": list(CONTRACTS)}),
    Field(
        "désactivé", "timestamp", "int64", domain={"min": "2020-01-01T00:00:00", "max": "2024-01-01T00:00:00"}
    ),
)

#: Rows of every shape of value: whole, with missing values as null, with the smallest request that is allowed.
ROWS: tuple[dict[str, Any], ...] = (
    {
        "tenure": 8,
        "monthly charges": 70.5,
        "autopay": True,
        "contract": "Month-to-month",
        "désactivé": "2024-01-31T12:00:00Z",
    },
    {"tenure": 64, "monthly charges": None, "autopay": None, "contract": None, "désactivé": None},
    {"tenure": 0},
)

_FEATURES = ("tenure", "monthly charges", "autopay", "contract = Month-to-month", "désactivé day")
_GROUPS = tuple(field.name for field in INPUTS)
_COEF = (
    (-1 / 16, 1 / 64, -1 / 2, 2.0, -1 / 65536),
    (1 / 32, 0.0, 1 / 4, -1.0, 0.0),
    (1 / 16, -1 / 64, 0.0, -2.0, 0.0),
)
_INTERCEPT = (0.5, 0.0, -0.25)


def tiny_signature(task: Task) -> Signature:
    """The signature of the tiny model of a task."""
    classes = CLASSES[task]
    scores = 1 if task != "multiclass" else len(classes)
    outputs = [Field("score", "number", "float32", nullable=False, shape=(scores,))]
    if task == "regression":
        outputs.insert(0, Field("prediction", "number", "float32", nullable=False))
    else:
        outputs.insert(0, Field("probability", "number", "float32", nullable=False, shape=(len(classes),)))
        kind = ("string", "string") if task == "binary" else ("integer", "int64")
        outputs.insert(0, Field("prediction", *kind, nullable=False))  # type: ignore[arg-type]
    target = {"binary": "churned", "multiclass": "plan", "regression": "spend"}[task]
    return Signature(INPUTS, tuple(outputs), task=task, target=target, classes=classes)


def tiny_graph(task: Task) -> bytes:
    """The ONNX graph of the tiny model of a task."""
    g = GraphBuilder("tiny")
    for field in INPUTS:
        g.input(field.name, field.tensor, ("N", 1))
    monthly = g.cast(g.op("Equal", ["contract", g.constant(np.array(["Month-to-month"]))]), "float32")
    moment = INPUTS[-1].name
    missing = g.op("Equal", [moment, g.constant(np.array([[MISSING_TIMESTAMP]], dtype=np.int64))])
    day = g.cast(g.op("Div", [moment, g.constant(np.array([[_DAY]], dtype=np.int64))]), "float32")
    day = g.op("Where", [missing, g.constant(np.float32("nan")), day])
    parts = ["tenure", "monthly charges", "autopay", monthly, day]
    features = g.op("Concat", parts, name="features", axis=1)
    filled = g.op("Where", [g.op("IsNaN", [features]), g.constant(np.float32(0)), features])
    count = 3 if task == "multiclass" else 1
    weights = g.constant(np.array(_COEF[:count], dtype=np.float32).T)
    score = g.op(
        "Gemm", [filled, weights, g.constant(np.array(_INTERCEPT[:count], dtype=np.float32))], name="score"
    )
    _finish(g, task, score)
    return serialize(g.model())


def _finish(g: GraphBuilder, task: Task, score: str) -> None:
    """score -> prediction, probability; declare the outputs."""
    flat = g.constant(np.array([-1], dtype=np.int64))
    if task == "regression":
        g.output(g.op("Reshape", [score, flat], name="prediction"), "float32", ("N",))
        g.output(score, "float32", ("N", 1))
        return
    if task == "binary":
        yes = g.op("Sigmoid", [score])
        no = g.op("Sub", [g.constant(np.float32(1)), yes])
        probability = g.op("Concat", [no, yes], name="probability", axis=1)
    else:
        probability = g.op("Softmax", [score], name="probability", axis=1)
    index = g.op("ArgMax", [probability], axis=1, keepdims=0)
    classes = np.array(CLASSES[task])
    prediction = g.op("Gather", [g.constant(classes), index], name="prediction")
    g.output(prediction, "string" if task == "binary" else "int64", ("N",))
    g.output(probability, "float32", ("N", len(classes)))
    g.output(score, "float32", ("N", 1 if task == "binary" else len(classes)))


def tiny_info(task: Task) -> dict[str, Any]:
    """The model.json of the tiny model of a task."""
    features = [{"name": name, "group": group} for name, group in zip(_FEATURES, _GROUPS, strict=True)]
    native = {"kind": "linear", "file": "native/linear.json"}
    calibration = {"method": "none", "scale": 1.0, "offset": 0.0}
    return {
        "learner": "linear",
        "task": task,
        "features": features,
        "groups": list(_GROUPS),
        "native": native,
        "calibration": calibration,
    }


def tiny_native(task: Task) -> bytes:
    """The native/linear.json of the tiny model of a task."""
    count = 3 if task == "multiclass" else 1
    zeros, ones = [0.0] * len(_FEATURES), [1.0] * len(_FEATURES)
    made = {
        "impute": zeros,
        "mean": zeros,
        "scale": ones,
        "coef": _COEF[:count],
        "intercept": _INTERCEPT[:count],
    }
    return json.dumps(made).encode()


def tiny_session(task: Task) -> GraphSession:
    """The session of the tiny model of a task."""
    return GraphSession(tiny_graph(task), INPUTS)


def tiny_contributions(task: Task) -> Contributions:
    """What explains the tiny model of a task."""
    return Contributions("linear", tiny_native(task), tiny_info(task))


def tiny_members(task: Task) -> dict[str, bytes]:
    """What a package of the tiny model holds, for `package.write.write_package`."""
    return {
        "model.onnx": tiny_graph(task),
        "signature.json": json.dumps(tiny_signature(task).to_json()).encode(),
        "model.json": json.dumps(tiny_info(task)).encode(),
        "native/linear.json": tiny_native(task),
        "sample.json": json.dumps(ROWS[:1]).encode(),
    }


def tiny_model(task: Task) -> Model:
    """The tiny model of a task as it is loaded from a package; it was signed by nobody."""
    members = tiny_members(task)
    manifest = Manifest("tiny", "1", "", "", task, "", describe(members))
    content = {name: memoryview(data) for name, data in members.items()}
    return Model(PackageContents(manifest, tiny_signature(task), content, b"", 0))
