"""Few directions that make up most of rows, and how far a row lies from what they can make of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bessemer.stats.arrays import Floats
from bessemer.stats.mean_features import MeanFeatures

#: Directions are taken until they make up this share of the variance; at most so many.
SHARE, MOST = 0.7, 32

_DECIMALS = 6


@dataclass(frozen=True)
class Components:
    """Principal components: mean (k,), directions (q, k), each of length 1.

    >>> rows = np.outer(np.arange(10.0), [3.0, 4.0])
    >>> Components.of(MeanFeatures.of(rows)).distances(np.array([[3.0, 4.0], [4.0, -3.0]]) + rows.mean(axis=0)).tolist()
    [0.0, 25.0]
    """

    mean: Floats
    directions: Floats

    @classmethod
    def of(cls, sums: MeanFeatures) -> Components:
        """Those of a mean and covariance."""
        variances, vectors = np.linalg.eigh(sums.covariance)
        variances, vectors = variances[::-1], vectors[:, ::-1]
        # what is equal but for the order of sums is equal: kinds of processors add up in different ones
        reached = np.round(np.cumsum(variances) / max(float(variances.sum()), 1e-12), _DECIMALS)
        kept = min(MOST, int(np.searchsorted(reached, SHARE)) + 1)
        # a direction is one up to its sign: its greatest part is positive, the first of those that are equal
        directions = vectors[:, :kept].T
        greatest = np.round(np.abs(directions), _DECIMALS).argmax(axis=1)
        signs = np.sign(directions[np.arange(len(directions)), greatest])
        return cls(sums.mean, directions * signs[:, None])

    def distances(self, rows: Floats) -> Floats:
        """The squared distance (n,) of each of the rows (n, k) from the plane of the directions, to six decimals."""
        gap = rows - self.mean
        left = gap - (gap @ self.directions.T) @ self.directions
        # rows that are alike have one distance, whatever the order of sums
        return np.asarray(np.round(np.einsum("ij,ij->i", left, left), _DECIMALS))
