"""The branches of many trees in one set of arrays, and where each tree starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Branches:
    """root: (T,). feature, threshold, missing_left, left, right: (B,); a root or child is a branch, or -1 - leaf."""

    root: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    left: np.ndarray
    right: np.ndarray


def branches_of(arrays: Mapping[str, Any]) -> Branches:
    """Of what `package.trees.kernel.arrays_of` gives, whose leaves are nodes among the branches."""
    leaf = arrays["left"] < 0
    number = np.where(leaf, arrays["left"], np.cumsum(~leaf) - 1)  # a leaf's left is -1 - its number
    own = ~leaf
    if not own.any():  # C has no empty arrays
        none = np.zeros(1, dtype=np.int64)
        return Branches(number[arrays["root"]], none, none.astype(np.float32), none == 1, none - 1, none - 1)
    return Branches(
        number[arrays["root"]],
        arrays["feature"][own],
        arrays["threshold"][own],
        arrays["missing_left"][own],
        number[arrays["left"][own]],
        number[arrays["right"][own]],
    )
