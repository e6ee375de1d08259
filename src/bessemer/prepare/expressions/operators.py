"""The operations of the language, each checked and typed as it is made."""

from __future__ import annotations

from collections.abc import Sequence

from bessemer.prepare.expressions import coerce
from bessemer.prepare.expressions.tree import (
    MAX_TERMS,
    NUMERIC,
    Kind,
    Node,
    Refusal,
    constant,
    finite,
    is_constant,
)

COMPARISONS = {"eq": "=", "ne": "<>", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}


def _terms(nodes: Sequence[object], where: str) -> None:
    if len(nodes) > MAX_TERMS:
        raise Refusal(f"{where} joins {len(nodes)} terms; at most {MAX_TERMS} are accepted", "split it")


def result_kind(nodes: Sequence[Node]) -> Kind:
    """Integers stay integers; one number makes numbers of all."""
    return "integer" if all(node.kind == "integer" for node in nodes) else "number"


def add(nodes: Sequence[Node]) -> Node:
    """The sum of two or more numbers, from left to right."""
    _terms(nodes, "+")
    args = tuple(coerce.number(node, "+") for node in nodes)
    return Node("add", args, result_kind(args), finite=False)


def arithmetic(op: str, symbol: str, left: Node, right: Node) -> Node:
    """Difference, product or quotient. A divisor must be finite: 1 / (1 / 0) is NULL, not 0."""
    left, right = coerce.number(left, symbol), coerce.number(right, symbol)
    if op == "divide":
        return Node(op, (left, finite(right)), "number", finite=False)
    return Node(op, (left, right), result_kind((left, right)), finite=False)


def remainder(left: Node, right: Node) -> Node:
    """The remainder, with the sign of the left operand."""
    args = coerce.finite_number(left, "%"), coerce.finite_number(right, "%")
    return Node("remainder", args, result_kind(args), finite=False)


def integer_divide(left: Node, right: Node) -> Node:
    """The quotient of two integers, cut off towards zero."""
    args = coerce.integer(left, "//"), finite(coerce.integer(right, "//"))
    return Node("trunc", (Node("divide", args, "number", finite=False),), "integer", finite=False)


def negate(node: Node) -> Node:
    node = coerce.number(node, "-")
    if is_constant(node) and node.value is not None:
        return constant(-node.value, node.kind)
    return Node("negate", (node,), node.kind, finite=node.finite)


def shift(node: Node, microseconds: int) -> Node:
    """A timestamp moved by a constant interval; NULL where it leaves the years 1 to 9999."""
    return Node("shift", (coerce.timestamp(node, "+ INTERVAL"),), "timestamp", value=microseconds)


def compare(op: str, left: Node, right: Node) -> Node:
    """A comparison: NULL where an operand is NULL. Strings have no order in the graph, only equality."""
    symbol = COMPARISONS[op]
    if "null" in {left.kind, right.kind}:
        raise Refusal(f"{symbol} NULL is always NULL", "write IS NULL or IS NOT NULL")
    left, right = coerce.comparable((left, right), symbol)
    if left.kind == "string" and op not in {"eq", "ne"}:
        raise Refusal(
            f"strings cannot be ordered with {symbol} in a model's graph",
            "compare with = or IN, or make a numeric column of it in acquire.sql",
        )
    if op == "ne":
        return logical_not(Node("eq", (left, right), "boolean"))
    return Node(op, (left, right), "boolean")


def logical(op: str, nodes: Sequence[Node]) -> Node:
    """AND or OR of two or more conditions, in three-valued logic."""
    _terms(nodes, op.upper())
    return Node(op, tuple(coerce.boolean(node, op.upper()) for node in nodes), "boolean")


def logical_not(node: Node) -> Node:
    return Node("not", (coerce.boolean(node, "NOT"),), "boolean")


def is_null(node: Node) -> Node:
    node = constant(None, "number") if node.kind == "null" else node
    return Node("is_null", (finite(node),), "boolean")


def is_truth(node: Node, truth: bool) -> Node:
    """IS TRUE or IS FALSE: never NULL."""
    return Node("is_truth", (coerce.boolean(node, "IS"),), "boolean", value=truth)


def same(left: Node, right: Node) -> Node:
    """IS NOT DISTINCT FROM: equality that takes NULL for a value."""
    if "null" in {left.kind, right.kind}:
        return is_null(left if right.kind == "null" else right)
    return Node("same", tuple(coerce.comparable((left, right), "IS DISTINCT FROM")), "boolean")


def between(node: Node, low: Node, high: Node) -> Node:
    args = tuple(coerce.comparable((node, low, high), "BETWEEN"))
    if args[0].kind == "string":
        raise Refusal("strings cannot be ordered with BETWEEN in a model's graph", "compare with = or IN")
    return Node("between", args, "boolean")


def member(node: Node, candidates: Sequence[Node]) -> Node:
    """IN a list. Constants become one look-up; anything else is a chain of comparisons."""
    _terms(candidates, "IN")
    subject, *rest = coerce.comparable((node, *candidates), "IN")
    if not all(is_constant(candidate) for candidate in rest):
        equals = [Node("eq", (subject, candidate), "boolean") for candidate in rest]
        return equals[0] if len(equals) == 1 else logical("or", equals)
    values = tuple(dict.fromkeys(c.value for c in rest if c.value is not None))
    if not values:
        raise Refusal("IN (NULL) is always NULL", "write IS NULL")
    return Node("in", (subject,), "boolean", value=(values, len(values) < len({c.value for c in rest})))


def case(branches: Sequence[tuple[Node, Node]], default: Node) -> Node:
    """CASE WHEN condition THEN value ... ELSE default END."""
    _terms(branches, "CASE")
    conditions = [coerce.boolean(condition, "WHEN") for condition, _ in branches]
    values, kind = coerce.common([*(value for _, value in branches), default], "CASE")
    pairs = [node for pair in zip(conditions, values, strict=False) for node in pair]
    return Node("case", (*pairs, values[-1]), kind, finite=all(value.finite for value in values))


def switch(subject: Node, branches: Sequence[tuple[Node, Node]], default: Node) -> Node:
    """CASE subject WHEN candidate THEN value ... ELSE default END: the subject is computed once."""
    _terms(branches, "CASE")
    subject, *candidates = coerce.comparable((subject, *(when for when, _ in branches)), "CASE")
    values, kind = coerce.common([*(value for _, value in branches), default], "CASE")
    pairs = [node for pair in zip(candidates, values, strict=False) for node in pair]
    return Node("switch", (subject, *pairs, values[-1]), kind, finite=all(value.finite for value in values))


def coalesce(nodes: Sequence[Node]) -> Node:
    """The first value that is not NULL."""
    values, kind = coerce.common(nodes, "coalesce")
    return Node("coalesce", tuple(finite(value) for value in values), kind)


def null_if(left: Node, right: Node) -> Node:
    """The left value, NULL where it equals the right one."""
    args = tuple(coerce.comparable((left, right), "nullif"))
    if left.kind == "boolean":
        return Node("nonzero", (Node("null_if", args, "integer"),), "boolean")
    return Node("null_if", args, args[0].kind)


def extreme(op: str, nodes: Sequence[Node]) -> Node:
    """The greatest or least value; NULLs are passed over."""
    values, kind = coerce.common(nodes, op)
    if kind not in NUMERIC and kind != "timestamp":
        raise Refusal(f"{op} needs numbers or timestamps, not {coerce.called(kind)}")
    return Node(op, tuple(finite(value) for value in values), kind)


def concatenate(nodes: Sequence[Node], where: str) -> Node:
    """`||` is NULL where an operand is; concat passes over NULLs."""
    _terms(nodes, where)
    args = tuple(coerce.text(node, where) for node in nodes)
    return Node("join" if where == "||" else "concat", args, "string")


def match(kind: str, node: Node, text: str, escaped_by: str = "") -> Node:
    """Whether a string matches a constant pattern; `kind` says how its text is read."""
    return Node("match", (coerce.string(node, kind),), "boolean", value=(kind, text, escaped_by))
