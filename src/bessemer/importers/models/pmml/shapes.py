"""What an answer is when it is looked at: a sum of trees and weighted numbers, and what becomes of the sum."""

from __future__ import annotations

from dataclasses import dataclass, field

from bessemer.importers.models.pmml.terms import Node, number
from bessemer.importers.models.pmml.trees import Leaves

#: How far from 1 - floor a share's upper end may be: it is a float32.
_NEAR = 2.0**-24


@dataclass
class Sum:
    """base + trees + weighted numbers.

    numbers: by the id of their nodes. strict: those without which the document has no sum.
    """

    base: float = 0.0
    trees: list[tuple[Leaves, float]] = field(default_factory=list)
    numbers: dict[int, tuple[Node, float]] = field(default_factory=dict)
    strict: set[int] = field(default_factory=set)

    def take(self, other: Sum, factor: float = 1.0) -> Sum:
        """Add a factor times another one; gives itself."""
        self.base += factor * other.base
        self.trees += [(leaves, weight * factor) for leaves, weight in other.trees]
        for key, (node, weight) in other.numbers.items():
            self.numbers[key] = (node, self.numbers.get(key, (node, 0.0))[1] + weight * factor)
        self.strict |= other.strict
        return self

    def minus(self, other: Sum) -> Sum:
        return Sum().take(self).take(other, -1.0)

    @property
    def needs(self) -> bool:
        """Whether the document has no sum where a number is missing, which may be."""
        return any(may_miss(self.numbers[key][0]) for key in self.strict)


def may_miss(node: Node) -> bool:
    """Whether a number may be missing."""
    if node.op == "lookup":
        return bool((node.value != node.value).any())
    if node.op == "member":
        return bool(node.value[1])
    return node.op not in ("coalesce", "constant", "isMissing")


def sum_of(node: Node) -> Sum | None:
    """A node as a sum; None where it is none."""
    if node.op == "constant":
        return Sum(node.value)
    if node.op == "tree":
        return Sum(trees=[(node.value, 1.0)])
    if node.op == "total":
        return _total(node)
    if not node.late and len(node.columns) < 2:
        return Sum(numbers={id(node): (node, 1.0)}, strict={id(node)})
    found: Sum | None = None
    if node.op in ("float", "coalesce"):  # what is summed is counted in float32 anyway
        found = sum_of(node.args[0]) if node.late or node.op == "float" else None
    elif node.op == "+":
        found = _total(Node("total", node.args))
    elif node.op == "dot":
        weighed = [Node("total", (one,), float(w)) for one, w in zip(node.args, node.value, strict=True)]
        found = _total(Node("total", tuple(weighed)))
    elif node.op == "-":
        found = _total(Node("total", (node.args[0], Node("total", (node.args[1],), -1.0))))
    elif node.op in ("*", "/"):
        found = _scaled(node)
    if found is None and not node.late:
        return Sum(numbers={id(node): (node, 1.0)}, strict={id(node)})
    if found is not None and node.op == "dot":
        found.strict = set()  # what is missing is left out
    return found


def _total(node: Node) -> Sum | None:
    found, factor = Sum(), 1.0 if node.value is None else float(node.value)
    for arg in node.args:
        part = sum_of(arg)
        if part is None:
            return None
        found.take(part, factor)
    return found


def _scaled(node: Node) -> Sum | None:
    a, b = node.args
    if node.op == "*" and a.op == "constant":
        a, b = b, a
    if b.op != "constant" or (node.op == "/" and b.value == 0):
        return None
    part = sum_of(a)
    return None if part is None else Sum().take(part, b.value if node.op == "*" else 1 / b.value)


def bare(node: Node) -> Node:
    """A node of the answer without what changes nothing of it."""
    while node.op == "float" or (node.late and node.op == "coalesce"):
        node = node.args[0]
    return node


def log_odds(node: Node) -> Node | None:
    """x, where a node is the sigmoid of x, as PMML's functions may write it."""
    node = bare(node)
    if node.op == "sigmoid":
        return node.args[0]
    if node.op != "/" or not _is(node.args[0], 1.0):
        return None
    below = bare(node.args[1])
    if below.op != "+" or not _is(below.args[0], 1.0):
        return None
    grown = bare(below.args[1])
    if grown.op != "exp":
        return None
    turned = bare(grown.args[0])
    if turned.op == "*" and _is(turned.args[1], -1.0):
        return turned.args[0]
    return Node("*", (turned, number(-1.0)))


def _is(node: Node, value: float) -> bool:
    return node.op == "constant" and node.value == value


def softmax_of(nodes: list[Node]) -> list[Node] | None:
    """The scores whose softmax the nodes are, as PMML's functions may write it."""
    nodes = [_guarded(node) for node in nodes]
    if all(node.op == "softmax" for node in nodes):
        whole = nodes[0].args
        same = all(node.args is whole or node.args == whole for node in nodes) and len(whole) == len(nodes)
        return [whole[node.value] for node in nodes] if same else None
    if any(node.op != "/" for node in nodes):
        return None
    parts, below = [bare(node.args[0]) for node in nodes], [bare(node.args[1]) for node in nodes]
    total = below[0]
    plain = total.op == "+" or (total.op == "dot" and (total.value == 1).all())
    if any(one is not total for one in below) or not plain or len(total.args) != len(nodes):
        return None
    if {id(bare(arg)) for arg in total.args} != {id(part) for part in parts} or any(
        p.op != "exp" for p in parts
    ):
        return None
    return [_unshifted(bare(part.args[0]), len(nodes)) for part in parts]


def _unshifted(node: Node, count: int) -> Node:
    """A score without the greatest of all, which is taken off so that no exponential is too large."""
    if node.op == "-" and bare(node.args[1]).op == "max" and len(bare(node.args[1]).args) == count:
        return node.args[0]
    return node


@dataclass(frozen=True)
class Share:
    """A sum that is a probability, kept `floor` away from 0 and 1."""

    sum: Sum
    floor: float


def share_in_log(node: Node) -> Share | None:
    """The share of which a node is the logarithm; what a logarithm of nothing would be does not count."""
    node = _guarded(node)
    return _clipped(bare(node.args[0])) if node.op == "ln" else None


def _clipped(node: Node) -> Share | None:
    """`if(x < floor, floor, x)` and `if(x > 1 - floor, 1 - floor, x)`, in either order."""
    ends: dict[str, float] = {}
    asked = []
    while node.op == "if" and node.args[0].op in ("lessThan", "greaterThan"):
        test, end, rest = node.args
        if end.op != "constant" or test.args[1].op != "constant" or test.args[1].value != end.value:
            return None
        ends[test.op] = end.value
        asked.append(bare(test.args[0]))
        node = bare(rest)
    if any(one is not node for one in asked):
        return None
    found = sum_of(node)
    floor = ends.get("lessThan", 0.0)
    upper = ends.get("greaterThan", 1.0)
    if found is None or not found.trees or not 0 < floor < 0.5 or abs(1 - upper - floor) > _NEAR:
        return None
    return Share(found, floor)


def share_in_odds(node: Node) -> Share | None:
    """The share of which a node is the log-odds: ln(p) - ln(1 - p)."""
    node = bare(node)
    if node.op != "-":
        return None
    first, second = (_guarded(arg) for arg in node.args)
    if first.op != "ln" or second.op != "ln":
        return None
    rest = bare(second.args[0])
    other = rest.op == "-" and _is(rest.args[0], 1.0) and bare(rest.args[1]) is bare(first.args[0])
    return share_in_log(first) if other else None


def _guarded(node: Node) -> Node:
    """A logarithm or a quotient without the test whether there is one: its argument is known to be above 0 here."""
    node = bare(node)
    if node.op == "if" and node.args[0].op in ("greaterThan", "notEqual") and _is_missing(node.args[2]):
        test, inner = node.args[0], bare(node.args[1])
        if inner.op in ("ln", "/") and _is(test.args[1], 0.0) and bare(test.args[0]) is bare(inner.args[-1]):
            return inner
    return node


def _is_missing(node: Node) -> bool:
    return node.op == "constant" and node.value != node.value
