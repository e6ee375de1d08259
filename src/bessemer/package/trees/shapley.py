"""Exact Shapley values of trees: by look-up where tables are small, of deep trees by LightGBM's TreeSHAP or
`trees.paths`.

The game is the path-dependent one of Lundberg et al. (2020, "From local explanations to global understanding with
explainable AI for trees"): a feature that is not known sends a row down both sides, by the training weight
(`cover`) of each. LightGBM reads the trees as text, so whichever library grew them need not be there; where LightGBM is
not installed either, numpy does the same.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Protocol

import numpy as np

from bessemer.package.trees.arrays import Flat, flatten
from bessemer.package.trees.model import Tree, Trees, counts, depths, linked, single_target
from bessemer.package.trees.paths import PathTrees
from bessemer.package.trees.sums import TreeSums
from bessemer.package.trees.symmetric import Levels, SymmetricTrees, levels_of
from bessemer.package.trees.tabled import BUDGET, Tabled, path_dependent, suited

#: LightGBM's decision type: NaN is missing (2 << 2), and the default direction is left (2).
_NAN, _LEFT = 8, 2
#: What the contributions of one symmetric tree cost, a player of a leaf that is looked up, a step of a walk, and one
#: without LightGBM, and a step down a tree, in about a nanosecond.
_SYMMETRIC, _LOOK_UP, _WALK, _PATH, _STEP = 100.0, 1.5, 3.0, 6.0, 4.0


class Engine(Protocol):
    """Trees with one value a leaf, of one output."""

    def contributions(self, X: np.ndarray) -> np.ndarray:
        """(N, F) float32 -> (N, F + 1) float64: each feature's part, then the base."""


@cache
def has_lightgbm() -> bool:
    """Whether LightGBM is installed."""
    return importlib.util.find_spec("lightgbm") is not None


class LightGBM:
    """Trees with one value a leaf, walked by LightGBM, which reads them as text."""

    def __init__(self, trees: list[Tree], features: int, threads: int) -> None:
        import lightgbm

        self._booster, self._threads = lightgbm.Booster(model_str=to_text(trees, features)), threads

    def contributions(self, X: np.ndarray) -> np.ndarray:
        found: np.ndarray = self._booster.predict(X, pred_contrib=True, num_threads=self._threads)
        return found.reshape(len(X), -1)


class TreeShapley:
    """Margins and exact contributions of trees; without LightGBM the same values, but for rounding in float64.

    Args:
        trees: any link. Through a link a row's values are scaled so that they add up to its margin: each keeps
            its share of the distance between the base and the sum (the rescale rule of Shrikumar et al. 2017).
        threads: threads that may share the rows.

    >>> stump = Tree(*(np.array(v) for v in ([0], np.float32([1.5]), [True], [-1], [-2], [[1.0], [2.0]], [3.0, 1.0])))
    >>> base, each = TreeShapley(Trees((stump,), np.zeros(1), 1)).contributions(np.array([[9.0]], dtype=np.float32))
    >>> base.tolist(), each.tolist()
    ([[1.25]], [[[0.75]]])
    """

    def __init__(self, trees: Trees, threads: int = 1) -> None:
        self.trees, self._threads = trees, threads
        self._sums = TreeSums(trees, threads)

    @cached_property
    def _parts(self) -> list[_Parts]:
        return [_parted(target, own, self.trees) for target, own in sorted(single_target(self.trees).items())]

    @cached_property
    def _engines(self) -> list[tuple[int, SymmetricTrees, Tabled | None, Engine | None]]:
        """For each output: what looks its trees up, and what walks the others. Made when the first row is asked for."""
        features = self.trees.features
        return [
            (
                part.target,
                SymmetricTrees(part.symmetric, np.arange(features), features),
                Tabled(part.small, np.arange(features), features, path_dependent) if part.small else None,
                self._walks(part.large) if part.large else None,
            )
            for part in self._parts
        ]

    def _walks(self, trees: list[Tree]) -> Engine:
        features = self.trees.features
        return LightGBM(trees, features, self._threads) if has_lightgbm() else PathTrees(trees, features)

    @property
    def work(self) -> float:
        """For the contributions of a row: look-ups, or for each leaf the square of its depth."""
        symmetric = sum(len(part.symmetric) for part in self._parts)
        small = sum(depths(tree).sum() for part in self._parts for tree in part.small)
        large = sum((depths(tree) ** 2).sum() for part in self._parts for tree in part.large)
        walk = _WALK if has_lightgbm() else _PATH
        return _SYMMETRIC * symmetric + _LOOK_UP * float(small) + walk * float(large)

    @property
    def margin_work(self) -> float:
        """For the margin of a row: the way down each tree."""
        return _STEP * sum(float(np.log2(tree.branches + 2)) for tree in self.trees.trees)

    def margin(self, X: np.ndarray) -> np.ndarray:
        """(N, F) float32 -> (N, K') float64."""
        return self._sums.margin(X)

    def contributions(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N, F) float32 -> base (N, K') and each feature's part (N, F, K'), both float64; they sum to the margin."""
        n, k = len(X), self.trees.outputs
        base = np.tile(self.trees.base.astype(np.float64), (n, 1))
        each = np.zeros((n, self.trees.features, k))
        for target, symmetric, tabled, others in self._engines:
            found = symmetric.contributions(X)
            if tabled is not None:
                found[:, :-1] += tabled.contributions(X, self._threads)
                found[:, -1] += tabled.base
            if others is not None:
                found += others.contributions(X)
            each[:, :, target] = found[:, :-1]
            base[:, target] += found[:, -1]
        if self.trees.link == "identity":
            return base, each
        return self._rescaled(base, each)

    def _rescaled(self, base: np.ndarray, each: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        total = base + each.sum(axis=1)
        zero, margin = (linked(v, self.trees.link, self.trees.floor) for v in (base, total))
        distance = total - base
        flat = np.abs(distance) < 1e-12
        factor = np.where(flat, 0.0, (margin - zero) / np.where(flat, 1.0, distance))
        return zero, each * factor[:, None, :]


@dataclass(frozen=True)
class _Parts:
    """The trees of one output: symmetric ones, those with small tables, and the rest."""

    target: int
    symmetric: list[Levels]
    small: list[Tree]
    large: list[Tree]


def _parted(target: int, trees: list[Tree], whole: Trees) -> _Parts:
    levels = [levels_of(tree) for tree in trees]
    rest = [tree for tree, as_levels in zip(trees, levels, strict=True) if as_levels is None]
    fits = suited(rest, np.arange(whole.features), budget=BUDGET // whole.outputs).tolist()
    return _Parts(
        target,
        [one for one in levels if one is not None],
        [tree for tree, fit in zip(rest, fits, strict=True) if fit],
        [tree for tree, fit in zip(rest, fits, strict=True) if not fit],
    )


def to_text(trees: list[Tree], features: int) -> str:
    """A LightGBM regression model of trees with one value a leaf."""
    flat = flatten(trees, 1)
    blocks = [
        _block(flat, i, b, leaf)
        for i, (b, leaf) in enumerate(zip(flat.first_branch(), flat.first_leaf(), strict=True))
    ]
    head = [
        "tree",
        "version=v4",
        "num_class=1",
        "num_tree_per_iteration=1",
        "label_index=0",
        f"max_feature_idx={features - 1}",
        "objective=regression",
        "feature_names=" + " ".join(f"f{i}" for i in range(features)),
        "feature_infos=" + " ".join(["[-inf:inf]"] * features),
        "tree_sizes=" + " ".join(str(len(block)) for block in blocks),
        "",
        "",
    ]
    return "\n".join(head) + "".join(blocks) + "end of trees\n"


def _block(flat: Flat, number: int, branch: int, leaf: int) -> str:
    n = int(flat.branches[number])
    own, leaves = slice(branch, branch + n), slice(leaf, leaf + n + 1)
    left, right = flat.left[own], flat.right[own]
    below, above = counts(flat.cover[leaves].astype(np.float64), left, right)
    fields: list[tuple[str, Any]] = [("num_leaves", [n + 1]), ("num_cat", [0])]
    if n:
        decision = _NAN + _LEFT * flat.missing_left[own].astype(np.int64)
        fields += [
            ("split_feature", flat.feature[own].tolist()),
            ("split_gain", [0] * n),
            ("threshold", map(repr, flat.threshold[own].astype(np.float64).tolist())),
            ("decision_type", decision.tolist()),
            ("left_child", left.tolist()),
            ("right_child", right.tolist()),
        ]
    fields += [("leaf_value", map(repr, flat.value[leaves, 0].astype(np.float64).tolist()))]
    fields += [("leaf_weight", [1] * (n + 1)), ("leaf_count", below.tolist())]
    if n:
        fields += [
            ("internal_value", [0] * n),
            ("internal_weight", [1] * n),
            ("internal_count", above.tolist()),
        ]
    fields += [("is_linear", [0]), ("shrinkage", [1])]
    lines = [f"Tree={number}", *(f"{name}={' '.join(map(str, values))}" for name, values in fields)]
    return "\n".join(lines) + "\n\n\n"
