"""A function of one feature that is constant between some values, as a tree that is as shallow as it can be."""

from __future__ import annotations

import numpy as np

from bessemer.package.trees.model import Tree

#: The least float32: a value at or below it is taken for a missing one, where those have a leaf of their own.
_LEAST = np.finfo(np.float32).min


def steps(
    feature: int, thresholds: np.ndarray, values: np.ndarray, missing: np.ndarray | None = None
) -> Tree:
    """values[i] where thresholds[i - 1] < x <= thresholds[i].

    Args:
        thresholds: (K,) float32, strictly increasing.
        values: (K + 1, W).
        missing: (W,), for NaN; without it there must be none.

    >>> from bessemer.package.trees.model import Trees
    >>> tree = steps(0, np.float32([1, 2]), np.array([[0.0], [5.0], [9.0]]), np.array([-1.0]))
    >>> x = np.float32([[0], [1], [1.5], [2], [3], [np.nan]])
    >>> Trees((tree,), np.zeros(1), 1).margin(x)[:, 0].tolist()
    [0.0, 0.0, 5.0, 5.0, 9.0, -1.0]
    """
    at: list[float] = []
    left: list[int] = []
    right: list[int] = []

    def grow(low: int, high: int) -> int:
        """The branch, or the leaf, that parts the leaves from low to high."""
        if low == high:
            return -1 - low
        here, middle = len(at), (low + high) // 2
        at.append(float(thresholds[middle]))
        left.append(0)
        right.append(0)
        left[here] = grow(low, middle)
        right[here] = grow(middle + 1, high)
        return here

    if missing is not None:
        at, left, right = [float(_LEAST)], [-1 - len(values)], [0]
        values = np.concatenate([values, missing[None, :]])
    last = len(values) - (1 if missing is None else 2)
    first = grow(0, last)
    if missing is not None:
        right[0] = first
    return Tree(
        np.full(len(at), feature, dtype=np.int32),
        np.array(at, dtype=np.float32),
        np.arange(len(at)) < (0 if missing is None else 1),
        np.array(left, dtype=np.int32),
        np.array(right, dtype=np.int32),
        np.asarray(values, dtype=np.float64),
        np.ones(len(values)),
    )


def spread(beyond: np.ndarray, count: int) -> np.ndarray:
    """Which of some values to keep, int64 ascending: so that the number of rows beyond the next value that is kept
    differs by a share of itself that is as small as `count` values allow. The tail is kept value by value.

    Args:
        beyond: (K,) how many rows lie beyond each value, one way; strictly monotone.

    >>> spread(np.arange(99_999, -1, -1), 64)[-4:].tolist()
    [99996, 99997, 99998, 99999]
    """
    if len(beyond) <= count:
        return np.arange(len(beyond))
    targets = np.append(0.0, np.geomspace(1, max(float(beyond.max()), 1.0), count - 1))
    order = np.argsort(beyond)
    found = order[np.minimum(np.searchsorted(beyond[order], targets), len(beyond) - 1)]
    return np.unique(found)
