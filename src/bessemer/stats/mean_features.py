"""Whether the mean of many features of rows has changed: the maximum mean discrepancy, and its law by chance.

With random Fourier features the distance of two means is the maximum mean discrepancy of a Gaussian kernel (Gretton et
al. 2012). It is measured in units of how the features vary (a regularised Hotelling statistic, as the kernel Fisher
discriminant of Harchaoui, Bach and Moulines 2007): changes in directions that hardly ever vary count, too. A reference
is a mean and a covariance: no row is kept, and those of several tables add up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bessemer.stats.arrays import Floats
from bessemer.stats.three_moments import ThreeMoments

#: Added to the covariance, in its mean variance: directions that vary less are not stretched to the full.
RIDGE = 0.1

#: A covariance needs so many rows a feature, or it looks smaller than it is in some direction.
ROWS_A_FEATURE = 50

#: The fewest rows of a window whose mean is compared.
LEAST_ROWS = 50


@dataclass(frozen=True)
class MeanFeatures:
    """The mean (k,) and covariance (k, k) of the features of so many rows.

    >>> both = MeanFeatures.of(np.array([[0.0], [2.0]])).merged(MeanFeatures.of(np.array([[4.0]])))
    >>> both.rows, both.mean.tolist(), both.covariance.round(6).tolist()
    (3, [2.0], [[2.666667]])
    """

    rows: int
    mean: Floats
    covariance: Floats

    @classmethod
    def of(cls, features: Floats) -> MeanFeatures:
        """Of features (n, k), n > 0, none NaN."""
        mean = features.mean(axis=0)
        centred = features - mean
        return cls(len(features), mean, centred.T @ centred / len(features))

    def merged(self, other: MeanFeatures) -> MeanFeatures:
        """Those of the rows of both."""
        rows = self.rows + other.rows
        if not rows:
            return self
        gap, share = other.mean - self.mean, other.rows / rows
        covariance = (1 - share) * self.covariance + share * other.covariance
        covariance += share * (1 - share) * np.outer(gap, gap)
        return MeanFeatures(rows, self.mean + share * gap, covariance)


@dataclass(frozen=True)
class Seen:
    """What is kept of the features of a window: rows, the sum (k,), and sums of powers of the lengths.

    second, fourth: of the squared and fourth powers of how far rows lie from the reference's mean.
    """

    rows: int
    total: Floats
    second: float
    fourth: float

    def merged(self, other: Seen) -> Seen:
        return Seen(
            self.rows + other.rows,
            self.total + other.total,
            self.second + other.second,
            self.fourth + other.fourth,
        )


@dataclass(frozen=True)
class Discrepancy:
    """How far two means are apart.

    value: the squared length of the difference, >= 0. p_value: how likely so great a value is if nothing has changed.
    critical: the value that is exceeded with a probability if nothing has changed.
    """

    value: float
    p_value: float
    critical: Callable[[float], float]


def traces_of(reference: MeanFeatures) -> tuple[float, float, float]:
    """Of the first three powers of the covariance in units of each feature's own variance (see `MeanTest.scaled`)."""
    root = np.sqrt(_own_units(np.diag(reference.covariance)))
    scaled = reference.covariance * np.outer(root, root)
    squared = scaled @ scaled
    return float(np.trace(scaled)), float(np.trace(squared)), float((squared * scaled).sum())


def _own_units(variance: Floats) -> Floats:
    ridge = RIDGE * max(float(variance.mean()) if len(variance) else 0.0, 1e-12)
    return np.asarray(1 / (variance + ridge))


class MeanTest:
    """Compares the mean of a window's features with the reference's.

    Args:
        rows: of the reference. mean: (k,). metric: (k, k), or (k,) where it is diagonal: what differences are
            measured by.
        traces: of the first three powers of metric times covariance.

    Raises:
        ValueError: a number is NaN or infinite: nothing would ever be found.
    """

    def __init__(self, rows: int, mean: Floats, metric: Floats, traces: tuple[float, float, float]) -> None:
        if not all(np.isfinite(part).all() for part in (mean, metric, traces)):
            raise ValueError("what is compared with has numbers that are NaN or infinite")
        self._rows, self._mean, self._metric, self._traces = rows, mean, metric, traces

    @classmethod
    def whitened(cls, reference: MeanFeatures) -> MeanTest:
        """By the inverse of the covariance, with a ridge.

        >>> rng = np.random.default_rng(0)
        >>> test = MeanTest.whitened(MeanFeatures.of(rng.normal(size=(5000, 4))))
        >>> test.compare(test.seen(rng.normal(size=(500, 4)))).p_value > 0.01
        True
        >>> test.compare(test.seen(rng.normal(size=(500, 4)) + 0.3)).p_value < 1e-6
        True
        """
        k = len(reference.mean)
        ridge = RIDGE * max(float(np.trace(reference.covariance)) / max(1, k), 1e-12)
        metric = np.asarray(np.linalg.inv(reference.covariance + ridge * np.eye(k)), dtype=np.float64)
        own = np.clip(np.linalg.eigvalsh(reference.covariance), 0, None)
        shares = own / (own + ridge)
        # the covariance is that of these rows: the inverse of the true one is smaller, by this factor at most
        factor = reference.rows / max(1, reference.rows - k - 1)
        first, second, third = (float((shares**power).sum()) * factor**power for power in (1, 2, 3))
        return cls(reference.rows, reference.mean, metric, (first, second, third))

    @classmethod
    def scaled(
        cls, rows: int, mean: Floats, variance: Floats, traces: tuple[float, float, float]
    ) -> MeanTest:
        """By each feature's own variance, with a ridge: where a covariance is too much to keep.

        Args:
            mean, variance: (k,). traces: see `traces_of`.
        """
        return cls(rows, mean, _own_units(variance), traces)

    def seen(self, features: Floats) -> Seen:
        """What is kept of the features (n, k) of some rows of a window.

        Raises:
            ValueError: one is NaN or infinite.
        """
        if not np.isfinite(features).all():
            raise ValueError("a feature is NaN or infinite: its row cannot be compared")
        gap = features - self._mean
        turned = gap @ self._metric if self._metric.ndim == 2 else gap * self._metric
        lengths = np.einsum("ij,ij->i", gap, turned)
        return Seen(len(features), features.sum(axis=0), float(lengths.sum()), float((lengths**2).sum()))

    def compare(self, seen: Seen) -> Discrepancy | None:
        """None of a window with fewer rows than `LEAST_ROWS`."""
        if seen.rows < LEAST_ROWS or not self._traces[1] > 0:
            return None
        gap = seen.total / seen.rows - self._mean
        turned = self._metric @ gap if self._metric.ndim == 2 else self._metric * gap
        value, size = float(gap @ turned), 1 / (1 / self._rows + 1 / seen.rows)
        law = self._law(seen, size, seen.second / seen.rows - value)
        return Discrepancy(value, law.beyond(value * size), lambda p: law.critical(p) / size)

    def _law(self, seen: Seen, size: float, spread: float) -> ThreeMoments:
        """Of the value times `size`: a weighted sum of chi-squares, but for what few rows with long tails add to it.

        spread: of the window's own rows, the mean squared distance from their mean, as the metric measures it. It
        counts for their part of the mean: the metric is made of the reference's rows, and those vary by it a bit less.
        """
        first, second, third = self._traces
        mean = size * (spread / seen.rows + first / self._rows)
        excess = max(0.0, seen.fourth / seen.rows - first**2 - 2 * second)
        variance = 2 * second + size**2 * excess * (1 / seen.rows**3 + 1 / self._rows**3)
        skewness = max(8 * third / variance**1.5, 2 * variance**0.5 / first)
        return ThreeMoments(mean, variance, skewness)
