"""Many tests at once: p-values that stay honest however many were looked at.

NaN stands for a test that could not be made; it stays NaN and does not count.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from bessemer.stats.arrays import Floats


def holm(p: ArrayLike) -> Floats:
    """Adjusted p-values, float64 (m,): below `a`, the chance of any false finding is at most `a` (Holm 1979).

    It holds whatever the tests have to do with each other.

    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p, dtype=np.float64)
    order, tests = _ranked(values)
    raised = values[order] * np.arange(tests, 0, -1)
    return _placed(values, order, np.maximum.accumulate(raised))


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """Adjusted p-values, float64 (m,): of those below `a`, on average at most the share `a` is false.

    Benjamini and Hochberg 1995: for tests that are independent, or that go up and down together.

    >>> benjamini_hochberg([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.04, 0.04]
    """
    values = np.asarray(p, dtype=np.float64)
    order, tests = _ranked(values)
    raised = values[order] * tests / np.arange(1, tests + 1)
    return _placed(values, order, np.minimum.accumulate(raised[::-1])[::-1])


def _ranked(values: Floats) -> tuple[np.ndarray, int]:
    """Places of the tests that were made, the smallest p first, and how many they are."""
    order = np.argsort(values, kind="stable")
    tests = int(np.sum(~np.isnan(values)))
    return order[:tests], tests


def _placed(values: Floats, order: np.ndarray, adjusted: Floats) -> Floats:
    found = np.full(len(values), np.nan)
    found[order] = np.minimum(adjusted, 1.0)
    return found
