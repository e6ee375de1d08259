"""Terms as nodes of an ONNX graph, in float64: a value is (N, 1), NaN where it is missing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from bessemer.core.errors import FormatError
from bessemer.importers.models.pmml.terms import Node
from bessemer.package.graph import GraphBuilder
from bessemer.prepare.transforms.levels import add_index

#: Most operations of a document that a graph is made of.
MOST_NODES = 100_000
_COMPARED: Mapping[str, str] = {
    "equal": "Equal", "lessThan": "Less", "lessOrEqual": "LessOrEqual", "greaterThan": "Greater",
    "greaterOrEqual": "GreaterOrEqual",
}  # fmt: skip
_OF_ONE: Mapping[str, str] = {
    "abs": "Abs", "exp": "Exp", "ln": "Log", "sqrt": "Sqrt", "floor": "Floor", "ceil": "Ceil", "rint": "Round",
    "sin": "Sin", "cos": "Cos", "tanh": "Tanh", "sigmoid": "Sigmoid",
}  # fmt: skip
#: What onnxruntime knows of float32 alone.
_NARROW: Mapping[str, str] = {
    "tan": "Tan", "asin": "Asin", "acos": "Acos", "atan": "Atan", "sinh": "Sinh", "cosh": "Cosh", "erf": "Erf",
}  # fmt: skip
_OF_TWO: Mapping[str, str] = {"+": "Add", "-": "Sub", "*": "Mul", "/": "Div", "pow": "Pow"}
_OVER: Mapping[str, str] = {"avg": "Add", "product": "Mul", "min": "Min", "max": "Max"}

#: What a node is where it is an input: the name of its value, or None where it is to be computed.
Leaf = Callable[[Node], str | None]


class Emitter:
    """Writes nodes into a graph, each once. rows: a value of N rows."""

    def __init__(self, graph: GraphBuilder, leaf: Leaf, rows: str) -> None:
        self.g, self._leaf, self._rows = graph, leaf, rows
        self._made: dict[int, str] = {}
        self._kept: list[Node] = []  # so that no other node gets its id
        self._wide: dict[tuple[int, ...], str] = {}
        self._there: dict[tuple[int, ...], tuple[str, str]] = {}

    def value(self, node: Node) -> str:
        """The value of a node.

        Raises:
            FormatError: too many of them.
        """
        waiting = [node]
        while waiting:
            at = waiting[-1]
            if id(at) in self._made:
                waiting.pop()
                continue
            given = self._leaf(at)
            if given is None and (left := [arg for arg in at.args if id(arg) not in self._made]):
                waiting += left
                continue
            waiting.pop()
            self._made[id(at)] = self._written(at) if given is None else given
            self._kept.append(at)
            if len(self._made) > MOST_NODES:
                raise FormatError(
                    f"the document computes more than {MOST_NODES:,} values a row",
                    why="each is a step of the package's graph",
                    fix="export the model as ONNX where it was trained, and import that",
                )
        return self._made[id(node)]

    def wide(self, nodes: Sequence[Node]) -> str:
        """Nodes side by side: (N, K)."""
        key = tuple(map(id, nodes))
        if key not in self._wide:
            parts = [self._expanded(node) for node in nodes]
            self._wide[key] = self.g.op("Concat", parts, axis=1) if len(parts) > 1 else parts[0]
            self._kept += nodes
        return self._wide[key]

    def _expanded(self, node: Node) -> str:
        """A node with a value for each row, also where it is the same for all."""
        value = self.value(node)
        if node.op != "constant" and node.args:
            if all(arg.op != "constant" for arg in node.args):
                return value
        elif node.op != "constant":
            return value
        one = self.g.constant(np.array([1], dtype=np.int64))
        shape = self.g.op("Concat", [self.g.op("Shape", [self._rows], start=0, end=1), one], axis=0)
        return self.g.op("Expand", [value, shape])

    def _written(self, node: Node) -> str:
        g, op = self.g, node.op
        args = [self._made[id(arg)] for arg in node.args]
        if op == "constant":
            return self._number(node.value)
        if op == "codes":
            return self._codes(node, args[0])
        if op == "lookup":
            place = args[0] if node.args[0].op == "codes" else g.cast(args[0], "int64")
            return g.op("Gather", [g.constant(np.asarray(node.value, dtype=np.float64)), place], axis=0)
        if op == "member":
            return self._member(node, args[0])
        if op == "float":
            return g.cast(g.cast(args[0], "float32"), "float64")
        if op in _OF_ONE:
            return g.op(_OF_ONE[op], args)
        if op in _NARROW:
            return g.cast(g.op(_NARROW[op], [g.cast(args[0], "float32")]), "float64")
        if op in _OF_TWO:
            return self._folded(_OF_TWO[op], args)
        if op == "total":
            found = self._folded("Add", args)
            return found if node.value is None else g.op("Mul", [found, self._number(node.value)])
        if op in _OVER:
            return self._over(op, args)
        if op == "softmax":
            return self._item(g.op("Softmax", [self.wide(node.args)], axis=1), node.value)
        if op == "item":
            return self._item(args[0], node.value)
        return _OTHERS[op](self, node, args)

    def _number(self, value: float) -> str:
        return self.g.constant(np.array([[value]], dtype=np.float64))

    def _codes(self, node: Node, value: str) -> str:
        source = node.args[0]
        texts = source.op == "column" and source.value[1] == "string"
        return add_index(self.g, value, "string" if texts else "number", (*node.value, None))

    def _member(self, node: Node, place: str) -> str:
        """Whether a code is one of a few, NaN where it is one of those that are unknown."""
        true, unknown = node.value
        place = place if node.args[0].op == "codes" else self.g.cast(place, "int64")
        found = self.g.cast(self._is_one_of(place, true or (-1,)), "float64")
        if not unknown:
            return found
        return self.g.op("Where", [self._is_one_of(place, unknown), self._number(math.nan), found])

    def _is_one_of(self, place: str, codes: Sequence[int]) -> str:
        one = [self.g.constant(np.array([[code]], dtype=np.int64)) for code in codes]
        return self._folded("Or", [self.g.op("Equal", [place, code]) for code in one])

    def _folded(self, op: str, args: Sequence[str]) -> str:
        found = args[0]
        for one in args[1:]:
            found = self.g.op(op, [found, one])
        return found

    def _gone(self, args: Sequence[str]) -> str:
        return self._folded("Or", [self.g.op("IsNaN", [one]) for one in dict.fromkeys(args)])

    def _over(self, op: str, args: Sequence[str]) -> str:
        """What is left of some numbers without those that are missing."""
        g, found = self.g, args[0]
        for one in args[1:]:
            both = g.op(_OVER[op], [found, one])
            found = g.op(
                "Where", [g.op("IsNaN", [found]), one, g.op("Where", [g.op("IsNaN", [one]), found, both])]
            )
        if op != "avg":
            return found
        there = [g.op("Sub", [self._number(1.0), g.cast(g.op("IsNaN", [one]), "float64")]) for one in args]
        return g.op("Div", [found, self._folded("Add", there)])

    def _item(self, value: str, place: int) -> str:
        return self.g.op("Gather", [value, self.g.constant(np.array([place], dtype=np.int64))], axis=1)

    def dot(self, node: Node) -> str:
        """A weighted sum of what is there; missing where nothing is."""
        g, x = self.g, self.wide(node.args)
        key = tuple(map(id, node.args))
        if key not in self._there:
            gone = g.op("IsNaN", [x])
            filled = g.op("Where", [gone, self._number(0.0), x])
            none = g.op("ReduceMin", [g.cast(gone, "float32"), g.constant(np.array([1], dtype=np.int64))])
            self._there[key] = (filled, g.cast(none, "bool"))
        filled, none = self._there[key]
        total = g.op("MatMul", [filled, g.constant(np.asarray(node.value)[:, None])])
        return g.op("Where", [none, self._number(math.nan), total])

    def truth(self, condition: str, args: Sequence[str]) -> str:
        """A condition as 1 or 0, missing where one of `args` is."""
        g = self.g
        return g.op("Where", [self._gone(args), self._number(math.nan), g.cast(condition, "float64")])

    def is_value(self, value: str, wanted: float) -> str:
        return self.g.op("Equal", [value, self._number(wanted)])

    def decided(self, op: str, args: Sequence[str]) -> str:
        """and, or: one part may decide where another is missing."""
        decides = 0.0 if op == "and" else 1.0
        g, found = self.g, args[0]
        for one in args[1:]:
            sure = g.op("Or", [self.is_value(found, decides), self.is_value(one, decides)])
            other = g.op("Mul" if op == "and" else "Add", [found, one])
            found = g.op("Where", [sure, self._number(decides), other])
        return found

    def layer(self, node: Node) -> str:
        kernel, bias, activation = node.value
        g = self.g
        x = g.op("Add", [g.op("MatMul", [self.wide(node.args), g.constant(kernel)]), g.constant(bias)])
        return _ACTIVATIONS[activation](self, x)

    def narrow(self, op: str, x: str) -> str:
        return self.g.cast(self.g.op(op, [self.g.cast(x, "float32")]), "float64")

    def square(self, x: str) -> str:
        return self.g.op("Mul", [x, x])

    def plus(self, x: str, value: float) -> str:
        return self.g.op("Add", [x, self._number(value)])

    def times(self, x: str, value: float) -> str:
        return self.g.op("Mul", [x, self._number(value)])

    def filled(self, x: str, stands: str) -> str:
        return self.g.op("Where", [self.g.op("IsNaN", [x]), stands, x])

    def chosen(self, condition: str, yes: str, no: str) -> str:
        """`if`: missing where the condition is."""
        g = self.g
        rest = g.op("Where", [g.op("IsNaN", [condition]), self._number(math.nan), no])
        return g.op("Where", [self.is_value(condition, 1.0), yes, rest])


_ACTIVATIONS: Mapping[str, Callable[[Emitter, str], str]] = {
    "logistic": lambda e, x: e.g.op("Sigmoid", [x]),
    "tanh": lambda e, x: e.g.op("Tanh", [x]),
    "identity": lambda e, x: x,
    "exponential": lambda e, x: e.g.op("Exp", [x]),
    "reciprocal": lambda e, x: e.g.op("Reciprocal", [x]),
    "square": lambda e, x: e.square(x),
    "Gauss": lambda e, x: e.g.op("Exp", [e.times(e.square(x), -1.0)]),
    "sine": lambda e, x: e.g.op("Sin", [x]),
    "cosine": lambda e, x: e.g.op("Cos", [x]),
    "Elliott": lambda e, x: e.g.op("Div", [x, e.plus(e.g.op("Abs", [x]), 1.0)]),
    "arctan": lambda e, x: e.times(e.narrow("Atan", x), 2 / math.pi),
    "rectifier": lambda e, x: e.g.op("Relu", [x]),
}

_OTHERS: Mapping[str, Callable[[Emitter, Node, list[str]], str]] = {
    **{name: (lambda e, node, args: e.truth(e.g.op(_COMPARED[node.op], args), args)) for name in _COMPARED},
    "notEqual": lambda e, node, args: e.truth(e.g.op("Not", [e.g.op("Equal", args)]), args),
    "isMissing": lambda e, node, args: e.g.cast(e.g.op("IsNaN", args), "float64"),
    "not": lambda e, node, args: e.plus(e.times(args[0], -1.0), 1.0),
    "and": lambda e, node, args: e.decided("and", args),
    "or": lambda e, node, args: e.decided("or", args),
    "if": lambda e, node, args: e.chosen(*args),
    "coalesce": lambda e, node, args: e.filled(*args),
    "log10": lambda e, node, args: e.times(e.g.op("Log", args), 1 / math.log(10)),
    "expm1": lambda e, node, args: e.plus(e.g.op("Exp", args), -1.0),
    "ln1p": lambda e, node, args: e.g.op("Log", [e.plus(args[0], 1.0)]),
    "round": lambda e, node, args: e.g.op("Floor", [e.plus(args[0], 0.5)]),
    "stdNormalCDF": lambda e, node, args: e.times(
        e.plus(e.narrow("Erf", e.times(args[0], math.sqrt(0.5))), 1.0), 0.5
    ),
    "dot": lambda e, node, args: e.dot(node),
    "layer": lambda e, node, args: e.layer(node),
}
