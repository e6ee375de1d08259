"""Derived features: SQL scalar expressions, written once, run by DuckDB and by the model's graph alike.

`parse_all` reads the expressions of a project file, `Expression.sql` computes one in DuckDB, `compile` adds it
to an ONNX graph. Both give the same values; docs/expressions.md has the language.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bessemer.prepare.expressions.expression import Expression, parse, parse_all

if TYPE_CHECKING:
    from bessemer.package.graph import GraphBuilder

__all__ = ["Expression", "compile", "parse", "parse_all"]


def compile(  # noqa: A001 - the word of the trade; the built-in is not used here
    expr: Expression, builder: GraphBuilder, inputs: Mapping[str, str]
) -> str:
    """Add an expression to a graph and give the name of its result.

    Args:
        expr: a parsed expression.
        builder: the graph under construction.
        inputs: for each of `expr.columns`, the value of the graph that holds it, of shape (N, 1): float32 or
            float64 for booleans, integers and numbers, string, int64 microseconds since 1970 UTC for timestamps.
            NaN, '' and -2**63 are missing; infinity and timestamps outside the years 1 to 9999 count as missing.

    Returns:
        The value's name. Its shape is (N, 1): float64 with NaN for missing (booleans are 0 and 1), string with ''
        for missing, int64 microseconds with -2**63 for missing.

    >>> from bessemer.package.graph import GraphBuilder
    >>> expr = parse("long_haul", "distance > 1500", {"distance": "number"})
    >>> builder = GraphBuilder("features")
    >>> result = compile(expr, builder, {"distance": builder.input("distance", "float64", ("N", 1))})
    >>> builder.output(result, "float64", ("N", 1))
    """
    from bessemer.prepare.expressions.to_onnx import to_onnx

    return to_onnx(expr.root, builder, inputs)
