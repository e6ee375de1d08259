"""DuckDB's functions of many names as the few kinds of expression that are carried over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from bessemer.engines.carried import IsFinite

_PARTS = {
    exp.Year: "YEAR",
    exp.Month: "MONTH",
    exp.Day: "DAY",
    exp.Hour: "HOUR",
    exp.Minute: "MINUTE",
    exp.Second: "SECOND",
    exp.Quarter: "QUARTER",
    exp.WeekOfYear: "WEEK",
    exp.DayOfWeek: "DOW",
    exp.DayOfWeekIso: "ISODOW",
    exp.DayOfYear: "DOY",
}
#: Other words for the parts of a time.
_SYNONYMS = {
    "DAYOFWEEK": "DOW",
    "WEEKDAY": "DOW",
    "DAYOFWEEKISO": "ISODOW",
    "DAYOFYEAR": "DOY",
    "DAYOFMONTH": "DAY",
    "WEEKOFYEAR": "WEEK",
    "WEEKISO": "WEEK",
    **{f"{part}S": part for part in ("YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND")},
}


def _part(name: str, value: exp.Expr) -> exp.Expr:
    part = _SYNONYMS.get(name.upper(), name.upper())
    return _epoch(value) if part == "EPOCH" else exp.Extract(this=exp.Var(this=part), expression=value)


def _epoch(value: exp.Expr) -> exp.Expr:
    return exp.Paren(this=exp.Div(this=exp.UnixMicros(this=value), expression=exp.Literal.number("1e6")))


def _named(node: exp.Anonymous) -> exp.Expr:
    make = _NAMES.get(node.name.lower())
    arguments = node.expressions
    if make is None:
        return node
    return make(*arguments) if len(arguments) == make.__code__.co_argcount else node


_NAMES: dict[str, Callable[..., exp.Expr]] = {
    "epoch_us": lambda x: exp.UnixMicros(this=x),
    "isfinite": lambda x: IsFinite(this=x),
    "weekday": lambda x: _part("DOW", x),
    "timezone": lambda zone, x: exp.AtTimeZone(this=x, zone=zone),
    "date_part": lambda name, x: _part(name.name, x),
    "datepart": lambda name, x: _part(name.name, x),
    "fmod": lambda a, b: exp.Mod(this=a, expression=b),
    "divide": lambda a, b: exp.IntDiv(this=a, expression=b),
    "to_microseconds": lambda x: _microseconds(x),
}


def _microseconds(value: exp.Expr) -> exp.Expr:
    """An interval of so many; of a literal, as derived features write it, a text."""
    number = value.this if isinstance(value, exp.Cast) else value
    text = number.sql("duckdb")
    whole = exp.Literal.string(text) if text.lstrip("-").isdigit() else value
    return exp.Interval(this=whole, unit=exp.Var(this="MICROSECOND"))


def _bound(node: exp.Bracket) -> exp.Expr:
    """`list_transform([value], lambda name: body)[1]`, by which derived features bind a value: the body with it."""
    inner = node.this
    if not isinstance(inner, exp.Transform) or not isinstance(inner.this, exp.Array):
        return node
    function, values = inner.expression, inner.this.expressions
    if len(values) != 1 or not isinstance(function, exp.Lambda) or len(function.expressions) != 1:
        return node
    name, body = function.expressions[0].name.lower(), exp.Paren(this=function.this)
    for column in list(body.find_all(exp.Identifier)):
        place = column.parent if isinstance(column.parent, exp.Column) else column
        if column.name.lower() == name:
            place.replace(exp.Paren(this=values[0].copy()))
    return body


def _unix_to_time(node: exp.UnixToTime) -> exp.Expr:
    """sqlglot takes epoch_ms(time), which counts milliseconds, for its opposite: it is left to be refused."""
    return exp.Anonymous(this="epoch_ms", expressions=[node.this]) if node.args.get("scale") else node


def _any_value(node: exp.IgnoreNulls) -> exp.Expr:
    return node.this if isinstance(node.this, exp.AnyValue) else node


_KINDS: dict[type[exp.Expr], Callable[[Any], exp.Expr]] = {
    **dict.fromkeys(_PARTS, lambda node: _part(_PARTS[type(node)], node.this)),
    exp.Anonymous: _named,
    exp.Bracket: _bound,
    exp.TimeToUnix: lambda node: _epoch(node.this),
    exp.Extract: lambda node: _part(node.this.name, node.expression),
    exp.UnixToTime: _unix_to_time,
    exp.IgnoreNulls: _any_value,
}


def unify(root: exp.Expr) -> exp.Expr:
    """The same tree with one kind of expression for what has many names."""
    return rewrite(root, _KINDS)


def rewrite(root: exp.Expr, rules: Any) -> exp.Expr:
    """Apply the function for a node's class, operands first; gives the root, which may be another one."""
    for node in reversed(list(root.dfs())):
        if (rule := rules.get(type(node))) is None:
            continue
        made = rule(node)
        if made is not node:
            for key, value in node.meta.items():  # where it stands
                made.meta.setdefault(key, value)
            if node is root:
                root = made
            else:
                node.replace(made)
    return root
