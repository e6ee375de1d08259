"""Test rows whose target looks wrong: it contradicts a model that has not seen them.

Classes: confident learning (Northcutt et al. 2021). Numbers: residuals far outside what is usual among rows of about
the same prediction. A suspicious row is to be looked at; it may as well be rare, or the model may be wrong.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from bessemer.core.stage import Context
from bessemer.evaluate.evidence import Evidence
from bessemer.stats.arrays import Floats, Ints
from bessemer.stats.binning import quantile_cuts
from bessemer.stats.confident import confident, modified_z
from bessemer.stats.metrics.outcome import Outcome

#: A probability of the given class below this contradicts it; how much more often than promised is worth a warning.
CONTRADICTS, SURPRISING = 0.01, 3.0
#: From how many robust standard deviations on a residual is suspicious; groups of about so many rows.
OUTLYING, GROUPS, GROUP_ROWS = 3.5, 10, 50
_FEWEST, _SHOWN = 30, 20


def label_errors(evidence: Evidence) -> dict[str, Any]:
    """`label_errors` of `evaluation.json`: how many rows are suspicious, and the most suspicious of them."""
    outcome = evidence.outcome
    if outcome.rows < _FEWEST:
        why = f"{outcome.rows} test rows are too few to tell a wrong target from a rare one"
        return {"method": None, "why": why, "suspicious": 0, "share": 0.0, "rows": []}
    if outcome.task == "regression":
        return _of_numbers(outcome)
    found = _of_classes(outcome, evidence.judged.classes)
    _tell(found, outcome.rows, evidence.ctx)
    return found


def _of_classes(outcome: Outcome, classes: tuple[Any, ...]) -> dict[str, Any]:
    given = np.asarray(outcome.truth, dtype=np.int64)
    said = confident(given, outcome.probability)
    own = outcome.probability[np.arange(outcome.rows), given].astype(np.float64)
    worst = _first(said.suspicious, own)
    # By chance alone so many rows have a class to which the model gives so little: the sum of these probabilities.
    small = outcome.probability[outcome.probability < CONTRADICTS].astype(np.float64)
    return {
        "method": "confident learning",
        "why": None,
        "suspicious": int(said.suspicious.sum()),
        "share": float(said.suspicious.mean()),
        "noise": said.noise,
        "contradicted": {
            "below": CONTRADICTS,
            "rows": int(np.sum(own < CONTRADICTS)),
            "expected": float(small.sum()),
        },
        "rows": [
            {
                "row": int(row),
                "given": classes[given[row]],
                "likely": classes[said.likely[row]],
                "probability_given": float(own[row]),
                "probability_likely": float(outcome.probability[row, said.likely[row]]),
            }
            for row in worst
        ],
    }


def _of_numbers(outcome: Outcome) -> dict[str, Any]:
    groups = min(GROUPS, max(1, outcome.rows // GROUP_ROWS))
    cuts = np.unique(quantile_cuts(outcome.predicted, groups))
    z = modified_z(outcome.truth - outcome.predicted, np.searchsorted(cuts, outcome.predicted))
    suspicious = np.abs(z) >= OUTLYING
    worst = _first(suspicious, -np.abs(z))
    return {
        "method": "modified z-score of the residual among rows of about the same prediction",
        "why": None,
        "suspicious": int(suspicious.sum()),
        "share": float(suspicious.mean()),
        "rows": [
            {
                "row": int(row),
                "given": float(outcome.truth[row]),
                "likely": float(outcome.predicted[row]),
                "deviations": float(z[row]),
            }
            for row in worst
        ],
    }


def _first(suspicious: Any, key: Floats) -> Ints:
    """The suspicious rows of smallest key."""
    rows = np.flatnonzero(suspicious)
    return rows[np.argsort(key[rows], kind="stable")[:_SHOWN]]


def _tell(found: Mapping[str, Any], rows: int, ctx: Context) -> None:
    """Warn where sure predictions are contradicted more often than their own probabilities allow."""
    seen, expected = found["contradicted"]["rows"], found["contradicted"]["expected"]
    if seen > SURPRISING * expected + 5 * math.sqrt(expected + 1):
        ctx.warn(
            f"{seen:,} of {rows:,} test rows have a class to which the model gives less than {CONTRADICTS:.0%}, where "
            f"about {expected:,.0f} are to be expected: labels are wrong, or the model is too sure of itself "
            "(`label_errors` in evaluation.json names the worst)"
        )
