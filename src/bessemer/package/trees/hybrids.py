"""Shapley values of trees for one row against another, without tables: for deep trees, and for those behind a link.

Both rows go down a tree together. Where they part, both ways are followed, and the player that was asked is noted:
whose value leads there. A leaf of value v that takes a players of the row and b of the other gives v (a - 1)! b! / (a
+ b)! to each of the first and takes v a! (b - 1)! / (a + b)! from each of the second (Lundberg et al. 2020, algorithm
3; Laberge and Pequignot 2022). `_shapley.c` does it; numpy does the same where that was not compiled, about fifty
times slower.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import factorial

import numpy as np

from bessemer.core.errors import UsageError
from bessemer.package.trees.model import Tree
from bessemer.package.trees.numbered import Numbered, in_blocks, numbered
from bessemer.package.trees.tabled import leaves_of, leaves_type, shared

#: Players that a path may ask: the bits of a word.
_MOST = 64
#: Pairs of rows that go down together, without the C extension; rows that one thread takes at a time, with it.
_PAIRS, _ROWS = 1 << 15, 16


class Hybrids:
    """Trees of one output, for rows against rows of a background; safe to use from several threads.

    Args:
        trees: with one value a leaf. player: (F,) the player of each feature. columns: P, how many players there are.

    Raises:
        UsageError: a path asks more than 64 players.

    >>> stump = Tree(*(np.array(v) for v in ([0], np.float32([1.5]), [True], [-1], [-2], [[1.0], [2.0]], [3.0, 1.0])))
    >>> rows = np.array([[1.0], [9.0]], dtype=np.float32)
    >>> Hybrids([stump], np.array([0]), 1).contributions(rows, rows, np.array([[0.5, 0.5]])).tolist()
    [[-0.5], [0.5]]
    """

    def __init__(self, trees: Sequence[Tree], player: np.ndarray, columns: int) -> None:
        self._columns = columns
        self._made = [numbered(block, player) for block in in_blocks(trees)]
        most = max((int(made.count.max(initial=0)) for made in self._made), default=0)
        if most > _MOST:
            raise UsageError(
                f"a tree asks {most} columns on one path, and interventional values are found up to {_MOST}",
                fix="explain: {method: tree}, or {method: permutation}",
            )
        self._leaves = (
            [leaves_of(made, len(player), columns) for made in self._made]
            if leaves_type() is not None
            else None
        )

    def contributions(
        self, X: np.ndarray, background: np.ndarray, weight: np.ndarray, threads: int = 1
    ) -> np.ndarray:
        """The weighted sum over the background of each row's Shapley values against it.

        Args:
            X: (N, F) float32. background: (B, F) float32.
            weight: (N, B) float64 or, the same for all rows, (1, B).

        Returns:
            (N, P) float64.
        """
        X = np.ascontiguousarray(X, dtype=np.float32)
        found = np.zeros((len(X), self._columns))
        leaves = self._leaves
        if leaves is None:
            for made in self._made:
                _walk(made, X, background, np.broadcast_to(weight, (len(X), len(background))), found)
            return found

        def run(start: int) -> None:
            part = slice(start, start + _ROWS)
            for block in leaves:
                block.against(X[part], background, weight if len(weight) == 1 else weight[part], found[part])

        shared(run, len(X), threads, _ROWS)
        return found


def _walk(
    made: Numbered, X: np.ndarray, background: np.ndarray, weight: np.ndarray, found: np.ndarray
) -> None:
    """Add what `_shapley.c` would, to found (N, P)."""
    step = max(1, _PAIRS // max(1, len(background)))
    first, first_leaf = made.flat.first_branch(), made.flat.first_leaf()
    for start in range(0, len(X), step):
        rows = slice(start, start + step)
        for branches, branch, leaf in zip(made.flat.branches.tolist(), first, first_leaf, strict=True):
            if branches:
                _walk_tree(made, int(branch), int(leaf), X[rows], background, weight[rows], found[rows])


def _walk_tree(
    made: Numbered,
    first: int,
    first_leaf: int,
    X: np.ndarray,
    background: np.ndarray,
    weight: np.ndarray,
    found: np.ndarray,
) -> None:
    """Every pair of rows at once, a level at a time."""
    flat = made.flat
    pairs = len(X) * len(background)
    row: np.ndarray = np.repeat(np.arange(len(X)), len(background))
    other: np.ndarray = np.tile(np.arange(len(background)), len(X))
    node: np.ndarray = np.zeros(pairs, dtype=np.int64)
    ours: np.ndarray = np.zeros(pairs, dtype=np.uint64)
    theirs: np.ndarray = np.zeros(pairs, dtype=np.uint64)
    while len(node):
        at = first + node
        feature, bit = flat.feature[at], np.uint64(1) << made.bit[at].astype(np.uint64)
        sides = [
            np.where(
                np.where(np.isnan(x), flat.missing_left[at], x <= flat.threshold[at]),
                flat.left[at],
                flat.right[at],
            )
            for x in (X[row, feature], background[other, feature])
        ]
        fixed_ours, fixed_theirs = (ours & bit) > 0, (theirs & bit) > 0
        parts = (sides[0] != sides[1]) & ~fixed_ours & ~fixed_theirs
        along = np.where(fixed_theirs, sides[1], sides[0])
        node = np.concatenate([along, sides[1][parts]])
        theirs = np.concatenate([theirs, (theirs | bit)[parts]])
        ours = np.concatenate([np.where(parts, ours | bit, ours), ours[parts]])
        row, other = np.concatenate([row, row[parts]]), np.concatenate([other, other[parts]])
        ends = node < 0
        leaf = first_leaf - 1 - node[ends]
        _give(made, leaf, row[ends], weight[row[ends], other[ends]], ours[ends], theirs[ends], found)
        node, ours, theirs, row, other = (part[~ends] for part in (node, ours, theirs, row, other))


def _give(
    made: Numbered,
    leaf: np.ndarray,
    row: np.ndarray,
    weight: np.ndarray,
    ours: np.ndarray,
    theirs: np.ndarray,
    found: np.ndarray,
) -> None:
    a, b = (np.bitwise_count(word).astype(np.int64) for word in (ours, theirs))
    most = int((a + b).max(initial=0))
    table = _weights(most)
    worth = weight * made.value[leaf]
    gains, costs = worth * table[a, b], -worth * table[b, a]
    for number in range(made.member.shape[1]):
        bit = np.uint64(1) << np.uint64(number)
        for word, each in ((ours, gains), (theirs, costs)):
            has = (word & bit) > 0
            place = row[has] * found.shape[1] + made.member[leaf[has], number]
            found += np.bincount(place, each[has], found.size).reshape(found.shape)


def _weights(most: int) -> np.ndarray:
    """(most + 1, most + 1): (a - 1)! b! / (a + b)!, 0 where a is 0."""
    found = np.zeros((most + 1, most + 1))
    for a in range(1, most + 1):
        for b in range(most + 1 - a):
            found[a, b] = factorial(a - 1) * factorial(b) / factorial(a + b)
    return found
