"""A sound bound: every tree gives the best leaf that it can be brought to, each on its own.

What all trees together give is no more than that, so a row whose bound is on the right side cannot be turned by any
move within the budget. Columns are looked at as a whole: a leaf counts only where one value of a column fits all that
its path asks of it, so of the indicators of a category one is set at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bessemer.attack.trees.board import FIXED, Board
from bessemer.attack.trees.cells import Flags, sent_left
from bessemer.package.trees.model import Tree

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Paths:
    """What leads to the L leaves of all trees.

    A leaf needs a number of columns; each of these needs (leaf, column) is a few runs of cells.
    low, high: (R,) cells of the runs, of all columns one after the other. first: (Q,) where each need's begin.
    leaf: (Q,) of each need. impossible: leaves that no row falls into.
    fixed: branches that the row decides: (tree, branch, leaves below on the left, on the right).
    """

    low: Ints
    high: Ints
    first: Ints
    leaf: Ints
    impossible: Ints
    fixed: tuple[tuple[int, int, Ints, Ints], ...]

    def reachable(self, allowed: Flags, standing: Flags) -> Flags:
        """(L,): which leaves some of the allowed cells lead to; standing: (L,), those that the fixed features allow."""
        found = standing.copy()
        if len(self.low):
            counts = np.concatenate([[0], np.cumsum(allowed)])
            runs = counts[self.high] > counts[self.low]
            found[self.leaf[~np.logical_or.reduceat(runs, self.first)]] = False
        return found

    def standing(self, board: Board, x: npt.NDArray[np.float32]) -> Flags:
        """(L,): which leaves the features that stay as they are, of one row (F,), lead to."""
        found = np.ones(len(board.ensemble.leaves), dtype=bool)
        found[self.impossible] = False
        for t, branch, left, right in self.fixed:
            tree = board.ensemble.trees[t]
            found[right if sent_left(tree, branch, x) else left] = False
        return found


def paths_of(board: Board) -> Paths:
    """The paths of a board."""
    low, high, first, leaf, impossible = (list[int]() for _ in range(5))
    for at, needs in _needs(board):
        for c, mask in needs.items():
            if not mask.any():
                impossible.append(at)
                break
            if mask.all():
                continue
            edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
            first.append(len(low))
            leaf.append(at)
            low += (edges[::2] + board.start[c]).tolist()
            high += (edges[1::2] + board.start[c]).tolist()
    runs = [np.array(v, dtype=np.int64) for v in (low, high, first, leaf, impossible)]
    return Paths(runs[0], runs[1], runs[2], runs[3], runs[4], tuple(_fixed(board)))


def _needs(board: Board) -> Iterator[tuple[int, dict[int, Flags]]]:
    """Each leaf, and for each column on its path the cells (K,) that fit all of it."""
    for t, tree in enumerate(board.ensemble.trees):
        offset = int(board.ensemble.first[t])
        todo: list[tuple[int, dict[int, Flags]]] = [(0, {})] if tree.branches else [(-1, {})]
        while todo:
            at, needs = todo.pop()
            if at < 0:
                yield offset - 1 - at, needs
                continue
            left, owner = board.left[t][at], int(board.owner[tree.feature[at]])
            for child, mask in ((tree.left[at], left), (tree.right[at], None if left is None else ~left)):
                if mask is None:
                    todo.append((int(child), needs))
                else:
                    todo.append(
                        (int(child), {**needs, owner: needs[owner] & mask if owner in needs else mask})
                    )


def below(tree: Tree) -> list[tuple[Ints, Ints]]:
    """Of each branch the leaves below it, on the left and on the right."""
    nothing = np.zeros(0, dtype=np.int64)
    found: list[tuple[Ints, Ints]] = [(nothing, nothing)] * tree.branches
    for branch in range(tree.branches - 1, -1, -1):
        sides = []
        for child in (int(tree.left[branch]), int(tree.right[branch])):
            sides.append(np.array([-1 - child]) if child < 0 else np.concatenate(found[child]))
        found[branch] = (sides[0], sides[1])
    return found


def _fixed(board: Board) -> Iterator[tuple[int, int, Ints, Ints]]:
    for t, tree in enumerate(board.ensemble.trees):
        if not (board.owner[tree.feature] == FIXED).any():
            continue
        offset = int(board.ensemble.first[t])
        for branch, (left, right) in enumerate(below(tree)):
            if board.owner[tree.feature[branch]] == FIXED:
                yield t, branch, left + offset, right + offset


def best(board: Board, reachable: Flags, leaves: Floats, base: float) -> float:
    """The most that the trees can give, each on its own: leaves (L,) as `Ensemble.margins` has them."""
    if not len(leaves):
        return base
    each = np.maximum.reduceat(np.where(reachable, leaves, -np.inf), board.ensemble.first)
    return float(each.sum() + base)
