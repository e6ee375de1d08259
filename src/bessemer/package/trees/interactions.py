"""Shapley interaction values of trees: what two columns do together, beyond what each does alone.

The index of Grabisch and Roubens (1999, "An axiomatic approach to the concept of interaction among players in
cooperative games") in the path-dependent game, as Lundberg et al. (2020) have it: twice what their matrix holds off
its diagonal. Trees with small tables are looked up, the others' paths are held against each row.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import combinations

import numpy as np

from bessemer.package.trees.model import Tree, Trees, depths, linked, single_target
from bessemer.package.trees.numbered import in_blocks, numbered
from bessemer.package.trees.paths import PathPairs
from bessemer.package.trees.sums import TreeSums
from bessemer.package.trees.tabled import BUDGET, Tabled, path_dependent, suited

#: What a pair of a leaf that is looked up costs, and one of a path that is not, in about a nanosecond.
_LOOK_UP, _PATH = 1.5, 8.0


class TreeInteractions:
    """Interaction values of every pair of groups of features; safe to use from several threads.

    Args:
        trees: any link; through one a row's values are scaled as its contributions are (see `trees.shapley`).
        group: (F,) int, the group of each feature, or -1 for those that are not asked about.
        groups: P. threads: threads that share the rows.

    >>> stump = lambda f, v: Tree(
    ...     *(np.array(x) for x in ([0, f], np.float32([0, 0]), [True] * 2, [-1, -2], [1, -3], v, [2.0, 1.0, 1.0]))
    ... )
    >>> product = Trees((stump(1, [[0.0], [0.0], [1.0]]),), np.zeros(1), 2)
    >>> TreeInteractions(product, np.array([0, 1]), 2).compute(np.float32([[1, 1], [-1, 1]])).tolist()
    [[[0.25]], [[-0.25]]]
    """

    def __init__(self, trees: Trees, group: np.ndarray, groups: int, threads: int = 1) -> None:
        self._trees, self._threads = trees, threads
        self._pairs = groups * (groups - 1) // 2
        self._player = np.arange(trees.features)
        self._columns = pair_columns(group, groups)
        self._parts = [(target, *self._parted(own)) for target, own in single_target(trees).items() if own]

    def _parted(self, trees: list[Tree]) -> tuple[list[Tree], list[Tree]]:
        """Those with small tables, and the others."""
        fits = suited(trees, self._player, 2, BUDGET // self._trees.outputs).tolist()
        small = [tree for tree, fit in zip(trees, fits, strict=True) if fit]
        return small, [tree for tree, fit in zip(trees, fits, strict=True) if not fit]

    @property
    def work(self) -> float:
        """What the values of one row cost, in about a nanosecond of one thread."""
        small = sum(float((depths(tree) ** 2).sum()) for _, own, _ in self._parts for tree in own) / 2
        large = sum(float((depths(tree) ** 3).sum()) for _, _, own in self._parts for tree in own) / 2
        return _LOOK_UP * small + _PATH * large

    @cached_property
    def _engines(self) -> list[tuple[int, Tabled | None, PathPairs | None]]:
        """For each output what looks its trees up, and what walks the others. Made when the first row is asked for."""
        width = self._pairs + 1
        return [
            (
                target,
                Tabled(small, self._player, width, path_dependent, self._columns) if small else None,
                PathPairs(large, self._columns, width) if large else None,
            )
            for target, small, large in self._parts
        ]

    def compute(self, X: np.ndarray) -> np.ndarray:
        """(N, F) float32 -> (N, P (P - 1) / 2, K') float64, pairs in the order of `itertools.combinations`."""
        found = np.zeros((len(X), self._pairs, self._trees.outputs))
        for target, looked, walked in self._engines:
            if looked is not None:
                found[:, :, target] += looked.contributions(X, self._threads)[:, :-1]
            if walked is not None:
                found[:, :, target] += walked.interactions(X)[:, :-1]
        if self._trees.link == "identity":
            return found
        scaled: np.ndarray = found * self._factor(X)[:, None, :]
        return scaled

    def _factor(self, X: np.ndarray) -> np.ndarray:
        """(N, K'): what a difference of sums counts as a difference of margins, for each row."""
        total, base = TreeSums(self._trees).sums(X), self._base()
        zero, margin = (linked(v, self._trees.link, self._trees.floor) for v in (base, total))
        apart = total - base
        flat = np.abs(apart) < 1e-12
        found: np.ndarray = np.where(flat, 0.0, (margin - zero) / np.where(flat, 1.0, apart))
        return found

    def _base(self) -> np.ndarray:
        """(1, K'): the sums where nothing is known of a row."""
        base: np.ndarray = self._trees.base.astype(np.float64)[None].copy()
        for target, small, large in self._parts:
            base[0, target] += expectation([*small, *large], self._player)
        return base


def expectation(trees: Sequence[Tree], player: np.ndarray) -> float:
    """What trees are worth where no player is known."""
    made = (numbered(block, player) for block in in_blocks(trees))
    return sum(float(one.value @ one.share.prod(axis=1)) for one in made)


def pair_columns(group: np.ndarray, groups: int) -> np.ndarray:
    """(F, F) int32: the number of the pair of groups that two features are of; the last + 1 for any others.

    >>> pair_columns(np.array([0, 1, 1, -1]), 2).tolist()
    [[1, 0, 0, 1], [0, 1, 1, 1], [0, 1, 1, 1], [1, 1, 1, 1]]
    """
    last = groups * (groups - 1) // 2
    by_group = np.full((groups + 1, groups + 1), last, dtype=np.int32)
    for number, (a, b) in enumerate(combinations(range(groups), 2)):
        by_group[a, b] = by_group[b, a] = number
    found: np.ndarray = by_group[group[:, None], group[None, :]]
    return found
