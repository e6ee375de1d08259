"""Features that are made of two columns at a time, beside those that a learner has anyway."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bessemer.package.graph import GraphBuilder


class PairFeatures(ABC):
    """From (N, F) features to (N, P * W) features of P pairs, W numbers each, one pair's beside each other.

    owners: (P, 2) int64, the first feature of each pair's two columns: they share what the pair contributes.
    """

    owners: np.ndarray

    @property
    @abstractmethod
    def width(self) -> int:
        """W, how many numbers a pair has."""

    @property
    def features(self) -> int:
        """P * W, how many features it adds."""
        return len(self.owners) * self.width

    @abstractmethod
    def fits(self) -> bool:
        """Whether the arrays are of the shapes that belong together."""

    @abstractmethod
    def names(self, columns: Sequence[str]) -> list[str]:
        """What people call each added feature. columns: the column of each feature."""

    @abstractmethod
    def added(self, X: np.ndarray) -> np.ndarray:
        """(N, F) float32 -> (N, F + P * W) float32: the features, then those of the pairs."""

    @abstractmethod
    def add(self, g: GraphBuilder, x: str) -> str:
        """The same as nodes of a graph; the name of the value."""

    def shared(self, each: np.ndarray) -> np.ndarray:
        """Contributions (N, F + P * W, K') -> (N, F, K'): a pair's goes half and half to its two columns."""
        first = each.shape[1] - self.features
        found: np.ndarray = each[:, :first].copy()
        for pair, owners in enumerate(self.owners):
            at = first + pair * self.width
            half = each[:, at : at + self.width].sum(axis=1) / 2
            for owner in owners:
                found[:, owner] += half
        return found
