"""Which types go where: every operand passes one of these functions."""

from __future__ import annotations

from collections.abc import Sequence

from bessemer.prepare.expressions.moments import parse_moment
from bessemer.prepare.expressions.tree import NUMERIC, Kind, Node, Refusal, constant, finite, is_constant

_ARTICLES = {"integer": "an integer", "null": "NULL"}


def called(kind: Kind) -> str:
    """The type with its article: 'a string', 'an integer'."""
    return _ARTICLES.get(kind, f"a {kind}")


def number(node: Node, where: str) -> Node:
    """The operand as a number; NULL is one, a boolean is not.

    Raises:
        Refusal: it is of another type.
    """
    if node.kind in NUMERIC:
        return node
    if node.kind == "null":
        return constant(None, "number")
    fixes = {
        "boolean": "cast(... as integer) makes 0 and 1 of a boolean",
        "timestamp": "extract(epoch from ...) gives seconds; date_diff('day', start, end) gives days between",
    }
    raise Refusal(f"{where} needs a number, not {called(node.kind)}", fixes.get(node.kind, ""))


def finite_number(node: Node, where: str) -> Node:
    return finite(number(node, where))


def integer(node: Node, where: str) -> Node:
    """The operand as an integer: of that type already, or NULL."""
    node = number(node, where)
    if node.kind == "number" and not (is_constant(node) and node.value is None):
        raise Refusal(f"{where} needs integers", "floor(a / b) or trunc(a / b) divides any numbers")
    return node


def boolean(node: Node, where: str) -> Node:
    """The operand as a condition.

    Raises:
        Refusal: it is not a boolean (SQL's silent `x AND y` on numbers is not accepted).
    """
    if node.kind == "null":
        return constant(None, "boolean")
    if node.kind != "boolean":
        fix = "write a comparison: ... <> 0" if node.kind in NUMERIC else "write a comparison"
        raise Refusal(f"{where} needs a condition, not {called(node.kind)}", fix)
    return node


def string(node: Node, where: str) -> Node:
    if node.kind == "null":
        return constant(None, "string")
    if node.kind != "string":
        raise Refusal(f"{where} needs a string, not {called(node.kind)}")
    return node


def timestamp(node: Node, where: str) -> Node:
    """The operand as a timestamp; a constant text is read as one, as in SQL."""
    if node.kind == "null":
        return constant(None, "timestamp")
    if node.kind == "string" and is_constant(node):
        return constant(parse_moment(node.value), "timestamp")
    if node.kind != "timestamp":
        fix = "TIMESTAMP '2013-01-31 12:00:00' writes one" if node.kind == "string" else ""
        raise Refusal(f"{where} needs a timestamp, not {called(node.kind)}", fix)
    return node


def text(node: Node, where: str) -> Node:
    """The operand as text where SQL would convert it: integers and booleans exactly; numbers have no one text."""
    if node.kind == "integer":
        return Node("integer_text", (finite(node),), "string")
    if node.kind == "boolean":
        return Node("boolean_text", (node,), "string")
    if node.kind == "number":
        raise Refusal(
            f"{where} cannot write a number as text: engines write it differently",
            "cast it to bigint first: cast(cast(... as bigint) as varchar)",
        )
    return string(node, where)


def condition_as_number(node: Node) -> Node:
    """A boolean as 0, 1 or NULL; anything else as it is."""
    return Node("boolean_number", (node,), "integer") if node.kind == "boolean" else node


def comparable(nodes: Sequence[Node], where: str) -> list[Node]:
    """Operands made of one type to be compared: booleans count as 0 and 1, texts beside timestamps are read.

    Raises:
        Refusal: the types do not go together.
    """
    kinds = {node.kind for node in nodes} - {"null"}
    if "timestamp" in kinds:
        return [timestamp(node, where) for node in nodes]
    if kinds <= {"string"}:
        return [string(node, where) for node in nodes]
    if kinds <= {"boolean", *NUMERIC}:
        return [finite_number(condition_as_number(node), where) for node in nodes]
    raise Refusal(f"{where} cannot compare {_listed(kinds)}", _fix(kinds))


def common(nodes: Sequence[Node], where: str) -> tuple[list[Node], Kind]:
    """Operands made of one type to be chosen from (CASE, coalesce), and that type.

    Raises:
        Refusal: the types do not go together, or all are NULL.
    """
    kinds = {node.kind for node in nodes} - {"null"}
    if not kinds:
        raise Refusal(f"{where} has nothing but NULL")
    if kinds <= NUMERIC:
        kind: Kind = "integer" if kinds == {"integer"} else "number"
        return [number(node, where) for node in nodes], kind
    if kinds == {"boolean"}:
        return [boolean(node, where) for node in nodes], "boolean"
    if "timestamp" in kinds:
        return [timestamp(node, where) for node in nodes], "timestamp"
    if kinds == {"string"}:
        return [string(node, where) for node in nodes], "string"
    raise Refusal(f"{where} mixes {_listed(kinds)}", _fix(kinds))


def _listed(kinds: set[Kind]) -> str:
    return " and ".join(called(kind) for kind in sorted(kinds))


def _fix(kinds: set[Kind]) -> str:
    if "string" in kinds:
        return "text stands in single quotes, numbers do not; numbers held as text are cast in acquire.sql"
    return "cast one of them: cast(... as integer)"
