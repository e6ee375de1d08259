"""How far apart two distributions are, from counts in the same bins.

Counts are float or int (bins,) or (replicates, bins): the last axis is the bins; >= 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from bessemer.stats.arrays import Floats
from bessemer.stats.intervals import chi_square_quantile

#: Added to every bin by `psi`, so that an empty bin costs much and not infinitely much (Jeffreys' prior).
PSEUDO_COUNT = 0.5


def shares(counts: ArrayLike, pseudo: float = 0.0) -> Floats:
    """Counts as shares that sum to 1 along the last axis; of an empty axis all NaN."""
    raised = np.asarray(counts, dtype=np.float64) + pseudo
    sums = raised.sum(axis=-1, keepdims=True)
    return np.asarray(np.divide(raised, sums, out=np.full_like(raised, np.nan), where=sums > 0))


def psi(reference: ArrayLike, window: ArrayLike) -> Floats:
    """Population stability index: sum of (q - p) log(q / p), in nats, >= 0 (Lewis 1994; Jeffreys' divergence).

    Under no change it is about (1/n + 1/m) times a chi-square of bins - 1 degrees of freedom, so its mean is
    `psi_bias`: fixed limits such as 0.1 and 0.25 mean nothing without the sample sizes (Yurdakul 2018).

    >>> float(psi([50, 50], [50, 50]))
    0.0
    """
    p, q = shares(reference, PSEUDO_COUNT), shares(window, PSEUDO_COUNT)
    return np.asarray(np.sum((q - p) * np.log(q / p), axis=-1))


def psi_bias(bins: int, reference_rows: float, window_rows: float) -> float:
    """The mean of `psi` where nothing has changed: (bins - 1)(1/n + 1/m).

    >>> psi_bias(11, 1000, 1000)
    0.02
    """
    return (bins - 1) * (1 / reference_rows + 1 / window_rows)


def psi_threshold(
    reference: ArrayLike, window_rows: int, false_alarm: float, rng: np.random.Generator, draws: int = 1000
) -> float:
    """The value that `psi` exceeds with probability `false_alarm` where nothing has changed.

    A parametric bootstrap draws reference and window from the reference's shares; a scaled chi-square with the
    mean and variance of the draws (Satterthwaite 1946) gives the far tail that so few draws do not reach. Where
    the draws themselves reach further, at their own resolution, they win.

    Args:
        reference: counts (bins,), not all zero.
        window_rows: rows of the window that will be compared.
        false_alarm: in (0, 0.5).
    """
    counts = np.asarray(reference, dtype=np.float64)
    p = shares(counts)
    n = max(1, round(float(counts.sum())))
    found = psi(rng.multinomial(n, p, draws), rng.multinomial(window_rows, p, draws))
    mean, variance = float(found.mean()), float(found.var())
    if variance <= 0:
        return mean
    tail = variance / (2 * mean) * chi_square_quantile(1 - false_alarm, 2 * mean**2 / variance)
    return max(tail, float(np.quantile(found, 1 - max(false_alarm, 10 / draws))))


def kolmogorov_smirnov(reference: ArrayLike, window: ArrayLike) -> Floats:
    """The greatest distance between the two cumulative distributions at the bins' edges, in [0, 1]; NaN: one is empty.

    >>> float(kolmogorov_smirnov([2, 2], [4, 0]))
    0.5
    """
    gap = np.cumsum(shares(reference), axis=-1) - np.cumsum(shares(window), axis=-1)
    return np.asarray(np.max(np.abs(gap), axis=-1))


def jensen_shannon(reference: ArrayLike, window: ArrayLike) -> Floats:
    """The Jensen-Shannon distance: root of the divergence in bits, in [0, 1], a metric; NaN: one is empty.

    Endres and Schindelin 2003.

    >>> float(jensen_shannon([1, 0], [0, 1]))
    1.0
    """
    p, q = shares(reference), shares(window)
    middle = (p + q) / 2
    divergence = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    return np.asarray(np.sqrt(np.clip(divergence, 0.0, 1.0)))


def _relative_entropy(p: Floats, q: Floats) -> Floats:
    """Sum of p log2(p / q) along the last axis, with 0 log 0 = 0; q > 0 wherever p > 0."""
    quotient = np.divide(p, q, out=np.ones_like(p), where=p > 0)
    return np.asarray(np.sum(p * np.log2(quotient), axis=-1))
