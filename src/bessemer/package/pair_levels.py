"""Features of pairs of categories: what the levels of two columns say together, looked up in one table.

The code of a level is read off the features that the preprocessor made of its column (its indicators, or its rank),
so a learner's head needs nothing but `features`. All of it is arithmetic on whole numbers below 2^24, exact in float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bessemer.package.pair_features import PairFeatures

if TYPE_CHECKING:
    from bessemer.package.graph import GraphBuilder


@dataclass(frozen=True)
class LevelPairs(PairFeatures):
    """columns: (C,) int64, the features that codes are read off; they are never NaN.

    codes: (C, P) float32 and start: (P,) float32; a row's place in the table is `X[:, columns] @ codes + start`.
    table: (T, W) float32. owners: see `PairFeatures`.
    """

    columns: np.ndarray
    codes: np.ndarray
    start: np.ndarray
    table: np.ndarray
    owners: np.ndarray

    @property
    def width(self) -> int:
        return int(self.table.shape[1])

    def fits(self) -> bool:
        pairs, columns = len(self.start), len(self.columns)
        shapes = (self.codes.shape, self.start.shape, self.columns.shape, self.owners.shape)
        whole = shapes == ((columns, pairs), (pairs,), (columns,), (pairs, 2)) and self.table.ndim == 2
        return (
            whole
            and min(columns, pairs, self.table.size) > 0
            and min(self.columns.min(), self.owners.min()) >= 0
        )

    def names(self, columns: Sequence[str]) -> list[str]:
        """
        >>> made = LevelPairs(
        ...     np.array([0]), np.float32([[1]]), np.float32([0]), np.float32([[0], [1]]), np.array([[0, 1]])
        ... )
        >>> made.names(["town", "contract"])
        ['town with contract']
        """
        pairs = [" with ".join(columns[owner] for owner in pair) for pair in self.owners]
        if self.width == 1:
            return pairs
        return [f"{pair}, class {number}" for pair in pairs for number in range(1, self.width + 1)]

    def places(self, X: np.ndarray) -> np.ndarray:
        """(N, F) float32 -> (N, P) int64: where each pair of levels stands in the table."""
        found: np.ndarray = (X[:, self.columns] @ self.codes + self.start).astype(np.int64)
        return found

    def added(self, X: np.ndarray) -> np.ndarray:
        pairs = self.table[self.places(X)].reshape(len(X), self.features)
        return np.concatenate([X, pairs], axis=1)

    def add(self, g: GraphBuilder, x: str) -> str:
        read = g.op("Gather", [x, g.constant(self.columns)], axis=1)
        place = g.op("Add", [g.op("MatMul", [read, g.constant(self.codes)]), g.constant(self.start)])
        found = g.op("Gather", [g.constant(self.table), g.cast(place, "int64")], axis=0)
        shape = g.constant(np.array([0, self.features], dtype=np.int64))
        return g.op("Concat", [x, g.op("Reshape", [found, shape])], axis=1)
