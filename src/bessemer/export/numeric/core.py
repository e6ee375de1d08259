"""The numeric core of a package: what comes after the features, in standard operators, from numbers without NaN."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from bessemer.export.numeric.missing import Rewritten, stand_ins
from bessemer.export.numeric.program import program_of
from bessemer.export.numeric.refusal import UncarriedError
from bessemer.package.cut import behind, extract
from bessemer.package.graph import GraphBuilder, serialize
from bessemer.package.model import Model
from bessemer.package.onnx_format import parse
from bessemer.package.onnx_format.tensors import values_of
from bessemer.package.outliers import without_outliers
from bessemer.package.runtime import open_session

#: The core's input, (N, width) float32.
ENCODED = "encoded"
FEATURES = "features"
#: What a feature of these kinds is computed from a table, which has no NaN.
_NEVER_MISSING = ("indicator", "frequency", "rank", "target_mean", "text")


@dataclass(frozen=True)
class Core:
    """A package in two parts.

    graph: an ONNX model of standard operators: `encoded` (N, width) float32 -> `score` (N, K) and, of classes,
        `probability` (N, C) float32.
    fill: (F,) float32, what stands for a feature that is missing. flags: the features of which `encoded` says besides
        whether they are missing, in its last columns.
    program: what is in `encoder.json`; None where the columns cannot be encoded without the package's graph (`why`).
    """

    graph: bytes
    fill: np.ndarray
    flags: tuple[int, ...]
    outputs: tuple[str, ...]
    scores: int
    program: dict[str, Any] | None
    why: str

    @property
    def width(self) -> int:
        return len(self.fill) + len(self.flags)

    def encoded(self, features: np.ndarray) -> np.ndarray:
        """(N, F) float32, NaN is missing -> (N, width) float32 without NaN."""
        missing = np.isnan(features)
        filled = np.where(missing, self.fill, features)
        return np.concatenate([filled, missing[:, list(self.flags)]], axis=1).astype(np.float32)

    @cached_property
    def encoder_json(self) -> bytes:
        """The content of `encoder.json`.

        Raises:
            UncarriedError: there is no encoder.
        """
        if self.program is None:
            raise UncarriedError(self.why)
        return (
            json.dumps(self.program, indent=None, separators=(",", ":"), ensure_ascii=False) + "\n"
        ).encode()


def core_of(model: Model) -> Core:
    """The numeric core of a package.

    Raises:
        UncarriedError: its graph cannot be one: an operator of texts behind the features, missing values that go
            through the model.
    """
    whole = without_outliers(parse(model.contents.bytes("model.onnx")))
    outputs = ("score",) if model.task == "regression" else ("score", "probability")
    head = behind(whole, FEATURES, list(outputs))
    if head is None:
        raise UncarriedError("its answers need more than its features")
    width, kinds = len(model.info["features"]), [f.get("kind", "number") for f in model.info["features"]]
    fill, told = stand_ins(head, width, _computer(head))
    can = np.array([kind not in _NEVER_MISSING for kind in kinds])
    flags = tuple(np.flatnonzero(told & can).tolist())
    try:
        graph = _written(head, width, flags, outputs, model)
    except UncarriedError:  # a model that knows no missing values, and takes none
        required = {one.name for one in model.signature.inputs if not one.nullable}
        flags = tuple(f for f in flags if model.info["features"][f]["group"] not in required)
        graph = _written(head, width, flags, outputs, model)
    program, why = _program(whole, model, fill, flags)
    return Core(graph, fill, flags, outputs, _scores(model), program, why)


def _scores(model: Model) -> int:
    return len(model.classes) if model.task == "multiclass" else 1


def _computer(head: Any) -> Any:
    def compute(names: list[str], rows: np.ndarray) -> list[np.ndarray]:
        part = extract(head, list(head.graph.input), names)
        found: list[np.ndarray] = open_session(serialize(part), 1).run(names, {FEATURES: rows})
        return found

    return compute


def _written(head: Any, width: int, flags: tuple[int, ...], outputs: tuple[str, ...], model: Model) -> bytes:
    g = GraphBuilder("core")
    encoded = g.input(ENCODED, "float32", ("N", width + len(flags)))
    made = Rewritten(g, {}, {}, width, frozenset(flags), _widths(head, width))
    made.values[FEATURES] = _columns(g, encoded, 0, width) if flags else encoded
    if flags:
        made.masks[FEATURES] = _spread(g, _columns(g, encoded, width, width + len(flags)), flags, width)
    for tensor in head.graph.initializer:
        array = values_of(tensor)
        if array is None or array.dtype == object:
            raise UncarriedError("its model has texts behind the features")
        made.constant(tensor.name, array)
    for node in head.graph.node:
        if node.domain == "ai.onnx.ml" and node.op_type != "TreeEnsembleRegressor":
            raise UncarriedError(f"its model has the operator {node.op_type}")
        made.add(node)
    sizes = {"score": _scores(model), "probability": len(model.classes)}
    for name in outputs:
        if name in made.masks:
            raise UncarriedError("missing values go through the model")
        g.output(g.op("Identity", [made.values[name]], name=name), "float32", ("N", sizes[name]))
    whole = parse(serialize(g.model()))
    return serialize(extract(whole, list(whole.graph.input), list(outputs)))


def _widths(head: Any, width: int) -> dict[str, int]:
    """Of values (N, width): of trees on more than the features the second size is another."""
    import onnx

    model = onnx.load_model_from_string(serialize(head))
    next(v for v in model.graph.input if v.name == FEATURES).type.tensor_type.shape.dim[1].dim_value = width
    found = {}
    for value in onnx.shape_inference.infer_shapes(model).graph.value_info:
        dims = value.type.tensor_type.shape.dim
        if len(dims) == 2 and dims[1].dim_value:
            found[value.name] = int(dims[1].dim_value)
    return found


def _columns(g: GraphBuilder, x: str, start: int, stop: int) -> str:
    numbers = [g.constant(np.array([n], dtype=np.int64)) for n in (start, stop, 1)]
    return g.op("Slice", [x, *numbers])


def _spread(g: GraphBuilder, flags: str, numbers: tuple[int, ...], width: int) -> str:
    """(N, M) -> (N, F): each flag where its feature is, 0 elsewhere."""
    if numbers == tuple(range(width)):
        return flags
    table = np.zeros((len(numbers), width), dtype=np.float32)
    table[np.arange(len(numbers)), list(numbers)] = 1
    return g.op("MatMul", [flags, g.constant(table)])


def _program(
    whole: Any, model: Model, fill: np.ndarray, flags: tuple[int, ...]
) -> tuple[dict[str, Any] | None, str]:
    try:
        steps = program_of(extract(whole, list(whole.graph.input), [FEATURES]), model.signature.inputs)
    except UncarriedError as error:
        return None, str(error)
    decision = model.info.get("decision") or {}
    if decision.get("groups"):
        return None, "the threshold of its decision is another one for each group of rows"
    names = [feature["name"] for feature in model.info["features"]]
    told = {
        "format": 1,
        "task": model.task,
        "target": model.signature.target,
        "classes": list(model.classes),
        "threshold": float(np.float32(decision.get("threshold", 0.5))) if model.task == "binary" else None,
        **steps,
        "fill": [float(v) for v in fill],
        "flags": list(flags),
        "width": len(fill) + len(flags),
        "columns": names + [f"{names[i]} is missing" for i in flags],
    }
    return told, ""
