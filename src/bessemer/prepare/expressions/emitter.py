"""Writing ONNX nodes: constants, operations that are never written twice, and three-valued conditions.

How a value stands in the graph, by type:

- integer and number: one float64 tensor, NaN is NULL;
- string: one string tensor, '' is NULL;
- timestamp: one int64 tensor of microseconds since 1970, -2**63 is NULL;
- boolean: two bool tensors, "is true" and "is false"; NULL is neither. With two tensors SQL's three-valued AND,
  OR and NOT need no masks, and a comparison with NaN is neither true nor false by itself.

All tensors are (N, 1), or (1, 1) for constants, which broadcast.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bessemer.core.signature import MISSING_TIMESTAMP
from bessemer.package.graph import TENSORS, GraphBuilder
from bessemer.prepare.expressions.tree import Kind


@dataclass(frozen=True)
class Truth:
    """A three-valued condition: the bool tensors where it is true and where it is false."""

    true: str
    false: str


@dataclass(frozen=True)
class _Planned:
    """A node to be written, or a constant (no `op_type`)."""

    op_type: str
    inputs: tuple[str, ...] = ()
    domain: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    constant: Any = None


class Emitter:
    """Plans nodes, then adds to a graph those that the result needs.

    The same operation on the same values gives the same value. Values are named by strings: the inputs by their
    names in the graph, planned values by names of the emitter's own.
    """

    def __init__(self) -> None:
        self._planned: dict[str, _Planned] = {}
        self._known: dict[Any, str] = {}

    def op(self, op_type: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """A node with one output."""
        key = (op_type, inputs, domain, repr(sorted(attributes.items())))
        return self._plan(key, _Planned(op_type, inputs, domain, attributes))

    def cast(self, value: str, tensor: str) -> str:
        return self.op("Cast", value, to=TENSORS[tensor])

    def _plan(self, key: Any, planned: _Planned) -> str:
        if key not in self._known:
            self._known[key] = f"\0{len(self._planned)}"  # no column has such a name
            self._planned[self._known[key]] = planned
        return self._known[key]

    def write(self, result: str, builder: GraphBuilder) -> str:
        """Add what `result` is computed from to a graph, and give its name there."""
        needed, todo = set(), [result]
        while todo:
            name = todo.pop()
            if name in self._planned and name not in needed:
                needed.add(name)
                todo.extend(self._planned[name].inputs)
        names: dict[str, str] = {}
        for name, p in self._planned.items():
            if name not in needed:
                continue
            if p.op_type:
                inputs = [names.get(i, i) for i in p.inputs]
                names[name] = builder.op(p.op_type, inputs, domain=p.domain, **p.attributes)
            else:
                names[name] = builder.constant(p.constant)
        return names.get(result, result)

    # constants --------------------------------------------------------------------------------------
    def constant(self, array: Any) -> str:
        """A constant tensor of the array's own type and shape."""
        content = repr(array.tolist()) if array.dtype == object else array.tobytes()
        return self._plan((str(array.dtype), array.shape, content), _Planned("", constant=array))

    def double(self, value: float) -> str:
        return self.constant(np.array([[value]], dtype=np.float64))

    def long(self, value: int) -> str:
        return self.constant(np.array([[value]], dtype=np.int64))

    def text(self, value: str) -> str:
        return self.constant(np.array([[value]], dtype=object))

    def flag(self, value: bool) -> str:
        return self.constant(np.array([[value]], dtype=np.bool_))

    def missing(self, kind: Kind) -> str:
        """The value that stands for NULL."""
        if kind == "string":
            return self.text("")
        return self.long(MISSING_TIMESTAMP) if kind == "timestamp" else self.double(float("nan"))

    # values -----------------------------------------------------------------------------------------
    def is_missing(self, value: str, kind: Kind) -> str:
        """A bool tensor: where a number, string or timestamp is NULL."""
        return (
            self.op("Equal", value, self.missing(kind))
            if kind in {"string", "timestamp"}
            else self.op("IsNaN", value)
        )

    def where(self, condition: str, yes: str, no: str) -> str:
        return self.op("Where", condition, yes, no)

    def any_of(self, flags: Sequence[str]) -> str:
        return self._fold("Or", flags)

    def all_of(self, flags: Sequence[str]) -> str:
        return self._fold("And", flags)

    def _fold(self, op_type: str, flags: Sequence[str]) -> str:
        result = flags[0]
        for flag in flags[1:]:
            result = self.op(op_type, result, flag)
        return result

    # conditions -------------------------------------------------------------------------------------
    def definite(self, flag: str) -> Truth:
        """A condition that is never NULL."""
        return Truth(flag, self.op("Not", flag))

    def known(self, flag: str, missing: str) -> Truth:
        """A condition that is NULL where `missing`."""
        present = self.op("Not", missing)
        return Truth(self.op("And", flag, present), self.op("And", self.op("Not", flag), present))

    def both(self, conditions: Sequence[Truth]) -> Truth:
        """AND: false where one is false, true where all are true."""
        return Truth(self.all_of([c.true for c in conditions]), self.any_of([c.false for c in conditions]))

    def either(self, conditions: Sequence[Truth]) -> Truth:
        """OR: true where one is true, false where all are false."""
        return Truth(self.any_of([c.true for c in conditions]), self.all_of([c.false for c in conditions]))

    def select(self, condition: str, yes: Truth, no: Truth) -> Truth:
        """Where, on conditions (onnxruntime has no Where for bool)."""
        otherwise = self.op("Not", condition)

        def pick(a: str, b: str) -> str:
            return self.op("Or", self.op("And", condition, a), self.op("And", otherwise, b))

        return Truth(pick(yes.true, no.true), pick(yes.false, no.false))

    def as_number(self, condition: Truth) -> str:
        """0, 1 or NaN."""
        zero_or_nan = self.where(condition.false, self.double(0.0), self.missing("number"))
        return self.where(condition.true, self.double(1.0), zero_or_nan)
