"""CatBoost's JSON model in the neutral form of trees: `x > border` goes right, which is `x <= border` left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bessemer.package.trees.model import Tree, Trees
from bessemer.train.learners.lightgbm_text import floor_float32


def to_trees(saved: Mapping[str, Any], features: int, outputs: int) -> Trees:
    """The same model; a leaf of a model with several outputs adds to all of them."""
    column = {
        int(feature["feature_index"]): int(feature["flat_feature_index"])
        for feature in saved["features_info"].get("float_features", ())
    }
    scale, bias = saved["scale_and_bias"]
    base = np.resize(np.asarray(bias, dtype=np.float64), outputs)
    if "oblivious_trees" in saved:
        trees = [_symmetric(tree, column, outputs, scale) for tree in saved["oblivious_trees"]]
    else:
        trees = [_nested(tree, column, outputs, scale) for tree in saved["trees"]]
    return Trees(tuple(trees), base, features)


def _symmetric(saved: Mapping[str, Any], column: Mapping[int, int], outputs: int, scale: float) -> Tree:
    """All branches of a depth test the same; leaf i has bit d set where split d went right."""
    splits = saved.get("splits") or []
    depth = len(splits)
    feature = [column[int(s["float_feature_index"])] for s in splits]
    border = floor_float32(np.array([s["border"] for s in splits], dtype=np.float64))
    level = np.repeat(np.arange(depth), 2 ** np.arange(depth))
    branches = len(level)
    child = 2 * np.arange(branches) + 1
    leaf = _reversed_bits(depth)
    values = np.asarray(saved["leaf_values"], dtype=np.float64).reshape(2**depth, outputs)[leaf] * scale
    weights = np.asarray(saved["leaf_weights"], dtype=np.float64)[leaf]
    return Tree(
        feature=np.asarray(feature, dtype=np.int32)[level],
        threshold=border[level],
        missing_left=np.ones(branches, dtype=bool),
        left=np.where(child < branches, child, branches - 1 - child).astype(np.int32),
        right=np.where(child + 1 < branches, child + 1, branches - 2 - child).astype(np.int32),
        value=values,
        cover=weights,
    )


def _reversed_bits(depth: int) -> np.ndarray:
    """(2**depth,) each number with its bits in the other order."""
    numbers = np.arange(2**depth)
    found = np.zeros_like(numbers)
    for bit in range(depth):
        found |= ((numbers >> bit) & 1) << (depth - 1 - bit)
    return found


def _nested(saved: Mapping[str, Any], column: Mapping[int, int], outputs: int, scale: float) -> Tree:
    """A tree of nodes in nodes: a branch has `split`, `left` and `right`, a leaf has `value` and `weight`."""
    branches: list[Mapping[str, Any]] = []
    leaves: list[Mapping[str, Any]] = []
    sides: list[list[int]] = []
    waiting: list[tuple[Mapping[str, Any], int, int]] = [(saved, -1, 0)]
    for node, parent, side in waiting:
        if "split" in node:
            number = len(branches)
            branches.append(node["split"])
            sides.append([0, 0])
            waiting += [(node["left"], number, 0), (node["right"], number, 1)]
        else:
            leaves.append(node)
            number = -len(leaves)
        if parent >= 0:
            sides[parent][side] = number
    border = floor_float32(np.array([s["border"] for s in branches], dtype=np.float64))
    feature = [column[int(s["float_feature_index"])] for s in branches]
    children = np.array(sides, dtype=np.int32).reshape(-1, 2)
    values = np.array([np.ravel(leaf["value"]) for leaf in leaves], dtype=np.float64)
    return Tree(
        feature=np.array(feature, dtype=np.int32),
        threshold=border,
        missing_left=np.ones(len(branches), dtype=bool),
        left=children[:, 0],
        right=children[:, 1],
        value=values.reshape(len(leaves), outputs) * scale,
        cover=np.array([leaf["weight"] for leaf in leaves], dtype=np.float64),
    )
