"""Intervals and quantiles that have a formula."""

from __future__ import annotations

import math
from statistics import NormalDist


def wilson(events: float, rows: float, confidence: float) -> tuple[float, float]:
    """The interval of a share after Wilson (1927): inside [0, 1], right also for few rows and rare events.

    >>> tuple(round(x, 3) for x in wilson(0, 10, 0.95))
    (0.0, 0.278)
    """
    if rows <= 0:
        return math.nan, math.nan
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = events / rows
    middle = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * math.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
    # At 0 and 1 the ends are exact, which rounding must not hide.
    return min(max(0.0, middle - half), share), max(min(1.0, middle + half), share)


def chi_square_quantile(share: float, freedom: float) -> float:
    """The quantile of the chi-square distribution, after Wilson and Hilferty (1931).

    Args:
        share: in (0, 1). freedom: degrees of freedom, > 0, not necessarily whole.

    From 3 degrees of freedom on within 1 % for shares from 0.9 to 0.99, and at most 4 % too great up to 0.9999.

    >>> round(chi_square_quantile(0.95, 9), 1)
    16.9
    """
    z = NormalDist().inv_cdf(share)
    spread = 2 / (9 * freedom)
    return freedom * max(0.0, 1 - spread + z * math.sqrt(spread)) ** 3


def clopper_pearson(events: int, rows: int, confidence: float) -> tuple[float, float]:
    """The exact interval of a share after Clopper and Pearson (1934): it holds the share at least so often, and each of
    its ends alone fails at most half as often as both.

    >>> tuple(round(x, 3) for x in clopper_pearson(10, 10, 0.95))
    (0.692, 1.0)
    """
    from scipy.special import betaincinv

    tail = (1 - confidence) / 2
    low = float(betaincinv(events, rows - events + 1, tail)) if events else 0.0
    high = float(betaincinv(events + 1, rows - events, 1 - tail)) if events < rows else 1.0
    return low, high
