"""Features of pairs of numbers: sums and differences of two columns, so that trees can split along slopes.

A tree asks one column at a time, and a border across two of them (a coast, a rate) takes it a staircase of splits. A
weighted sum is such a border in one split, as in rotation forests (Rodriguez, Kuncheva and Alonso 2006). Weights are
powers of two, so that products are exact and each sum is rounded once: whoever computes it, with fused operations or
without, takes the same branch.
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
class SumPairs(PairFeatures):
    """owners: (P, 2) int64, the two features of each pair, which are all there is of their columns.

    weights: (P, W, 2) float32, powers of two with a sign; a sum is missing where one of its features is.

    >>> made = SumPairs(np.array([[0, 1]]), np.float32([[[1, 1], [2, -1]]]))
    >>> made.added(np.float32([[3, 5], [np.nan, 1]])).tolist()
    [[3.0, 5.0, 8.0, 1.0], [nan, 1.0, nan, nan]]
    """

    owners: np.ndarray
    weights: np.ndarray

    @property
    def width(self) -> int:
        return int(self.weights.shape[1])

    def fits(self) -> bool:
        whole = self.weights.ndim == 3 and self.weights.shape[::2] == (len(self.owners), 2)
        return (
            whole
            and self.owners.shape == (len(self.owners), 2)
            and self.weights.size > 0
            and int(self.owners.min()) >= 0
            and bool((np.frexp(np.abs(self.weights))[0] == 0.5).all())
        )

    def names(self, columns: Sequence[str]) -> list[str]:
        """
        >>> SumPairs(np.array([[0, 1]]), np.float32([[[1, 0.5], [2, -1]]])).names(["east", "north"])
        ['east + 0.5 north', '2 east - north']
        """
        return [
            f"{_times(first, columns[a])} {'+' if second > 0 else '-'} {_times(abs(second), columns[b])}"
            for (a, b), each in zip(self.owners, self.weights.tolist(), strict=True)
            for first, second in each
        ]

    def added(self, X: np.ndarray) -> np.ndarray:
        (left, by_left), (right, by_right) = self._sides()
        wide = np.empty((len(X), X.shape[1] + self.features), dtype=np.float32)
        wide[:, : X.shape[1]] = X
        made = wide[:, X.shape[1] :]
        with np.errstate(over="ignore", invalid="ignore"):  # of numbers near the largest float32
            np.multiply(X[:, left], by_left, out=made)
            made += X[:, right] * by_right
        return wide

    def add(self, g: GraphBuilder, x: str) -> str:
        first, second = (
            g.op("Mul", [g.op("Gather", [x, g.constant(places)], axis=1), g.constant(factors)])
            for places, factors in self._sides()
        )
        return g.op("Concat", [x, g.op("Add", [first, second])], axis=1)

    def _sides(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """For the first and the second of each sum: (P * W,) features and their weights."""
        return [
            (np.repeat(self.owners[:, side], self.width), self.weights[:, :, side].ravel()) for side in (0, 1)
        ]


def _times(weight: float, column: str) -> str:
    return column if weight == 1 else f"{weight:g} {column}"
