"""How many values of a sample repeat another, as it would be in a smaller sample."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln


def repeated_share(times: ArrayLike, values: ArrayLike, size: int) -> float:
    """The share of `size` rows, drawn without replacement, that repeat another of them: its expectation, in [0, 1).

    The more rows, the greater the share that repeats, where nothing else has changed: so shares are compared at one
    size (rarefaction, Hurlbert 1971).

    Args:
        times: how often a value stands in the sample, (k,), each >= 1.
        values: how many values stand there so often, (k,).
        size: rows, from 1 to all of them, the sum of times * values.

    >>> round(repeated_share([1, 2], [6, 2], 10), 4), round(repeated_share([1, 2], [6, 2], 2), 4)
    (0.2, 0.0222)
    """
    c, k = np.asarray(times, dtype=np.float64), np.asarray(values, dtype=np.float64)
    rows = float(c @ k)
    rest = rows - c
    possible = rest >= size  # else a draw of so many has the value for certain
    rest = np.maximum(rest, size)
    # C(rest, size) / C(rows, size): how likely a draw is that leaves the value out
    without = gammaln(rest + 1) - gammaln(rest - size + 1) - gammaln(rows + 1) + gammaln(rows - size + 1)
    distinct = float(k @ (1 - np.where(possible, np.exp(without), 0.0)))
    return max(0.0, 1 - distinct / size)
