"""The typed tree as ONNX nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bessemer.package.graph import GraphBuilder
from bessemer.prepare.expressions import onnx_numbers as numbers
from bessemer.prepare.expressions import onnx_texts as texts
from bessemer.prepare.expressions.emitter import Emitter, Truth
from bessemer.prepare.expressions.onnx_calendar import Calendar
from bessemer.prepare.expressions.tree import Node

#: The operators of an ordering, and of its opposite.
_ORDER = {
    "lt": ("Less", "GreaterOrEqual"),
    "le": ("LessOrEqual", "Greater"),
    "gt": ("Greater", "LessOrEqual"),
    "ge": ("GreaterOrEqual", "Less"),
}


def to_onnx(root: Node, builder: GraphBuilder, inputs: Mapping[str, str]) -> str:
    """Add the nodes of an expression; see `bessemer.prepare.expressions.compile`."""
    compiler = _Compiler(inputs)
    boolean = root.kind == "boolean"
    result = compiler.e.as_number(compiler.truth(root)) if boolean else compiler.value(root)
    return compiler.e.write(result, builder)


class _Compiler:
    """Values and conditions of nodes; a node that is used twice is written once."""

    def __init__(self, inputs: Mapping[str, str]) -> None:
        self.e = Emitter()
        self.calendar = Calendar(self.e)
        self._inputs = inputs
        self._values: dict[int, str] = {}
        self._truths: dict[int, Truth] = {}

    def value(self, node: Node) -> str:
        """The tensor of a number, string or timestamp."""
        if id(node) not in self._values:
            self._values[id(node)] = self._value(node)
        return self._values[id(node)]

    def truth(self, node: Node) -> Truth:
        """The two tensors of a boolean."""
        if id(node) not in self._truths:
            self._truths[id(node)] = _CONDITIONS[node.op](self, node)
        return self._truths[id(node)]

    def _value(self, node: Node) -> str:
        if op := numbers.SIMPLE.get(node.op):
            return self.e.op(op, *map(self.value, node.args))
        if function := numbers.FUNCTIONS.get(node.op):
            return function(self.e, *map(self.value, node.args))
        return _VALUES[node.op](self, node)

    # leaves -----------------------------------------------------------------------------------------
    def _column(self, node: Node) -> str:
        value = self._inputs[node.value]
        if node.kind == "timestamp":
            return self.calendar.in_range(value)
        return value if node.kind == "string" else self.e.cast(value, "float64")

    def _constant(self, node: Node) -> str:
        if node.value is None:
            return self.e.missing(node.kind)
        if node.kind == "string":
            return self.e.text(node.value)
        return self.e.long(node.value) if node.kind == "timestamp" else self.e.double(node.value)

    def _boolean_column(self, node: Node) -> Truth:
        value, zero = self.e.cast(self._inputs[node.value], "float64"), self.e.double(0.0)
        return Truth(self.e.op("Greater", value, zero), self.e.op("Equal", value, zero))

    def _boolean_constant(self, node: Node) -> Truth:
        return Truth(self.e.flag(node.value is True), self.e.flag(node.value is False))

    # numbers ----------------------------------------------------------------------------------------
    def _add(self, node: Node) -> str:
        result, *rest = map(self.value, node.args)
        for term in rest:
            result = self.e.op("Add", result, term)
        return result

    def _round_to(self, node: Node) -> str:
        return numbers.round_to(self.e, self.value(node.args[0]), node.value)

    def _as_integer(self, node: Node) -> str:
        return numbers.as_integer(self.e, self.value(node.args[0]), node.value)

    def _as_number(self, node: Node) -> str:
        return self.value(node.args[0])

    def _boolean_number(self, node: Node) -> str:
        return self.e.as_number(self.truth(node.args[0]))

    # conditions -------------------------------------------------------------------------------------
    def _compare(self, op: str, left: Node, right: Node) -> Truth:
        """A comparison of two operands of one type; NaN compares as neither true nor false by itself."""
        a, b = self.value(left), self.value(right)
        if op != "eq" and left.kind != "timestamp":
            return Truth(*(self.e.op(name, a, b) for name in _ORDER[op]))
        flag = self.e.op("Equal" if op == "eq" else _ORDER[op][0], a, b)
        return self.e.known(flag, self._missing_either(left, right))

    def _missing_either(self, *nodes: Node) -> str:
        """Where an operand is NULL; constants that are not NULL are left out."""
        checked = [n for n in nodes if n.op != "constant" or n.value is None] or list(nodes)
        return self.e.any_of([self.e.is_missing(self.value(n), n.kind) for n in checked])

    def _comparison(self, node: Node) -> Truth:
        return self._compare(node.op, *node.args)

    def _same(self, node: Node) -> Truth:
        left, right = node.args
        missing = [self.e.is_missing(self.value(n), n.kind) for n in node.args]
        equal = self._compare("eq", left, right).true
        return self.e.definite(self.e.op("Or", equal, self.e.op("And", *missing)))

    def _between(self, node: Node) -> Truth:
        subject, low, high = node.args
        return self.e.both([self._compare("ge", subject, low), self._compare("le", subject, high)])

    def _in(self, node: Node) -> Truth:
        (subject,), (values, has_null) = node.args, node.value
        x = self.value(subject)
        if subject.kind == "string":
            found = texts.member(self.e, x, values)
        else:
            kind = np.int64 if subject.kind == "timestamp" else np.float64
            listed = self.e.constant(np.array([values], dtype=kind))
            last = self.e.constant(np.array([1], dtype=np.int64))
            flag = self.e.op("ReduceMax", self.e.op("Equal", x, listed), last)
            found = self.e.known(flag, self.e.is_missing(x, subject.kind))
        never = self.e.op("And", found.true, self.e.flag(False))
        return Truth(found.true, never) if has_null else found

    def _not(self, node: Node) -> Truth:
        inner = self.truth(node.args[0])
        return Truth(inner.false, inner.true)

    def _and(self, node: Node) -> Truth:
        return self.e.both([self.truth(arg) for arg in node.args])

    def _or(self, node: Node) -> Truth:
        return self.e.either([self.truth(arg) for arg in node.args])

    def _is_null(self, node: Node) -> Truth:
        (arg,) = node.args
        if arg.kind == "boolean":
            inner = self.truth(arg)
            return self.e.definite(self.e.op("Not", self.e.op("Or", inner.true, inner.false)))
        return self.e.definite(self.e.is_missing(self.value(arg), arg.kind))

    def _is_truth(self, node: Node) -> Truth:
        inner = self.truth(node.args[0])
        # joined with the other side, so that the shape is that of the rows also where one side is constant
        sides = (inner.true, inner.false) if node.value else (inner.false, inner.true)
        return self.e.definite(self.e.op("And", sides[0], self.e.op("Not", sides[1])))

    def _nonzero(self, node: Node) -> Truth:
        zero = Node("constant", value=0.0)
        equal = self._compare("eq", node.args[0], zero)
        return Truth(equal.false, equal.true)

    def _match(self, node: Node) -> Truth:
        return texts.matches(self.e, self.value(node.args[0]), *node.value)

    # choices ----------------------------------------------------------------------------------------
    def _whens(self, node: Node) -> list[tuple[str, Node]]:
        """The conditions (bool tensors) of CASE with their values; the value where none holds comes last."""
        if node.op == "switch":
            subject, *rest = node.args
            flags = [self._compare("eq", subject, candidate).true for candidate in rest[:-1:2]]
        else:
            rest = list(node.args)
            flags = [self.truth(condition).true for condition in rest[:-1:2]]
        return list(zip(flags, rest[1:-1:2], strict=True))

    def _case(self, node: Node) -> str:
        result = self.value(node.args[-1])
        for flag, value in reversed(self._whens(node)):
            result = self.e.where(flag, self.value(value), result)
        return result

    def _boolean_case(self, node: Node) -> Truth:
        result = self.truth(node.args[-1])
        for flag, value in reversed(self._whens(node)):
            result = self.e.select(flag, self.truth(value), result)
        return result

    def _coalesce(self, node: Node) -> str:
        *first, result = map(self.value, node.args)
        for value in reversed(first):
            result = self.e.where(self.e.is_missing(value, node.kind), result, value)
        return result

    def _boolean_coalesce(self, node: Node) -> Truth:
        *first, result = map(self.truth, node.args)
        for value in reversed(first):
            result = self.e.select(self.e.op("Or", value.true, value.false), value, result)
        return result

    def _null_if(self, node: Node) -> str:
        left, right = node.args
        equal = self._compare("eq", left, right).true
        return self.e.where(equal, self.e.missing(node.kind), self.value(left))

    def _extreme(self, node: Node) -> str:
        op = "Max" if node.op == "greatest" else "Min"
        result, *rest = map(self.value, node.args)
        for value in rest:
            both = self.e.op(op, result, value)
            one = self.e.where(self.e.is_missing(value, node.kind), result, both)
            result = self.e.where(self.e.is_missing(result, node.kind), value, one)
        return result

    # strings and time -------------------------------------------------------------------------------
    def _join(self, node: Node) -> str:
        return getattr(texts, node.op)(self.e, [self.value(arg) for arg in node.args])  # type: ignore[no-any-return]

    def _letters(self, node: Node) -> str:
        return texts.change_case(self.e, self.value(node.args[0]), node.op.upper())

    def _integer_text(self, node: Node) -> str:
        return texts.of_integer(self.e, self.value(node.args[0]))

    def _boolean_text(self, node: Node) -> str:
        return texts.of_boolean(self.e, self.truth(node.args[0]))

    def _on_calendar(self, node: Node) -> str:
        method: Any = {
            "part": self.calendar.part,
            "date_trunc": self.calendar.trunc,
            "shift": self.calendar.shift,
            "date_diff": self.calendar.difference,
            "date_sub": self.calendar.elapsed,
        }[node.op]
        result: str = method(*map(self.value, node.args), node.value)
        return result


_VALUES: dict[str, Callable[[_Compiler, Node], str]] = {
    "column": _Compiler._column,
    "constant": _Compiler._constant,
    "add": _Compiler._add,
    "round_to": _Compiler._round_to,
    "as_integer": _Compiler._as_integer,
    "as_number": _Compiler._as_number,
    "boolean_number": _Compiler._boolean_number,
    **dict.fromkeys(("case", "switch"), _Compiler._case),
    "coalesce": _Compiler._coalesce,
    "null_if": _Compiler._null_if,
    **dict.fromkeys(("greatest", "least"), _Compiler._extreme),
    **dict.fromkeys(("concat", "join"), _Compiler._join),
    **dict.fromkeys(("lower", "upper"), _Compiler._letters),
    "integer_text": _Compiler._integer_text,
    "boolean_text": _Compiler._boolean_text,
    **dict.fromkeys(("part", "date_trunc", "shift", "date_diff", "date_sub"), _Compiler._on_calendar),
}

_CONDITIONS: dict[str, Callable[[_Compiler, Node], Truth]] = {
    "column": _Compiler._boolean_column,
    "constant": _Compiler._boolean_constant,
    **dict.fromkeys(("eq", "lt", "le", "gt", "ge"), _Compiler._comparison),
    "same": _Compiler._same,
    "between": _Compiler._between,
    "in": _Compiler._in,
    "not": _Compiler._not,
    "and": _Compiler._and,
    "or": _Compiler._or,
    "is_null": _Compiler._is_null,
    "is_truth": _Compiler._is_truth,
    "nonzero": _Compiler._nonzero,
    "match": _Compiler._match,
    **dict.fromkeys(("case", "switch"), _Compiler._boolean_case),
    "coalesce": _Compiler._boolean_coalesce,
}
