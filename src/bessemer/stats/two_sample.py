"""Whether two samples come from one distribution, from counts in the same bins: p-values and critical values.

Reference counts are of n rows, window counts of m. With n and m large enough all statistics here have known laws when
nothing has changed, so no row needs to be kept and nothing is drawn at random, except for the Wasserstein distance.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from bessemer.stats.arrays import Floats
from bessemer.stats.distance import shares

#: A group is compared where both samples are expected to hold about this many of its rows (Cochran 1954).
LEAST_EXPECTED = 5.0


def chi_square(reference: ArrayLike, window: ArrayLike) -> tuple[float, int]:
    """Pearson's statistic of homogeneity of two rows of counts (bins,), and its degrees of freedom.

    Groups that are too small stand together (see `enough`). 0 degrees of freedom: there is nothing to compare.

    >>> chi_square([50, 50], [50, 50])
    (0.0, 1)
    """
    table = enough(np.stack([np.asarray(reference, np.float64), np.asarray(window, np.float64)]))
    if table.shape[1] < 2 or not table.sum(axis=1).all():
        return 0.0, 0
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    return float(((table - expected) ** 2 / expected).sum()), table.shape[1] - 1


def enough(table: Floats) -> Floats:
    """Columns of a table of counts (2, bins) that are expected below `LEAST_EXPECTED` are added to their neighbour.

    >>> enough(np.array([[50.0, 1.0, 49.0], [50.0, 0.0, 50.0]])).tolist()
    [[51.0, 49.0], [50.0, 50.0]]
    """
    smaller = float(table.sum(axis=1).min())
    total = float(table.sum())
    if not smaller:
        return table[:, :0]
    groups: list[Floats] = []
    for column in table.T:
        if groups and _short(groups[-1], column, smaller, total):
            groups[-1] = groups[-1] + column
        else:
            groups.append(column)
    return np.stack(groups, axis=1)


def _short(last: Floats, column: Floats, smaller: float, total: float) -> bool:
    least = LEAST_EXPECTED * total / smaller
    return bool(last.sum() < least or column.sum() < least)


def chi_square_p(statistic: float, freedom: int) -> float:
    """How likely a statistic this great is by chance; 1 where there is nothing to compare.

    >>> round(chi_square_p(3.841, 1), 3)
    0.05
    """
    from scipy.special import gammaincc

    return float(gammaincc(freedom / 2, statistic / 2)) if freedom else 1.0


def chi_square_critical(probability: float, freedom: int) -> float:
    """What a statistic exceeds with a probability by chance.

    >>> round(chi_square_critical(0.05, 1), 3)
    3.841
    """
    from scipy.special import gammainccinv

    return float(2 * gammainccinv(freedom / 2, probability)) if freedom else math.inf


def kolmogorov_p(distance: float, n: float, m: float) -> float:
    """How likely a Kolmogorov-Smirnov distance this great is by chance (Kolmogorov 1933; Smirnov 1948), large samples.

    Of binned or tied values it is an upper bound.

    >>> round(kolmogorov_p(0.0607, 1000, 1000), 2)
    0.05
    """
    from scipy.special import kolmogorov

    return float(kolmogorov(math.sqrt(n * m / (n + m)) * distance)) if n and m else 1.0


def kolmogorov_critical(probability: float, n: float, m: float) -> float:
    """The distance that is exceeded with a probability by chance."""
    from scipy.special import kolmogi

    return float(kolmogi(probability)) / math.sqrt(n * m / (n + m)) if n and m else math.inf


def shares_p(events: tuple[float, float], rows: tuple[float, float]) -> float:
    """How likely a difference of two shares this great is by chance: the score test, or Fisher's where events are few.

    >>> round(shares_p((50, 70), (1000, 1000)), 3)
    0.06
    """
    pooled = sum(events) / sum(rows) if sum(rows) else 0.0
    if not 0 < pooled < 1 or not all(rows):
        return 1.0
    if min(pooled, 1 - pooled) * min(rows) < LEAST_EXPECTED:
        from scipy.stats import fisher_exact

        return float(
            fisher_exact(
                [list(map(int, events)), [int(r - e) for r, e in zip(rows, events, strict=True)]]
            ).pvalue
        )
    spread = math.sqrt(pooled * (1 - pooled) * (1 / rows[0] + 1 / rows[1]))
    return math.erfc(abs(events[0] / rows[0] - events[1] / rows[1]) / spread / math.sqrt(2))


def shares_critical(probability: float, events: tuple[float, float], rows: tuple[float, float]) -> float:
    """The difference of two shares that is exceeded with a probability by chance, by the score test."""
    from scipy.special import erfcinv

    pooled = sum(events) / sum(rows)
    spread = math.sqrt(pooled * (1 - pooled) * (1 / rows[0] + 1 / rows[1]))
    return float(math.sqrt(2) * erfcinv(probability)) * spread


def outside_p(outside: int, m: int, n: int, extremes: int) -> float:
    """How likely it is that so many of m new values lie beyond the outermost of n earlier ones by chance.

    Args:
        extremes: how many outermost values there are: 2 for a smallest and a greatest, 1 for one of them. Of values
            that were never seen: how many were seen once, and one.

    Values without ties are exchangeable, so the share outside follows a beta law and the number a beta-binomial one;
    ties make it less likely. From 1,000 outside on the number is the share to within what matters.

    >>> outside_p(0, 1000, 1000, 2)
    1.0
    >>> round(outside_p(1, 1000, 1_000_000, 1), 3)
    0.001
    >>> round(outside_p(19_980, 10_000_000, 1000, 2), 1)  # as many as are to be expected
    0.4
    """
    if outside <= 0 or not m:
        return 1.0
    from scipy.special import betainc, betaln, gammaln

    a, b = float(extremes), float(max(1, n - extremes + 1))
    if outside > 1000:
        return float(1.0 - betainc(a, b, (outside - 0.5) / m))
    k = np.arange(outside)
    choose = gammaln(m + 1) - gammaln(k + 1) - gammaln(m - k + 1)
    below = np.exp(choose + betaln(k + a, m - k + b) - betaln(a, b)).sum()
    return float(min(1.0, max(0.0, 1.0 - below)))


def wasserstein(edges: Floats, reference: ArrayLike, window: ArrayLike) -> Floats:
    """The first Wasserstein distance in units of the values, from counts (..., bins) between edges (bins + 1,).

    Within a bin values are taken as even, so that the cumulative distributions are lines between the edges.

    >>> float(wasserstein(np.array([0.0, 1.0, 2.0]), [1, 0], [0, 1]))
    1.0
    """
    gap = np.cumsum(shares(reference), axis=-1) - np.cumsum(shares(window), axis=-1)
    ends = np.concatenate([np.zeros((*gap.shape[:-1], 1)), gap], axis=-1)
    left, right = ends[..., :-1], ends[..., 1:]
    size = np.abs(left) + np.abs(right)
    # where the gap changes its sign within a bin, the area is of two triangles
    crossed = np.divide(left**2 + right**2, 2 * size, out=np.zeros_like(size), where=size > 0)
    area = np.where(left * right < 0, crossed, size / 2)
    return np.asarray((area * np.diff(edges)).sum(axis=-1))


def wasserstein_null(
    edges: Floats, reference: ArrayLike, rows: int, rng: np.random.Generator, draws: int = 300
) -> tuple[float, float]:
    """Mean and standard deviation of the distance of two samples that are drawn from the reference's counts."""
    counts = np.asarray(reference, dtype=np.float64)
    p = shares(counts)
    n = max(1, round(float(counts.sum())))
    found = wasserstein(edges, rng.multinomial(n, p, draws), rng.multinomial(rows, p, draws))
    return float(found.mean()), float(found.std(ddof=1))
