"""How sure the area under a ROC curve is, and a point of the curve, of independent rows of two groups."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np

from bessemer.stats.arrays import Floats
from bessemer.stats.intervals import clopper_pearson

#: Halvings until an end of an interval is known.
_HALVINGS = 60


def area_interval(area: float, inside: int, outside: int, confidence: float) -> tuple[float, float]:
    """Newcombe (2006, "Confidence intervals for an effect size measure based on the Mann-Whitney statistic", method
    5): the areas that are no further from the measured one than chance goes. It holds at 0 and 1 too.

    Args:
        area: measured, in [0, 1]. inside, outside: rows of the two groups, each at least 1.

    >>> [round(end, 3) for end in area_interval(0.5, 100, 100, 0.95)]
    [0.421, 0.579]
    >>> [round(end, 3) for end in area_interval(1.0, 100, 100, 0.95)]
    [0.98, 1.0]
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    more = (inside + outside) / 2 - 1

    def far(true: float) -> bool:
        spread = true * (1 - true) * (1 + more * (1 - true) / (2 - true) + more * true / (1 + true))
        return abs(true - area) > z * math.sqrt(spread / (inside * outside))

    return _end(area, 0.0, far), _end(area, 1.0, far)


def _end(near: float, end: float, far: Callable[[float], bool]) -> float:
    if not far(end):
        return end
    for _ in range(_HALVINGS):
        middle = (near + end) / 2
        near, end = (near, middle) if far(middle) else (middle, end)
    return end


def recognised_at(
    inside: Floats, outside: Floats, rate: float, confidence: float
) -> tuple[float, float, float]:
    """The share of a group whose scores lie above a threshold that at most a share `rate` of the others does, and an
    interval of it that knows where the threshold stands from these rows alone (Clopper and Pearson 1934, each side
    for the threshold and for the share).

    Args:
        inside, outside: scores (n,) and (m,), none NaN; the higher, the likelier inside.
    """
    n, m, each = len(inside), len(outside), 1 - (1 - confidence) / 2
    descending = np.sort(outside)[::-1]

    def hits(mistaken: int) -> int:
        """Rows inside above a threshold that so many others lie above, at most; none for less than 0."""
        if mistaken < 0:
            return 0
        return n if mistaken >= m else int((inside > descending[mistaken]).sum())

    surely, possibly = _mistaken(m, rate, each)
    value = hits(math.floor(rate * m + 1e-9)) / n
    low = clopper_pearson(hits(surely), n, each)[0] if surely >= 0 else 0.0
    return value, min(low, value), max(clopper_pearson(hits(possibly), n, each)[1], value)


def _mistaken(m: int, rate: float, confidence: float) -> tuple[int, int]:
    """Of m others: how many may be mistaken so that their true share is surely at most the rate (-1: not even none),
    and possibly."""
    surely, possibly = -1, 0
    for mistaken in range(m + 1):
        low, high = clopper_pearson(mistaken, m, confidence)
        if low > rate:
            break
        surely, possibly = (mistaken if high <= rate else surely), mistaken
    return surely, possibly
