"""Leaf values put in order again where a feature may move the margin one way only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bessemer.package.trees.model import Tree
from bessemer.train.certified.reach import Floats


def ordered(tree: Tree, value: Floats, monotone: Sequence[int] | None) -> Floats:
    """The values (L,) clipped so that each side of a branch on a constrained feature keeps to its side of the middle
    between the means of both, as LightGBM's own `basic` method bounds children.

    >>> stump = Tree(*(np.array(v) for v in ([0], np.float32([0]), [True], [-1], [-2], [[0.0], [0.0]], [1.0, 1.0])))
    >>> ordered(stump, np.array([3.0, 1.0]), (1,)).tolist()
    [2.0, 2.0]
    """
    if monotone is None or not any(monotone[f] for f in tree.feature.tolist()):
        return value
    below = _below(tree)
    low, high = np.full(len(value), -np.inf), np.full(len(value), np.inf)
    for branch in range(tree.branches):
        way = monotone[tree.feature[branch]]
        if way == 0:
            continue
        left, right = below[branch] if way > 0 else below[branch][::-1]
        inside = np.concatenate([left, right])
        middle = (value[left].mean() + value[right].mean()) / 2
        middle = np.clip(middle, low[inside].max(), high[inside].min())
        high[left] = np.minimum(high[left], middle)
        low[right] = np.maximum(low[right], middle)
    clipped: Floats = np.clip(value, low, high)
    return clipped


def _below(tree: Tree) -> list[tuple[list[int], list[int]]]:
    """Of each branch the leaves on its left and on its right."""
    found: list[tuple[list[int], list[int]]] = [([], [])] * tree.branches
    for branch in range(tree.branches - 1, -1, -1):
        sides = (int(tree.left[branch]), int(tree.right[branch]))
        left, right = ([-1 - side] if side < 0 else [*found[side][0], *found[side][1]] for side in sides)
        found[branch] = (left, right)
    return found
