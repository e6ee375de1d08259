"""The tiny model of a task with further targets: one of each task, whose names try whoever writes them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from bessemer.core.further import Further
from bessemer.core.signature import DType, Field, Signature, Task, Tensor
from bessemer.package.graph import GraphBuilder, serialize
from bessemer.package.session import GraphSession
from bessemer.testing.models import INPUTS, tiny_graph, tiny_signature

FURTHER = (
    Further("spend", "regression"),
    Further('plan "b" 100%', "multiclass", (10, 20, 30)),
    Further("désolé", "binary", ("non", "oui")),
)
_KINDS: dict[str, tuple[DType, Tensor]] = {
    "regression": ("number", "float32"),
    "multiclass": ("integer", "int64"),
    "binary": ("string", "string"),
}


def several_signature(task: Task) -> Signature:
    """The signature of the tiny model of a task with `FURTHER`."""
    main = tiny_signature(task)
    more = (field for one in FURTHER for field in _fields(one))
    return replace(main, outputs=(*main.outputs, *more), further=FURTHER)


def _fields(one: Further) -> list[Field]:
    scores = len(one.classes) if one.task == "multiclass" else 1
    found = [Field(one.prediction, *_KINDS[one.task], nullable=False)]
    if one.classes:
        found.append(Field(one.probability, "number", "float32", nullable=False, shape=(len(one.classes),)))
    return [*found, Field(one.score, "number", "float32", nullable=False, shape=(scores,))]


def several_graph(task: Task, shift: float = 0.0) -> bytes:
    """Its graph: the tiny one, and a head for each of `FURTHER`.

    shift: moves what the further targets say, and nothing else.
    """
    import onnx

    g = GraphBuilder("several")
    bindings = {field.name: g.input(field.name, field.tensor, ("N", 1)) for field in INPUTS}
    made = g.embed(onnx.load_model_from_string(tiny_graph(task)), bindings, "main/")
    for field in tiny_signature(task).outputs:
        g.output(g.op("Identity", [made[field.name]], name=field.name), field.tensor, ("N", *field.shape))
    tenure = g.op("Add", [bindings["tenure"], g.constant(np.float32(shift))])
    features = g.op("Concat", [tenure, *list(bindings.values())[1:3]], axis=1, name="features")
    known = g.op("Where", [g.op("IsNaN", [features]), g.constant(np.float32(0)), features])
    for number, one in enumerate(FURTHER, start=1):
        _add(g, one, known, number)
    return serialize(g.model())


def _add(g: GraphBuilder, one: Further, features: str, number: int) -> None:
    scores = len(one.classes) if one.task == "multiclass" else 1
    weights = np.arange(3 * scores, dtype=np.float32).reshape(3, scores) / np.float32(64 * number)
    score = g.op("MatMul", [features, g.constant(weights)], name=one.score)
    if one.task == "regression":
        g.op("Reshape", [score, g.constant(np.array([-1]))], name=one.prediction)
    else:
        shares = g.op("Softmax", [score], axis=1)
        if one.task == "binary":
            yes = g.op("Sigmoid", [score])
            shares = g.op("Concat", [g.op("Sub", [g.constant(np.float32(1)), yes]), yes], axis=1)
        shares = g.op("Identity", [shares], name=one.probability)
        index = g.op("ArgMax", [shares], axis=1, keepdims=0)
        g.op("Gather", [g.constant(np.array(one.classes)), index], name=one.prediction)
    for field in _fields(one):
        g.output(field.name, field.tensor, ("N", *field.shape))


def several_session(task: Any, shift: float = 0.0) -> GraphSession:
    """The session of the tiny model of a task with `FURTHER`."""
    return GraphSession(several_graph(task, shift), INPUTS)
