"""Where to say yes: thresholds of a probability that make an objective greatest, also one a group under a constraint.

With several groups the search is exact and deterministic: for every level of the constrained rate (a grid), each group
takes its best threshold among those whose rate lies within the tolerance above the level; the best level wins. Hardt,
Price and Srebro (2016) reach equality by drawing lots between two thresholds; a decision that is drawn by lot is not
the same twice, so here a tolerance stands instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from bessemer.stats.arrays import Floats
from bessemer.stats.ranking import Ranking

Constraint = Literal["demographic_parity", "equal_opportunity", "equalised_odds"]
OUTCOMES = ("true_positive", "false_positive", "false_negative", "true_negative")
OBJECTIVES = ("accuracy", "balanced_accuracy", "f1", "mcc", "cost")
#: Those that are sums over the rows (f1 by way of them), which groups can be searched for one by one.
BY_GROUP = ("accuracy", "balanced_accuracy", "f1", "cost")
#: Steps of the grid of levels, and the most thresholds that are looked at in a group.
_LEVELS, _MOST = 200, 400


@dataclass(frozen=True)
class Choices:
    """What each threshold of some rows would do.

    thresholds: float32 (c,), descending, between the probabilities that occur; the first selects nothing, the last all.
    tp, fp: float64 (c,), true and false positives. positives, negatives: how many rows there are of each.
    """

    thresholds: np.ndarray
    tp: Floats
    fp: Floats
    positives: float
    negatives: float

    def thinned(self, most: int = _MOST) -> Choices:
        """About so many of them, evenly spread over the rows that are selected."""
        if len(self.tp) <= most:
            return self
        called = self.tp + self.fp
        kept = np.unique(np.searchsorted(called, np.linspace(0, called[-1], most)))
        return Choices(self.thresholds[kept], self.tp[kept], self.fp[kept], self.positives, self.negatives)

    def rates(self, constraint: Constraint) -> Floats:
        """What the constraint keeps together, float64 (rates, c); NaN where there are no such rows."""
        with np.errstate(invalid="ignore", divide="ignore"):
            tpr, fpr = self.tp / self.positives, self.fp / self.negatives
            share = (self.tp + self.fp) / (self.positives + self.negatives)
        by = {"demographic_parity": [share], "equal_opportunity": [tpr], "equalised_odds": [tpr, fpr]}
        return np.array(by[constraint])


def choices(positive: ArrayLike, probability: ArrayLike) -> Choices:
    """All thresholds of rows, half-way between neighbouring probabilities.

    Args:
        positive: bool (n,). probability: (n,), of the positive class, as the graph gives it (float32).

    >>> choices([False, True, True], [0.2, 0.4, 0.8]).thresholds.astype(float).round(2).tolist()
    [1.0, 0.6, 0.3, 0.0]
    """
    p = np.asarray(probability, dtype=np.float32)
    ranking = Ranking(np.asarray(positive, dtype=np.bool_), p)
    curve = ranking.curve()
    seen = ranking.thresholds  # descending
    middles = np.append((seen[:-1] + seen[1:]) / 2, 0.0).astype(np.float32)
    # Rounding may bring the middle of two neighbours down to the lower one: then the upper one is the threshold.
    at_least = np.maximum(middles, np.append(np.nextafter(seen[1:].astype(np.float32), np.float32(2)), 0.0))
    top = np.float32(1) if not len(seen) or seen[0] < 1 else np.nextafter(np.float32(1), np.float32(2))
    return Choices(
        np.concatenate([[top], at_least.astype(np.float32)]).astype(np.float32),
        np.concatenate([[0.0], curve.true_positive]),
        np.concatenate([[0.0], curve.false_positive]),
        curve.positives,
        curve.negatives,
    )


def value(
    objective: str,
    tp: Floats,
    fp: Floats,
    positives: float,
    negatives: float,
    costs: Mapping[str, float] | None = None,
) -> Floats:
    """The objective, greater is better (cost: less the mean cost of a row), elementwise.

    >>> value("accuracy", np.array([3.0]), np.array([1.0]), 4, 4).tolist()
    [0.75]
    """
    fn, tn, rows = positives - tp, negatives - fp, max(positives + negatives, 1e-300)
    if objective == "accuracy":
        return (tp + tn) / rows
    if objective == "balanced_accuracy":
        return (tp / max(positives, 1e-300) + tn / max(negatives, 1e-300)) / 2
    if objective == "f1":
        return 2 * tp / np.maximum(tp + fp + positives, 1e-300)
    if objective == "mcc":
        called = tp + fp
        spread = np.sqrt(called * (rows - called) * positives * negatives)
        top = tp * tn - fp * fn
        return np.divide(top, spread, out=np.zeros_like(top), where=spread > 0)
    assert costs is not None
    parts = zip(OUTCOMES, (tp, fp, fn, tn), strict=True)
    total: Floats = np.sum([costs[name] * part for name, part in parts], axis=0)
    return -total / rows


def best(found: Choices, objective: str, costs: Mapping[str, float] | None = None) -> float:
    """The threshold at which the objective is greatest; the highest one of equals. 0.5 where rows hold one class only
    and the objective is not a cost.

    >>> best(choices([False, True, True], [0.2, 0.4, 0.8]), "f1")
    0.30000001192092896
    """
    if objective != "cost" and not (found.positives and found.negatives):
        return 0.5
    scores = value(objective, found.tp, found.fp, found.positives, found.negatives, costs)
    return float(found.thresholds[int(np.argmax(scores))])


def best_by_group(
    groups: Sequence[Choices],
    objective: str,
    constraint: Constraint | None,
    tolerance: float,
    costs: Mapping[str, float] | None = None,
) -> list[float]:
    """A threshold a group such that the objective of all rows together is greatest under the constraint.

    Args:
        groups: of each group; each with positives and negatives.
        objective: of `BY_GROUP`.
        constraint: what differs by at most `tolerance` between any two groups, on these rows; None: nothing has to.

    The objective is a sum over the groups; f1, a ratio of sums, is reached in a few rounds (Dinkelbach 1967).

    >>> one = choices([0, 0, 1, 1], [0.1, 0.2, 0.6, 0.9])
    >>> two = choices([0, 0, 0, 1], [0.1, 0.2, 0.3, 0.8])
    >>> [round(t, 2) for t in best_by_group([one, two], "accuracy", None, 0)]
    [0.4, 0.55]
    >>> [round(t, 2) for t in best_by_group([one, two], "accuracy", "demographic_parity", 0)]
    [0.75, 0.55]
    """
    thin = [group.thinned() for group in groups]
    positives, negatives = sum(g.positives for g in thin), sum(g.negatives for g in thin)
    inside = _inside(thin, constraint, tolerance)
    ratio, chosen = 0.0, [0] * len(thin)
    for _ in range(50):
        gains = [_gain(g, objective, positives, negatives, costs, ratio) for g in thin]
        chosen = _best_level(gains, inside)
        if objective != "f1":
            break
        tp, fp = (
            sum(float(getattr(g, k)[c]) for g, c in zip(thin, chosen, strict=True)) for k in ("tp", "fp")
        )
        better = 2 * tp / max(tp + fp + positives, 1e-300)
        if better <= ratio + 1e-12:
            break
        ratio = better
    return [float(g.thresholds[c]) for g, c in zip(thin, chosen, strict=True)]


def _gain(
    group: Choices,
    objective: str,
    positives: float,
    negatives: float,
    costs: Mapping[str, float] | None,
    ratio: float,
) -> Floats:
    """What each threshold of a group adds to the objective of all."""
    if objective == "f1":
        return 2 * group.tp - ratio * (group.tp + group.fp)
    if objective == "balanced_accuracy":
        return group.tp / positives - group.fp / negatives
    costs = (
        costs
        if objective == "cost"
        else {"true_positive": 0, "false_positive": 1, "false_negative": 1, "true_negative": 0}
    )
    assert costs is not None
    saved = group.tp * (costs["false_negative"] - costs["true_positive"])
    return saved - group.fp * (costs["false_positive"] - costs["true_negative"])


def _inside(groups: Sequence[Choices], constraint: Constraint | None, tolerance: float) -> list[np.ndarray]:
    """For each group, bool (levels, c): which thresholds have their rates within the tolerance above a level."""
    if constraint is None:
        return [np.ones((1, len(g.tp)), dtype=np.bool_) for g in groups]
    rates = [g.rates(constraint) for g in groups]
    axes = [np.unique(np.concatenate([r[k] for r in rates])) for k in range(len(rates[0]))]
    steps = _LEVELS if len(axes) == 1 else max(20, int(_LEVELS**0.5) * 3)
    axes = [
        axis if len(axis) <= 2 * steps else axis[np.linspace(0, len(axis) - 1, 2 * steps).astype(int)]
        for axis in axes
    ]
    levels = np.array(np.meshgrid(*axes, indexing="ij")).reshape(len(axes), -1, 1)
    slack = 1e-12  # so that a rate is within the tolerance of itself
    return [
        np.all((r[:, None] >= levels - slack) & (r[:, None] <= levels + tolerance + slack), axis=0)
        for r in rates
    ]


def _best_level(gains: Sequence[Floats], inside: Sequence[np.ndarray]) -> list[int]:
    """The place of each group's threshold at the level where the sum of the gains is greatest."""
    places, totals = [], np.zeros(len(inside[0]))
    for gain, mask in zip(gains, inside, strict=True):
        allowed = np.where(mask, gain, -np.inf)
        places.append(np.argmax(allowed, axis=1))
        totals += allowed.max(axis=1)
    level = int(np.argmax(totals))
    return [int(place[level]) for place in places]
