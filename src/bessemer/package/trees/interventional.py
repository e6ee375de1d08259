"""Exact interventional Shapley values of trees: a player that is not known has the value of a row of the background.

The game of Janzing, Minorics and Bloebaum (2020, "Feature relevance quantification in explainable AI: a causal
problem") and of Lundberg et al. (2020), averaged over all rows of the background; none is left out. Where tables are
small enough a row costs the same however many they are: background rows with the same pattern at a leaf count as one
(Nadel and Wettenstein 2025, "From decision trees to Boolean logic: a fast and unified SHAP algorithm").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bessemer.package.trees.hybrids import Hybrids
from bessemer.package.trees.model import Tree, Trees, linked, single_target
from bessemer.package.trees.sums import TreeSums
from bessemer.package.trees.symmetric import Levels, SymmetricTrees, levels_of
from bessemer.package.trees.tabled import BUDGET, Tabled, against, suited

#: What a symmetric tree costs, a leaf's player where it is looked up, and a branch where two rows go down, in about a
#: nanosecond.
_SYMMETRIC, _LOOK_UP, _STEP = 100.0, 1.5, 4.0
#: The slope of a link between two sums that are nearer than this is that at their middle.
_NEAR = 1e-9


@dataclass(frozen=True)
class _Output:
    """The trees of one output: those with one table each, those with one a leaf, and those that are walked."""

    target: int
    symmetric: SymmetricTrees
    tabled: Tabled | None
    walked: Hybrids | None


class Interventional:
    """Shapley values of trees against a background; safe to use from several threads.

    Args:
        trees: any link. Through a link each background row's values are scaled so that they add up to the difference
            of the two margins (the rescale rule of Shrikumar et al. 2017, a row at a time as in Lundberg et al. 2020).
        background: (B, F) float32, at least one row.
        player: (F,) int, the player of each feature. players: P.
        threads: threads that share the rows.

    Raises:
        UsageError: a tree asks more than 64 players on one path.

    >>> stump = Tree(*(np.array(v) for v in ([0], np.float32([1.5]), [True], [-1], [-2], [[1.0], [2.0]], [3.0, 1.0])))
    >>> rows = np.array([[1.0], [9.0]], dtype=np.float32)
    >>> base, each = Interventional(Trees((stump,), np.zeros(1), 1), rows, np.array([0]), 1).contributions(rows)
    >>> base.tolist(), each.tolist()
    ([1.5], [[[-0.5]], [[0.5]]])
    """

    def __init__(
        self, trees: Trees, background: np.ndarray, player: np.ndarray, players: int, threads: int = 1
    ) -> None:
        self._trees, self._threads, self._players = trees, threads, players
        self._background = np.ascontiguousarray(background, dtype=np.float32)
        self._sums = TreeSums(trees).sums
        self._below = self._sums(self._background)
        self._base: np.ndarray = self._margin(self._below).mean(axis=0)
        self._work = 0.0
        by_target = [(target, own) for target, own in single_target(trees).items() if own]
        budget = BUDGET // max(1, len(by_target))
        self._outputs = [self._opened(target, own, player, budget) for target, own in by_target]

    def _opened(self, target: int, trees: list[Tree], player: np.ndarray, budget: int) -> _Output:
        levels: list[Levels] = []
        if self._trees.link == "identity":  # else each pair of rows has a weight of its own
            each = [levels_of(tree) for tree in trees]
            levels = [one for one in each if one is not None]
            trees = [tree for tree, one in zip(trees, each, strict=True) if one is None]
            fits = suited(trees, player, budget=budget).tolist()
        else:
            fits = [False] * len(trees)
        small = [tree for tree, fit in zip(trees, fits, strict=True) if fit]
        large = [tree for tree, fit in zip(trees, fits, strict=True) if not fit]
        self._work += _SYMMETRIC * len(levels)
        self._work += _LOOK_UP * sum((tree.branches + 1) * np.log2(tree.branches + 2) for tree in small)
        self._work += _STEP * len(self._background) * sum((tree.branches + 1) ** 0.75 for tree in large)
        return _Output(
            target,
            SymmetricTrees(levels, player, self._players, self._background),
            Tabled(small, player, self._players, against(self._background, len(player))) if small else None,
            Hybrids(large, player, self._players) if large else None,
        )

    @property
    def work(self) -> float:
        """What the values of one row cost, in about a nanosecond of one thread."""
        return self._work

    def contributions(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N, F) float32 -> base (K',), the mean margin of the background, and (N, P, K'), both float64."""
        each = np.zeros((len(X), self._players, self._trees.outputs))
        above = self._sums(X) if self._trees.link != "identity" else None
        for output in self._outputs:
            found = each[:, :, output.target]
            found += output.symmetric.contributions(X)[:, :-1]
            if output.tabled is not None:
                found += output.tabled.contributions(X, self._threads)
            if output.walked is not None:
                weight = self._weight(output.target, above)
                found += output.walked.contributions(X, self._background, weight, self._threads)
        return self._base, each

    def _margin(self, sums: np.ndarray) -> np.ndarray:
        return linked(sums, self._trees.link, self._trees.floor)

    def _weight(self, target: int, above: np.ndarray | None) -> np.ndarray:
        """(N, B) or (1, B): what a difference of sums counts, as a difference of margins, for the mean over B rows."""
        rows = len(self._background)
        if above is None:
            return np.full((1, rows), 1 / rows)
        ours, theirs = above[:, target, None], self._below[None, :, target]
        apart = ours - theirs
        near = np.abs(apart) < _NEAR
        middle = (ours + theirs) / 2
        low, high = np.where(near, middle - 1e-6, theirs), np.where(near, middle + 1e-6, ours)
        slope: np.ndarray = (self._margin(high) - self._margin(low)) / (high - low)
        return np.ascontiguousarray(slope / rows)
