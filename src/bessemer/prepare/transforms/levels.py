"""The levels of a category: the same key in SQL and in the graph, for each type of column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core.signature import MISSING_TIMESTAMP, DType

if TYPE_CHECKING:
    from bessemer.package.graph import GraphBuilder

#: The key of a missing integer in the graph: the smallest int64, which no double below 2**63 turns into.
_MISSING_INTEGER = MISSING_TIMESTAMP


def key_sql(x: str, dtype: DType) -> str:
    """The level of a value as SQL: texts as they are, integers to 2**53, other numbers as float32.

    >>> key_sql("x0", "string"), key_sql("x0", "number")
    ('x0', 'CAST(x0 AS FLOAT)')
    """
    if dtype == "string":
        return x
    if dtype == "number":
        return f"CAST({x} AS FLOAT)"
    return f"TRY_CAST(CAST({x} AS DOUBLE) AS BIGINT)"


def add_index(builder: GraphBuilder, value: str, dtype: DType, levels: Sequence[Any]) -> str:
    """Nodes that look a value up among the levels.

    Args:
        value: (N, 1) of the column's tensor type.
        levels: the keys of `key_sql`, None for missing.

    Returns:
        an int64 (N, 1) value: the position in `levels`, or len(levels) for one that is not there.
    """
    if dtype == "string":
        keys: dict[str, Any] = {"keys_strings": ["" if level is None else level for level in levels]}
    elif dtype == "number":
        value = _without_missing(builder, builder.cast(value, "float32"), np.float32("inf"))
        keys = {"keys_floats": [float("inf") if level is None else float(level) for level in levels]}
    else:
        value = builder.cast(value, "float64")
        value = builder.cast(_without_missing(builder, value, np.float64(_MISSING_INTEGER)), "int64")
        keys = {"keys_int64s": [_MISSING_INTEGER if level is None else int(level) for level in levels]}
    return builder.op(
        "LabelEncoder",
        [value],
        domain="ai.onnx.ml",
        values_int64s=list(range(len(levels))),
        default_int64=len(levels),
        name="level",
        **keys,
    )


def _without_missing(builder: GraphBuilder, value: str, stand_in: np.generic) -> str:
    missing = builder.op("Or", [builder.op("IsNaN", [value]), builder.op("IsInf", [value])])
    return builder.op("Where", [missing, builder.constant(stand_in), value])
