"""A tree of XGBoost's JSON in the neutral form: `x < t` goes left, which is `x <= ` the float32 before t."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bessemer.package.trees.model import Tree


def to_tree(saved: Mapping[str, Any], target: int) -> Tree:
    """The same tree, adding to one output.

    Raises:
        ValueError: its nodes are no tree.
    """
    left = np.array(saved["left_children"], dtype=np.int64)
    right = np.array(saved["right_children"], dtype=np.int64)
    order = _top_down(left, right)
    branch = left[order] >= 0
    number = np.empty(len(left), dtype=np.int32)
    number[order[branch]] = np.arange(branch.sum())
    number[order[~branch]] = -1 - np.arange((~branch).sum())
    inner, leaf = order[branch], order[~branch]
    condition = np.array(saved["split_conditions"], dtype=np.float32)
    return Tree(
        feature=np.array(saved["split_indices"], dtype=np.int32)[inner],
        threshold=np.nextafter(condition[inner], np.float32(-np.inf)),
        missing_left=np.array(saved["default_left"], dtype=bool)[inner],
        left=number[left[inner]],
        right=number[right[inner]],
        value=condition[leaf].astype(np.float64)[:, None],
        cover=np.array(saved["sum_hessian"], dtype=np.float64)[leaf],
        target=target,
    )


def _top_down(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The nodes that can be reached, parents first: pruned nodes stay in XGBoost's arrays."""
    found: list[int] = [0]
    sides = list(zip(left.tolist(), right.tolist(), strict=True))
    for node in found:
        if sides[node][0] >= 0:
            found.extend(sides[node])
            if len(found) > len(sides):
                raise ValueError("a node has two parents")
    return np.array(found, dtype=np.int64)
