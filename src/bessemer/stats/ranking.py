"""How well scores rank positives above negatives: the ROC and precision-recall curves and their areas.

The rows are sorted once. After that every set of weights costs one pass, so a bootstrap of the area is
as cheap as a few sums. Ties are exact: rows of one score enter the curve together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bessemer.stats.arrays import Floats, Weights, ratio

_TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class Curve:
    """Weight of the true and false positives when everything scored >= a threshold is called positive.

    true_positive, false_positive: float64 (d,), one entry for each distinct score, from the highest score down.
    The last entries are the totals of positives and negatives.
    """

    true_positive: Floats
    false_positive: Floats

    @property
    def positives(self) -> float:
        return float(self.true_positive[-1]) if len(self.true_positive) else 0.0

    @property
    def negatives(self) -> float:
        return float(self.false_positive[-1]) if len(self.false_positive) else 0.0


class Ranking:
    """Rows sorted by score, ready for any number of weightings.

    Args:
        positive: bool (n,), which rows are of the positive class.
        score: float (n,), higher is more positive; any monotone scale; no NaN.

    >>> ranking = Ranking([False, True, True], [0.1, 0.4, 0.4])
    >>> roc_auc(ranking.curve())
    1.0
    """

    def __init__(self, positive: ArrayLike, score: ArrayLike) -> None:
        scores = np.asarray(score)
        self._order = np.argsort(-scores, kind="stable")
        ranked = scores[self._order]
        self._positive: Floats = np.asarray(positive, dtype=np.float64)[self._order]
        last_of_tie = np.ones(len(ranked), dtype=bool)
        last_of_tie[:-1] = ranked[1:] != ranked[:-1]
        self._ends = None if last_of_tie.all() else np.flatnonzero(last_of_tie)
        self.thresholds: Floats = ranked[last_of_tie].astype(np.float64)

    def curve(self, weights: Weights = None) -> Curve:
        """The curve under `weights`: float64 (n,), in the order in which the rows were given."""
        ranked = np.ones(len(self._order)) if weights is None else weights[self._order]
        positive = np.cumsum(ranked * self._positive)
        everything = np.cumsum(ranked)
        if self._ends is not None:
            positive, everything = positive[self._ends], everything[self._ends]
        return Curve(positive, everything - positive)


def roc_auc(curve: Curve) -> float:
    """Area under the ROC curve (Fawcett 2006): P(score of a positive > of a negative), ties as one half.

    In [0, 1]; NaN where a class has no weight.
    """
    tp, fp = curve.true_positive, curve.false_positive
    if not len(tp):
        return math.nan
    area = float(fp[0] * tp[0]) + float(np.sum((fp[1:] - fp[:-1]) * (tp[1:] + tp[:-1])))
    return ratio(area / 2, curve.positives * curve.negatives)


def average_precision(curve: Curve) -> float:
    """Mean of the precision over the recall gained at each score, in [0, 1], not interpolated.

    Su, Yuan, Zhu 2015; as in scikit-learn. NaN where there are no positives.
    """
    tp, called = curve.true_positive, curve.true_positive + curve.false_positive
    if not len(tp):
        return math.nan
    precision = tp / np.maximum(called, _TINY)  # before the first row of any weight both are zero
    area = float(tp[0] * precision[0]) + float(np.sum((tp[1:] - tp[:-1]) * precision[1:]))
    return ratio(area, curve.positives)


def macro_roc_auc(curves: list[Curve]) -> float:
    """Mean of the one-vs-rest areas over the classes that have both positives and negatives (NaN: none has)."""
    areas = [roc_auc(c) for c in curves if c.positives > 0 and c.negatives > 0]
    return float(np.mean(areas)) if areas else float("nan")
