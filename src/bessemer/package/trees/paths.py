"""Exact Shapley values of any trees with numpy alone: where LightGBM is not installed, and no slower for a single row.

The game is the one of `trees.shapley`. A leaf is reached under the conditions of its path; those on one feature make an
interval, so a path of d features is d intervals. Let o_j be 1 where a row is inside interval j and z_j the share of the
training weight that goes that way. With the features S known a leaf of value v is worth

    v * prod(o_j for j in S) * prod(z_j for j not in S)

and the Shapley value of feature i is v (o_i - z_i) times the integral over t from 0 to 1 of
prod(z_j (1 - t) + o_j t for j != i): the weights |S|! (d - 1 - |S|)! / d! of the orders are Beta integrals. It is a
polynomial of degree d - 1, so Gauss and Legendre's rule with ceil(d / 2) points is exact, and as all terms are positive
nothing cancels.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import isnan

import numpy as np

from bessemer.package.trees.model import Tree, counts

#: Intervals of one block of rows and paths: some float64 arrays of 4 MB.
_BLOCK = 1 << 19

#: Feature -> low, high, missing and share, as in `_Paths`.
_Conditions = dict[int, tuple[float, float, bool, float]]
_FREE = (float("nan"), float("inf"), True, 1.0)
_TYPES = (np.float32, np.float32, np.bool_, np.float64)


@dataclass(frozen=True)
class _Paths:
    """P paths of d features each, value (P,) float64 at their ends; the other arrays are (P, d).

    A row keeps the conditions on a feature (int32) where low < x <= high (float32), or x is NaN and `missing`; a `low`
    of NaN is none. share: float64, z of the module's formula.
    """

    feature: np.ndarray
    low: np.ndarray
    high: np.ndarray
    missing: np.ndarray
    share: np.ndarray
    value: np.ndarray

    def blocks(self) -> Iterator[_Paths]:
        """The same, as many at a time as a row may be held against at once."""
        step = max(1, _BLOCK // max(1, self.feature.shape[1]))
        for start in range(0, len(self.value), step):
            part = slice(start, start + step)
            yield _Paths(*(getattr(self, name)[part] for name in self.__dataclass_fields__))


class PathTrees:
    """Exact contributions of trees with one value a leaf; safe to use from several threads.

    Args:
        trees: their covers count as LightGBM counts them (see `model.counts`), so that both give the same.
        features: how many features a row has.

    >>> stump = Tree(*(np.array(v) for v in ([0], np.float32([1.5]), [True], [-1], [-2], [[1.0], [2.0]], [3.0, 1.0])))
    >>> PathTrees([stump], 1).contributions(np.array([[9.0]], dtype=np.float32)).tolist()
    [[0.75, 1.25]]
    """

    def __init__(self, trees: Sequence[Tree], features: int) -> None:
        self._features = features
        self._groups = [block for paths in _by_length(trees) for block in paths.blocks()]
        self._base = sum(float(g.value @ g.share.prod(axis=1)) for g in self._groups)

    def contributions(self, X: np.ndarray) -> np.ndarray:
        """(N, F) float32 -> (N, F + 1) float64: each feature's part, then the base."""
        found = np.zeros((len(X), self._features + 1))
        found[:, -1] = self._base
        for paths in self._groups:
            for rows in _row_blocks(X, paths) if paths.feature.size else ():
                self._add(paths, X[rows], found[rows])
        return found

    def _add(self, paths: _Paths, X: np.ndarray, found: np.ndarray) -> None:
        inside = _inside(paths, X)
        parts = paths.value[:, None] * (inside - paths.share) * _integral(inside, paths.share)
        width = found.shape[1]
        place = paths.feature.reshape(-1) + np.arange(len(X))[:, None] * width
        found += np.bincount(place.reshape(-1), parts.reshape(-1), found.size).reshape(found.shape)


class PathPairs:
    """Interaction values of trees with one value a leaf, path by path: for trees whose tables would be too large.

    Args:
        pairs: (F, F) int, the column of each pair of features. columns: C.
    """

    def __init__(self, trees: Sequence[Tree], pairs: np.ndarray, columns: int) -> None:
        self._pairs, self._columns = pairs, columns
        self._groups = [block for paths in _by_length(trees) for block in paths.blocks()]

    def interactions(self, X: np.ndarray) -> np.ndarray:
        """(N, F) float32 -> (N, C) float64."""
        found = np.zeros((len(X), self._columns))
        for paths in self._groups:
            for rows in _row_blocks(X, paths) if paths.feature.shape[1] > 1 else ():
                self._add(paths, X[rows], found[rows])
        return found

    def _add(self, paths: _Paths, X: np.ndarray, found: np.ndarray) -> None:
        inside = _inside(paths, X)
        apart = inside - paths.share
        points, weights = np.polynomial.legendre.leggauss(paths.share.shape[1] // 2)
        line = np.arange(len(X))[:, None] * self._columns
        known = [paths.share * (1 - point) + inside * point for point in (points + 1) / 2]
        whole = [factors.prod(axis=2) for factors in known]
        for i, j in combinations(range(paths.share.shape[1]), 2):
            total = sum(
                weight * product / (factors[:, :, i] * factors[:, :, j])
                for weight, product, factors in zip(weights / 2, whole, known, strict=True)
            )
            part = paths.value * apart[:, :, i] * apart[:, :, j] * total
            place = self._pairs[paths.feature[:, i], paths.feature[:, j]] + line
            found += np.bincount(place.reshape(-1), part.reshape(-1), found.size).reshape(found.shape)


def _integral(inside: np.ndarray, share: np.ndarray) -> np.ndarray:
    """(rows, P, d): for each feature of each path, the integral of the product of the other features' factors."""
    d = share.shape[1]
    points, weights = np.polynomial.legendre.leggauss((d + 1) // 2)
    total = np.zeros(inside.shape)
    for point, weight in zip((points + 1) / 2, weights / 2, strict=True):
        factors = share * (1 - point) + inside * point
        total += weight * factors.prod(axis=2, keepdims=True) / factors
    return total


def _inside(paths: _Paths, X: np.ndarray) -> np.ndarray:
    """(rows, P, d) bool: whether a row keeps the conditions of a path on a feature."""
    x = X[:, paths.feature]
    found: np.ndarray = np.where(np.isnan(x), paths.missing, ~(x <= paths.low) & (x <= paths.high))
    return found


def _row_blocks(X: np.ndarray, paths: _Paths) -> Iterator[slice]:
    step = max(1, _BLOCK // max(1, paths.feature.size))
    for start in range(0, len(X), step):
        yield slice(start, start + step)


def _by_length(trees: Iterable[Tree]) -> Iterator[_Paths]:
    """The paths of all trees, those of as many features together."""
    found: dict[int, list[_Paths]] = defaultdict(list)
    for tree in trees:
        own: dict[int, list[tuple[_Conditions, float]]] = defaultdict(list)
        for path, value in _paths(tree):
            own[len(path)].append((path, value))
        for d, paths in own.items():  # a tree at a time: as arrays they take a fiftieth of the memory
            found[d].append(_packed(paths, d))
    for _, parts in sorted(found.items()):
        names = _Paths.__dataclass_fields__
        yield _Paths(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _packed(paths: list[tuple[_Conditions, float]], d: int) -> _Paths:
    shape = (len(paths), d)
    columns: list[np.ndarray] = [
        np.array([asked[i] for path, _ in paths for asked in path.values()], dtype).reshape(shape)
        for i, dtype in enumerate(_TYPES)
    ]
    feature = np.array([name for path, _ in paths for name in path], dtype=np.int32).reshape(shape)
    value = np.array([value for _, value in paths], dtype=np.float64)
    low, high, missing, share = columns
    return _Paths(feature, low, high, missing, share, value)


def _paths(tree: Tree) -> Iterator[tuple[_Conditions, float]]:
    """Each leaf's conditions by feature, and its value."""
    if not tree.branches:
        yield {}, float(tree.value[0, 0])
        return
    leaves, branches = (count.tolist() for count in counts(tree.cover, tree.left, tree.right))
    feature, threshold = tree.feature.tolist(), tree.threshold.tolist()
    sides = list(zip(tree.left.tolist(), tree.right.tolist(), tree.missing_left.tolist(), strict=True))
    above: dict[int, _Conditions] = {0: {}}
    for branch, (left, right, missing_left) in enumerate(sides):  # a branch stands before those below it
        path, asked, t = above.pop(branch), feature[branch], threshold[branch]
        low, high, missing, share = path.get(asked, _FREE)
        for child, goes_left in ((left, True), (right, False)):
            part = share * (branches[child] if child >= 0 else leaves[-1 - child]) / branches[branch]
            if goes_left:
                kept = (low, min(high, t), missing and missing_left, part)
            else:
                kept = (t if isnan(low) else max(low, t), high, missing and not missing_left, part)
            below = {**path, asked: kept}
            if child >= 0:
                above[child] = below
            else:
                yield below, float(tree.value[-1 - child, 0])
