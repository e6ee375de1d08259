"""Whether scores tell two groups apart: the area under the ROC curve, and what it is by chance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bessemer.stats.arrays import Bools, Floats
from bessemer.stats.dependence import mean_ranks


@dataclass(frozen=True)
class RankSum:
    """The test of Mann and Whitney (1947), one-sided, ties taken into account, for large samples.

    area: the probability that a row of the group has the greater score, ties as one half, in [0, 1].
    spread: the standard deviation of the area if scores say nothing; 0 where all are equal or a group is empty.
    """

    area: float
    spread: float

    @classmethod
    def of(cls, inside: Bools, scores: Floats) -> RankSum:
        """Of scores (n,), none NaN, and whether each row is of the group (n,).

        >>> found = RankSum.of(np.array([False, True, True]), np.array([0.1, 0.4, 0.4]))
        >>> found.area
        1.0
        """
        n, own = len(scores), int(np.count_nonzero(inside))
        if own in (0, n):
            return cls(0.5, 0.0)
        area = (float(mean_ranks(scores)[inside].sum()) / own - (own + 1) / 2) / (n - own)
        _, ties = np.unique(scores, return_counts=True)
        tied = float((ties.astype(np.float64) ** 3 - ties).sum()) / (n * (n - 1))
        return cls(area, math.sqrt(max(0.0, n + 1 - tied) / (12 * own * (n - own))))

    @property
    def p_value(self) -> float:
        if not self.spread:
            return 1.0
        return math.erfc((self.area - 0.5) / self.spread / math.sqrt(2)) / 2

    def critical(self, probability: float) -> float:
        """The area that is exceeded with a probability if scores say nothing."""
        from scipy.special import ndtri

        return 0.5 - float(ndtri(probability)) * self.spread
