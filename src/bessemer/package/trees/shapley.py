"""Exact Shapley values of trees: of symmetric ones by look-up, of others by LightGBM's TreeSHAP or by `trees.paths`.

The game is the path-dependent one of Lundberg et al. (2020, "From local explanations to global understanding with
explainable AI for trees"): a feature that is not known sends a row down both sides, by the training weight
(`cover`) of each. LightGBM reads the trees as text, so whichever library grew them need not be there; where LightGBM is
not installed either, numpy does the same.
"""

from __future__ import annotations

import importlib.util
from functools import cache, cached_property
from typing import Any, Protocol

import numpy as np

from bessemer.package.trees.arrays import Flat, flatten
from bessemer.package.trees.model import Tree, Trees, counts, depths, linked
from bessemer.package.trees.paths import PathTrees
from bessemer.package.trees.symmetric import Levels, SymmetricTrees, levels_of

#: LightGBM's decision type: NaN is missing (2 << 2), and the default direction is left (2).
_NAN, _LEFT = 8, 2
#: What the contributions of one symmetric tree cost, a step of a walk, and one without LightGBM, in about a nanosecond.
_LOOK_UP, _WALK, _PATH = 100.0, 3.0, 6.0


class Engine(Protocol):
    """Trees with one value a leaf, of one output."""

    def sums(self, X: np.ndarray) -> np.ndarray:
        """(N, F) float32 -> (N,) float64."""

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

    def sums(self, X: np.ndarray) -> np.ndarray:
        found: np.ndarray = self._booster.predict(X, raw_score=True, num_threads=self._threads)
        return found

    def contributions(self, X: np.ndarray) -> np.ndarray:
        found: np.ndarray = self._booster.predict(X, pred_contrib=True, num_threads=self._threads)
        return found.reshape(len(X), -1)


class TreeShapley:
    """Margins and exact contributions of trees; without LightGBM the same values, but for rounding in float64.

    Args:
        trees: any link. Through a link a row's values are scaled so that they add up to its margin: each keeps
            its share of the distance between the base and the sum (the rescale rule of Shrikumar et al. 2017).
        threads: threads LightGBM may use.

    >>> stump = Tree(*(np.array(v) for v in ([0], np.float32([1.5]), [True], [-1], [-2], [[1.0], [2.0]], [3.0, 1.0])))
    >>> base, each = TreeShapley(Trees((stump,), np.zeros(1), 1)).contributions(np.array([[9.0]], dtype=np.float32))
    >>> base.tolist(), each.tolist()
    ([[1.25]], [[[0.75]]])
    """

    def __init__(self, trees: Trees, threads: int = 1) -> None:
        self._trees, self._threads = trees, threads

    @cached_property
    def _parts(self) -> dict[int, tuple[list[Levels], list[Tree]]]:
        """For each output with trees: those that are symmetric, and the others."""
        found = {}
        for target, own in sorted(_single_target(self._trees).items()):
            levels = [levels_of(tree) for tree in own]
            rest = [tree for tree, as_levels in zip(own, levels, strict=True) if as_levels is None]
            found[target] = ([one for one in levels if one is not None], rest)
        return found

    @cached_property
    def _engines(self) -> list[tuple[int, SymmetricTrees, Engine | None]]:
        """For each output: its symmetric trees, and what walks the others. Made when the first row is asked for."""
        features = self._trees.features
        return [
            (target, SymmetricTrees(symmetric, features), self._walks(rest) if rest else None)
            for target, (symmetric, rest) in self._parts.items()
        ]

    def _walks(self, trees: list[Tree]) -> Engine:
        features = self._trees.features
        return LightGBM(trees, features, self._threads) if has_lightgbm() else PathTrees(trees, features)

    @property
    def work(self) -> float:
        """For the contributions of a row: for each leaf, the square of its depth; or a look-up."""
        parts = self._parts.values()
        looked_up = sum(_LOOK_UP * len(symmetric) for symmetric, _ in parts)
        walked = sum((depths(tree) ** 2).sum() for _, rest in parts for tree in rest)
        return looked_up + (_WALK if has_lightgbm() else _PATH) * float(walked)

    def _sums(self, X: np.ndarray) -> np.ndarray:
        total = np.tile(self._trees.base.astype(np.float64), (len(X), 1))
        for target, symmetric, others in self._engines:
            total[:, target] += symmetric.sums(X)
            if others is not None:
                total[:, target] += others.sums(X)
        return total

    def margin(self, X: np.ndarray) -> np.ndarray:
        """(N, F) float32 -> (N, K') float64."""
        return linked(self._sums(X), self._trees.link, self._trees.floor)

    def contributions(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N, F) float32 -> base (N, K') and each feature's part (N, F, K'), both float64; they sum to the margin."""
        n, k = len(X), self._trees.outputs
        base = np.tile(self._trees.base.astype(np.float64), (n, 1))
        each = np.zeros((n, self._trees.features, k))
        for target, symmetric, others in self._engines:
            found = symmetric.contributions(X)
            if others is not None:
                found += others.contributions(X)
            each[:, :, target] = found[:, :-1]
            base[:, target] += found[:, -1]
        if self._trees.link == "identity":
            return base, each
        return self._rescaled(base, each)

    def _rescaled(self, base: np.ndarray, each: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        total = base + each.sum(axis=1)
        zero, margin = (linked(v, self._trees.link, self._trees.floor) for v in (base, total))
        distance = total - base
        flat = np.abs(distance) < 1e-12
        factor = np.where(flat, 0.0, (margin - zero) / np.where(flat, 1.0, distance))
        return zero, each * factor[:, None, :]


def _single_target(trees: Trees) -> dict[int, list[Tree]]:
    """The trees of each output; one whose leaves add to all outputs becomes one tree for each."""
    found: dict[int, list[Tree]] = {target: [] for target in range(trees.outputs)}
    for tree in trees.trees:
        width = tree.value.shape[1]
        for column in range(width):
            own = (tree.feature, tree.threshold, tree.missing_left, tree.left, tree.right)
            target = tree.target if width == 1 else column
            found[target].append(Tree(*own, tree.value[:, [column]], tree.cover, target))
    return found


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
