"""How a binary model's probability becomes its `prediction`: one threshold, or one a group of rows.

It stands in `model.json` under `decision`; a model without it says positive from 0.5 on. The graph holds the same
thresholds: this module reads them again from the columns, for those who check the graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core.grouping import Grouping

if TYPE_CHECKING:
    import pyarrow as pa

USED = 0.5


@dataclass(frozen=True)
class Decision:
    """Positive is said from `threshold` on, or from the threshold of the row's group.

    threshold: of rows of an unknown group, or one with too few rows to choose by.
    objective: what it makes greatest on the validation rows; '' where it was given.
    costs: of the four outcomes, where the objective is cost.
    groups: the columns that make the groups. fair, tolerance: the constraint between them.
    table: the thresholds in row-major order, one more than the groups of each column: the last one of each column is of
        values that are unknown or missing.
    rows: how many rows each was chosen on, likewise; 0 where it is the common one.
    """

    threshold: float = USED
    objective: str = ""
    costs: Mapping[str, float] | None = None
    groups: tuple[Grouping, ...] = ()
    fair: str | None = None
    tolerance: float = 0.0
    table: tuple[float, ...] = ()
    rows: tuple[int, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(group.size + 1 for group in self.groups)

    def places(self, columns: Mapping[str, pa.Array | pa.ChunkedArray] | pa.Table) -> np.ndarray:
        """Where the group of each row stands in the table, int64 (n,)."""
        return places(self.groups, columns)

    def thresholds(
        self, columns: Mapping[str, pa.Array | pa.ChunkedArray] | pa.Table, rows: int
    ) -> np.ndarray:
        """The threshold of each of `rows` rows, float32 (n,)."""
        if not self.groups:
            return np.full(rows, self.threshold, dtype=np.float32)
        found: np.ndarray = np.asarray(self.table, dtype=np.float32)[self.places(columns)]
        return found

    def names(self) -> list[list[str]]:
        """The groups of each place in the table, a name a column."""
        own = [[*group.names[: group.size], "others"] for group in self.groups]
        return [list(names) for names in _product(own)]

    def to_json(self) -> dict[str, Any]:
        return {
            "threshold": self.threshold,
            "objective": self.objective,
            "costs": dict(self.costs) if self.costs is not None else None,
            "groups": [group.to_json() for group in self.groups],
            "fair": self.fair,
            "tolerance": self.tolerance,
            "table": list(self.table),
            "rows": list(self.rows),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any] | None) -> Decision:
        """The decision of a `model.json`; the plain one where it says nothing.

        >>> Decision.from_json(None).threshold
        0.5
        """
        if value is None:
            return cls()
        return cls(
            threshold=value["threshold"],
            objective=value["objective"],
            costs=value["costs"],
            groups=tuple(Grouping.from_json(one) for one in value["groups"]),
            fair=value["fair"],
            tolerance=value["tolerance"],
            table=tuple(value["table"]),
            rows=tuple(value["rows"]),
        )


def places(groups: Sequence[Grouping], columns: Mapping[str, Any] | pa.Table) -> np.ndarray:
    """The place of each row among all combinations of the columns' groups, row-major; unknown and missing values share
    the last place of a column. int64 (n,)."""
    found: np.ndarray | None = None
    for group in groups:
        code = np.minimum(group.codes(columns[group.column]), group.size)
        found = code if found is None else found * (group.size + 1) + code
    assert found is not None
    return found


def _product(names: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    from itertools import product

    return list(product(*names))
