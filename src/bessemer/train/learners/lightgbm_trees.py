"""LightGBM's model text in the neutral form of trees, taking the same branch for every float32.

LightGBM's rules (`Tree::NumericalDecision`): `x <= threshold` goes left. A feature's missing type says what
NaN does: None reads it as 0, NaN sends it in the split's default direction.
"""

from __future__ import annotations

import numpy as np

from bessemer.package.trees.model import Tree, Trees
from bessemer.train.learners.lightgbm_text import ModelText, TextTree, exact_threshold

_DEFAULT_LEFT, _MISSING_BITS, _ZERO = 2, 2, 1


def to_trees(model: ModelText, features: int) -> Trees:
    """The same model. What all rows share (the mean, the prior) goes from each output's first tree to the base.

    Raises:
        ValueError: a tree that reads zero as missing, which Bessemer never asks for.
    """
    k = model.per_iteration
    base = np.zeros(k)
    trees = []
    for i, tree in enumerate(model.trees):
        shared = float(np.mean(tree.leaves)) if i < k or len(tree.leaves) == 1 else 0.0
        base[i % k] += shared
        if len(tree.leaves) > 1:
            trees.append(_tree(tree, shared, i % k))
    return Trees(tuple(trees), base, features)


def _tree(tree: TextTree, shared: float, target: int) -> Tree:
    threshold = exact_threshold(tree.numbers("threshold", np.float64))
    kind = tree.numbers("decision_type", np.int64)
    missing = kind >> _MISSING_BITS & 3
    if (missing == _ZERO).any():
        raise ValueError("a tree that reads zero as missing has no neutral form")
    return Tree(
        feature=tree.numbers("split_feature", np.int32),
        threshold=threshold,
        missing_left=np.where(missing == 0, threshold >= 0, (kind & _DEFAULT_LEFT) > 0),
        left=tree.numbers("left_child", np.int32),
        right=tree.numbers("right_child", np.int32),
        value=(tree.leaves - shared)[:, None],
        cover=tree.numbers("leaf_count", np.float64),
        target=target,
    )
