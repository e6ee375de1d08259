"""The order of categories in which neighbours are alike in the other columns (Apley and Zhu 2020)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bessemer.explain.grid import grid_of

if TYPE_CHECKING:
    from bessemer.explain.grid import Grid
    from bessemer.explain.sample import Floats, Sample
    from bessemer.explain.subject import Subject

#: The most other columns that are compared, and the most values of one that are told apart.
COLUMNS, VALUES = 40, 20


def similar_order(grid: Grid, subject: Subject, sample: Sample) -> npt.NDArray[np.int64]:
    """The grid's points in that order: int64 (G,), a permutation.

    The distance of two categories is the sum, over the other columns, of the distance of their distributions:
    Kolmogorov-Smirnov's for numbers, the total variation for categories. The order is along the first axis of
    classical scaling (Torgerson 1952), from categories of lower to those of higher mean score.
    """
    if len(grid) < 3:
        return _by_score(grid, sample, np.arange(len(grid), dtype=np.float64))
    others = [name for name in subject.columns if name != grid.column][:COLUMNS]
    far = np.zeros((len(grid), len(grid)))
    for name in others:
        other = grid_of(name, subject, sample, VALUES)
        far += _distances(_shares(grid, other), ordered=other.kind != "category")
    return _by_score(grid, sample, _first_axis(far))


def _shares(grid: Grid, other: Grid) -> Floats:
    """How the rows of each category spread over the values of another column: float64 (G, values), rows sum to 1."""
    both = (grid.place >= 0) & (other.place >= 0)
    cells = np.bincount(
        grid.place[both] * len(other) + other.place[both], minlength=len(grid) * len(other)
    ).reshape(len(grid), len(other))
    return np.asarray(cells / np.maximum(cells.sum(axis=1, keepdims=True), 1), dtype=np.float64)


def _distances(shares: Floats, *, ordered: bool) -> Floats:
    """Between all pairs of distributions: float64 (G, G), in [0, 1]."""
    if ordered:
        reached = np.cumsum(shares, axis=1)
        far: Floats = np.abs(reached[:, None, :] - reached[None, :, :]).max(axis=2)
    else:
        far = np.abs(shares[:, None, :] - shares[None, :, :]).sum(axis=2) / 2
    return far


def _first_axis(far: Floats) -> Floats:
    """The coordinate of each point on the axis of classical scaling that keeps most of the distances: (G,)."""
    centring = np.eye(len(far)) - 1 / len(far)
    _, axes = np.linalg.eigh(-0.5 * centring @ far**2 @ centring)
    return np.asarray(axes[:, -1], dtype=np.float64).round(9)


def _by_score(grid: Grid, sample: Sample, axis: Floats) -> npt.NDArray[np.int64]:
    """The order along the axis, turned so that the first output's score rises with it."""
    means = [sample.score[grid.place == point, 0].mean() for point in range(len(grid))]
    if float(np.cov(np.array([axis, means]))[0, 1] if len(axis) > 1 else 0.0) < 0:
        axis = -axis
    return np.array(sorted(range(len(grid)), key=lambda i: (axis[i], str(grid.values[i]))), dtype=np.int64)
