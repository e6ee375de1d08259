"""A core without comparisons, choices and look-ups: for runtimes that have little but sums, products and clips.

Truth is 0 or 1 in float32. `a <= b` is (b - a) times a huge number, and 1, clipped to 0..1: the difference of two
float32 is 0 only where they are equal, and has the right sign. It may be as small as 1e-45: so twice. Columns
are picked by a product with zeros and ones.

Rows stay in front, since such runtimes take one row and know no axis of rows: what the core holds as (T, N, D), a tree
or a feature first, is (N, T, 1, D) here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx

from bessemer.export.numeric.refusal import UncarriedError
from bessemer.package.graph import TENSORS, GraphBuilder, serialize
from bessemer.package.onnx_format import parse
from bessemer.package.onnx_format.tensors import values_of

_HUGE = np.float32(1e38)
#: Operators that have no way here, and how a refusal says so.
_REFUSED = {
    "GatherElements": "its trees have more than 255 branches: they are walked, which needs look-ups",
    **{name: f"its model has the operator {name}" for name in ("And", "ArgMax", "Not", "Or", "TopK", "Xor")},
}
#: What may be done with a value whose axes were changed; the other operands are constants.
_EACH = frozenset(
    {"Abs", "Add", "Clip", "Cos", "Div", "MatMul", "Mul", "Neg", "Pow", "Relu", "Sigmoid", "Sin", "Sub"}
)
_CHANGED = [1, 0, 2]


def arithmetic(core: bytes) -> bytes:
    """The same core, with the same answers.

    Args:
        core: an ONNX model from `encoded` (N, W) float32 without NaN.

    Raises:
        UncarriedError: it has an operator that cannot be written so.
    """
    model = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(core))
    refused = [node.op_type for node in model.graph.node if node.op_type in _REFUSED]
    if refused:
        raise UncarriedError(_REFUSED[refused[0]])
    made = _Rewriter(model)
    for node in parse(core).graph.node:
        made.add(node)
    for value in model.graph.output:
        named = made.g.op("Identity", [made.value(value.name)], name=value.name)
        made.g.output(named, "float32", _dims(value))
    return serialize(made.g.model())


def _dims(value: Any) -> list[int | str]:
    return [d.dim_value or d.dim_param for d in value.type.tensor_type.shape.dim]


class _Rewriter:
    """values: names of the old graph -> names of the new one. truths: those that were booleans. never: those of them
    that are false of every row. rows_first: those of the new graph whose axes are others than in the old one.
    turned: (F, N) of the old graph -> (N, F) of the new one."""

    def __init__(self, model: Any) -> None:
        self.g = GraphBuilder("core")
        graph = model.graph
        self.values = {v.name: self.g.input(v.name, "float32", _dims(v)) for v in graph.input}
        self.constants: dict[str, Any] = {t.name: values_of(t) for t in graph.initializer}
        self.shapes = {v.name: _dims(v) for v in (*graph.input, *graph.value_info, *graph.output)}
        self.truths: set[str] = set()
        self.never: set[str] = set()
        self.rows_first: set[str] = set()
        self.turned: dict[str, str] = {}

    def value(self, name: str) -> str:
        if name not in self.values:
            self.values[name] = self.g.constant(self.constants[name])
        return self.values[name]

    def add(self, node: Any) -> None:
        if self.turned.keys() & set(node.input) and node.op_type != "Unsqueeze":
            raise UncarriedError("its model moves rows about")
        rule = _RULES.get(node.op_type)
        if rule is None:
            self.copy(node)
        else:
            self.values[node.output[0]] = rule(self, node)

    def op(self, kind: str, takes: list[str], **said: Any) -> str:
        """A node; what is made of values with rows first has them first too."""
        made = self.g.op(kind, takes, **said)
        if self.rows_first.intersection(takes):
            if kind not in _EACH:
                raise UncarriedError(f"its model moves rows about before its operator {kind}")
            self.rows_first.add(made)
        return made

    def clipped(self, x: str) -> str:
        return self.op("Clip", [x, self.number(0), self.number(1)])

    def number(self, value: float) -> str:
        return self.g.constant(np.float32(value))

    def copy(self, node: Any) -> None:
        said = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        takes = [self.value(name) if name else "" for name in node.input]
        if len(node.output) != 1 or node.domain:
            raise UncarriedError(f"its model has the operator {node.op_type}")
        self.values[node.output[0]] = self.op(node.op_type, takes, **said)


def _less(r: _Rewriter, node: Any) -> str:
    a, b = node.input
    r.truths.add(node.output[0])
    if a == b:
        r.never.add(node.output[0])
        return r.number(0)
    return _below(r, r.value(a), r.value(b))


def _greater(r: _Rewriter, node: Any) -> str:
    r.truths.add(node.output[0])
    a, b = map(r.value, node.input)
    return _below(r, b, a)


def _below(r: _Rewriter, low: str, high: str) -> str:
    return r.clipped(_enlarged(r, low, high))


def _enlarged(r: _Rewriter, low: str, high: str) -> str:
    """high - low, beyond -1 or 1 where it is not 0."""
    huge = r.g.constant(_HUGE)
    return r.op("Mul", [r.op("Mul", [r.op("Sub", [high, low]), huge]), huge])


def _less_or_equal(r: _Rewriter, node: Any) -> str:
    r.truths.add(node.output[0])
    low, high = map(r.value, node.input)
    return r.clipped(r.op("Add", [_enlarged(r, low, high), r.number(1)]))


def _equal(r: _Rewriter, node: Any) -> str:
    """Of whole numbers: trees count branches."""
    r.truths.add(node.output[0])
    away = r.op("Abs", [r.op("Sub", list(map(r.value, node.input)))])
    return r.clipped(r.op("Sub", [r.number(1), away]))


def _cast(r: _Rewriter, node: Any) -> str:
    if node.input[0] not in r.truths or node.attribute[0].i != TENSORS["float32"]:
        raise UncarriedError("its model has numbers that are no float32")
    return r.value(node.input[0])


def _where(r: _Rewriter, node: Any) -> str:
    asked, yes, no = node.input
    if asked in r.never:
        return r.value(no)
    if asked not in r.truths:
        raise UncarriedError("its model chooses by something that is no comparison")
    other = r.op("Sub", [r.number(1), r.value(asked)])
    both = (r.value(yes), r.value(asked)), (r.value(no), other)
    return r.op("Add", [r.op("Mul", list(pair)) for pair in both])


def _gather(r: _Rewriter, node: Any) -> str:
    """Columns of a matrix, picked by numbers that are known."""
    x, numbers = node.input
    places, shape = r.constants.get(numbers), r.shapes.get(x, [])
    axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
    if axis != 1 or len(shape) != 2 or not isinstance(shape[1], int) or places is None or places.ndim != 1:
        raise UncarriedError("its model looks values up in another way than column by column")
    table = np.zeros((shape[1], len(places)), dtype=np.float32)
    table[places, np.arange(len(places))] = 1
    return r.op("MatMul", [r.value(x), r.g.constant(table)])


def _instance_norm(r: _Rewriter, node: Any) -> str:
    """In two dimensions of space, which more runtimes know than one."""
    x, *rest = node.input
    end = r.g.constant(np.array([3], dtype=np.int64))
    one_dimension = len(r.shapes.get(x, [])) == 3
    takes = [r.op("Unsqueeze", [r.value(x), end]) if one_dimension else r.value(x), *map(r.value, rest)]
    epsilon = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5)
    found = r.op("InstanceNormalization", takes, epsilon=epsilon)
    return r.op("Squeeze", [found, end]) if one_dimension else found


def _transpose(r: _Rewriter, node: Any) -> str:
    (x,) = map(r.value, node.input)
    perm = list(node.attribute[0].ints) if node.attribute else []
    if perm == [1, 0] and x not in r.rows_first:
        r.turned[node.output[0]] = x
        return x
    between = r.g.constant(np.array([2], dtype=np.int64))
    if perm == _CHANGED and x in r.rows_first:
        return r.g.op("Squeeze", [x, between])
    if perm != _CHANGED:
        raise UncarriedError("its model moves rows about")
    made = r.g.op("Unsqueeze", [x, between])
    r.rows_first.add(made)
    return made


def _unsqueeze(r: _Rewriter, node: Any) -> str:
    x, axes = node.input
    if x not in r.turned:
        return r.op("Unsqueeze", [r.value(x), r.value(axes)])
    if r.constants[axes].tolist() not in ([2], [-1]):
        raise UncarriedError("its model moves rows about")
    made = r.g.op("Unsqueeze", [r.turned[x], r.g.constant(np.array([2, 3], dtype=np.int64))])
    r.rows_first.add(made)
    return made


def _sum(r: _Rewriter, node: Any) -> str:
    x, axes = node.input
    if r.value(x) not in r.rows_first:
        raise UncarriedError("its model adds up in another way than over its trees")
    if r.constants[axes].tolist() != [0] or {a.name: a.i for a in node.attribute}.get("keepdims") != 0:
        raise UncarriedError("its model adds up rows")
    return r.g.op("ReduceSum", [r.value(x), r.g.constant(np.array([1, 2], dtype=np.int64))], keepdims=0)


_RULES: Mapping[str, Callable[[_Rewriter, Any], str]] = {
    "Cast": _cast,
    "Equal": _equal,
    "Gather": _gather,
    "Greater": _greater,
    "InstanceNormalization": _instance_norm,
    "Less": _less,
    "LessOrEqual": _less_or_equal,
    "ReduceSum": _sum,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Where": _where,
}
