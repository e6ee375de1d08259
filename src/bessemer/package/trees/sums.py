"""What trees add up to: their margin without an explanation, in float64."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from bessemer.package.trees.model import Trees, linked, single_target
from bessemer.package.trees.numbered import in_blocks, numbered
from bessemer.package.trees.tabled import leaves_of, leaves_type, shared

#: Rows that one thread takes at a time.
_ROWS = 1024


class TreeSums:
    """The sums of trees before their link, by `_shapley.c` or else by numpy; safe to use from several threads.

    >>> from bessemer.package.trees.model import Tree
    >>> stump = Tree(*(np.array(v) for v in ([0], np.float32([1.5]), [True], [-1], [-2], [[1.0], [2.0]], [3.0, 1.0])))
    >>> TreeSums(Trees((stump,), np.ones(1), 1)).sums(np.array([[1.0], [9.0]], dtype=np.float32)).tolist()
    [[2.0], [3.0]]
    """

    def __init__(self, trees: Trees, threads: int = 1) -> None:
        self._trees, self._threads = trees, threads

    @cached_property
    def _blocks(self) -> list[tuple[int, Any]]:
        """The output and the C object of each block of trees."""
        player = np.zeros(self._trees.features, dtype=np.int64)
        return [
            (target, leaves_of(numbered(block, player), len(player), 1))
            for target, own in single_target(self._trees).items()
            for block in in_blocks(own)
        ]

    def sums(self, X: np.ndarray) -> np.ndarray:
        """(N, F) float32 -> (N, K') float64."""
        if leaves_type() is None or not self._trees.features:
            return self._trees.sums(X)
        X = np.ascontiguousarray(X, dtype=np.float32)
        total = np.tile(self._trees.base.astype(np.float64), (len(X), 1))
        for target, block in self._blocks:
            own = np.zeros((len(X), 1))

            def run(start: int, block: Any = block, own: np.ndarray = own) -> None:
                block.sums(X[start : start + _ROWS], own[start : start + _ROWS])

            shared(run, len(X), self._threads, _ROWS)
            total[:, target] += own[:, 0]
        return total

    def margin(self, X: np.ndarray) -> np.ndarray:
        """(N, F) float32 -> (N, K') float64."""
        return linked(self.sums(X), self._trees.link, self._trees.floor)
