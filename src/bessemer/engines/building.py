"""Expressions of SQL made by hand, with their types noted."""

from __future__ import annotations

from sqlglot import exp

INTEGERS = frozenset(
    {"TINYINT", "SMALLINT", "INT", "BIGINT", "UTINYINT", "USMALLINT", "UINT", "UBIGINT", "INT128", "HUGEINT"}
)
FLOATS = frozenset({"DOUBLE", "FLOAT"})


def kind(node: exp.Expr | None) -> str:
    """The type's name that sqlglot found, as 'BIGINT', 'VARCHAR'; 'UNKNOWN' where it found none."""
    found = getattr(node, "type", None)
    return found.this.name if isinstance(found, exp.DataType) else "UNKNOWN"


def typed(node: exp.Expr, name: str) -> exp.Expr:
    """A new expression with its type noted, for the corrections of what stands around it."""
    node.type = exp.DataType.build(name, dialect="duckdb")
    return node


def cast(node: exp.Expr, name: str) -> exp.Expr:
    """The expression as a type of DuckDB; as it is where it has that type."""
    wanted = exp.DataType.build(name, dialect="duckdb")
    if node.type is not None and node.type == wanted and not isinstance(node, exp.Literal):
        return node
    return typed(exp.Cast(this=closed(node), to=wanted), name)


def double(text: str) -> exp.Expr:
    """A float of any value, as 'Infinity', 'NaN' or '0.5'."""
    return cast(exp.Literal.string(text), "DOUBLE")


def case(*branches: tuple[exp.Expr, exp.Expr], otherwise: exp.Expr | None = None) -> exp.Case:
    """CASE WHEN condition THEN value ... END; each part is copied."""
    ifs = [exp.If(this=when.copy(), true=then.copy()) for when, then in branches]
    return exp.Case(ifs=ifs, default=otherwise.copy() if otherwise is not None else None)


def closed(node: exp.Expr) -> exp.Expr:
    """In parentheses where an operator beside it could take it apart."""
    return exp.Paren(this=node) if isinstance(node, exp.Binary | exp.Unary) else node


def zero() -> exp.Expr:
    """The literal 0."""
    return exp.Literal.number(0)


def as_number(node: exp.Expr) -> exp.Expr:
    """A boolean as 1 and 0; anything else as it is."""
    if kind(node) != "BOOLEAN":
        return node
    no = exp.Not(this=closed(node.copy()))
    return typed(case((node, exp.Literal.number(1)), (no, zero())), "INT")


def integer(node: exp.Expr) -> int | None:
    """The value of a whole literal, else None."""
    try:
        return int(node.sql("duckdb"))
    except ValueError:
        return None
