"""Weights of rows that make group and class independent (Kamiran and Calders 2012)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bessemer.stats.arrays import Floats


def reweighing(codes: NDArray[Any], y: NDArray[Any], weights: Floats) -> Floats:
    """The factor of each cell, float64 (groups, classes); 1 where a cell is empty.

    Args:
        codes: int64 (n,), the group of a row. y: int64 (n,), its class index. weights: what each row counted before.

    The factor is what the cell's size would be if group and class were independent, over what it is; the total of each
    group and of each class stays.

    >>> reweighing(np.array([0, 0, 0, 1]), np.array([1, 1, 0, 0]), np.ones(4)).round(3).tolist()
    [[1.5, 0.75], [0.5, 1.0]]
    """
    groups, classes = int(codes.max(initial=0)) + 1, int(y.max(initial=0)) + 1
    cells = np.bincount(codes * classes + y, weights, minlength=groups * classes).reshape(groups, classes)
    expected = cells.sum(axis=1, keepdims=True) * cells.sum(axis=0, keepdims=True) / max(cells.sum(), 1e-300)
    found: Floats = np.divide(expected, cells, out=np.ones_like(cells), where=cells > 0)
    return found
