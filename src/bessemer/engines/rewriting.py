"""Rewritings that several engines need and not all."""

from __future__ import annotations

from sqlglot import exp

from bessemer.engines.building import FLOATS, INTEGERS, case, closed, double, kind, typed
from bessemer.engines.refusal import Refused


def call(name: str, *arguments: exp.Expr, of: str = "UNKNOWN") -> exp.Expr:
    """A function of the engine's own, and the type of its value."""
    return typed(exp.Anonymous(this=name, expressions=list(arguments)), of)


def is_nan(node: exp.IsNan) -> exp.Expr:
    """Where NaN equals itself."""
    return typed(exp.Paren(this=exp.EQ(this=closed(node.this), expression=double("NaN"))), "BOOLEAN")


def time_parts(node: exp.TimestampFromParts) -> list[exp.Expr]:
    """Year, month, day, hour, minute and second of make_timestamp.

    Raises:
        Refused: it has other arguments.
    """
    parts = [node.args.get(key) for key in ("year", "month", "day", "hour", "min", "sec")]
    found = [part for part in parts if part is not None]
    if len(found) < len(parts):
        raise Refused(
            node, "make_timestamp of other than six parts", "give year, month, day, hour, minute, second"
        )
    return found


def nearest_even(node: exp.Cast | exp.TryCast, engine: str) -> exp.Expr:
    """A cast from a float to an integer: halves go to the even one, where the engine has them go up.

    Raises:
        Refused: it is one to a float of 32 bits, which the engine does not have.
    """
    to, of = node.args["to"].this.name, kind(node.this)
    if to == "FLOAT":
        raise Refused(node, f"a float of 32 bits, which {engine} does not have", "cast to double")
    if to in INTEGERS and of in FLOATS:
        x = closed(node.this)
        rest = exp.Abs(this=exp.Sub(this=x.copy(), expression=call("TRUNC", x.copy())))
        half = exp.EQ(this=rest, expression=double("0.5"))
        doubled = call("ROUND", exp.Div(this=x.copy(), expression=double("2"), typed=True, safe=False))
        node.set("this", case((half, exp.Mul(this=double("2"), expression=doubled)), otherwise=x))
    return node
