"""The paths of trees with their players numbered: what every exact explanation of trees starts from.

A player is a feature, or a group of features that are known together. Along a path from the root the players that are
asked get the numbers 0, 1, 2... in order of appearance; a leaf then is reached by rows that keep the path's conditions
on each of its players.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bessemer.package.trees.arrays import Flat, flatten
from bessemer.package.trees.model import Tree, counts

#: Leaves that are numbered together, so that memory follows the block and not the model.
_LEAVES = 1 << 15


@dataclass(frozen=True)
class Numbered:
    """T trees with B branches and L leaves, of one output; paths ask at most D players.

    flat: the trees as arrays. value: (L,) float64.
    bit: (B,) uint8, the number of the player that a branch asks, on its path.
    count: (L,) int64, the players that a leaf's path asks.
    member: (L, D) int32, which player a number is; -1 beyond `count`.
    share: (L, D) float64, the share of the training weight that keeps the path's conditions on a player; 1 beyond.
    """

    flat: Flat
    value: np.ndarray
    bit: np.ndarray
    count: np.ndarray
    member: np.ndarray
    share: np.ndarray


def in_blocks(trees: Sequence[Tree]) -> Iterator[list[Tree]]:
    """The same trees in order, as many at a time as are numbered together."""
    block: list[Tree] = []
    leaves = 0
    for tree in trees:
        if block and leaves + tree.branches + 1 > _LEAVES:
            yield block
            block, leaves = [], 0
        block.append(tree)
        leaves += tree.branches + 1
    if block:
        yield block


def numbered(trees: Sequence[Tree], player: np.ndarray) -> Numbered:
    """Number the players of trees with one value a leaf.

    Args:
        player: (F,) int, the player of each feature.

    >>> stump = Tree(*(np.array(v) for v in ([0], np.float32([1.5]), [True], [-1], [-2], [[1.0], [2.0]], [3.0, 1.0])))
    >>> made = numbered([stump], np.array([7]))
    >>> made.member.tolist(), made.share.tolist()
    ([[7], [7]], [[0.75], [0.25]])
    """
    flat = flatten(trees, 1)
    first, first_leaf = flat.first_branch(), flat.first_leaf()
    sides = [_global(side, flat, first, first_leaf) for side in (flat.left, flat.right)]
    weights = [counts(tree.cover, tree.left, tree.right) for tree in trees]
    leaf_weight = np.concatenate([np.zeros(0), *(leaf for leaf, _ in weights)])
    branch_weight = np.concatenate([np.zeros(0), *(branch for _, branch in weights)])
    weight = np.concatenate([branch_weight, leaf_weight[::-1]])  # -1 - leaf counts from the end
    bit = np.zeros(len(flat.feature), dtype=np.uint8)
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    node = first[flat.branches > 0]
    member, share = np.zeros((len(node), 0), dtype=np.int32), np.zeros((len(node), 0))
    while len(node):
        asked = player[flat.feature[node]]
        number, member, share = _asked(member, share, asked)
        bit[node] = number
        below = []
        for side in sides:
            child = side[node]
            part = share.copy()
            part[np.arange(len(node)), number] *= weight[child] / weight[node]
            ends = child < 0
            found.append((-1 - child[ends], member[ends], part[ends]))
            below.append((child[~ends], member[~ends], part[~ends]))
        node, member, share = (np.concatenate(parts) for parts in zip(*below, strict=True))
    value = np.concatenate([np.zeros(0), *(tree.value[:, 0] for tree in trees)])
    return Numbered(flat, value, bit, *_leaves(found, len(value)))


def _global(side: np.ndarray, flat: Flat, first: np.ndarray, first_leaf: np.ndarray) -> np.ndarray:
    """Children numbered over all trees: a branch, or -1 - leaf."""
    tree = np.repeat(np.arange(len(flat.branches)), flat.branches)
    found: np.ndarray = np.where(side >= 0, side + first[tree], side - first_leaf[tree]).astype(np.int64)
    return found


def _asked(
    member: np.ndarray, share: np.ndarray, asked: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The number of the player that each path asks next, and the paths with it."""
    rows = np.arange(len(asked))
    member = np.concatenate([member, np.full((len(asked), 1), -1, dtype=np.int32)], axis=1)
    share = np.concatenate([share, np.ones((len(asked), 1))], axis=1)
    known = member == asked[:, None]
    number = np.where(known.any(axis=1), known.argmax(axis=1), (member >= 0).sum(axis=1))
    member[rows, number] = asked
    width = int((member >= 0).sum(axis=1).max(initial=0))
    return number, member[:, :width], share[:, :width]


def _leaves(
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]], leaves: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """count, member and share of every leaf; a leaf that is a whole tree has no players."""
    deepest = max((part.shape[1] for _, part, _ in found), default=0)
    member = np.full((leaves, deepest), -1, dtype=np.int32)
    share = np.ones((leaves, deepest))
    for leaf, some, part in found:
        member[leaf, : some.shape[1]] = some
        share[leaf, : part.shape[1]] = part
    return (member >= 0).sum(axis=1), member, share
