"""Whose labels are like those of others: what the model would expect of them, and how far clients differ anyhow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bessemer.stats.arrays import Floats

#: What the median deviation of a normal distribution is multiplied with to be its standard deviation.
_NORMAL = 1.4826
#: How much greater the variance of a median is than that of a mean: pi / 2.
_MEDIAN = np.pi / 2
_HALVINGS = 30
_FREEDOM = 6.0


def label_surprise(probability: ArrayLike, label: ArrayLike) -> tuple[Floats, Floats]:
    """How much less likely each label was than the model expected of itself, and the variance of that: (n,) each.

    The surprise is 1 - p(label), less its mean if the model's probabilities are right.

    Args:
        probability: (n, K), rows sum to 1. label: class indices, (n,).

    >>> over, variance = label_surprise([[0.1, 0.9], [0.1, 0.9]], [1, 0])
    >>> over.round(2).tolist(), variance.round(4).tolist()
    ([-0.08, 0.72], [0.0576, 0.0576])
    """
    p = np.asarray(probability, dtype=np.float64)
    seen = 1 - p[np.arange(len(p)), np.asarray(label, dtype=np.int64)]
    mean = (p * (1 - p)).sum(axis=1)
    return seen - mean, (p * (1 - p) ** 2).sum(axis=1) - mean**2


@dataclass(frozen=True)
class Givers:
    """What some clients' labels are like, (clients,) each. excess: the surprise a label beyond that of the others.
    p_value: how likely one that means no harm has as much or more."""

    excess: Floats
    p_value: Floats


def compare_givers(mean: ArrayLike, variance: ArrayLike, asked: ArrayLike) -> Givers:
    """How some clients' labels differ from all the others'.

    The middle of the others is their weighted median, and what clients differ by beyond chance is such that the median
    deviation of those above it is that of a normal distribution: so up to a fifth of them may be adversaries, and none
    hides another (Paule and Mandel 1982, with this median in the place of the mean square). The tail is that of
    Student's t with half as many degrees of freedom as there are other clients, because a median knows less, and 6 at
    most: some clients' labels are worse than others' without harm meant, and by more than a normal distribution has.

    Args:
        mean: surprise a label of each client (clients,), variance: of that mean. asked: places of those to be judged.

    With fewer than 3 clients p_value is 1.

    >>> rng = np.random.default_rng(0)
    >>> found = compare_givers([*rng.normal(0, 0.02, 19), 0.3], [0.02**2] * 20, [0, 19])
    >>> bool(found.p_value[1] < 0.001 < found.p_value[0])
    True
    """
    from scipy.special import stdtr

    m, own, places = np.asarray(mean, float), np.maximum(variance, 1e-12), np.asarray(asked, dtype=np.int64)
    excess, p_value = np.zeros(len(places)), np.ones(len(places))
    if len(m) < 3:
        return Givers(excess, p_value)
    for i, place in enumerate(places):
        others = np.arange(len(m)) != place
        middle, between = _middle(m[others], own[others])
        known = _MEDIAN / (1 / (own[others] + between)).sum()
        excess[i] = m[place] - middle
        p_value[i] = stdtr(
            min(_FREEDOM, others.sum() / 2), -excess[i] / np.sqrt(own[place] + between + known)
        )
    return Givers(excess, p_value)


def _middle(mean: Floats, own: Floats) -> tuple[float, float]:
    """The weighted median, and the variance between clients with which deviations above it are normal ones."""
    low, high = 0.0, 4 * float(np.var(mean)) + 1e-12
    middle, wide = _scaled(mean, own, 0.0)
    if wide <= 1:
        return middle, 0.0
    for _ in range(_HALVINGS):
        between = (low + high) / 2
        middle, wide = _scaled(mean, own, between)
        low, high = (between, high) if wide > 1 else (low, between)
    return middle, high


def _scaled(mean: Floats, own: Floats, between: float) -> tuple[float, float]:
    weight = 1 / (own + between)
    order = np.argsort(mean)
    passed = np.cumsum(weight[order])
    middle = float(mean[order][np.searchsorted(passed, passed[-1] / 2)])
    above = mean > middle
    return middle, float(
        _NORMAL * np.median((mean - middle)[above] * np.sqrt(weight[above]))
    ) if above.any() else 0.0
