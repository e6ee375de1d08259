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

from bessemer.attack.trees.board import FIXED, LOOSE, Board
from bessemer.attack.trees.cells import Flags
from bessemer.package.trees.model import Tree

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
#: Of each column what a path asks of it, by the number of a mask.
Asked = dict[int, int]


@dataclass(frozen=True)
class Decided:
    """Some M branches, and the leaves below each: (P,) pairs of branch, leaf and whether the leaf is on the left."""

    feature: Ints
    threshold: npt.NDArray[np.float32]
    missing_left: Flags
    branch: Ints
    leaf: Ints
    left: Flags

    def elsewhere(self, x: npt.NDArray[np.float32]) -> Ints:
        """The leaves on the other side of where the branches send a row (F,)."""
        value = x[self.feature]
        left = np.where(np.isnan(value), self.missing_left, value <= self.threshold)
        found: Ints = self.leaf[left[self.branch] != self.left]
        return found


@dataclass(frozen=True)
class Paths:
    """What leads to the L leaves of all trees.

    A path asks of some columns that their cell be among certain ones. Of U such wishes, each a few runs of cells:
    low, high: (R,) cells of the runs, of all columns one after the other. first: (U,) where each wish's begin.
    wish: (Q,) what the paths ask, a leaf's side by side. at: where each leaf's begin; leaf: whose they are.
    impossible: leaves that no row falls into.
    fixed, loose: branches that the row decides, and those of which nobody knows where a moved row goes.
    """

    low: Ints
    high: Ints
    first: Ints
    wish: Ints
    at: Ints
    leaf: Ints
    impossible: Ints
    fixed: Decided
    loose: Decided

    def reachable(self, allowed: Flags, standing: Flags) -> Flags:
        """(..., L): which leaves some of the allowed cells (..., cells) lead to; standing: (L,), those that the fixed
        features allow."""
        found: Flags = np.broadcast_to(standing, (*allowed.shape[:-1], len(standing))).copy()
        if len(self.low):
            counts = np.zeros((*allowed.shape[:-1], allowed.shape[-1] + 1), dtype=np.int32)
            np.cumsum(allowed, axis=-1, out=counts[..., 1:])
            runs = counts[..., self.high] > counts[..., self.low]
            granted = np.logical_or.reduceat(runs, self.first, axis=-1)
            found[..., self.leaf] &= np.logical_and.reduceat(granted[..., self.wish], self.at, axis=-1)
        return found

    def standing(self, board: Board, x: npt.NDArray[np.float32]) -> Flags:
        """(L,): which leaves the features that stay as they are, of one row (F,), lead to."""
        found = np.ones(len(board.ensemble.leaves), dtype=bool)
        found[self.impossible] = False
        found[self.fixed.elsewhere(x)] = False
        return found


class _Masks:
    """Masks of the cells of a column, each kept once and known by a number."""

    def __init__(self) -> None:
        self.every: list[tuple[int, Flags]] = []
        self._number: dict[tuple[int, bytes], int] = {}
        self._both: dict[tuple[int, int], int] = {}

    def number(self, c: int, mask: Flags) -> int:
        key = (c, mask.tobytes())
        if key not in self._number:
            self._number[key] = len(self.every)
            self.every.append((c, mask))
        return self._number[key]

    def both(self, one: int, other: int) -> int:
        """What is in two masks of a column."""
        if (one, other) not in self._both:
            (c, a), (_, b) = self.every[one], self.every[other]
            self._both[one, other] = self.number(c, a & b)
        return self._both[one, other]


def paths_of(board: Board) -> Paths:
    """The paths of a board."""
    masks, asked = _Masks(), dict[int, Asked]()
    for t in range(len(board.ensemble.trees)):
        asked.update(_asked(board, t, masks))
    empty = np.array([not mask.any() for _, mask in masks.every], dtype=bool)
    whole = np.array([bool(mask.all()) for _, mask in masks.every], dtype=bool)
    wish, at, leaf, impossible = (list[int]() for _ in range(4))
    for one, needs in sorted(asked.items()):
        own = [number for number in needs.values() if not whole[number]]
        if any(empty[number] for number in own):
            impossible.append(one)
        elif own:
            at.append(len(wish))
            leaf.append(one)
            wish += own
    low, high, first = _runs(board, masks)
    flat = [np.array(each, dtype=np.int64) for each in (wish, at, leaf, impossible)]
    return Paths(
        low, high, first, flat[0], flat[1], flat[2], flat[3], _decided(board, FIXED), _decided(board, LOOSE)
    )


def _runs(board: Board, masks: _Masks) -> tuple[Ints, Ints, Ints]:
    """The runs of cells of all masks; one without any has an empty run, which nothing allows."""
    low, high, first = list[Ints](), list[Ints](), list[int]()
    so_far = 0
    for c, mask in masks.every:
        edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
        edges = edges if len(edges) else np.zeros(2, dtype=np.int64)
        low.append(edges[::2] + board.start[c])
        high.append(edges[1::2] + board.start[c])
        first.append(so_far)
        so_far += len(edges) // 2
    nothing = np.zeros(0, dtype=np.int64)
    return np.concatenate([nothing, *low]), np.concatenate([nothing, *high]), np.array(first, dtype=np.int64)


def _asked(board: Board, t: int, masks: _Masks) -> Iterator[tuple[int, Asked]]:
    """Each leaf of a tree, and what its path asks."""
    tree, offset = board.ensemble.trees[t], int(board.ensemble.first[t])
    owners = board.owner[tree.feature].tolist()
    sides = list(zip(tree.left.tolist(), tree.right.tolist(), strict=True))
    todo: list[tuple[int, Asked]] = [(0 if tree.branches else -1, {})]
    while todo:
        at, needs = todo.pop()
        if at < 0:
            yield offset - 1 - at, needs
            continue
        left, owner = board.left[t][at], owners[at]
        for child, goes in zip(sides[at], (True, False), strict=True):
            if left is None:
                todo.append((child, needs))
                continue
            number = masks.number(owner, left if goes else ~left)
            number = masks.both(needs[owner], number) if owner in needs else number
            todo.append((child, {**needs, owner: number}))


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


def _decided(board: Board, owner: int) -> Decided:
    own: list[tuple[int, float, bool]] = []
    branches, leaves, lefts = list[Ints](), list[Ints](), list[Flags]()
    for t, tree in enumerate(board.ensemble.trees):
        decided = np.flatnonzero(board.owner[tree.feature] == owner)
        sides = below(tree) if len(decided) else []
        for b in decided.tolist():
            left, right = sides[b]
            branches.append(np.full(len(left) + len(right), len(own)))
            leaves.append(np.concatenate([left, right]) + board.ensemble.first[t])
            lefts.append(np.arange(len(left) + len(right)) < len(left))
            own.append((int(tree.feature[b]), float(tree.threshold[b]), bool(tree.missing_left[b])))
    pairs = [np.concatenate([np.zeros(0, dtype=np.int64), *each]) for each in (branches, leaves)]
    return Decided(
        np.array([f for f, _, _ in own], dtype=np.int64),
        np.array([t for _, t, _ in own], dtype=np.float32),
        np.array([m for _, _, m in own], dtype=bool),
        pairs[0],
        pairs[1],
        np.concatenate([np.zeros(0, dtype=bool), *lefts]),
    )


def best(board: Board, reachable: Flags, leaves: Floats, base: float) -> Floats:
    """The most that the trees can give, each on its own: (...) of reachable (..., L), leaves (L,) as `Ensemble.margins`
    has them."""
    if not len(leaves):
        return np.full(reachable.shape[:-1], base)
    each = np.maximum.reduceat(np.where(reachable, leaves, -np.inf), board.ensemble.first, axis=-1)
    found: Floats = each.sum(axis=-1) + base
    return found
