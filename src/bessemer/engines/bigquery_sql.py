"""What BigQuery calls what DuckDB means."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sqlglot import exp

from bessemer.engines.building import case, cast, closed, double, kind, typed, zero
from bessemer.engines.refusal import Refused
from bessemer.engines.rewriting import call, nearest_even, time_parts

_PARTS = {
    "YEAR": "YEAR", "QUARTER": "QUARTER", "MONTH": "MONTH", "WEEK": "ISOWEEK", "DAY": "DAY", "DOY": "DAYOFYEAR",
    "HOUR": "HOUR", "MINUTE": "MINUTE", "SECOND": "SECOND", "ISOYEAR": "ISOYEAR",
}  # fmt: skip
#: What FORMAT_DATETIME writes as DuckDB does.
_FORMATS = re.compile(r"(%[YmdHMSyjBbAaIpFT%]|[^%])*")


def _paren(node: exp.Expr, of: str) -> exp.Expr:
    return typed(exp.Paren(this=node), of)


def _number(text: str) -> exp.Expr:
    return exp.Literal.number(text)


def _null(node: exp.Expr) -> exp.Expr:
    return exp.Is(this=closed(node.copy()), expression=exp.Null())


def _literal(node: exp.Expr, operand: exp.Expr, what: str) -> str:
    if not isinstance(operand, exp.Literal) or not operand.is_string:
        raise Refused(node, f"{what} that is no literal", "write it as a text")
    return str(operand.name)


def _pi(node: exp.Pi) -> exp.Expr:
    return call("ACOS", double("-1"), of="DOUBLE")


def _contains(node: exp.Contains) -> exp.Expr:
    found = call("STRPOS", node.this, node.expression)
    return _paren(exp.GT(this=found, expression=zero()), "BOOLEAN")


def _position(node: exp.StrPosition) -> exp.Expr:
    return call("STRPOS", node.this, node.args["substr"], of="BIGINT")


def _part_of(node: exp.SplitPart) -> exp.Expr:
    """What is beyond the last part is an empty text; a missing text has no parts."""
    place = node.args["part_index"]
    if not isinstance(place, exp.Literal) or place.is_string or int(place.name) < 1:
        raise Refused(node, "split_part with a place that is no positive number", "count from the beginning")
    parts = call("SPLIT", node.this.copy(), node.args["delimiter"])
    found = exp.Bracket(this=parts, expressions=[call("SAFE_ORDINAL", place)])
    there = exp.Not(this=_null(node.this))
    return typed(case((there, exp.Coalesce(this=found, expressions=[exp.Literal.string("")]))), "VARCHAR")


def _full_match(node: exp.RegexpFullMatch) -> exp.Expr:
    pattern = _literal(node, node.expression, "a pattern")
    whole = exp.Literal.string(rf"\A(?:{pattern})\z")
    return typed(exp.RegexpLike(this=node.this, expression=whole), "BOOLEAN")


def _escape(node: exp.Escape) -> exp.Expr:
    raise Refused(node, "LIKE with ESCAPE, which BigQuery does not have", "use regexp_matches")


def _trim(node: exp.Trim) -> exp.Expr:
    """Of spaces; by itself BigQuery takes away tabs and newlines as well."""
    if node.expression is None:
        node.set("expression", exp.Literal.string(" "))
    return node


def _joined(node: exp.ConcatWs) -> exp.Expr:
    between, *texts = node.expressions
    return call("ARRAY_TO_STRING", exp.Array(expressions=texts), between, of="VARCHAR")


def _extract(node: exp.Extract) -> exp.Expr:
    part, value = node.this.name, node.expression
    if part == "DOW":
        day = exp.Extract(this=exp.Var(this="DAYOFWEEK"), expression=value)
        return _paren(exp.Sub(this=day, expression=_number("1")), "BIGINT")
    if part == "ISODOW":
        return _paren(exp.Add(this=_since_monday(value), expression=_number("1")), "BIGINT")
    if part not in _PARTS:
        raise Refused(node, f"extract({part.lower()} ...) is another thing in BigQuery")
    return typed(exp.Extract(this=exp.Var(this=_PARTS[part]), expression=value), "BIGINT")


def _since_monday(value: exp.Expr) -> exp.Expr:
    """Days since the last Monday."""
    day = exp.Extract(this=exp.Var(this="DAYOFWEEK"), expression=value.copy())
    return call("MOD", exp.Add(this=day, expression=_number("5")), _number("7"))


def _trunc(node: exp.TimestampTrunc) -> exp.Expr:
    unit, value = node.text("unit").upper(), node.this
    part = exp.Var(this="DAY" if unit == "WEEK" else unit)
    family = "TIMESTAMP" if kind(value) == "TIMESTAMPTZ" else "DATETIME"
    of = kind(value) if family == "TIMESTAMP" else "TIMESTAMP"
    start = call(f"{family}_TRUNC", value if family == "TIMESTAMP" else cast(value, "TIMESTAMP"), part, of=of)
    if unit != "WEEK":
        return start
    days = exp.Interval(this=_since_monday(value), unit=exp.Var(this="DAY"))
    return call(f"{family}_SUB", start, days, of=of)


def _micros(node: exp.UnixMicros) -> exp.Expr:
    value = node.this
    if kind(value) != "TIMESTAMPTZ":
        value = call("TIMESTAMP", cast(value, "TIMESTAMP"))
    return call("UNIX_MICROS", value, of="BIGINT")


def _zone(node: exp.AtTimeZone) -> exp.Expr:
    zone = node.args["zone"]
    if kind(node.this) == "TIMESTAMPTZ":
        return call("DATETIME", node.this, zone, of="TIMESTAMP")
    return call("TIMESTAMP", cast(node.this, "TIMESTAMP"), zone, of="TIMESTAMPTZ")


def _formatted(node: exp.TimeToStr) -> exp.Expr:
    pattern = _literal(node, node.args["format"], "a format")
    if not _FORMATS.fullmatch(pattern):
        raise Refused(node, f"the format '{pattern}' is written otherwise by BigQuery", "format the parts")
    value = cast(node.this, "TIMESTAMP")
    return call("FORMAT_DATETIME", exp.Literal.string(pattern), value, of="VARCHAR")


def _made(node: exp.TimestampFromParts) -> exp.Expr:
    *parts, second = time_parts(node)
    minute = call("DATETIME", *(cast(part, "BIGINT") for part in parts), zero())
    micros = exp.Mul(this=closed(cast(second, "DOUBLE")), expression=double("1000000"))
    whole = cast(call("ROUND", micros, of="UNKNOWN"), "BIGINT")
    step = exp.Interval(this=whole, unit=exp.Var(this="MICROSECOND"))
    return call("DATETIME_ADD", minute, step, of="TIMESTAMP")


def _interval(node: exp.Interval) -> exp.Expr:
    """BigQuery takes a number of units, and no text."""
    if isinstance(node.this, exp.Literal) and re.fullmatch(r"-?\d+", node.this.name):
        node.set("this", exp.Literal.number(node.this.name))
        return node
    raise Refused(node, "an interval that is no whole number of units", "write interval 90 minute")


def _cast(node: exp.Cast) -> exp.Expr:
    to, of = node.args["to"].this.name, kind(node.this)
    node = nearest_even(node, "BigQuery")
    if to in ("VARCHAR", "TEXT") and of == "DECIMAL":
        raise Refused(node, "a decimal as text, which BigQuery writes without zeros at its end", "cast it")
    if to == "DECIMAL" and (places := [int(p.name) for p in node.args["to"].expressions][1:]):
        node.args["to"].set("expressions", None)
        return typed(call("ROUND", node, _number(str(places[0]))), "DECIMAL")
    if to in ("VARCHAR", "TEXT") and of in ("TIMESTAMP", "TIMESTAMPNTZ"):
        written = call("FORMAT_DATETIME", exp.Literal.string("%F %H:%M:%E6S"), node.this)
        return call(
            "REGEXP_REPLACE", written, exp.Literal.string(r"\.?0*$"), exp.Literal.string(""), of="VARCHAR"
        )
    return node


def _extreme(node: exp.Greatest | exp.Least) -> exp.Expr:
    """Of the values that are there."""
    values = [node.this, *node.expressions]
    filled = [
        exp.Coalesce(this=value.copy(), expressions=[v.copy() for v in values if v is not value])
        for value in values
    ]
    return typed(node.__class__(this=filled[0], expressions=filled[1:], ignore_nulls=False), kind(node))


def _filter(node: exp.Filter) -> exp.Expr:
    """Where the best row is looked for, the others have no rank."""
    best = node.this
    if not isinstance(best, exp.ArgMax | exp.ArgMin):
        return node
    best.set("expression", case((node.expression.this, best.expression)))
    return best


def _order(node: exp.Order) -> exp.Expr:
    """Missing values last by a key of their own, in windows and aggregates, which know no NULLS LAST."""
    if not isinstance(node.parent, exp.Window | exp.GroupConcat):
        return node
    keys: list[exp.Expr] = []
    for key in node.expressions:
        if not key.args.get("desc") and not key.args.get("nulls_first"):
            keys.append(exp.Ordered(this=exp.Paren(this=_null(key.this)), nulls_first=True))
            key.set("nulls_first", True)
        keys.append(key)
    node.set("expressions", keys)
    return node


def _quantile(node: exp.Median | exp.PercentileCont) -> exp.Expr:
    """An aggregate, which BigQuery has as a window over the values alone: they are put together to one array."""
    import sqlglot

    share = "0.5" if isinstance(node, exp.Median) else node.expression.sql("bigquery")
    if isinstance(node.parent, exp.Window | exp.Filter):
        raise Refused(node, "a quantile in a window or with a filter", "compute it in a subquery")
    text = (
        f"(SELECT PERCENTILE_CONT(v, {share}) OVER () "
        "FROM UNNEST(ARRAY_AGG(bessemer_value IGNORE NULLS)) AS v LIMIT 1)"
    )
    found = sqlglot.parse_one(text, dialect="bigquery")
    for column in list(found.find_all(exp.Column)):
        if column.name == "bessemer_value":
            column.replace(cast(node.this, "DOUBLE"))
    return typed(found, "DOUBLE")


CORRECTIONS: dict[type[exp.Expr], Callable[[Any], exp.Expr]] = {
    exp.Pi: _pi,
    exp.Contains: _contains,
    exp.StrPosition: _position,
    exp.SplitPart: _part_of,
    exp.RegexpFullMatch: _full_match,
    exp.Escape: _escape,
    exp.Trim: _trim,
    exp.ConcatWs: _joined,
    exp.Extract: _extract,
    exp.TimestampTrunc: _trunc,
    exp.UnixMicros: _micros,
    exp.AtTimeZone: _zone,
    exp.TimeToStr: _formatted,
    exp.TimestampFromParts: _made,
    exp.Interval: _interval,
    exp.Cast: _cast,
    exp.TryCast: _cast,
    exp.Greatest: _extreme,
    exp.Least: _extreme,
    exp.Filter: _filter,
    exp.Order: _order,
    exp.Median: _quantile,
    exp.PercentileCont: _quantile,
}
