"""Two stretches of a series, one after the other, whose values go together with those before them."""

from __future__ import annotations

import math

import numpy as np

from bessemer.stats.arrays import Floats

#: A series is never taken to depend on its past more than so: it would say nothing.
_MOST = 0.97


def dependence(*parts: Floats) -> float:
    """The correlation of a value with the one before it, of stretches that each have their own mean, in [0, 0.97].

    Of short stretches the plain estimate is too low, by about (1 + 3 r) / n for each mean that is taken off (Kendall
    1954); that is put back. A series that swings to and fro counts as independent.

    >>> dependence(np.arange(40.0) % 2)
    0.0
    """
    centred = [part - part.mean() for part in parts]
    squares = sum(float(np.sum(d * d)) for d in centred)
    if not squares:
        return 0.0
    plain = sum(float(np.sum(d[1:] * d[:-1])) for d in centred) / squares
    rows = sum(map(len, parts))
    return float(min(max(plain + (1 + 3 * plain) * len(parts) / rows, 0.0), _MOST))


def higher(before: Floats, now: Floats, allowed: float) -> float:
    """Whether the mean of `now` (n,) is above that of `before` (m,) by more than is allowed: a one-sided p-value.

    Student's t, with the variance of the means and the degrees of freedom of as many independent values as the series,
    by its `dependence`, is worth (Bayley and Hammersley 1946). 1 where there are too few or nothing varies.

    >>> rng = np.random.default_rng(0)
    >>> a, b = rng.normal(0, 0.1, 48), rng.normal(0.5, 0.1, 24)
    >>> higher(a, b, 0.2) < 1e-6, higher(a, b, 0.6) > 0.9
    (True, True)
    """
    from scipy.special import stdtr

    rows = len(before) + len(now)
    if min(len(before), len(now)) < 2:
        return 1.0
    r = dependence(before, now)
    worth = (1 - r) / (1 + r)  # of one value, in independent ones
    spread = sum(float(np.sum((part - part.mean()) ** 2)) for part in (before, now)) / (rows - 2)
    # a stretch that depends on itself varies less about its own mean than about the true one
    spread /= max(0.2, 1 - 2 / (rows * worth))
    if not spread > 0:
        return 1.0
    freedom = max(1.0, rows * worth - 2)
    error = math.sqrt(spread / worth * (1 / len(before) + 1 / len(now)))
    return float(stdtr(freedom, -(float(now.mean() - before.mean()) - allowed) / error))
