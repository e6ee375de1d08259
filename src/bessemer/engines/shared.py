"""What DuckDB means and other systems do not, written so that all of them mean it.

Each function rewrites one kind of expression into ones that say the same everywhere: a division by zero is
infinite, a boolean becomes a number by CASE, halves are rounded away from zero. What is left to an engine's own
corrections are the names of functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from bessemer.engines import moments, numbers
from bessemer.engines.building import FLOATS, INTEGERS, as_number, cast, kind
from bessemer.engines.carried import IsFinite
from bessemer.engines.refusal import Refused


def _cast(node: exp.Expr) -> exp.Expr:
    to = node.args["to"].this.name
    if kind(node.this) == "BOOLEAN" and (to in INTEGERS or to in FLOATS or to == "DECIMAL"):
        node.set("this", as_number(node.this))
    if to in ("VARCHAR", "TEXT"):
        _refuse_float_text(node, node.this)
        node.args["to"].set("expressions", None)
    return node


def _refuse_float_text(node: exp.Expr, operand: exp.Expr) -> None:
    if kind(operand) == "TIMESTAMPTZ":
        raise Refused(
            node,
            "a time with a zone as text, which systems write differently",
            "write `at time zone 'UTC'`, or use strftime",
        )
    if kind(operand) in FLOATS:
        raise Refused(
            node,
            "a float as text, which systems write differently",
            "cast it to a DECIMAL or an integer first",
        )


def _joined(node: exp.Expr) -> exp.Expr:
    """Values put together as texts, each of which is made a text."""
    if isinstance(node, exp.DPipe):
        for key in ("this", "expression"):
            node.set(key, _text(node, node.args[key]))
    else:
        node.set("expressions", [_text(node, operand) for operand in node.expressions])
    return node


def _text(node: exp.Expr, operand: exp.Expr) -> exp.Expr:
    _refuse_float_text(node, operand)
    return operand if kind(operand) in ("VARCHAR", "TEXT", "UNKNOWN") else cast(operand, "VARCHAR")


#: By the class of the expression; an engine's own corrections come after.
SHARED: dict[type[exp.Expr], Callable[[Any], exp.Expr]] = {
    exp.Div: numbers.divide,
    exp.IntDiv: numbers.whole_division,
    exp.Cast: _cast,
    exp.TryCast: _cast,
    exp.DPipe: _joined,
    exp.Concat: _joined,
    exp.ConcatWs: _joined,
    **dict.fromkeys(
        (exp.Sum, exp.Avg, exp.Stddev, exp.StddevPop, exp.StddevSamp, exp.Variance, exp.VariancePop),
        numbers.aggregate,
    ),
    exp.CountIf: numbers.count_if,
    exp.ArgMax: numbers.best,
    exp.ArgMin: numbers.best,
    exp.Floor: numbers.floor,
    exp.Ceil: numbers.floor,
    exp.Trunc: numbers.trunc,
    exp.Round: numbers.rounded,
    exp.Ln: numbers.logarithm,
    exp.Log: numbers.logarithm,
    exp.Sqrt: numbers.root,
    exp.Pow: numbers.power,
    exp.Add: moments.times,
    exp.Sub: moments.times,
    exp.Interval: moments.interval,
    exp.DateDiff: moments.date_diff,
    exp.IsInf: numbers.finite,
    IsFinite: numbers.finite,
}


def _cast_any(node: exp.Expr) -> exp.Expr:
    to = node.args["to"].this.name
    if to in ("VARCHAR", "TEXT") and kind(node.this) in FLOATS:
        return node
    return _cast(node)


#: The same where texts of floats need not be DuckDB's: for hashes of rows.
SHARED_INEXACT = {**SHARED, exp.Cast: _cast_any}
