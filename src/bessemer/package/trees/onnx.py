"""Trees as one ONNX TreeEnsembleRegressor, and the link behind it."""

from __future__ import annotations

from typing import Any

import numpy as np

from bessemer.package.graph import GraphBuilder
from bessemer.package.trees.arrays import Flat, flatten
from bessemer.package.trees.model import Trees


def to_onnx(trees: Trees) -> Any:
    """`features` (N, F) float32 -> `score` (N, K') float32, equal to `Trees.margin` but for float32 sums."""
    g = GraphBuilder("trees")
    x = g.input("features", "float32", ("N", trees.features))
    grown = [tree for tree in trees.trees if tree.branches]
    lone = trees.base.astype(np.float64).copy()
    for tree in trees.trees:
        if not tree.branches:
            _add_leaf(lone, tree.value[0], tree.target)
    base = g.constant(lone.astype(np.float32)[None, :])
    total = (
        g.op("Add", [_ensemble(g, x, flatten(grown, trees.width), trees.outputs), base])
        if grown
        else _rows(g, x, base)
    )
    score = _linked(g, total, trees)
    g.output(g.op("Identity", [score], name="score"), "float32", ("N", trees.outputs))
    return g.model()


def _add_leaf(base: np.ndarray, value: np.ndarray, target: int) -> None:
    if len(value) == 1:
        base[target] += value[0]
    else:
        base += value


def _rows(g: GraphBuilder, x: str, row: str) -> str:
    """The row, once for each row of x."""
    rows = g.op("Shape", [x], start=0, end=1)
    ones = g.constant(np.array([1], dtype=np.int64))
    return g.op("Expand", [row, g.op("Concat", [rows, ones], axis=0)])


def _linked(g: GraphBuilder, total: str, trees: Trees) -> str:
    if trees.link == "identity":
        return total
    if trees.link == "exp":
        return g.op("Exp", [total])
    p = g.op("Clip", [total, g.constant(np.float32(trees.floor)), g.constant(np.float32(1 - trees.floor))])
    if trees.link == "log":
        return g.op("Log", [p])
    other = g.op("Sub", [g.constant(np.float32(1)), p])
    return g.op("Sub", [g.op("Log", [p]), g.op("Log", [other])])


def _ensemble(g: GraphBuilder, x: str, flat: Flat, outputs: int) -> str:
    """For each tree its branches first, then its leaves."""
    size = 2 * flat.branches + 1
    trees = np.arange(len(flat.branches))
    first = np.cumsum(size, dtype=np.int64) - size
    n, nodes = len(flat.feature), int(size.sum())
    tree_of_branch = np.repeat(trees, flat.branches)
    own = np.arange(n) - flat.first_branch()[tree_of_branch]
    at = first[tree_of_branch] + own

    def spread(values: Any, dtype: type) -> np.ndarray:
        found: np.ndarray = np.zeros(nodes, dtype=dtype)
        found[at] = values
        return found

    def child(side: np.ndarray) -> np.ndarray:
        return spread(np.where(side >= 0, side, flat.branches[tree_of_branch] - 1 - side), np.int64)

    branch = spread(1, np.bool_)
    attributes: dict[str, Any] = {
        "n_targets": outputs,
        "aggregate_function": "SUM",
        "post_transform": "NONE",
        "nodes_treeids": np.repeat(trees, size),
        "nodes_nodeids": (np.arange(nodes) - np.repeat(first, size)),
        "nodes_featureids": spread(flat.feature, np.int64),
        "nodes_values": spread(flat.threshold, np.float32),
        "nodes_modes": np.where(branch, b"BRANCH_LEQ", b"LEAF"),
        "nodes_truenodeids": child(flat.left),
        "nodes_falsenodeids": child(flat.right),
        "nodes_missing_value_tracks_true": spread(flat.missing_left, np.int64),
        **_leaves(flat, outputs),
    }
    return g.op("TreeEnsembleRegressor", [x], domain="ai.onnx.ml", **attributes)


def _leaves(flat: Flat, outputs: int) -> dict[str, np.ndarray]:
    tree_of_leaf = np.repeat(np.arange(len(flat.branches)), flat.branches + 1)
    own = np.arange(len(flat.value)) - flat.first_leaf()[tree_of_leaf] + flat.branches[tree_of_leaf]
    width = flat.value.shape[1]
    target = flat.target[tree_of_leaf] if width == 1 else np.tile(np.arange(outputs), len(own))
    return {
        "target_treeids": np.repeat(tree_of_leaf, width),
        "target_nodeids": np.repeat(own, width),
        "target_ids": target,
        "target_weights": flat.value.reshape(-1),
    }
