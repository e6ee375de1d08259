"""What is carried over: every kind of expression that is known to mean the same on all engines."""

from __future__ import annotations

from sqlglot import exp

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
