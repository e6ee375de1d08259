"""LightGBM trees as one ONNX TreeEnsembleRegressor that takes the same branch for every float32.

LightGBM's rules (`Tree::NumericalDecision`): `x <= threshold` goes left. A feature's missing type says what
NaN does: None reads it as 0, NaN sends it in the split's default direction, Zero sends it and everything
within 1e-35 of 0 there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bessemer.package.graph import GraphBuilder
from bessemer.train.learners.lightgbm_text import ZERO_RANGE, ModelText, Tree, exact_threshold

_DEFAULT_LEFT, _MISSING_BITS, _ZERO, _NAN = 2, 2, 1, 2


def to_onnx(model: ModelText, features: int) -> Any:
    """`features` (N, F) float32 -> `score` (N, K') float32.

    What all rows share (the mean, the prior) is taken out of each class's first tree and added last: the sum
    of the small rest is then exact to float32, also where the target is large.
    """
    k = model.per_iteration
    base = np.zeros(k)
    for i, tree in enumerate(model.trees):
        if i < k or len(tree.leaves) == 1:
            base[i % k] += _shared(tree)
    kept = [(i, tree) for i, tree in enumerate(model.trees) if len(tree.leaves) > 1]
    g = GraphBuilder("lightgbm")
    x = g.input("features", "float32", ("N", features))
    if not kept:
        return _constant(g, x, base)
    nodes, leaves = _attributes(kept, k)
    rest = g.op(
        "TreeEnsembleRegressor",
        [_zeros_missing(g, x, [tree for _, tree in kept], features)],
        domain="ai.onnx.ml",
        n_targets=k,
        aggregate_function="SUM",
        post_transform="NONE",
        **nodes,
        **leaves,
    )
    # not `base_values`: onnxruntime leaves those of a target without a leaf out
    score = g.op("Add", [rest, g.constant(base.astype(np.float32)[None, :])], name="score")
    g.output(score, "float32", ("N", k))
    return g.model()


def _shared(tree: Tree) -> float:
    return float(np.mean(tree.leaves))


def _constant(g: GraphBuilder, x: str, base: np.ndarray) -> Any:
    rows = g.op("Shape", [x], start=0, end=1)
    shape = g.op("Concat", [rows, g.constant(np.array([len(base)], dtype=np.int64))], axis=0)
    score = g.op("Expand", [g.constant(base.astype(np.float32)[None, :]), shape], name="score")
    g.output(score, "float32", ("N", len(base)))
    return g.model()


def _zeros_missing(g: GraphBuilder, x: str, trees: Sequence[Tree], features: int) -> str:
    """Features that read zero as missing get NaN there; then NaN's rule holds for both."""
    zero = np.zeros(features, dtype=bool)
    for tree in trees:
        kinds = tree.numbers("decision_type", np.int64) >> _MISSING_BITS & 3
        zero[tree.numbers("split_feature", np.int64)[kinds == _ZERO]] = True
    if not zero.any():
        return x
    near = g.op("LessOrEqual", [g.op("Abs", [x]), g.constant(ZERO_RANGE)])
    return g.op("Where", [g.op("And", [near, g.constant(zero[None, :])]), g.constant(np.float32("nan")), x])


def _attributes(kept: Sequence[tuple[int, Tree]], k: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The node's attributes: for each tree its branches first, then its leaves."""
    columns: dict[str, list[np.ndarray]] = {}
    leaves: dict[str, list[np.ndarray]] = {}
    for number, (i, tree) in enumerate(kept):
        for name, values in _branches_and_leaves(tree).items():
            columns.setdefault(name, []).append(values)
        value = tree.leaves - (_shared(tree) if i < k else 0.0)
        n = len(value)
        columns.setdefault("nodes_treeids", []).append(np.full(2 * n - 1, number))
        leaves.setdefault("target_treeids", []).append(np.full(n, number))
        leaves.setdefault("target_nodeids", []).append(np.arange(n) + n - 1)
        leaves.setdefault("target_ids", []).append(np.full(n, i % k))
        leaves.setdefault("target_weights", []).append(value.astype(np.float32))
    nodes = {name: np.concatenate(values).tolist() for name, values in columns.items()}
    leaf = nodes.pop("leaf")
    nodes["nodes_modes"] = ["LEAF" if is_leaf else "BRANCH_LEQ" for is_leaf in leaf]
    return nodes, {name: np.concatenate(values).tolist() for name, values in leaves.items()}


def _branches_and_leaves(tree: Tree) -> dict[str, np.ndarray]:
    n = len(tree.leaves)
    threshold = exact_threshold(tree.numbers("threshold", np.float64))
    kind = tree.numbers("decision_type", np.int64)
    missing = kind >> _MISSING_BITS & 3
    nan_left = np.where(missing == 0, threshold >= 0, (kind & _DEFAULT_LEFT) > 0)
    padding = np.zeros(n, dtype=np.int64)

    def child(name: str) -> np.ndarray:
        to = tree.numbers(name, np.int64)  # a leaf is -1 - leaf; leaves stand after the n - 1 branches
        return np.concatenate([np.where(to >= 0, to, n - 2 - to), padding])

    return {
        "nodes_nodeids": np.arange(2 * n - 1),
        "nodes_featureids": np.concatenate([tree.numbers("split_feature", np.int64), padding]),
        "nodes_values": np.concatenate([threshold, padding.astype(np.float32)]),
        "nodes_truenodeids": child("left_child"),
        "nodes_falsenodeids": child("right_child"),
        "nodes_missing_value_tracks_true": np.concatenate([nan_left.astype(np.int64), padding]),
        "leaf": np.concatenate([np.zeros(n - 1, dtype=bool), np.ones(n, dtype=bool)]),
    }
