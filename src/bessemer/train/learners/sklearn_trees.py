"""Scikit-learn's trees in the neutral form: those of `sklearn.tree`, and those of its histogram boosting.

Both compare a float64 threshold with `x <= t`, so the greatest float32 below it decides alike for every float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bessemer.package.trees.model import Tree
from bessemer.train.learners.lightgbm_text import floor_float32


def of_tree(grown: Any, value: np.ndarray) -> tuple[Tree, np.ndarray]:
    """A `sklearn.tree` structure (`tree_` of an estimator), and the leaf of each of its nodes.

    Args:
        value: (nodes, W) float64, what each node would add.

    Returns:
        The tree, and (nodes,) int64 with the number of the leaf, below 0 for a branch.
    """
    left = np.asarray(grown.children_left, dtype=np.int64)
    tree, number = _tree(
        is_leaf=left < 0,
        left=left,
        right=np.asarray(grown.children_right, dtype=np.int64),
        feature=grown.feature,
        threshold=grown.threshold,
        missing_left=grown.missing_go_to_left,
        value=value,
        cover=grown.weighted_n_node_samples,
        target=0,
    )
    return tree, -1 - number


def of_nodes(nodes: np.ndarray, target: int) -> Tree:
    """The nodes of a `TreePredictor` of histogram boosting; its values have the learning rate in them.

    Scikit-learn keeps the number of training rows of a node, not their weight: that is the cover.
    """
    return _tree(
        is_leaf=nodes["is_leaf"].astype(bool),
        left=nodes["left"].astype(np.int64),
        right=nodes["right"].astype(np.int64),
        feature=nodes["feature_idx"],
        threshold=nodes["num_threshold"],
        missing_left=nodes["missing_go_to_left"],
        value=nodes["value"][:, None],
        cover=nodes["count"],
        target=target,
    )[0]


def _tree(
    *,
    is_leaf: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    feature: np.ndarray,
    threshold: np.ndarray,
    missing_left: np.ndarray,
    value: np.ndarray,
    cover: np.ndarray,
    target: int,
) -> tuple[Tree, np.ndarray]:
    """Arrays by node, parents before their children, and the neutral number of each node.

    Values and covers are rounded as a checkpoint keeps them.
    """
    branch = ~is_leaf
    number = np.empty(len(is_leaf), dtype=np.int64)
    number[branch] = np.arange(branch.sum())
    number[is_leaf] = -1 - np.arange(is_leaf.sum())
    tree = Tree(
        feature=feature[branch].astype(np.int32),
        threshold=floor_float32(np.asarray(threshold[branch], dtype=np.float64)),
        missing_left=missing_left[branch].astype(bool),
        left=number[left[branch]].astype(np.int32),
        right=number[right[branch]].astype(np.int32),
        value=value[is_leaf].astype(np.float32).astype(np.float64),
        cover=cover[is_leaf].astype(np.float32).astype(np.float64),
        target=target,
    )
    return tree, number
