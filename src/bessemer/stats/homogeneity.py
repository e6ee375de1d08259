"""Are groups alike: tests that their shares, or their means, are one and the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from bessemer.stats.arrays import Floats, Ints

#: Below this expected count the chi-square distribution is too far from the truth (Cochran 1954).
_FEWEST_EXPECTED = 5
#: Tables drawn at random where there are more than two groups: the smallest p-value is 1 in so many and one.
_TABLES = 9_999


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
    """Whether the groups' shares are one and the same: a p-value.

    Pearson's chi-square test; where fewer than 5 events, or others, are expected in a group, Fisher's exact test of two
    groups, and of more the chi-square statistic among 9,999 tables of the same totals, which are always the same ones
    (Agresti 1992).

    Args:
        events, rows: counts, (groups,), rows > 0.

    1 where all or no rows are events; NaN with fewer than two groups.

    >>> round(same_rates([30, 50], [100, 100]), 4)
    0.0039
    >>> round(same_rates([3, 95], [30, 5000]), 4)  # 0.0014 by chi-square
    0.0199
    """
    from scipy.special import chdtrc

    x, n = np.asarray(events, dtype=np.float64), np.asarray(rows, dtype=np.float64)
    if len(n) < 2:
        return float("nan")
    share = x.sum() / n.sum()
    if share in (0, 1):
        return 1.0
    if n.min() * min(share, 1 - share) < _FEWEST_EXPECTED:
        return _same_rare_rates(np.rint(x).astype(np.int64), np.rint(n).astype(np.int64))
    return float(chdtrc(len(n) - 1, _pearson(x, n, share)))


def _pearson(events: Floats, rows: Floats, share: float) -> Floats:
    """Pearson's statistic of events (..., groups) against rows (groups,): (...,)."""
    found: Floats = np.sum((events - rows * share) ** 2 / (rows * share * (1 - share)), axis=-1)
    return found


def _same_rare_rates(events: Ints, rows: Ints) -> float:
    """`same_rates` given how many events there are in all."""
    if len(rows) == 2:
        from scipy.stats import fisher_exact

        return float(fisher_exact([events, rows - events]).pvalue)
    share, whole = float(events.sum() / rows.sum()), rows.astype(np.float64)
    tables = np.random.default_rng(0).multivariate_hypergeometric(
        rows, int(events.sum()), size=_TABLES, method="marginals"
    )
    drawn = _pearson(tables.astype(np.float64), whole, share)
    seen = float(_pearson(events.astype(np.float64), whole, share))
    # Equal tables may differ in the last digit; the table seen is one of those that could be.
    return float((1 + np.count_nonzero(drawn >= seen * (1 - 1e-9))) / (1 + _TABLES))


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
