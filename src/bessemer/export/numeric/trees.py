"""Trees as tensors: no operator of `ai.onnx.ml`, no loop, no branch.

Small trees become two matrix products a tree (Nakandala et al. 2020, "A Tensor Compiler for Unified Machine Learning
Prediction Serving": GEMM): all branches are decided at once, and the leaf is the one whose every branch went its way.
Trees with more branches than `MOST_BRANCHES` are walked instead, level by level, all at once, and so are groups for
which `MOST_WAYS` has no room. Trees are taken in groups of alike size, so that little is padded.

A missing feature is no NaN here: each feature is there twice, with the smallest and with the largest float32 where it
is missing, and a branch compares the one that sends it where missing values go.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bessemer.package.graph import GraphBuilder

#: Above this the products cost more than a walk: they grow with the square of the branches.
MOST_BRANCHES = 255
#: Numbers (float32) in the tables of all products of a model together; a protobuf cannot be larger than 2 GB.
MOST_WAYS = 2**26
#: Trees of a group have at most this times as many branches as its smallest.
_ALIKE = 1.5
_LARGEST = np.finfo(np.float32).max


@dataclass(frozen=True)
class _Tree:
    """Branches are numbered from 0; a child is a branch, or -1 - leaf. value: (L, K)."""

    feature: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray

    @property
    def branches(self) -> int:
        return len(self.feature)

    @property
    def leaves(self) -> int:
        return len(self.value)


def add_trees(g: GraphBuilder, arrays: Mapping[str, Any], x: str, missing: str, width: int) -> str:
    """Add the nodes of a TreeEnsembleRegressor.

    Args:
        arrays: its trees, as `package.trees.kernel.arrays_of` gives them.
        x: (N, F) float32 without NaN. missing: (N, F) float32, 1 where a feature is missing; '' where none can be.
        width: F.

    Returns:
        the sums (N, K) float32.
    """
    both = x
    if missing:
        down = g.op("Add", [x, g.op("Mul", [missing, g.constant(np.float32(-_LARGEST))])])
        up = g.op("Add", [x, g.op("Mul", [missing, g.constant(np.float32(_LARGEST))])])
        both = g.op("Concat", [down, up], axis=1)
    total = g.constant(arrays["base"].astype(np.float32)[None, :])
    room = MOST_WAYS
    for group in _groups(_trees_of(arrays), width, bool(missing)):
        fits = group[0].branches <= MOST_BRANCHES and _ways_in(group) <= room
        room -= _ways_in(group) if fits else 0
        total = g.op("Add", [(_products if fits else _walk)(g, group, both), total])
    return total


def _ways_in(group: list[_Tree]) -> int:
    """The numbers in the table of their products."""
    return len(group) * max(tree.branches for tree in group) * max(tree.leaves for tree in group)


def _trees_of(arrays: Mapping[str, Any]) -> list[_Tree]:
    roots = [*arrays["root"].tolist(), len(arrays["left"])]
    targets, width = int(arrays["targets"]), int(arrays["width"])
    values = arrays["value"].reshape(-1, width)
    found = []
    for start, stop in itertools.pairwise(roots):
        own = slice(start, stop)
        left, right = arrays["left"][own], arrays["right"][own]
        branch = left >= 0
        number = np.cumsum(branch) - 1
        leaves = -1 - left[~branch]
        leaf_number = np.cumsum(~branch) - 1

        def child(
            at: np.ndarray, start: int = start, branch: np.ndarray = branch, number: np.ndarray = number,
            leaf_number: np.ndarray = leaf_number,
        ) -> np.ndarray:  # fmt: skip
            at = at - start
            found: np.ndarray = np.where(branch[at], number[at], -1 - leaf_number[at])
            return found

        value = np.zeros((len(leaves), targets), dtype=np.float32)
        if width == 1:
            value[np.arange(len(leaves)), arrays["target"][leaves]] = values[leaves, 0]
        else:
            value[:] = values[leaves]
        found.append(
            _Tree(
                arrays["feature"][own][branch],
                arrays["threshold"][own][branch],
                arrays["missing_left"][own][branch],
                child(left[branch]),
                child(right[branch]),
                value,
            )
        )
    return found


def _groups(trees: list[_Tree], width: int, missing: bool) -> list[list[_Tree]]:
    """Trees of alike size; features are those of the doubled row where values can be missing."""
    ready = sorted((_ready(tree, width, missing) for tree in trees), key=lambda tree: tree.branches)
    found: list[list[_Tree]] = []
    for tree in ready:
        small = bool(found) and tree.branches <= max(4, found[-1][0].branches * _ALIKE)
        if small and (tree.branches <= MOST_BRANCHES) == (found[-1][0].branches <= MOST_BRANCHES):
            found[-1].append(tree)
        else:
            found.append([tree])
    return found


def _ready(tree: _Tree, width: int, missing: bool) -> _Tree:
    """With thresholds that no stand-in for missing values is beyond, and at least one branch."""
    threshold = np.clip(tree.threshold, -_LARGEST, np.nextafter(_LARGEST, np.float32(0), dtype=np.float32))
    feature = tree.feature.astype(np.int64)
    if missing:
        feature = feature + np.where(tree.missing_left, 0, width)
    if tree.branches:
        return _Tree(feature, threshold, tree.missing_left, tree.left, tree.right, tree.value)
    none = np.zeros(1, dtype=np.int64)
    return _Tree(
        none, np.zeros(1, np.float32), none == 0, none - 1, none - 2, np.repeat(tree.value, 2, axis=0)
    )


def _products(g: GraphBuilder, trees: list[_Tree], x: str) -> str:
    """The branches of all trees at once, then a product a tree that says which leaf every branch leads to."""
    count, branches, leaves = len(trees), max(t.branches for t in trees), max(t.leaves for t in trees)
    targets = trees[0].value.shape[1]
    feature = np.zeros((count, branches), dtype=np.int64)
    threshold = np.zeros((count, branches), dtype=np.float32)
    ways = np.zeros((count, branches, leaves), dtype=np.float32)
    lefts = np.full((count, 1, leaves), -1, dtype=np.float32)  # of a leaf that is not there: no sum is that
    value = np.zeros((count, leaves, targets), dtype=np.float32)
    for i, tree in enumerate(trees):
        feature[i, : tree.branches], threshold[i, : tree.branches] = tree.feature, tree.threshold
        ways[i, : tree.branches, : tree.leaves] = _ways(tree)
        lefts[i, 0, : tree.leaves] = (ways[i, :, : tree.leaves] > 0).sum(axis=0)
        value[i, : tree.leaves] = tree.value
    asked = g.op("Gather", [x, g.constant(feature.reshape(-1))], axis=1)
    goes_left = g.cast(g.op("LessOrEqual", [asked, g.constant(threshold.reshape(1, -1))]), "float32")
    shaped = g.op("Reshape", [goes_left, g.constant(np.array([-1, count, branches], dtype=np.int64))])
    by_tree = g.op("Transpose", [shaped], perm=[1, 0, 2])
    reached = g.op("MatMul", [by_tree, g.constant(ways)])
    leaf = g.cast(g.op("Equal", [reached, g.constant(lefts)]), "float32")
    found = g.op("MatMul", [leaf, g.constant(value)])
    return g.op("ReduceSum", [found, g.constant(np.array([0], dtype=np.int64))], keepdims=0)


def _ways(tree: _Tree) -> np.ndarray:
    """(B, L): 1 where a leaf is to the left of a branch, -1 where it is to the right."""
    found = np.zeros((tree.branches, tree.leaves), dtype=np.float32)
    todo: list[tuple[int, list[tuple[int, float]]]] = [(0, [])]
    while todo:
        at, path = todo.pop()
        if at < 0:
            for branch, side in path:
                found[branch, -1 - at] = side
            continue
        todo.append((int(tree.left[at]), [*path, (at, 1.0)]))
        todo.append((int(tree.right[at]), [*path, (at, -1.0)]))
    return found


def _walk(g: GraphBuilder, trees: list[_Tree], x: str) -> str:
    """One step down all trees at once, as often as the deepest has levels; a leaf leads to itself."""
    sizes = [tree.branches + tree.leaves for tree in trees]
    first = np.cumsum([0, *sizes[:-1]])
    feature, threshold, value = [], [], []
    left: list[np.ndarray] = []
    right: list[np.ndarray] = []
    for tree, start in zip(trees, first, strict=True):
        own = start + tree.branches + np.arange(tree.leaves)
        pad = np.zeros(tree.leaves)
        feature.append(np.concatenate([tree.feature, pad]))
        threshold.append(np.concatenate([tree.threshold, pad]))
        for side, said in ((left, tree.left), (right, tree.right)):
            side.append(np.concatenate([np.where(said >= 0, said, tree.branches - 1 - said) + start, own]))
        value.append(np.concatenate([np.zeros((tree.branches, tree.value.shape[1])), tree.value]))
    children = np.concatenate([np.concatenate(right), np.concatenate(left)]).astype(np.int64)
    places = g.constant(np.concatenate(feature).astype(np.int64))
    limits = g.constant(np.concatenate(threshold).astype(np.float32))
    nodes, table = g.constant(np.int64(sum(sizes))), g.constant(children)
    some = g.constant(np.zeros(1, dtype=np.int64))
    zero = g.cast(g.op("Mul", [g.op("Gather", [x, some], axis=1), g.constant(np.float32(0))]), "int64")
    at = g.op("Add", [zero, g.constant(first.astype(np.int64)[None, :])])
    for _ in range(max(map(_depth, trees))):
        asked = g.op("GatherElements", [x, g.op("Gather", [places, at], axis=0)], axis=1)
        goes_left = g.cast(g.op("LessOrEqual", [asked, g.op("Gather", [limits, at], axis=0)]), "int64")
        at = g.op("Gather", [table, g.op("Add", [at, g.op("Mul", [goes_left, nodes])])], axis=0)
    found = g.op("Gather", [g.constant(np.concatenate(value).astype(np.float32)), at], axis=0)
    return g.op("ReduceSum", [found, g.constant(np.array([1], dtype=np.int64))], keepdims=0)


def _depth(tree: _Tree) -> int:
    depth = np.zeros(tree.branches, dtype=np.int64)
    deepest, todo = 1, [(0, 1)]
    while todo:
        at, level = todo.pop()
        depth[at], deepest = level, max(deepest, level)
        todo += [(int(side[at]), level + 1) for side in (tree.left, tree.right) if side[at] >= 0]
    return deepest
