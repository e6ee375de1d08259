"""The decision threshold of a binary model: chosen on the validation rows, judged on the test rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from bessemer.package.decision import Decision
from bessemer.stats.decision import best, choices
from bessemer.stats.metrics.outcome import Outcome
from bessemer.stats.metrics.table import Scorer

FIGURES = ("precision", "recall", "f1", "accuracy", "balanced_accuracy", "mcc")


def best_threshold(valid: Outcome, objective: str) -> float:
    """The probability from which on to say positive so that the objective is greatest; the highest one of equals.

    0.5 where the rows hold one class only.
    """
    return best(choices(valid.truth == 1, valid.probability[:, 1]), objective)


def moved(outcome: Outcome, threshold: float) -> Outcome:
    """The outcome if positive were said from `threshold` on, as the graph would compare it: in float32."""
    said = outcome.probability[:, 1].astype(np.float32) >= np.float32(threshold)
    return replace(outcome, predicted=said.astype(np.int64))


def figures(outcome: Outcome) -> dict[str, float]:
    """The metrics of labels."""
    return dict(zip(FIGURES, Scorer(outcome, FIGURES)().tolist(), strict=True))


def suggest(valid: Outcome, test: Outcome, objective: str, decision: Decision) -> dict[str, Any]:
    """The threshold in use (None: one a group) and the suggested one, each with its figures on the test rows."""
    suggested = best_threshold(valid, objective)
    used = None if decision.groups else decision.threshold
    return {
        "objective": objective,
        "chosen_on": "valid",
        "used": {"threshold": used, "metrics": figures(test)},
        "suggested": {"threshold": suggested, "metrics": figures(moved(test, suggested))},
    }
