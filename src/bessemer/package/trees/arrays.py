"""Trees as flat arrays, one after the other: what the writers and the codec work on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bessemer.package.trees.model import Tree


@dataclass(frozen=True)
class Flat:
    """T trees with B branches and L = B + T leaves in all.

    branches: (T,) int32, the branches of each tree. target: (T,) int32.
    feature, threshold, missing_left, left, right: (B,), children numbered within their tree.
    value: (L, W) float32; cover: (L,) float32.
    """

    branches: np.ndarray
    target: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    cover: np.ndarray

    def first_branch(self) -> np.ndarray:
        """(T,) where each tree's branches begin."""
        first: np.ndarray = np.cumsum(self.branches, dtype=np.int64) - self.branches
        return first

    def first_leaf(self) -> np.ndarray:
        """(T,) where each tree's leaves begin."""
        return self.first_branch() + np.arange(len(self.branches))


_DTYPES = {
    "feature": np.int32,
    "threshold": np.float32,
    "missing_left": np.bool_,
    "left": np.int32,
    "right": np.int32,
    "value": np.float32,
    "cover": np.float32,
}


def flatten(trees: Sequence[Tree], width: int) -> Flat:
    """width: W, for the shape of no trees at all."""
    parts: dict[str, Any] = {
        name: np.concatenate([np.asarray(getattr(tree, name)) for tree in trees]).astype(dtype)
        if trees
        else np.zeros((0, width) if name == "value" else 0, dtype=dtype)
        for name, dtype in _DTYPES.items()
    }
    return Flat(
        branches=np.array([tree.branches for tree in trees], dtype=np.int32),
        target=np.array([tree.target for tree in trees], dtype=np.int32),
        **parts,
    )


def unflatten(flat: Flat) -> tuple[Tree, ...]:
    """The trees again; their arrays are views."""
    found = []
    for b, leaf, n, target in zip(
        flat.first_branch(), flat.first_leaf(), flat.branches.tolist(), flat.target.tolist(), strict=True
    ):
        own, leaves = slice(b, b + n), slice(leaf, leaf + n + 1)
        found.append(
            Tree(
                flat.feature[own],
                flat.threshold[own],
                flat.missing_left[own],
                flat.left[own],
                flat.right[own],
                flat.value[leaves].astype(np.float64),
                flat.cover[leaves].astype(np.float64),
                target,
            )
        )
    return tuple(found)
