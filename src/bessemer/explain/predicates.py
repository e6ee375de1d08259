"""What can be said of a row, one column at a time: the parts that rules are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bessemer.explain.bins import quantile_edges
from bessemer.explain.values import iso, plain

if TYPE_CHECKING:
    import numpy.typing as npt

    from bessemer.explain.perturb import Column, Pool

#: What a condition says of a column; `is missing` has no value.
Operator = Literal["=", "<=", ">", "is missing"]


@dataclass(frozen=True)
class Predicate:
    """A statement that is true of the explained row.

    column: its position. value: as JSON has it; timestamps in ISO 8601. holds: (B,), of which background rows it is
    true.
    """

    column: int
    name: str
    operator: Operator
    value: Any
    holds: npt.NDArray[np.bool_]

    def to_json(self) -> dict[str, Any]:
        return {"column": self.name, "operator": self.operator, "value": self.value}


def predicates(cells: Pool, at: int, bins: int) -> list[Predicate]:
    """All statements about the row at `at` of the pool, in the order of the columns.

    Of a number: that it is above the edge below it, and not above the edge over it; the edges are quantiles of the
    background. What is true of every background row says nothing and is left out.
    """
    found = []
    for c, column in enumerate(cells.columns):
        for operator, value, holds in _of_column(column, at, cells.first, bins):
            if not holds.all():
                found.append(Predicate(c, column.name, operator, value, holds))
    return found


def _of_column(
    column: Column, at: int, first: int, bins: int
) -> list[tuple[Operator, Any, npt.NDArray[np.bool_]]]:
    own, behind = column.values[at], column.values[first:]
    if np.isnan(own):
        return [("is missing", None, np.isnan(behind))]
    if not column.ordered:
        return [("=", plain(column.levels[int(own)]), behind == own)]
    edges = quantile_edges(column.values[first:], bins)
    place = int(np.searchsorted(edges, own))
    said: list[tuple[Operator, Any, npt.NDArray[np.bool_]]] = []
    if place > 0:
        said.append((">", _shown(column, edges[place - 1]), behind > edges[place - 1]))
    if place < len(edges):
        said.append(("<=", _shown(column, edges[place]), behind <= edges[place]))
    return said


def _shown(column: Column, value: float) -> Any:
    return iso(value) if column.kind == "timestamp" else float(value)
