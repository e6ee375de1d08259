"""Are groups alike: tests that their shares, or their means, are one and the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from bessemer.stats.arrays import Floats


def beta_draws(events: float, rows: float, count: int) -> Floats:
    """Draws of a rate that every resample gives alike, because no row or every row is an event: float64 (count,).

    The quantiles of its Beta distribution with Jeffreys' prior (Brown, Cai, DasGupta 2001), mixed in an order that is
    always the same.

    >>> bool(0.0001 < np.median(beta_draws(0, 30, 101)) < 0.02)
    True
    """
    from scipy.special import betaincinv

    shares = (np.arange(count) + 0.5) / count
    found: Floats = betaincinv(events + 0.5, rows - events + 0.5, shares)
    return np.random.default_rng(count).permutation(found)


def same_rates(events: ArrayLike, rows: ArrayLike) -> float:
    """Pearson's chi-square test that the groups' shares are one and the same: its p-value.

    Args:
        events, rows: float (groups,), rows > 0.

    1 where all or no rows are events; NaN with fewer than two groups.

    >>> round(same_rates([30, 50], [100, 100]), 4)
    0.0039
    """
    from scipy.special import chdtrc

    x, n = np.asarray(events, dtype=np.float64), np.asarray(rows, dtype=np.float64)
    if len(n) < 2:
        return float("nan")
    share = x.sum() / n.sum()
    if share in (0, 1):
        return 1.0
    return float(chdtrc(len(n) - 1, float(np.sum((x - n * share) ** 2 / (n * share * (1 - share))))))


def same_means(mean: ArrayLike, variance: ArrayLike, rows: ArrayLike) -> float:
    """Cochran's test (1937) that the groups' means are one and the same, for unequal variances: its p-value.

    NaN with fewer than two groups or where a group does not vary.
    """
    from scipy.special import chdtrc

    m, v, n = (np.asarray(part, dtype=np.float64) for part in (mean, variance, rows))
    if len(n) < 2 or not np.all(v > 0):
        return float("nan")
    weight = n / v
    middle = np.sum(weight * m) / np.sum(weight)
    return float(chdtrc(len(n) - 1, float(np.sum(weight * (m - middle) ** 2))))
