"""What PostgreSQL calls what DuckDB means.

Texts compare by their bytes (collation "C"), while upper and lower case are those of Unicode.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from bessemer.engines.building import FLOATS, INTEGERS, case, cast, closed, kind, typed, zero
from bessemer.engines.refusal import Refused
from bessemer.engines.rewriting import call, is_nan, time_parts

_BYTES = "C"
_UNICODE = "und-x-icu"
#: The texts that become numbers: few enough digits for PostgreSQL to read them exactly.
_NUMBER = r"^\s*[-+]?([0-9]{1,200}(\.[0-9]{0,200})?|\.[0-9]{1,200})([eE][-+]?[0-2]?[0-9]{1,2})?\s*$"
_RANGES = {
    "INT": ("-2147483648", "2147483647"),
    "BIGINT": ("-9223372036854775808", "9223372036854775807"),
    "DOUBLE": ("-1.7e308", "1.7e308"),
}


def _collated(node: exp.Expr, collation: str) -> exp.Expr:
    named = exp.Identifier(this=collation, quoted=True)
    return typed(exp.Paren(this=exp.Collate(this=closed(node), expression=named)), "VARCHAR")


def _cased(node: exp.Lower | exp.Upper) -> exp.Expr:
    node.set("this", _collated(node.this, _UNICODE))
    return _collated(typed(node, "VARCHAR"), _BYTES)


def _ilike(node: exp.ILike) -> exp.Expr:
    node.set("this", _collated(node.this, _UNICODE))
    return node


def _cast(node: exp.Cast) -> exp.Expr:
    of_text = node.args["to"].this.name in ("VARCHAR", "TEXT")
    return _collated(typed(node, "VARCHAR"), _BYTES) if of_text else node


def _logarithm(node: exp.Log) -> exp.Expr:
    base, value = node.this, node.expression
    if base.name == "10":
        return call("LOG10", value, of="DOUBLE")
    whole = exp.Div(this=call("LN", value), expression=call("LN", cast(base, "DOUBLE")))
    return typed(exp.Paren(this=whole), "DOUBLE")


def _contains(node: exp.Contains) -> exp.Expr:
    found = exp.GT(this=call("STRPOS", node.this, node.expression), expression=zero())
    return typed(exp.Paren(this=found), "BOOLEAN")


def _micros(node: exp.UnixMicros) -> exp.Expr:
    seconds = exp.Extract(this=exp.Var(this="EPOCH"), expression=node.this)
    return cast(typed(exp.Mul(this=seconds, expression=exp.Literal.number(1_000_000)), "DECIMAL"), "BIGINT")


def _extract(node: exp.Extract) -> exp.Expr:
    part = node.this.name
    if part == "SECOND":
        return cast(typed(exp.Floor(this=node.copy()), "DECIMAL"), "BIGINT")
    if part not in (
        "YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "DOY", "HOUR", "MINUTE", "DOW", "ISODOW", "ISOYEAR",
    ):  # fmt: skip
        raise Refused(node, f"extract({part.lower()} ...) is another thing in PostgreSQL")
    return cast(typed(exp.Extract(this=exp.Var(this=part), expression=node.expression), "DECIMAL"), "BIGINT")


def _made(node: exp.TimestampFromParts) -> exp.Expr:
    *parts, second = time_parts(node)
    whole = [cast(part, "INT") for part in parts]
    return call("MAKE_TIMESTAMP", *whole, cast(second, "DOUBLE"), of="TIMESTAMP")


def _date(node: exp.DateFromParts) -> exp.Expr:
    parts = [cast(node.args[key], "INT") for key in ("year", "month", "day")]
    return call("MAKE_DATE", *parts, of="DATE")


def _best(node: exp.ArgMax | exp.ArgMin) -> exp.Expr:
    """The first of all values in order."""
    ordered = exp.Ordered(this=node.expression, desc=isinstance(node, exp.ArgMax), nulls_first=False)
    values = exp.ArrayAgg(this=exp.Order(this=node.this, expressions=[ordered]))
    there = exp.Not(this=exp.Is(this=closed(node.expression.copy()), expression=exp.Null()))
    chosen = exp.Filter(this=values, expression=exp.Where(this=there))
    first = exp.Bracket(this=exp.Paren(this=chosen), expressions=[zero()])  # sqlglot counts from there
    return typed(first, kind(node.this))


def _filter(node: exp.Filter) -> exp.Expr:
    """A condition belongs to the aggregate and not to the value that is taken of it."""
    if not isinstance(node.this, exp.Bracket):
        return node
    inner = node.this.find(exp.Filter)
    assert inner is not None
    where = exp.and_(inner.expression.this.copy(), node.expression.this.copy())
    inner.set("expression", exp.Where(this=where))
    return node.this


def _whole(node: exp.IntDiv) -> exp.Expr:
    """PostgreSQL's division of integers, which gives a decimal by its other name."""
    divided = exp.Div(this=closed(node.this), expression=closed(node.expression), typed=True, safe=False)
    return typed(exp.Paren(this=divided), kind(node.this))


def _matches(node: exp.RegexpLike) -> exp.Expr:
    return typed(exp.RegexpLike(this=node.this, expression=_pattern(node, "", "")), "BOOLEAN")


def _full_match(node: exp.RegexpFullMatch) -> exp.Expr:
    return typed(exp.RegexpLike(this=node.this, expression=_pattern(node, "^(?:", ")$")), "BOOLEAN")


def _pattern(node: exp.Expr, before: str, after: str) -> exp.Expr:
    """The pattern, in which a dot is no newline."""
    pattern = node.expression
    if not isinstance(pattern, exp.Literal) or "(?" in pattern.name.replace("(?:", ""):
        raise Refused(node, "a pattern that is no literal, or has flags", "write a plain pattern as a text")
    return exp.Literal.string(f"(?p){before}{pattern.name}{after}")


def _try_cast(node: exp.TryCast) -> exp.Expr:
    """A number where the value is one that fits, or a text that has the form of one."""
    to, of, value = node.args["to"].this.name, kind(node.this), closed(node.this)
    numeric = of in FLOATS or of in INTEGERS or of == "DECIMAL"
    if not (numeric or of in ("VARCHAR", "TEXT")) or to not in _RANGES:
        raise Refused(node, "try_cast of other than a text or a number to a number", "use cast, or case when")
    number = value if numeric else exp.Cast(this=value, to=exp.DataType.build("DECIMAL"))
    rounded = number if to == "DOUBLE" else call("ROUND", number)
    least, most = (exp.Literal.string(text) for text in _RANGES[to])
    bounds = exp.Between(this=rounded.copy(), low=least, high=most)
    inner = typed(case((bounds, exp.Cast(this=rounded, to=node.args["to"].copy()))), to)
    if numeric:
        return node if to == "DOUBLE" else inner
    matched = exp.RegexpLike(this=value.copy(), expression=exp.Literal.string(_NUMBER))
    return typed(case((matched, inner)), to)


def _rest(node: exp.Mod) -> exp.Expr:
    left, right = node.this, node.expression
    if not {kind(left), kind(right)} & FLOATS:
        return node
    a, b = (closed(cast(side, "DOUBLE")) for side in (left, right))
    times = call("TRUNC", exp.Div(this=a.copy(), expression=b.copy()))
    whole = exp.Sub(this=a, expression=exp.Mul(this=b, expression=times))
    return typed(exp.Paren(this=whole), "DOUBLE")


CORRECTIONS: dict[type[exp.Expr], Callable[[Any], exp.Expr]] = {
    exp.Lower: _cased,
    exp.Upper: _cased,
    exp.ILike: _ilike,
    exp.Cast: _cast,
    exp.IsNan: is_nan,
    exp.Log: _logarithm,
    exp.Contains: _contains,
    exp.UnixMicros: _micros,
    exp.Extract: _extract,
    exp.TimestampFromParts: _made,
    exp.DateFromParts: _date,
    exp.ArgMax: _best,
    exp.ArgMin: _best,
    exp.Filter: _filter,
    exp.IntDiv: _whole,
    exp.RegexpLike: _matches,
    exp.RegexpFullMatch: _full_match,
    exp.TryCast: _try_cast,
    exp.Mod: _rest,
}
