"""Numbers as DuckDB computes them: division by zero, rounding, logarithms, booleans that are counted."""

from __future__ import annotations

from sqlglot import exp

from bessemer.engines.building import (
    FLOATS,
    INTEGERS,
    as_number,
    case,
    cast,
    closed,
    double,
    integer,
    kind,
    typed,
    zero,
)
from bessemer.engines.refusal import Refused

#: From here on a float has no places after the point.
_WHOLE = "4503599627370496e0"


def divide(node: exp.Expr) -> exp.Expr:
    """A float, and infinite or NaN by zero."""
    left, right = cast(node.this, "DOUBLE"), cast(node.expression, "DOUBLE")
    plain = exp.Div(this=closed(left.copy()), expression=closed(right.copy()), typed=True, safe=False)
    literal = node.expression.unnest()
    if isinstance(literal, exp.Literal) and float(literal.name) != 0:
        return typed(plain, "DOUBLE")
    endless = exp.Mul(this=closed(left.copy()), expression=double("Infinity"))
    return typed(case((exp.EQ(this=closed(right), expression=zero()), endless), otherwise=plain), "DOUBLE")


def whole_division(node: exp.Expr) -> exp.Expr:
    """Of integers only."""
    if not {kind(node.this), kind(node.expression)} <= INTEGERS:
        raise Refused(node, "`//` of other than integers", "write floor(a / b)")
    return node


def aggregate(node: exp.Expr) -> exp.Expr:
    """Aggregates over booleans; means are of floats, whatever they are of."""
    inner = node.this
    if isinstance(inner, exp.Distinct):
        return node
    inner = as_number(inner)
    if isinstance(
        node, exp.Avg | exp.Stddev | exp.StddevPop | exp.StddevSamp | exp.Variance | exp.VariancePop
    ):
        inner = cast(inner, "DOUBLE")
    node.set("this", inner)
    return node


def count_if(node: exp.Expr) -> exp.Expr:
    """A sum, which is NULL over no rows: so is DuckDB's."""
    return typed(exp.Sum(this=case((node.this, exp.Literal.number(1)), otherwise=zero())), "BIGINT")


def best(node: exp.Expr) -> exp.Expr:
    """arg_max and arg_min look at rows that have a value."""
    if isinstance(node.parent, exp.Filter):
        raise Refused(node, "arg_max and arg_min with a filter", "filter in a subquery")
    present = exp.Not(this=exp.Is(this=closed(node.this.copy()), expression=exp.Null()))
    copied = node.__class__(this=node.this, expression=node.expression)
    return typed(exp.Filter(this=copied, expression=exp.Where(this=present)), kind(node))


def floor(node: exp.Expr) -> exp.Expr:
    """Floor and ceiling of floats are floats."""
    if kind(node.this) not in FLOATS:
        return node
    x = cast(node.this, "DOUBLE")
    inner = typed(node.__class__(this=x.copy()), "UNKNOWN")
    return typed(case((_small(x), cast(inner, "DOUBLE")), otherwise=x), "DOUBLE")


def _small(x: exp.Expr) -> exp.Expr:
    return exp.LT(this=exp.Abs(this=x.copy()), expression=double(_WHOLE))


def trunc(node: exp.Expr) -> exp.Expr:
    """Towards zero, as a float."""
    if node.args.get("decimals") is not None:
        raise Refused(node, "trunc with places", "write trunc(x * 100) / 100")
    x = cast(node.this, "DOUBLE")
    down, up = exp.Floor(this=x.copy()), exp.Ceil(this=x.copy())
    inner = case((exp.LT(this=closed(x.copy()), expression=zero()), up), otherwise=down)
    return typed(case((_small(x), cast(typed(inner, "UNKNOWN"), "DOUBLE")), otherwise=x), "DOUBLE")


def rounded(node: exp.Expr) -> exp.Expr:
    """Halves away from zero, of the value times a power of ten: as DuckDB computes it."""
    if kind(node.this) in INTEGERS or kind(node.this) == "DECIMAL":
        return node
    places = node.args.get("decimals")
    digits = 0 if places is None else integer(places)
    if digits is None:
        raise Refused(node, "round to places that are no literal", "write the number of places")
    x, power = cast(node.this, "DOUBLE"), double(repr(10.0 ** abs(digits)))
    scaled = (
        x if not digits else (exp.Mul if digits > 0 else exp.Div)(this=closed(x.copy()), expression=power)
    )
    halves = exp.Floor(this=exp.Add(this=exp.Abs(this=scaled.copy()), expression=double("0.5")))
    size = cast(typed(halves, "UNKNOWN"), "DOUBLE")
    negative = exp.LT(this=closed(x.copy()), expression=zero())
    signed = case((negative, exp.Neg(this=size)), otherwise=size)
    back: exp.Expr = signed
    if digits:
        back = (exp.Div if digits > 0 else exp.Mul)(this=signed, expression=power.copy())
    return typed(case((_small(scaled), back), otherwise=x), "DOUBLE")


def logarithm(node: exp.Expr) -> exp.Expr:
    """-inf at zero and NaN below, where others stop or give NULL."""
    base, x = (node.this, node.expression) if isinstance(node, exp.Log) else (None, node.this)
    if isinstance(node, exp.Log) and x is None:
        base, x = exp.Literal.number(10), node.this
    x = cast(x, "DOUBLE")
    taken: exp.Expr = exp.Ln(this=x.copy())
    if base is not None:
        value = integer(base)
        if value not in (2, 10):
            raise Refused(node, "a logarithm of this base", "write ln(x) / ln(base)")
        taken = exp.Log(this=exp.Literal.number(value), expression=x.copy())
    positive, none, below = (
        test(this=closed(x.copy()), expression=zero()) for test in (exp.GT, exp.EQ, exp.LT)
    )
    return typed(case((positive, taken), (none, double("-Infinity")), (below, double("NaN"))), "DOUBLE")


def root(node: exp.Expr) -> exp.Expr:
    """NaN of what is below zero, where others stop."""
    x = cast(node.this, "DOUBLE")
    below = exp.LT(this=closed(x.copy()), expression=zero())
    return typed(case((below, double("NaN")), otherwise=exp.Sqrt(this=x)), "DOUBLE")


def power(node: exp.Expr) -> exp.Expr:
    """A float, as in DuckDB."""
    left, right = cast(node.this, "DOUBLE"), cast(node.expression, "DOUBLE")
    return typed(exp.Pow(this=left, expression=right), "DOUBLE")


def finite(node: exp.Expr) -> exp.Expr:
    """isfinite, isinf, isnan of a float; times are always finite elsewhere."""
    x, name = node.this, type(node).__name__
    if kind(x).startswith(("TIMESTAMP", "DATE")):
        return typed(exp.Not(this=exp.Paren(this=exp.Is(this=x, expression=exp.Null()))), "BOOLEAN")
    endless = exp.EQ(this=exp.Abs(this=cast(x.copy(), "DOUBLE")), expression=double("Infinity"))
    if name == "IsInf":
        return typed(exp.Paren(this=endless), "BOOLEAN")
    below = exp.LT(this=exp.Abs(this=cast(x.copy(), "DOUBLE")), expression=double("Infinity"))
    return typed(exp.Paren(this=below), "BOOLEAN")  # NaN compares as greater than all, or as false
