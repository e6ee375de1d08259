"""Thresholds by group as nodes of the graph: columns -> the place of the row's group -> its threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from bessemer.core.errors import DataError
from bessemer.core.further import Further
from bessemer.core.grouping import Grouping
from bessemer.core.signature import MISSING_TIMESTAMP, DType, Field, Tensor
from bessemer.package.decision import Decision
from bessemer.package.graph import GraphBuilder

_TENSORS: dict[str, Tensor] = {"string": "string", "timestamp": "int64"}
_TAKEN = ("features", "score", "probability", "prediction")


def fields_of(
    decision: Decision | None, known: Sequence[str], further: Sequence[Further] = ()
) -> tuple[Field, ...]:
    """The inputs that the decision needs and the features do not.

    further: targets beside the main one, whose answers have names of their own.

    Raises:
        DataError: a column has a name that every model's graph uses for something else.
    """
    groups = [one for one in (decision.groups if decision is not None else ()) if one.column not in known]
    taken = {*_TAKEN, *(name for one in further for name in (*one.outputs, one.score))}
    for one in groups:
        if one.column in taken:
            raise DataError(
                f"a column is named '{one.column}'",
                why="every model's graph has a value of that name",
                fix="rename it in `acquire: {sql: ...}`",
            )
    return tuple(
        Field(
            one.column, cast("DType", one.dtype), _TENSORS.get(one.dtype, "float32"), True, (), _domain(one)
        )
        for one in groups
    )


def _domain(group: Grouping) -> dict[str, Any]:
    return {"categories": list(group.levels)} if group.dtype == "string" else {}


def threshold_of(g: GraphBuilder, decision: Decision) -> str:
    """The threshold of each row, float32 (N, 1), from the graph's inputs; that of the table's last places for values
    that are unknown or missing."""
    place = ""
    for group in decision.groups:
        code = _code(g, group)
        if place:
            place = g.op("Mul", [place, g.constant(np.int64(group.size + 1))])
            place = g.op("Add", [place, code])
        else:
            place = code
    return g.op("Gather", [g.constant(np.array(decision.table, dtype=np.float32)), place], axis=0)


def _code(g: GraphBuilder, group: Grouping) -> str:
    """The group of each row, int64 (N, 1); `group.size` where it has none."""
    x, rest = group.column, g.constant(np.int64(group.size))
    if group.dtype == "string":
        return g.op(
            "LabelEncoder",
            [x],
            domain="ai.onnx.ml",
            keys_strings=list(group.levels),
            values_int64s=list(range(group.size)),
            default_int64=group.size,
            name="group",
        )
    if group.dtype == "timestamp":
        known = g.op("Not", [g.op("Equal", [x, g.constant(np.int64(MISSING_TIMESTAMP))])])
        kind: type[np.generic] = np.int64
    else:
        x, kind = g.cast(x, "float32"), np.float32
        known = g.op("Not", [g.op("Or", [g.op("IsNaN", [x]), g.op("IsInf", [x])])])
    if not group.edges and group.kind == "ranges":
        return g.op("Where", [known, g.constant(np.int64(0)), rest], name="group")
    if group.kind == "ranges":
        above = g.op("Greater", [x, g.constant(np.array([group.edges], dtype=kind))])
        return g.op("Where", [known, _summed(g, above, np.ones(len(group.edges))), rest], name="group")
    levels = np.array([[kind(level) for level in group.levels]])
    # 1 more than the group, so that 0 is left for a value that is none of them.
    found = _summed(g, g.op("Equal", [x, g.constant(levels)]), np.arange(group.size) + 1)
    none = g.op("Equal", [found, g.constant(np.int64(0))])
    return g.op("Where", [none, rest, g.op("Sub", [found, g.constant(np.int64(1))])], name="group")


def _summed(g: GraphBuilder, truths: str, values: np.ndarray) -> str:
    """The sum of the values where bool (N, k) is true, int64 (N, 1); k is at least 1."""
    counted = g.op("Mul", [g.cast(truths, "int64"), g.constant(values.astype(np.int64)[None, :])])
    return g.op("ReduceSum", [counted, g.constant(np.array([1], dtype=np.int64))], keepdims=1)
