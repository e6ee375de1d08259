"""A law known by its mean, variance and skewness: what sums of squares follow, to within what matters in the tail."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class ThreeMoments:
    """A shifted gamma law (Pearson 1895, type III), skewed to the right.

    mean: any number. variance, skewness: > 0. Of a weighted sum of chi-squares this is Hall's, Buckley's and Eagleson's
    approximation (Buckley and Eagleson 1988); of a chi-square itself it is exact.

    >>> law = ThreeMoments(1.0, 2.0, 8**0.5)  # chi-square, one degree of freedom
    >>> round(law.beyond(3.841), 3), round(law.critical(0.05), 3)
    (0.05, 3.841)
    """

    mean: float
    variance: float
    skewness: float

    @property
    def _shape(self) -> float:
        return 4 / self.skewness**2

    @property
    def _scale(self) -> float:
        return math.sqrt(self.variance / self._shape)

    def beyond(self, value: float) -> float:
        """The probability of a greater value."""
        from scipy.special import gammaincc

        return float(gammaincc(self._shape, max(0.0, self._shape + (value - self.mean) / self._scale)))

    def critical(self, probability: float) -> float:
        """What is exceeded with a probability in (0, 1)."""
        from scipy.special import gammainccinv

        return self.mean + self._scale * (float(gammainccinv(self._shape, probability)) - self._shape)
