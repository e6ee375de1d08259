"""ONNX of any exporter, as a head of ours: columns of numbers in, one score for each output out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from bessemer.core import canonical
from bessemer.importers.models.foreign import Asked, Foreign, classes_of, named, numbers, refused
from bessemer.importers.models.onnx_answers import answers_of
from bessemer.importers.models.onnx_child import probe
from bessemer.importers.models.onnx_graph import opened
from bessemer.importers.models.onnx_meaning import meaning
from bessemer.importers.models.trees import reading
from bessemer.package.graph import GraphBuilder, serialize
from bessemer.package.onnx_format import BOOL, DOUBLE, FLOAT, INT64, STRING
from bessemer.train.learner import Native

_NUMBERS = {FLOAT: "float32", DOUBLE: "float64", INT64: "int64", BOOL: "bool"}
#: Rows that the graph is asked to see what it answers, and by how much answers to the same row may differ.
_PROBES, _NOISE = 32, 1e-4
#: The least probability whose logarithm is taken: the smallest normal float32.
_LEAST = np.float32(np.finfo(np.float32).tiny)


class Onnx:
    """A graph that takes numbers: one matrix, or columns by name."""

    TITLE: ClassVar[str] = "ONNX"

    def recognises(self, head: bytes) -> bool:
        """The message begins with the version of its format (field 1), and goes on with one of the next fields."""
        return (
            len(head) > 2
            and head[0] == 0x08
            and 1 <= head[1] <= 64
            and head[2] in b"\x12\x1a\x22\x28\x32\x3a\x42\x72"
        )

    def read(self, data: bytes, asked: Asked) -> Foreign:
        with reading("ONNX model"):
            return graph_read(data, asked)


@dataclass(frozen=True)
class _Input:
    """width: how many columns; 0 where the graph does not say. flat: whether it takes (N,) rather than (N, width)."""

    name: str
    element: int
    width: int
    flat: bool


def graph_read(data: bytes, asked: Asked) -> Foreign:
    """The model in an ONNX graph, also one that another form was turned into.

    Raises:
        FormatError: it is refused, damaged, or holds what has no counterpart.
        UsageError: what was asked for does not fit it.
    """
    model = opened(data)
    inputs = [_input(value) for value in _given(model)]
    if len(inputs) == 1 and inputs[0].width == 0:
        inputs = [_Input(inputs[0].name, inputs[0].element, len(asked.columns), False)]
    widths = [one.width for one in inputs]
    if not inputs or 0 in widths:
        raise refused(
            "the ONNX graph does not say how many columns it takes",
            fix="name them: --columns a,b,c (in its order)",
        )
    said = [f"{one.name}_{i}" if one.width > 1 else one.name for one in inputs for i in range(one.width)]
    names = named(asked, said if len(inputs) > 1 or widths == [1] else (), sum(widths))
    answers = answers_of(model)
    raw, takes_missing = _probed(_head(model, inputs, answers.value, ""), len(names))
    task, count, kind, assumed = meaning(answers, raw, asked)
    classes = classes_of(asked, answers.classes, count) if count else ()
    graph = _head(model, inputs, answers.value, kind)
    line = canonical.dump_bytes({"baseline": [0.0] * len(names)})
    notes = ["its contributions are told against a row of zeros; --data finds a better one", *assumed]
    if any(one.element in (INT64, BOOL) for one in inputs):
        notes.append("it takes whole numbers: a missing one is a number to it")
    if not takes_missing:
        notes.append("a row with a missing value has no answer but NaN: it does not say what stands for one")
    native = Native("head", "head.onnx", line + b"\n" + graph)
    params = {"producer": str(model.producer_name)[:100]}
    return Foreign("onnx", task, classes, numbers(names), native, params, 0, tuple(notes))


def _given(model: Any) -> list[Any]:
    constants = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in constants]


def _input(value: Any) -> _Input:
    tensor = value.type.tensor_type
    if tensor.elem_type == STRING:
        raise refused(
            f"the ONNX graph takes texts ('{value.name}')",
            "which texts it knows is not said, so that what they do could not be explained",
            "import the pipeline through skops, which names its categories; or encode them before",
        )
    if tensor.elem_type not in _NUMBERS or not tensor.HasField("shape"):
        raise refused(f"the input '{value.name}' of the ONNX graph is no tensor of numbers with a shape")
    dims = tensor.shape.dim
    if len(dims) not in (1, 2):
        raise refused(
            f"the input '{value.name}' of the ONNX graph has {len(dims)} dimensions",
            "rows of columns have two",
        )
    return _Input(
        value.name, tensor.elem_type, 1 if len(dims) == 1 else max(0, dims[1].dim_value), len(dims) == 1
    )


def _head(model: Any, inputs: list[_Input], value: str, kind: str) -> bytes:
    """The graph from `features` to `score`; of no kind: to the value as it is."""
    g = GraphBuilder("imported")
    x = g.input("features", "float32", ("N", sum(one.width for one in inputs)))
    bindings, first = {}, 0
    for one in inputs:
        part = x
        if len(inputs) > 1:
            part = g.op("Gather", [x, g.constant(np.arange(first, first + one.width))], axis=1)
        if one.element != FLOAT:
            part = g.cast(part, _NUMBERS[one.element])
        if one.flat:
            part = g.op("Reshape", [part, g.constant(np.array([-1]))])
        bindings[one.name] = part
        first += one.width
    made = g.cast(g.embed(model, bindings, "imported/")[value], "float32")
    if kind:
        made = _KINDS[kind](g, made)
    g.output(g.op("Identity", [made], name="score"), "float32", ("N", "K"))
    return serialize(g.model())


def _column(g: GraphBuilder, value: str) -> str:
    return g.op("Reshape", [value, g.constant(np.array([-1, 1]))])


def _log(g: GraphBuilder, value: str) -> str:
    return g.op("Log", [g.op("Max", [value, g.constant(_LEAST)])])


def _one_probability(g: GraphBuilder, value: str) -> str:
    """(N,) or (N, 1) probabilities of the second class -> log-odds."""
    p = _column(g, value)
    return g.op("Sub", [_log(g, p), _log(g, g.op("Sub", [g.constant(np.float32(1)), p]))])


def _two(g: GraphBuilder, value: str) -> str:
    """(N, 2) scores -> (N, 1) of the second class."""
    return g.op("MatMul", [value, g.constant(np.array([[-1], [1]], dtype=np.float32))])


_KINDS: Mapping[str, Callable[[GraphBuilder, str], str]] = {
    "number": _column,
    "probability": _one_probability,
    "two probabilities": lambda g, value: _two(g, _log(g, value)),
    "probabilities": _log,
    "log-odds": _column,
    "two scores": _two,
    "scores": lambda g, value: g.op("Identity", [value]),
}


def _probed(graph: bytes, features: int) -> tuple[np.ndarray, bool]:
    """What the graph answers to some rows, and whether it has an answer to a row of missing values.

    Raises:
        FormatError: onnxruntime refuses it, there is no answer for each row, or it depends on the other rows or on
            chance.
    """
    rows = np.abs(np.random.default_rng(0).normal(size=(_PROBES, features)) * 3).astype(np.float32)
    told = probe(graph, rows)
    found = told["whole"]
    if found.ndim not in (1, 2) or found.shape[0] != _PROBES or not np.isfinite(found).all():
        raise refused(
            f"the ONNX graph answers {_PROBES} rows with numbers of shape {found.shape}",
            "a score for each row was wanted, and finite",
        )
    raw = np.asarray(found, dtype=np.float64)
    first = raw.reshape(-1)[: len(told["alone"])]
    same = (
        _near(told["alone"], first),
        _near(told["back"], raw[::-1]),
        _near(told["many"], np.concatenate([raw] * (len(told["many"]) // _PROBES))),
    )
    if not all(same):
        raise refused(
            "the ONNX graph gives a row another answer when it is asked beside other rows, or again",
            "what a row says must come from that row alone",
            "export it for evaluation (no statistics of the batch, no dropout, no sampling)",
        )
    return raw, bool(np.isfinite(told["missing"]).all())


def _near(found: np.ndarray, wanted: np.ndarray) -> bool:
    """Whether answers are the same but for the last bits of sums."""
    size = max(1.0, float(np.abs(wanted).max()))
    return found.shape == wanted.shape and bool((np.abs(found - wanted) <= _NOISE * size).all())
