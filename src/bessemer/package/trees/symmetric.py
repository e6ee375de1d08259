"""Shapley values of symmetric trees by looking them up.

In a symmetric tree, as CatBoost grows them, all branches of a level ask the same question. A row can only give
2^d answers, so what each feature contributes is a small table, made once; a row then costs a few look-ups instead
of a walk over all leaves. The game is the path-dependent one of `shapley.py`, and so are the values; or, where there is
a background, the interventional one of `interventional.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import factorial

import numpy as np

from bessemer.package.trees.model import Tree, branch_covers

#: Deeper trees have tables that cost more than they save.
_DEEPEST = 8
#: Numbers in the largest array while tables are made.
_BLOCK = 1 << 23


@dataclass(frozen=True)
class Levels:
    """A symmetric tree of depth d, as tables over the 2^d answers; the first level is the highest bit, right is 1.

    feature, threshold, missing_left: (d,), the question of each level.
    value, cover: (2^d,) float64.
    """

    feature: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    value: np.ndarray
    cover: np.ndarray

    def layout(self, player: np.ndarray) -> tuple[int, ...]:
        """For each level the number of its feature's player, among those of the tree in order of appearance."""
        seen: dict[int, int] = {}
        return tuple(seen.setdefault(int(one), len(seen)) for one in player[self.feature])


def levels_of(tree: Tree) -> Levels | None:
    """The tree as levels; None where it is not symmetric, too deep, or its leaves have several values."""
    if tree.value.shape[1] != 1:
        return None
    covers = branch_covers(tree)
    rows: list[int] = []  # the first branch of each level
    reached = [(0, False)] if tree.branches else [(0, True)]  # of each answer so far: a branch, or a leaf
    cover = [float(covers[0]) if tree.branches else float(tree.cover[0])]
    while not all(leaf for _, leaf in reached):
        branches = [node for node, leaf in reached if not leaf]
        if len(rows) == _DEEPEST or not _same_question(tree, branches):
            return None
        rows.append(branches[0])
        reached, cover = _next_level(tree, covers, reached, cover)
    value = np.array([tree.value[leaf, 0] for leaf, _ in reached], dtype=np.float64)
    at = np.array(rows, dtype=np.int64)
    return Levels(tree.feature[at], tree.threshold[at], tree.missing_left[at], value, np.array(cover))


def _same_question(tree: Tree, branches: list[int]) -> bool:
    at = np.array(branches)
    return all(
        bool(np.all(column[at] == column[at[0]]))
        for column in (tree.feature, tree.threshold, tree.missing_left)
    )


def _next_level(
    tree: Tree, covers: np.ndarray, reached: list[tuple[int, bool]], cover: list[float]
) -> tuple[list[tuple[int, bool]], list[float]]:
    """Both answers of each node; a leaf is both its own, with half its weight each: any share gives the same mean."""
    below: list[tuple[int, bool]] = []
    weights: list[float] = []
    for (node, leaf), weight in zip(reached, cover, strict=True):
        if leaf:
            below += [(node, True)] * 2
            weights += [weight / 2] * 2
            continue
        for child in (int(tree.left[node]), int(tree.right[node])):
            below.append((child, False) if child >= 0 else (-1 - child, True))
            weights.append(float(covers[child] if child >= 0 else tree.cover[-1 - child]))
    return below, weights


class SymmetricTrees:
    """Contributions of symmetric trees that add to one output.

    Args:
        trees: as `levels_of` gives them.
        player: (F,) int, the player of each feature. players: P.
        background: (B, F) float32, the rows that unknown players take their values from; without it players are
            independent, with the training rows' shares.
    """

    def __init__(
        self, trees: Sequence[Levels], player: np.ndarray, players: int, background: np.ndarray | None = None
    ) -> None:
        self._players = players
        groups = _by_layout(trees, player).items()
        self._groups = [_Group(layout, some, player, background) for layout, some in groups]

    def contributions(self, X: np.ndarray) -> np.ndarray:
        """(N, F) float32 -> (N, P + 1) float64: a share for each player, the last is the base."""
        found = np.zeros((len(X), self._players + 1))
        for group in self._groups:
            group.add_contributions(X, found)
        return found


def _by_layout(trees: Iterable[Levels], player: np.ndarray) -> dict[tuple[int, ...], list[Levels]]:
    found: dict[tuple[int, ...], list[Levels]] = {}
    for tree in trees:
        found.setdefault(tree.layout(player), []).append(tree)
    return found


class _Group:
    """T trees of one layout: d levels, p features."""

    def __init__(
        self,
        layout: tuple[int, ...],
        trees: Sequence[Levels],
        player: np.ndarray,
        background: np.ndarray | None,
    ) -> None:
        self._layout, self._trees, self._background = layout, trees, background
        self._feature = np.array([tree.feature for tree in trees], dtype=np.int64).reshape(len(trees), -1)
        self._threshold = np.array([tree.threshold for tree in trees], dtype=np.float32).reshape(
            len(trees), -1
        )
        self._missing_right = ~np.array([tree.missing_left for tree in trees], dtype=bool).reshape(
            len(trees), -1
        )
        first = [layout.index(player) for player in range(len(set(layout)))]
        self._players = player[self._feature[:, first]]  # (T, p)
        self._tables: tuple[np.ndarray, float] | None = None

    def _answers(self, X: np.ndarray) -> np.ndarray:
        """(N, T): the answers of each row in each tree, as one number."""
        places = np.zeros((len(X), len(self._trees)), dtype=np.int64)
        for level in range(len(self._layout)):
            x = X[:, self._feature[:, level]]
            right = (x > self._threshold[:, level]) | (np.isnan(x) & self._missing_right[:, level])
            places = places * 2 + right
        return places

    def add_contributions(self, X: np.ndarray, found: np.ndarray) -> None:
        if self._tables is None:
            seen = None if self._background is None else self._answers(self._background)
            self._tables = _tables(self._layout, self._trees, seen)
        table, base = self._tables
        last, players = found.shape[1] - 1, self._players.ravel()
        start = np.arange(len(self._trees)) << len(self._layout)
        for rows in _blocks(len(X), len(self._trees)):
            places = self._answers(X[rows]) + start
            for row, own in zip(range(rows.start, rows.stop), places, strict=True):
                found[row, :last] += np.bincount(players, table[own].ravel(), minlength=last)
        found[:, last] += base


def _blocks(rows: int, trees: int) -> list[slice]:
    step = max(1, _BLOCK // (8 * max(1, trees)))
    return [slice(i, min(i + step, rows)) for i in range(0, rows, step)]


def _tables(
    layout: tuple[int, ...], trees: Sequence[Levels], seen: np.ndarray | None
) -> tuple[np.ndarray, float]:
    """What each player contributes for each answer, (T * 2^d, p), and the sum of the trees' means.

    seen: (B, T), the answers of a background; None for independent players.
    """
    depth, players = len(layout), len(set(layout))
    step = max(1, _BLOCK >> (depth + players))
    parts, base = [], 0.0
    for i in range(0, len(trees), step):
        if seen is None:
            worth = _expectations(trees[i : i + step], depth)[:, _states(layout)]  # (T, 2^d, 2^p)
        else:
            worth = _mixed(trees[i : i + step], seen[:, i : i + step], layout)
        base += float(worth[:, 0, 0].sum())
        parts.append((worth @ _shapley_weights(players)).reshape(len(worth) << depth, players))
    return np.concatenate(parts), base


def _expectations(trees: Sequence[Levels], depth: int) -> np.ndarray:
    """(T, 3^d): the mean value where each level's answer is left (0), right (1) or not known (2)."""
    value = np.array([tree.value for tree in trees])[:, :, None]
    cover = np.array([tree.cover for tree in trees])
    for _ in range(depth):
        left, right = value[:, 0::2], value[:, 1::2]
        total = cover[:, 0::2] + cover[:, 1::2]
        share = np.where(total > 0, cover[:, 0::2] / np.where(total > 0, total, 1.0), 0.5)[:, :, None]
        value = np.concatenate([left, right, share * left + (1 - share) * right], axis=2)
        cover = total
    return value[:, 0]


def _mixed(trees: Sequence[Levels], seen: np.ndarray, layout: tuple[int, ...]) -> np.ndarray:
    """(T, 2^d, 2^p): the mean value where a set of players gives a row's answers and the others those of a seen row."""
    depth, players, count = len(layout), len(set(layout)), len(trees)
    shape = (count, *(2,) * depth)
    value = np.array([tree.value for tree in trees]).reshape(shape)
    place = seen + (np.arange(count) << depth)
    share = np.bincount(place.ravel(), minlength=count << depth).reshape(shape) / len(seen)
    found = np.empty((count, 1 << depth, 1 << players))
    for known in range(1 << players):
        ours = tuple(level + 1 for level, player in enumerate(layout) if known >> player & 1)
        theirs = tuple(level + 1 for level, player in enumerate(layout) if not known >> player & 1)
        mean = (value * share.sum(axis=ours, keepdims=True)).sum(axis=theirs, keepdims=True)
        found[:, :, known] = np.broadcast_to(mean, shape).reshape(count, -1)
    return found


@lru_cache(maxsize=64)
def _states(layout: tuple[int, ...]) -> np.ndarray:
    """(2^d, 2^p): where `_expectations` has an answer of which a set of features is known."""
    depth, players = len(layout), len(set(layout))
    answer, known = np.arange(1 << depth)[:, None], np.arange(1 << players)[None, :]
    place = np.zeros((1 << depth, 1 << players), dtype=np.int64)
    for level, player in enumerate(layout):
        bit = answer >> (depth - 1 - level) & 1
        place = place + np.where(known >> player & 1, bit, 2) * 3 ** (depth - 1 - level)
    return place


@lru_cache(maxsize=16)
def _shapley_weights(players: int) -> np.ndarray:
    """(2^p, p): Shapley values are a linear function of the worth of all sets (Shapley 1953)."""
    weights = np.zeros((1 << players, players))
    for subset in range(1 << players):
        size = subset.bit_count()
        for player in range(players):
            if subset >> player & 1:
                weights[subset, player] = factorial(size - 1) * factorial(players - size) / factorial(players)
            else:
                weights[subset, player] = (
                    -factorial(size) * factorial(players - size - 1) / factorial(players)
                )
    return weights
