"""From a package's graph to a program on one row.

onnxruntime computes one row of the package's own once: so every value's type and size is known, and so is every value
that no column has a part in. What only moves elements is followed by moving their positions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from bessemer.export.numeric.program import attributes_of
from bessemer.export.numeric.refusal import UncarriedError
from bessemer.export.readers.encoder import OPERATORS
from bessemer.export.rowwise.program import (
    Dense,
    Each,
    Fold,
    Operand,
    Program,
    Rows,
    Statement,
    Take,
    Trees,
    Value,
)
from bessemer.export.rowwise.types import EACH, TYPES
from bessemer.package.cut import extract
from bessemer.package.graph import serialize
from bessemer.package.model import Model
from bessemer.package.onnx_format import parse
from bessemer.package.onnx_format.tensors import values_of
from bessemer.package.outliers import without_outliers
from bessemer.package.records import rows_to_feeds
from bessemer.package.runtime import open_session
from bessemer.package.trees.kernel import UnsuitedError, arrays_of

#: Values stay where they are; only the shape is another.
_SHAPES = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})
_MOVES = frozenset({"Concat", "Expand", "Slice", "Transpose"})
FEATURES = "features"


def program_of(model: Model) -> Program:
    """The program of a package, with the outputs `features`, `score` and, of classes, `probability`.

    Raises:
        UncarriedError: its graph has an operator that is none of one row's, by name.
    """
    outputs = [FEATURES, "score", *(() if model.task == "regression" else ("probability",))]
    whole = without_outliers(parse(model.contents.bytes("model.onnx")))
    graph = extract(whole, list(whole.graph.input), outputs)
    for node in graph.graph.node:
        if node.op_type not in _HANDLERS and node.op_type not in EACH:
            raise UncarriedError(f"its graph has the operator {node.op_type}")
    return _Builder(model, graph).build(outputs)


class _Builder:
    """values: of the graph's names. shapes: of one row."""

    def __init__(self, model: Model, graph: Any) -> None:
        self._model, self._graph = model, graph
        self.values: dict[str, Value] = {}
        self.constants: dict[str, np.ndarray] = {}
        self.statements: list[Statement] = []
        self._count = 0
        self._known: dict[Any, Value] = {}
        self.found = self._computed()

    def _computed(self) -> dict[str, np.ndarray]:
        """Every value that a node makes of one row."""
        names = [name for node in self._graph.graph.node for name in node.output if name]
        part = extract(self._graph, list(self._graph.graph.input), names)
        session = open_session(serialize(part), 1)
        asked = {i.name for i in session.get_inputs()}
        rows = self._model.sample[:1] or [{}]
        feeds = rows_to_feeds(rows, self._model.signature.inputs)
        found = session.run(names, {name: value for name, value in feeds.items() if name in asked})
        return dict(zip(names, map(np.asarray, found), strict=True)) | {n: feeds[n] for n in asked}

    def build(self, outputs: list[str]) -> Program:
        inputs = []
        for column in self._model.signature.inputs:
            if column.name in self.found:
                self.values[column.name] = self.new(self.found[column.name])
                inputs.append((column, self.values[column.name]))
        for tensor in self._graph.graph.initializer:
            array = values_of(tensor)
            if array is None:
                raise UncarriedError(f"its graph has the constant '{tensor.name}' of an unknown type")
            self.constants[tensor.name] = array
        for node in self._graph.graph.node:
            self._add(node)
        program = Program(
            tuple(inputs), tuple(self.statements), {name: self.operand(name).value for name in outputs}
        )
        return program.needed(*outputs)

    def new(self, like: np.ndarray, data: np.ndarray | None = None) -> Value:
        kind = TYPES.get(like.dtype.name)
        if kind is None:
            raise UncarriedError(f"its graph has values of the type {like.dtype.name}")
        self._count += 1
        return Value(self._count, kind, like.size, data)

    def array(self, name: str) -> np.ndarray | None:
        """A constant."""
        return self.constants.get(name)

    def shape(self, name: str) -> tuple[int, ...]:
        return self.constants[name].shape if name in self.constants else self.found[name].shape

    def operand(self, name: str, to: tuple[int, ...] | None = None) -> Operand:
        """A value, broadcast to a shape."""
        if name not in self.values:
            array = self.constants[name]
            self.values[name] = self.new(array, array.reshape(-1))
        value, shape = self.values[name], self.shape(name)
        places = np.arange(value.size).reshape(shape)
        return Operand(value, np.broadcast_to(places, shape if to is None else to).reshape(-1))

    def give(self, name: str, make: Callable[[Value], Statement]) -> None:
        out = self.new(self.found[name])
        statement = make(out)
        key = _key(statement)
        if key in self._known:  # the calendar of a column is asked for again and again
            self.values[name] = self._known[key]
            return
        self.values[name] = out
        if key is not None:
            self._known[key] = out
        self.statements.append(statement)

    def _add(self, node: Any) -> None:
        takes = [name for name in node.input if name]
        if node.op_type == "Shape" or all(name in self.constants for name in takes):
            self.constants.update({name: self.found[name] for name in node.output if name})
            return
        said = attributes_of(node) if node.op_type != "TreeEnsembleRegressor" else {}
        _HANDLERS.get(node.op_type, _each)(self, node, said)


def _key(statement: Statement) -> Any:
    """Equal for statements that give equal values; None for the large ones."""
    if not isinstance(statement, Each | Take):
        return None
    operands = [
        (o.value.number if o.value.data is None else repr(o.value.data.tolist()), o.places.tobytes())
        for o in statement.operands
    ]
    said = (statement.operator, repr(sorted(statement.said.items()))) if isinstance(statement, Each) else ()
    return (said, statement.out.type, statement.out.size, tuple(operands))


def _each(b: _Builder, node: Any, said: Mapping[str, Any]) -> None:
    (out,) = node.output
    operands = tuple(b.operand(name, b.found[out].shape) for name in node.input if name)
    b.give(out, lambda made: Each(node.op_type, said, operands, made))


def _clip(b: _Builder, node: Any, said: Mapping[str, Any]) -> None:
    low, high = (b.array(n) if n else None for n in (*node.input[1:], "", "")[:2])
    bounds = {"low": low, "high": high}
    (out,) = node.output
    told = {name: float(array.reshape(-1)[0]) for name, array in bounds.items() if array is not None}
    if len(told) != sum(map(bool, node.input[1:])):
        raise UncarriedError("its graph has a Clip with limits that differ by row")
    b.give(out, lambda made: Each("Clip", told, (b.operand(node.input[0]),), made))


def _shaped(b: _Builder, node: Any, said: Mapping[str, Any]) -> None:
    b.values[node.output[0]] = b.operand(node.input[0]).value


def _moved(b: _Builder, node: Any, said: Mapping[str, Any]) -> None:
    """Where the elements go, found by moving their numbers."""
    moving = list(node.input) if node.op_type == "Concat" else [node.input[0]]
    others = [b.array(name) if name else None for name in node.input[len(moving) :]]
    if any(name and array is None for name, array in zip(node.input[len(moving) :], others, strict=True)):
        raise UncarriedError(f"its graph has a {node.op_type} whose places differ by row")
    sizes = [int(np.prod(b.shape(name))) for name in moving]
    starts = np.cumsum([0, *sizes])
    numbers = [
        np.arange(start, start + size).reshape(b.shape(name))
        for start, size, name in zip(starts, sizes, moving, strict=False)
    ]
    moved = np.asarray(OPERATORS[node.op_type](said, *numbers, *others)).reshape(-1)
    owner = np.searchsorted(starts, moved, side="right") - 1
    cuts = [0, *(np.flatnonzero(np.diff(owner)) + 1).tolist(), len(moved)]
    operands = tuple(
        Operand(b.operand(moving[owner[i]]).value, moved[i:j] - starts[owner[i]])
        for i, j in pairwise(cuts)
        if j > i
    )
    if len(operands) == 1 and operands[0].whole:
        b.values[node.output[0]] = operands[0].value
        return
    b.give(node.output[0], lambda made: Take(operands, made))


def _gather(b: _Builder, node: Any, said: Mapping[str, Any]) -> None:
    table, at = node.input
    if b.array(at) is not None:
        _moved(b, node, said)
        return
    found = b.array(table)
    if found is None or said.get("axis", 0) != 0 or found.ndim > 2:
        raise UncarriedError("its graph has a Gather of what differs by row")
    b.give(node.output[0], lambda made: Rows(found.reshape(len(found), -1), (b.operand(at),), made))


def _matmul(b: _Builder, node: Any, said: Mapping[str, Any]) -> None:
    x, w = node.input
    weights = b.array(w)
    if weights is None or weights.ndim not in (2, 3):
        raise UncarriedError("its graph has a MatMul of what differs by row")
    shape = b.shape(x)
    if weights.ndim == 2:
        weights = weights[None]
    groups, k = weights.shape[:2]
    rows = int(np.prod(shape)) // (groups * k)
    if groups > 1 and (len(shape) != 3 or shape[0] != groups):
        raise UncarriedError(f"its graph has a MatMul of the shapes {shape} and {weights.shape}")
    b.give(node.output[0], lambda made: Dense(weights, rows, (b.operand(x),), made))


def _gemm(b: _Builder, node: Any, said: Mapping[str, Any]) -> None:
    x, w = node.input[:2]
    weights = b.array(w)
    if weights is None or said.get("transA"):
        raise UncarriedError("its graph has a Gemm of what differs by row")
    weights = (weights.T if said.get("transB") else weights) * np.float32(said.get("alpha", 1.0))
    out = node.output[0]
    b.give(out, lambda made: Dense(weights[None], b.shape(x)[0], (b.operand(x),), made))
    if len(node.input) > 2 and node.input[2]:
        bias = b.operand(node.input[2], b.found[out].shape)
        if said.get("beta", 1.0) != 1.0:
            raise UncarriedError("its graph has a Gemm with a scaled bias")
        product = Operand(b.values[out], np.arange(b.values[out].size))
        b.give(out, lambda made: Each("Add", {}, (product, bias), made))


def _reduced(b: _Builder, node: Any, said: Mapping[str, Any]) -> None:
    x, out = node.input[0], node.output[0]
    shape = b.shape(x)
    axes = b.array(node.input[1]) if len(node.input) > 1 and node.input[1] else said.get("axes")
    if axes is None and len(node.input) > 1 and node.input[1]:
        raise UncarriedError(f"its graph has a {node.op_type} along axes that differ by row")
    chosen = sorted({int(a) % len(shape) for a in (range(len(shape)) if axes is None else np.ravel(axes))})
    rest = [i for i in range(len(shape)) if i not in chosen]
    operand = b.operand(x)
    places = operand.places.reshape(shape).transpose(*rest, *chosen).reshape(-1)
    run = int(np.prod([shape[i] for i in chosen]))
    how: Literal["Add", "Max"] = "Max" if node.op_type == "ReduceMax" else "Add"
    b.give(out, lambda made: Fold(how, run, (Operand(operand.value, places),), made))
    if node.op_type == "ReduceMean":
        _with_constant(b, out, "Div", np.float32(run))


def _with_constant(b: _Builder, out: str, operator: str, number: np.floating[Any]) -> None:
    """out = operator(out, number)."""
    value = b.values[out]
    constant = b.new(np.asarray(number), np.asarray(number).reshape(-1))
    operands = (
        Operand(value, np.arange(value.size)),
        Operand(constant, np.zeros(value.size, dtype=np.int64)),
    )
    b.give(out, lambda made: Each(operator, {}, operands, made))


class _Lines:
    """Statements on each line along the last axis of a value."""

    def __init__(self, b: _Builder, name: str, axis: int) -> None:
        shape = b.shape(name)
        if axis % len(shape) != len(shape) - 1:
            raise UncarriedError("its graph goes along another axis than the last")
        self.b, self.like, self.run = b, b.found[name], shape[-1]
        self.x = b.operand(name)
        self._spread = np.repeat(np.arange(self.like.size // self.run), self.run)

    def fold(self, how: Any, x: Operand) -> Operand:
        """One number a line, for each element again."""
        out = self.b.new(self.like.reshape(-1, self.run)[:, 0])
        self.b.statements.append(Fold(how, self.run, (x,), out))
        return Operand(out, self._spread)

    def each(self, operator: str, *operands: Operand) -> Operand:
        out = self.b.new(self.like)
        self.b.statements.append(Each(operator, {}, operands, out))
        return Operand(out, np.arange(out.size))

    def constant(self, number: float) -> Operand:
        array = np.array([number], dtype=self.like.dtype)
        return Operand(self.b.new(array, array), np.zeros(self.like.size, dtype=np.int64))

    def mean(self, x: Operand) -> Operand:
        return self.each("Div", self.fold("Add", x), self.constant(self.run))


def _softmax(b: _Builder, node: Any, said: Mapping[str, Any]) -> None:
    lines = _Lines(b, node.input[0], said.get("axis", -1))
    grown = lines.each("Exp", lines.each("Sub", lines.x, lines.fold("Max", lines.x)))
    b.values[node.output[0]] = lines.each("Div", grown, lines.fold("Add", grown)).value


def _layer_norm(b: _Builder, node: Any, said: Mapping[str, Any]) -> None:
    lines, out = _Lines(b, node.input[0], said.get("axis", -1)), node.output[0]
    apart = lines.each("Sub", lines.x, lines.mean(lines.x))
    spread = lines.mean(lines.each("Mul", apart, apart))
    floor = lines.constant(float(said.get("epsilon", 1e-5)))
    made = lines.each("Div", apart, lines.each("Sqrt", lines.each("Add", spread, floor)))
    for operator, name in zip(("Mul", "Add"), node.input[1:], strict=False):
        made = lines.each(operator, made, b.operand(name, b.shape(node.input[0])))
    b.values[out] = made.value


def _trees(b: _Builder, node: Any, said: Mapping[str, Any]) -> None:
    try:
        arrays = arrays_of(node)
    except UnsuitedError as error:
        raise UncarriedError(f"its trees are of another kind: {error}") from None
    b.give(node.output[0], lambda made: Trees(arrays, (b.operand(node.input[0]),), made))


_HANDLERS: Mapping[str, Callable[[_Builder, Any, Mapping[str, Any]], None]] = {
    "Clip": _clip,
    "Gather": _gather,
    "Gemm": _gemm,
    "LayerNormalization": _layer_norm,
    "MatMul": _matmul,
    "ReduceMax": _reduced,
    "ReduceMean": _reduced,
    "ReduceSum": _reduced,
    "Shape": _each,
    "Softmax": _softmax,
    "TreeEnsembleRegressor": _trees,
    **dict.fromkeys(_SHAPES, _shaped),
    **dict.fromkeys(_MOVES, _moved),
}
