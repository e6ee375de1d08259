"""Times as DuckDB computes them: with intervals, and how far apart they are."""

from __future__ import annotations

from sqlglot import exp

from bessemer.engines.building import INTEGERS, cast, double, integer, kind, typed
from bessemer.engines.refusal import Refused

_MICROSECONDS = {"WEEK": 604_800e6, "DAY": 86_400e6, "HOUR": 3_600e6, "MINUTE": 60e6, "SECOND": 1e6}
_MONTHS = {"MONTH": 1, "QUARTER": 3, "YEAR": 12}


def times(node: exp.Expr) -> exp.Expr:
    """Sums and differences of times: a date with an interval is a time, two dates are whole days apart."""
    left, right = node.this, node.expression
    kinds = (kind(left), kind(right))
    if isinstance(left, exp.Interval) and isinstance(node, exp.Add):
        left, right = right, left
    if isinstance(right, exp.Interval):
        moment = (
            left if kind(left) in ("TIMESTAMP", "TIMESTAMPNTZ", "TIMESTAMPTZ") else cast(left, "TIMESTAMP")
        )
        made = node.__class__(this=moment, expression=right)
        return typed(made, "TIMESTAMPTZ" if kind(left) == "TIMESTAMPTZ" else "TIMESTAMP")
    if kinds == ("DATE", "DATE") and isinstance(node, exp.Sub):
        return _boundaries(right, left, "DAY", node)
    if "DATE" in kinds and set(kinds) & INTEGERS:
        raise Refused(node, "a date and a number of days", "write `date + interval 1 day`")
    if isinstance(node, exp.Sub) and any(k.startswith("TIMESTAMP") for k in kinds):
        raise Refused(node, "an interval as a value", "write `epoch(a) - epoch(b)`, which is in seconds")
    return node


def interval(node: exp.Expr) -> exp.Expr:
    """A literal of one unit."""
    value = node.this
    whole = integer(exp.Literal.number(value.name)) if isinstance(value, exp.Literal) else None
    if whole is None or node.args.get("unit") is None:
        raise Refused(node, "an interval that is no literal of one unit", "write `interval 90 minute`")
    return node


def date_diff(node: exp.Expr) -> exp.Expr:
    """The boundaries of a unit between two times."""
    return _boundaries(node.expression, node.this, node.text("unit").upper() or "DAY", node)


def _boundaries(start: exp.Expr, end: exp.Expr, unit: str, node: exp.Expr) -> exp.Expr:
    """How many boundaries of a unit lie between two times."""
    if unit in _MONTHS:
        size = _MONTHS[unit]
        months = [_months(side, size) for side in (end, start)]
        return typed(exp.Paren(this=exp.Sub(this=months[0], expression=months[1])), "BIGINT")
    if unit not in _MICROSECONDS:
        raise Refused(
            node, f"date_diff in {unit.lower()}s", "use seconds, minutes, hours, days, weeks, months or years"
        )
    sides = []
    for side in (end, start):
        cut = exp.TimestampTrunc(this=cast(side.copy(), "TIMESTAMP"), unit=exp.Var(this=unit))
        sides.append(exp.UnixMicros(this=typed(cut, "TIMESTAMP")))
    between = exp.Sub(this=sides[0], expression=sides[1])
    counted = exp.Div(
        this=exp.Paren(this=between), expression=double(repr(_MICROSECONDS[unit])), typed=True, safe=False
    )
    return cast(typed(counted, "DOUBLE"), "BIGINT")


def _months(side: exp.Expr, size: int) -> exp.Expr:
    """The number of a time's month, quarter or year, counted from the year 0."""
    year, part = (
        cast(typed(exp.Extract(this=exp.Var(this=name), expression=side.copy()), "UNKNOWN"), "BIGINT")
        for name in ("YEAR", "QUARTER" if size == 3 else "MONTH")
    )
    if size == 12:
        return exp.Paren(this=year)
    each = exp.Literal.number(12 // size)
    return exp.Paren(this=exp.Add(this=exp.Mul(this=year, expression=each), expression=part))
