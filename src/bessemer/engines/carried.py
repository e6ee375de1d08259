"""What is carried over: every kind of expression that is known to mean the same on all engines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from bessemer.engines.building import integer
from bessemer.engines.refusal import Refused

_SHAPE = """Select From Join Table TableAlias Subquery CTE With Where Group Having Order Ordered Limit Offset Union
Except Intersect Distinct Window WindowSpec Qualify Alias Column Identifier Star Paren Tuple Literal Null Boolean
DataType DataTypeParam Var Interval Filter"""
_OPERATORS = """Case If In Between Exists Not Neg And Or EQ NEQ GT GTE LT LTE NullSafeEQ NullSafeNEQ Is Like ILike
Escape Add Sub Mul Div IntDiv Mod DPipe Cast TryCast Coalesce Nullif Greatest Least AtTimeZone"""
_NUMBERS = """Abs Sign Floor Ceil Round Trunc Exp Ln Log Sqrt Pow Sin Cos Tan Asin Acos Atan Atan2 Radians Degrees Pi
IsNan IsInf IsFinite"""
_TEXTS = """Length Lower Upper Trim Substring Left Right Replace Concat ConcatWs StartsWith Contains StrPosition
SplitPart Reverse Pad Repeat RegexpLike RegexpFullMatch Translate MD5"""
_TIMES = """Extract TimestampTrunc DateDiff TimestampFromParts DateFromParts TimeToStr UnixMicros LastDay"""
_AGGREGATES = """Count CountIf Sum Avg Min Max Stddev StddevSamp StddevPop Variance VariancePop LogicalAnd LogicalOr
ArgMax ArgMin GroupConcat Median PercentileCont Corr"""
_WINDOWS = "RowNumber Rank DenseRank PercentRank CumeDist Ntile Lag Lead FirstValue LastValue NthValue"

_CARRIED = frozenset(" ".join((_SHAPE, _OPERATORS, _NUMBERS, _TEXTS, _TIMES, _AGGREGATES, _WINDOWS)).split())
#: What mentions its operands more than once when it is written out, so that the text grows with its depth.
_REPEATING = (exp.Div, exp.Round, exp.Floor, exp.Ceil, exp.Trunc, exp.Ln, exp.Log, exp.Sqrt, exp.IsInf)
_DEEPEST = 4
_JOINS = frozenset({"", "INNER", "OUTER", "CROSS"})
_UNITS = ("YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND")
#: What a window without an order gives by the order in which rows happen to come.
_ORDERED = (
    exp.RowNumber, exp.Rank, exp.DenseRank, exp.PercentRank, exp.CumeDist, exp.Ntile, exp.Lag, exp.Lead,
    exp.FirstValue, exp.LastValue, exp.NthValue,
)  # fmt: skip


def check(root: exp.Expr) -> None:
    """Refuse what is not in the list.

    Raises:
        Refused: the first that is not.
    """
    for node in root.walk():
        name = type(node).__name__
        if name not in _CARRIED and not isinstance(node, IsFinite):
            shown = node.name.lower() if isinstance(node, exp.Anonymous) else name.lower()
            raise Refused(node, f"'{shown}' is not known to mean the same on other systems")
        if isinstance(node, _REPEATING) and _depth(node) > _DEEPEST:
            raise Refused(
                node,
                f"divisions, roundings and logarithms stand in each other more than {_DEEPEST} deep",
                "compute the inner ones in a WITH or a subquery first",
            )
        if isinstance(node, exp.Distinct) and node.args.get("on"):
            raise Refused(node, "DISTINCT ON is DuckDB's own", "use row_number() and keep the first")
        if isinstance(node, exp.Join) and (node.kind not in _JOINS or node.method):
            raise Refused(
                node,
                f"a join of DuckDB's own: {(node.method or node.kind).lower()}",
                "write EXISTS, or a plain join",
            )
        if isinstance(node, exp.Group) and any(node.args.get(k) for k in ("grouping_sets", "cube", "rollup")):
            raise Refused(node, "grouping sets", "group once, and join the totals")
        if (judge := _JUDGES.get(type(node))) is not None:
            judge(node)


def _from(node: exp.Expr, number: exp.Expr | None, least: int, what: str) -> None:
    """Refuse what is no literal from `least` on: systems count from the end, or fail, where others do not."""
    value = least if number is None else integer(number)
    if value is None or value < least:
        raise Refused(node, f"{what} that is no literal from {least} on", "write the number, or use CASE")


def _substring(node: exp.Substring) -> None:
    _from(node, node.args.get("start"), 1, "a substring with a start")
    _from(node, node.args.get("length"), 0, "a substring with a length")


def _end(node: exp.Left | exp.Right) -> None:
    _from(node, node.expression, 0, "a number of characters")


def _part(node: exp.SplitPart) -> None:
    _from(node, node.args["part_index"], 1, "split_part with a place")
    between = node.args["delimiter"]
    if not isinstance(between, exp.Literal) or not between.name:
        raise Refused(
            node, "split_part at what is no literal, or empty", "write what stands between as a text"
        )


def _like(node: exp.Like | exp.ILike) -> None:
    pattern = node.expression
    if isinstance(node.parent, exp.Escape):
        return
    if not isinstance(pattern, exp.Literal) or "\\" in pattern.name:
        raise Refused(
            node,
            "a backslash in a pattern of LIKE, or a pattern that is no literal: some systems take it for an escape",
            "write `escape '!'`, or use starts_with, contains or regexp_matches",
        )


def _trunc(node: exp.TimestampTrunc) -> None:
    if node.text("unit").upper() not in _UNITS:
        raise Refused(node, "date_trunc to another unit", f"use {', '.join(_UNITS).lower()}")


def _together(node: exp.GroupConcat) -> None:
    if not isinstance(node.this, exp.Order):
        raise Refused(node, "texts put together in no order", "write `string_agg(a, ',' order by b)`")


def _limit(node: exp.Limit | exp.Offset) -> None:
    if node.parent is not None and not node.parent.args.get("order"):
        raise Refused(node, "a limit without an order: which rows these are is by chance", "write `order by`")


def _window(node: exp.Window) -> None:
    by_order = isinstance(node.this, _ORDERED) or node.args.get("spec") is not None
    if by_order and not any(each.args.get("order") for each in (node, *_named(node))):
        raise Refused(node, "a window without an order", "write `over (order by ...)`")


def _named(node: exp.Window) -> list[exp.Expr]:
    """The window that is defined beside the query, where this one is of its name."""
    name, query = node.args.get("alias"), node.find_ancestor(exp.Select)
    defined = query.args.get("windows") or () if query is not None and name is not None else ()
    return [each for each in defined if each.this.name == name.name]


_JUDGES: dict[type[exp.Expr], Callable[[Any], None]] = {
    exp.Substring: _substring,
    exp.Left: _end,
    exp.Right: _end,
    exp.SplitPart: _part,
    exp.Like: _like,
    exp.ILike: _like,
    exp.TimestampTrunc: _trunc,
    exp.GroupConcat: _together,
    exp.Limit: _limit,
    exp.Offset: _limit,
    exp.Window: _window,
}


def _depth(node: exp.Expr) -> int:
    """How many of them the expression is within, itself included."""
    depth, each = 0, node
    while each is not None and not isinstance(each, exp.Query):
        depth += isinstance(each, _REPEATING)
        each = each.parent
    return depth


class IsFinite(exp.Expression, exp.Func):  # type: ignore[misc]  # sqlglot has no types that mypy reads
    """DuckDB's isfinite, for which sqlglot has no class: neither NaN nor infinite."""

    arg_types = {"this": True}  # noqa: RUF012 - as sqlglot declares it
    _sql_names = ["ISFINITE"]  # noqa: RUF012
