"""What Snowflake calls what DuckDB means."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sqlglot import exp

from bessemer.engines.building import case, cast, closed, double, kind, typed, zero
from bessemer.engines.refusal import Refused
from bessemer.engines.rewriting import call, is_nan, nearest_even, time_parts

#: Parts of formats, and what may stand between them.
_WORDS = {
    "%Y": "YYYY",
    "%m": "MM",
    "%d": "DD",
    "%H": "HH24",
    "%M": "MI",
    "%S": "SS",
    "%F": "YYYY-MM-DD",
    "%T": "HH24:MI:SS",
}
_FORMATS = re.compile(r"(%[YmdHMSFT]|[-:/., ])*")
_TIMES = ("TIMESTAMP", "TIMESTAMPNTZ")
_PARTS = ("YEAR", "QUARTER", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND")
_OTHERS = {"DOY": "DAYOFYEAR", "WEEK": "WEEKISO", "ISODOW": "DAYOFWEEKISO", "ISOYEAR": "YEAROFWEEKISO"}


def _extract(node: exp.Extract) -> exp.Expr:
    part, value = node.this.name, node.expression
    if part == "DOW":
        rest = call("MOD", call("DAYOFWEEKISO", value), exp.Literal.number(7))
        return typed(rest, "BIGINT")
    if part in _OTHERS:
        return call(_OTHERS[part], value, of="BIGINT")
    if part not in _PARTS:
        raise Refused(node, f"extract({part.lower()} ...) is another thing in Snowflake")
    return call(part, value, of="BIGINT")


def _micros(node: exp.UnixMicros) -> exp.Expr:
    return call("DATE_PART", exp.Var(this="EPOCH_MICROSECOND"), node.this, of="BIGINT")


def _whole(node: exp.IntDiv) -> exp.Expr:
    """What is left over is taken away first: the quotient has six digits behind the point there, and is rounded."""
    value, by = node.this, node.expression
    rest = exp.Sub(this=closed(value), expression=call("MOD", value.copy(), by.copy()))
    return cast(exp.Div(this=exp.Paren(this=rest), expression=closed(by)), "BIGINT")


def _matches(node: exp.RegexpLike) -> exp.Expr:
    """REGEXP_LIKE is for the whole text there."""
    found = call("REGEXP_INSTR", node.this, node.expression)
    return typed(exp.Paren(this=exp.GT(this=found, expression=zero())), "BOOLEAN")


def _full_match(node: exp.RegexpFullMatch) -> exp.Expr:
    return call("REGEXP_LIKE", node.this, node.expression, of="BOOLEAN")


def _joined(node: exp.ConcatWs) -> exp.Expr:
    """Each text that is there with the separator before it, less the first separator."""
    between, *texts = node.expressions
    parts = []
    for text in texts:
        there = exp.Not(this=exp.Is(this=closed(text.copy()), expression=exp.Null()))
        before = call("CONCAT", between.copy(), text)
        parts.append(case((there, before), otherwise=exp.Literal.string("")))
    length = exp.Add(this=call("LENGTH", between.copy()), expression=exp.Literal.number(1))
    return call("SUBSTR", call("CONCAT", *parts), length, of="VARCHAR")


def _is(node: exp.Is) -> exp.Expr:
    """`is true` is false where there is no value; sqlglot leaves it out."""
    if not isinstance(node.expression, exp.Boolean):
        return node
    value = closed(node.this) if node.expression.this else exp.Not(this=closed(node.this))
    return typed(exp.Coalesce(this=value, expressions=[exp.false()]), "BOOLEAN")


def _formatted(node: exp.TimeToStr) -> exp.Expr:
    pattern = node.args["format"]
    if not isinstance(pattern, exp.Literal) or not _FORMATS.fullmatch(pattern.name):
        raise Refused(node, "a format that Snowflake writes otherwise", "use %Y %m %d %H %M %S alone")
    text = pattern.name
    for ours, theirs in _WORDS.items():
        text = text.replace(ours, theirs)
    return _written(node.this, text)


def _written(moment: exp.Expr, pattern: str) -> exp.Expr:
    """A time as text."""
    time = exp.Cast(this=moment, to=exp.DataType.build("TIMESTAMP", dialect="duckdb"))
    return call("TO_CHAR", time, exp.Literal.string(pattern), of="VARCHAR")


def _together(node: exp.GroupConcat) -> exp.Expr:
    """Of no values there is none."""
    value = node.this.find(exp.Column)
    counted = exp.Count(this=value.copy() if value is not None else exp.Star())
    there = exp.GT(this=counted, expression=zero())
    return typed(case((there, node)), "VARCHAR")


def _made(node: exp.TimestampFromParts) -> exp.Expr:
    *parts, second = time_parts(node)
    whole = [cast(part, "BIGINT") for part in parts]
    minute = call("TIMESTAMP_NTZ_FROM_PARTS", *whole, zero())
    micros = exp.Mul(this=closed(cast(second, "DOUBLE")), expression=double("1000000"))
    step = cast(call("ROUND", micros), "BIGINT")
    return call("TIMESTAMPADD", exp.Var(this="MICROSECOND"), step, minute, of="TIMESTAMP")


def _cast(node: exp.Cast) -> exp.Expr:
    """A time as text has no zeros at its end, whatever format the session has."""
    if node.args["to"].this.name in ("VARCHAR", "TEXT") and kind(node.this) in _TIMES:
        text = _written(node.this, "YYYY-MM-DD HH24:MI:SS.FF6")
        zeros, nothing = exp.Literal.string("[.]?0+$"), exp.Literal.string("")
        return call("REGEXP_REPLACE", text, zeros, nothing, of="VARCHAR")
    return nearest_even(node, "Snowflake")


CORRECTIONS: dict[type[exp.Expr], Callable[[Any], exp.Expr]] = {
    exp.IntDiv: _whole,
    exp.IsNan: is_nan,
    exp.Extract: _extract,
    exp.UnixMicros: _micros,
    exp.RegexpLike: _matches,
    exp.RegexpFullMatch: _full_match,
    exp.ConcatWs: _joined,
    exp.Is: _is,
    exp.TimeToStr: _formatted,
    exp.GroupConcat: _together,
    exp.TimestampFromParts: _made,
    exp.Cast: _cast,
    exp.TryCast: _cast,
}
