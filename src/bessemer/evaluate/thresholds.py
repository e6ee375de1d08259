"""The decision threshold of a binary model: chosen on the validation rows, judged on the test rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from bessemer.stats.arrays import Floats
from bessemer.stats.metrics.outcome import Outcome
from bessemer.stats.metrics.table import Scorer
from bessemer.stats.ranking import Curve, Ranking

USED = 0.5
FIGURES = ("precision", "recall", "f1", "accuracy", "balanced_accuracy", "mcc")


def _f1(curve: Curve) -> Floats:
    tp, fp = curve.true_positive, curve.false_positive
    return 2 * tp / (tp + fp + curve.positives)


def _balanced_accuracy(curve: Curve) -> Floats:
    return (curve.true_positive / curve.positives + 1 - curve.false_positive / curve.negatives) / 2


def _mcc(curve: Curve) -> Floats:
    tp, fp, p, n = curve.true_positive, curve.false_positive, curve.positives, curve.negatives
    called = tp + fp
    spread = np.sqrt(called * (p + n - called) * p * n)
    top = tp * (n - fp) - fp * (p - tp)
    return np.divide(top, spread, out=np.zeros_like(top), where=spread > 0)


OBJECTIVES: Mapping[str, Callable[[Curve], Floats]] = {
    "f1": _f1,
    "balanced_accuracy": _balanced_accuracy,
    "mcc": _mcc,
}


def best_threshold(valid: Outcome, objective: str) -> float:
    """The probability from which on to say positive so that the objective is greatest; the highest one of equals.

    0.5 where the rows hold one class only.
    """
    ranking = Ranking(valid.truth == 1, valid.probability[:, 1])
    curve = ranking.curve()
    if not curve.positives or not curve.negatives:
        return USED
    return float(ranking.thresholds[int(np.argmax(OBJECTIVES[objective](curve)))])


def at_threshold(outcome: Outcome, threshold: float) -> dict[str, float]:
    """The label metrics on an outcome's rows if positive were said from `threshold` on."""
    moved = replace(outcome, predicted=(outcome.probability[:, 1] >= threshold).astype(np.int64))
    return dict(zip(FIGURES, Scorer(moved, FIGURES)().tolist(), strict=True))


def suggest(valid: Outcome, test: Outcome, objective: str) -> dict[str, Any]:
    """The threshold in use and the suggested one, each with its figures on the test rows."""
    suggested = best_threshold(valid, objective)
    return {
        "objective": objective,
        "chosen_on": "valid",
        "used": {"threshold": USED, "metrics": at_threshold(test, USED)},
        "suggested": {"threshold": suggested, "metrics": at_threshold(test, suggested)},
    }
