"""The typed tree of an expression: what was written, after names and types are settled.

One kind of node serves every operation; what a node means is said by two tables, one that writes SQL
(`to_sql`) and one that writes ONNX (`to_onnx`). A tree is a directed acyclic graph: a derived feature that is
used twice is one object, though its SQL text is written twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from bessemer.core.signature import DType

#: Bounds on one expression, with the derived features it uses written out.
MAX_CHARACTERS = 10_000
MAX_DEPTH = 100
MAX_NODES = 5_000
MAX_TERMS = 500

#: The type of a node. "null" is the bare word NULL, before its surroundings give it a type.
Kind = DType | Literal["null"]

NUMERIC: frozenset[Kind] = frozenset({"integer", "number"})

#: Timestamps that expressions compute with: years 1 to 9999, in microseconds since 1970-01-01 UTC.
FIRST_MICROSECOND = -62_135_596_800_000_000
LAST_MICROSECOND = 253_402_300_799_999_999


class Refusal(Exception):
    """Why an expression cannot be accepted, and what could be written instead."""

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.what, self.fix = what, fix


@dataclass(frozen=True, eq=False)
class Node:
    """One operation of an expression.

    op: the operation's name, a key of the tables in `to_sql` and `to_onnx`.
    args: its operands.
    kind: the type of the result.
    value: what the operation holds besides operands: a constant, a column's name, a unit, a pattern.
    finite: False where the result may be NaN or infinite and has not been made NULL yet. Such values only flow
        into operations that keep them non-finite; every other operand goes through `finite`.
    depth, size: of the whole tree below, counted as if nothing were shared.
    """

    op: str
    args: tuple[Node, ...] = ()
    kind: Kind = "number"
    value: Any = None
    finite: bool = True
    depth: int = field(init=False)
    size: int = field(init=False)

    def __post_init__(self) -> None:
        depth = 1 + max((a.depth for a in self.args), default=0)
        size = 1 + sum(a.size for a in self.args)
        if depth > MAX_DEPTH:
            raise Refusal(
                f"it is nested deeper than {MAX_DEPTH} operations", "split it into several features"
            )
        if size > MAX_NODES:
            raise Refusal(
                f"with the derived features it uses written out it has more than {MAX_NODES} operations",
                "use fewer derived features inside one another",
            )
        object.__setattr__(self, "depth", depth)
        object.__setattr__(self, "size", size)


def column(name: str, dtype: DType) -> Node:
    """A raw column. A number column may hold infinity, which means missing."""
    return Node("column", kind=dtype, value=name, finite=dtype != "number")


def constant(value: Any, kind: Kind) -> Node:
    """A constant: float for numbers, bool, str, microseconds for timestamps, None for NULL."""
    return Node("constant", kind=kind, value=value)


def finite(node: Node) -> Node:
    """The node with NaN and infinity made NULL."""
    return node if node.finite else Node("finite", (node,), node.kind)


def is_constant(node: Node) -> bool:
    return node.op == "constant"


def walk(root: Node) -> Iterator[Node]:
    """Every distinct node once, operands in order of writing, depth first."""
    seen: set[int] = set()
    todo = [root]
    while todo:
        node = todo.pop()
        if id(node) not in seen:
            seen.add(id(node))
            yield node
            todo.extend(reversed(node.args))
