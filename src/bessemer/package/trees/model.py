"""The neutral form of additive trees: a few arrays that every tree library's model fits into."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

Link = Literal["identity", "logit", "log", "exp"]

#: What a whole tree's cover counts as: LightGBM keeps counts, so weights become whole numbers of this size.
_COUNTS = 10**9


@dataclass(frozen=True)
class Tree:
    """One tree of B branches and B + 1 leaves; branch 0 is the root, and a branch stands before those below it.

    feature: (B,) int32.
    threshold: (B,) float32: `x <= threshold` goes left.
    missing_left: (B,) bool: where NaN goes.
    left, right: (B,) int32: a branch, or -1 - leaf.
    value: (B + 1, W) float64: what a leaf adds; W is 1, or the number of outputs where a leaf adds to all.
    cover: (B + 1,) float64, the weight of the training rows in each leaf; 0 for a leaf no row reached.
    target: the output it adds to, where W is 1.
    """

    feature: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    cover: np.ndarray
    target: int = 0

    @property
    def branches(self) -> int:
        return len(self.feature)


@dataclass(frozen=True)
class Trees:
    """margin (N, K') = link(base + sum of the trees' values).

    base: (K',) float64. What rows share belongs here and not in the leaves: a float32 sum of small values is exact.
    features: how many features a row has.
    link: `identity`; `logit` or `log` where the sum is a probability (or one a class), kept `floor` away from
        0 and 1 before its log-odds or logarithm is taken; `exp` where the logarithm of the target was learnt.

    >>> stump = Tree(*(np.array(v) for v in ([0], np.float32([1.5]), [True], [-1], [-2], [[1.0], [2.0]], [3.0, 1.0])))
    >>> Trees((stump,), np.zeros(1), 1).margin(np.array([[1.0], [2.0], [np.nan]], dtype=np.float32)).tolist()
    [[1.0], [2.0], [1.0]]
    """

    trees: tuple[Tree, ...]
    base: np.ndarray
    features: int
    link: Link = "identity"
    floor: float = 1e-6

    @property
    def outputs(self) -> int:
        return len(self.base)

    @property
    def width(self) -> int:
        """W, the values of a leaf."""
        return int(self.trees[0].value.shape[1]) if self.trees else 1

    def margin(self, X: np.ndarray) -> np.ndarray:
        """(N, F) float32 -> (N, K') float64."""
        return linked(self.sums(X), self.link, self.floor)

    def sums(self, X: np.ndarray) -> np.ndarray:
        """The same before the link."""
        total = np.tile(self.base.astype(np.float64), (len(X), 1))
        for tree in self.trees:
            value = tree.value[leaves_of(tree, X)]
            if tree.value.shape[1] == 1:
                total[:, tree.target] += value[:, 0]
            else:
                total += value
        return total

    def scaled(self, factor: float) -> Trees:
        """Every value times a factor, the base too. Only without a link: it does not pass through one."""
        assert self.link == "identity"
        trees = tuple(replace(tree, value=tree.value * factor) for tree in self.trees)
        return replace(self, trees=trees, base=self.base * factor)


def single_target(trees: Trees) -> dict[int, list[Tree]]:
    """The trees of each output; one whose leaves add to all outputs becomes one tree for each."""
    found: dict[int, list[Tree]] = {target: [] for target in range(trees.outputs)}
    for tree in trees.trees:
        width = tree.value.shape[1]
        for column in range(width):
            own = (tree.feature, tree.threshold, tree.missing_left, tree.left, tree.right)
            target = tree.target if width == 1 else column
            found[target].append(Tree(*own, tree.value[:, [column]], tree.cover, target))
    return found


def linked(total: np.ndarray, link: Link, floor: float) -> np.ndarray:
    """The margin of a sum (N, K')."""
    if link == "identity":
        return total
    result: np.ndarray
    if link == "exp":
        result = np.exp(total)
        return result
    p = np.clip(total, floor, 1 - floor)
    result = np.log(p / (1 - p)) if link == "logit" else np.log(p)
    return result


def leaves_of(tree: Tree, X: np.ndarray) -> np.ndarray:
    """The leaf of each row, (N,) int64."""
    at = np.zeros(len(X), dtype=np.int64)
    if not tree.branches:
        return at
    going = np.arange(len(X))
    while len(going):
        branch = at[going]
        x = X[going, tree.feature[branch]]
        goes_left = np.where(np.isnan(x), tree.missing_left[branch], x <= tree.threshold[branch])
        at[going] = np.where(goes_left, tree.left[branch], tree.right[branch])
        going = going[at[going] >= 0]
    return -1 - at


def depths(tree: Tree) -> np.ndarray:
    """(B + 1,) float64: the branches above each leaf."""
    above = np.zeros(tree.branches)
    found = np.zeros(tree.branches + 1)
    for branch in range(tree.branches):
        for child in _children(tree, branch):
            if child >= 0:
                above[child] = above[branch] + 1
            else:
                found[-1 - child] = above[branch] + 1
    return found


def added(parts: Iterable[Trees]) -> Trees:
    """The sum of several without a link: one list of trees, one base."""
    each = list(parts)
    assert all(part.link == "identity" for part in each)
    base: np.ndarray = np.sum([part.base for part in each], axis=0)
    return replace(each[0], trees=tuple(tree for part in each for tree in part.trees), base=base)


def branch_covers(tree: Tree) -> np.ndarray:
    """(B,) float64: the weight of the rows that reach each branch."""
    found = np.zeros(tree.branches)
    for branch in range(tree.branches - 1, -1, -1):
        for child in (tree.left[branch], tree.right[branch]):
            found[branch] += found[child] if child >= 0 else tree.cover[-1 - child]
    return found


def counts(cover: np.ndarray, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A tree's covers as whole numbers, int64: of the leaves (B + 1,) and of the branches (B,).

    None is 0, which TreeSHAP would divide by.
    """
    total = float(cover.sum())
    scaled = cover * (_COUNTS / total) if total > 0 else np.ones_like(cover)
    leaves = np.maximum(1, np.rint(scaled)).astype(np.int64)
    branches = np.zeros(len(left), dtype=np.int64)
    for i in range(len(left) - 1, -1, -1):
        for child in (int(left[i]), int(right[i])):
            branches[i] += branches[child] if child >= 0 else leaves[-1 - child]
    return leaves, branches


def simplified(tree: Tree) -> Tree:
    """The same function without branches that decide nothing: both sides are leaves of the same values.

    Symmetric trees have many: a leaf that no row reached has value 0, and so has its neighbour.
    """
    kept = list(_kept(tree))
    if len(kept) == tree.branches:
        return tree
    return _rebuilt(tree, set(kept))


def _kept(tree: Tree) -> Iterator[int]:
    """Branches that decide something; one that does not stands for the leaf both its sides are."""
    leaf_of: dict[int, int] = {}
    for branch in range(tree.branches - 1, -1, -1):
        sides = [leaf_of.get(child, -1) if child >= 0 else -1 - child for child in _children(tree, branch)]
        if min(sides) >= 0 and np.array_equal(tree.value[sides[0]], tree.value[sides[1]]):
            leaf_of[branch] = sides[0]
        else:
            yield branch


def _children(tree: Tree, branch: int) -> tuple[int, int]:
    return int(tree.left[branch]), int(tree.right[branch])


def _rebuilt(tree: Tree, kept: set[int]) -> Tree:
    order = sorted(kept)
    number = {branch: i for i, branch in enumerate(order)}
    covers = branch_covers(tree)
    values: list[np.ndarray] = []
    weights: list[float] = []

    def place(child: int) -> int:
        """The new number of a child; a branch that went becomes the leaf it stood for."""
        if child in number:
            return number[child]
        weight, leaf = (covers[child], child) if child >= 0 else (tree.cover[-1 - child], child)
        while leaf >= 0:
            leaf = int(tree.left[leaf])
        values.append(tree.value[-1 - leaf])
        weights.append(float(weight))
        return -len(values)

    sides = [(place(int(tree.left[b])), place(int(tree.right[b]))) for b in order]
    if not order:
        place(0)
    left, right = (np.array([s[i] for s in sides], dtype=np.int32) for i in (0, 1))
    rows = np.array(order, dtype=np.int64)
    return Tree(
        tree.feature[rows],
        tree.threshold[rows],
        tree.missing_left[rows],
        left,
        right,
        np.array(values),
        np.array(weights),
        tree.target,
    )
