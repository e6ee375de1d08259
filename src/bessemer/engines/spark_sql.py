"""What Spark calls what DuckDB means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from bessemer.engines.building import FLOATS, INTEGERS, cast, kind, typed
from bessemer.engines.refusal import Refused

_LTZ = exp.DataType.build("TIMESTAMP_LTZ", dialect="spark")
_NTZ = exp.DataType.build("TIMESTAMP_NTZ", dialect="spark")


def _call(name: str, *arguments: exp.Expr, of: str = "UNKNOWN") -> exp.Expr:
    return typed(exp.Anonymous(this=name, expressions=list(arguments)), of)


def _as(node: exp.Expr, to: exp.DataType, of: str) -> exp.Expr:
    return typed(exp.Cast(this=node, to=to.copy()), of)


def _micros(node: exp.UnixMicros) -> exp.Expr:
    moment = node.this if kind(node.this) == "TIMESTAMPTZ" else cast(node.this, "TIMESTAMP")
    return _call("UNIX_MICROS", _as(moment, _LTZ, "TIMESTAMPTZ"), of="BIGINT")


def _trunc(node: exp.TimestampTrunc) -> exp.Expr:
    return _as(
        _call("DATE_TRUNC", exp.Literal.string(node.text("unit").upper()), node.this), _NTZ, "TIMESTAMP"
    )


def _extract(node: exp.Extract) -> exp.Expr:
    part, value = node.this.name, node.expression
    if part == "DOW":
        inner: exp.Expr = exp.Paren(
            this=exp.Sub(this=_call("DAYOFWEEK", value), expression=exp.Literal.number(1))
        )
    elif part == "ISODOW":
        inner = exp.Paren(this=exp.Add(this=_call("WEEKDAY", value), expression=exp.Literal.number(1)))
    elif part == "ISOYEAR":
        inner = exp.Extract(this=exp.Var(this="YEAROFWEEK"), expression=value)
    elif part == "SECOND":
        inner = exp.Floor(this=exp.Extract(this=exp.Var(this=part), expression=value))
    elif part in ("YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "DOY", "HOUR", "MINUTE"):
        return typed(exp.Extract(this=exp.Var(this=part), expression=value), "BIGINT")
    else:
        raise Refused(node, f"extract({part.lower()} ...) is another thing in Spark")
    return cast(typed(inner, "UNKNOWN"), "BIGINT")


def _cast(node: exp.Cast | exp.TryCast) -> exp.Expr:
    to, of = node.args["to"].this.name, kind(node.this)
    if to in INTEGERS and of in FLOATS:
        node.set("this", _call("RINT", node.this, of="DOUBLE"))
    elif to in INTEGERS and of == "DECIMAL":
        node.set("this", typed(exp.Round(this=node.this), "DECIMAL"))
    if to == "TIMESTAMPTZ":
        node.set("to", _LTZ.copy())
    return node


def _zone(node: exp.AtTimeZone) -> exp.Expr:
    zone = node.args["zone"]
    if kind(node.this) == "TIMESTAMPTZ":
        return _as(_call("FROM_UTC_TIMESTAMP", node.this, zone), _NTZ, "TIMESTAMP")
    moment = _as(cast(node.this, "TIMESTAMP"), _LTZ, "TIMESTAMPTZ")
    return _as(_call("TO_UTC_TIMESTAMP", moment, zone), _LTZ, "TIMESTAMPTZ")


def _made(node: exp.TimestampFromParts) -> exp.Expr:
    parts = [node.args.get(key) for key in ("year", "month", "day", "hour", "min", "sec")]
    if any(part is None for part in parts):
        raise Refused(
            node, "make_timestamp of other than six parts", "give year, month, day, hour, minute, second"
        )
    whole = [cast(part, "INT") for part in parts[:5] if part is not None]
    return _call("MAKE_TIMESTAMP_NTZ", *whole, cast(parts[5], "DECIMAL(8,6)"), of="TIMESTAMP")


def _date(node: exp.DateFromParts) -> exp.Expr:
    parts = [cast(node.args[key], "INT") for key in ("year", "month", "day")]
    return _call("MAKE_DATE", *parts, of="DATE")


def _full_match(node: exp.RegexpFullMatch) -> exp.Expr:
    pattern = node.expression
    if not isinstance(pattern, exp.Literal):
        raise Refused(node, "a pattern that is no literal", "write the pattern as a text")
    whole = exp.Literal.string(rf"\A(?:{pattern.name})\z")
    return typed(exp.RegexpLike(this=node.this, expression=whole), "BOOLEAN")


def _logarithm(node: exp.Log) -> exp.Expr:
    return _call(f"LOG{node.this.name}", node.expression, of="DOUBLE")


def _quantile(node: exp.PercentileCont) -> exp.Expr:
    return _call("PERCENTILE", cast(node.this, "DOUBLE"), node.expression, of="DOUBLE")


def _median(node: exp.Median) -> exp.Expr:
    return typed(exp.Median(this=cast(node.this, "DOUBLE")), "DOUBLE")


CORRECTIONS: dict[type[exp.Expr], Callable[[Any], exp.Expr]] = {
    exp.UnixMicros: _micros,
    exp.TimestampTrunc: _trunc,
    exp.Extract: _extract,
    exp.Cast: _cast,
    exp.TryCast: _cast,
    exp.AtTimeZone: _zone,
    exp.TimestampFromParts: _made,
    exp.DateFromParts: _date,
    exp.RegexpFullMatch: _full_match,
    exp.Log: _logarithm,
    exp.PercentileCont: _quantile,
    exp.Median: _median,
}
