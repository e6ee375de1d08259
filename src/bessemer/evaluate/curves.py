"""The curves of the report: small lists of points, whatever the number of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bessemer.stats.binning import count
from bessemer.stats.confusion import Confusion
from bessemer.stats.intervals import wilson
from bessemer.stats.metrics.outcome import Outcome
from bessemer.stats.ranking import Ranking

POINTS = 200
BINS = 15
MAX_CLASSES = 50


def curves(outcome: Outcome, classes: tuple[Any, ...], confidence: float) -> dict[str, Any]:
    """The curves of a task (see `docs/evaluate.md` for their shapes)."""
    if outcome.task == "regression":
        return {"residuals": residuals(outcome), "calibration": _calibration_of_values(outcome)}
    found: dict[str, Any] = {"confusion": confusion(outcome, classes)}
    if outcome.task == "binary":
        positive, probability = outcome.truth == 1, outcome.probability[:, 1]
        found |= _ranking_curves(positive, probability)
        found["thresholds"] = _by_threshold(positive, probability)
        found["calibration"] = _calibration(positive, probability, confidence)
    else:
        right, stated = outcome.truth == outcome.predicted, outcome.probability.max(axis=1)
        found["calibration"] = _calibration(right, stated, confidence)
    return found


def _ranking_curves(positive: NDArray[Any], probability: NDArray[Any]) -> dict[str, Any]:
    """ROC [fpr, tpr], precision-recall [recall, precision], gain [share of rows, share of positives]."""
    curve = Ranking(positive, probability).curve()
    tp, fp = curve.true_positive, curve.false_positive
    if not curve.positives or not curve.negatives:
        return {"roc": [], "precision_recall": [], "gain": []}
    # Evenly along the curve's own length, so that steep parts keep their shape.
    along = np.cumsum(np.hypot(np.diff(tp, prepend=0) / tp[-1], np.diff(fp, prepend=0) / fp[-1]))
    places = np.unique(np.searchsorted(along, np.linspace(0, along[-1], POINTS - 1)).clip(0, len(tp) - 1))
    tp, fp = tp[places], fp[places]
    tpr, fpr = tp / curve.positives, fp / curve.negatives
    called = tp + fp
    return {
        "roc": [[0.0, 0.0], *np.stack([fpr, tpr], axis=1).tolist()],
        "precision_recall": np.stack([tpr, tp / called], axis=1).tolist(),
        "gain": [[0.0, 0.0], *np.stack([called / len(positive), tpr], axis=1).tolist()],
    }


def _by_threshold(positive: NDArray[Any], probability: NDArray[Any]) -> list[list[float]]:
    """[threshold, true positives, false positives, false negatives, true negatives] at 0.00, 0.01 ... 1.00."""
    grid = np.arange(101) / 100
    ranked = [np.sort(probability[mask].astype(np.float64)) for mask in (positive, ~positive)]
    # 0.5 in the graph is a float32 comparison; hundredths are compared in float32 too, so that the two agree.
    bounds = grid.astype(np.float32).astype(np.float64)
    tp, fp = (len(side) - np.searchsorted(side, bounds, side="left") for side in ranked)
    fn, tn = len(ranked[0]) - tp, len(ranked[1]) - fp
    return [[t, *map(int, row)] for t, *row in zip(grid.tolist(), tp, fp, fn, tn, strict=True)]


def _groups(values: NDArray[Any]) -> list[NDArray[np.int64]]:
    """Row numbers in up to `BINS` groups of about equal size by value; equal values stay together."""
    order = np.argsort(values, kind="stable")
    cuts = np.unique(np.quantile(values, np.arange(1, BINS) / BINS, method="inverted_cdf"))
    ends = np.searchsorted(values[order], cuts, side="right")
    return [group for group in np.split(order, ends) if len(group)]


def _calibration(event: NDArray[Any], stated: NDArray[Any], confidence: float) -> list[dict[str, Any]]:
    """What was said against what happened, in groups of about equal size, with Wilson intervals."""
    found = []
    for group in _groups(stated):
        events, rows = int(event[group].sum()), len(group)
        low, high = wilson(events, rows, confidence)
        predicted = float(stated[group].astype(np.float64).mean())
        found.append(
            {"predicted": predicted, "observed": events / rows, "low": low, "high": high, "rows": rows}
        )
    return found


def _calibration_of_values(outcome: Outcome) -> list[dict[str, Any]]:
    """Mean prediction against mean truth, in groups of about equal size; low to high holds 80 % of the truth."""
    found = []
    for group in _groups(outcome.predicted):
        truth = outcome.truth[group]
        low, high = np.quantile(truth, [0.1, 0.9])
        predicted = float(outcome.predicted[group].mean())
        observed = float(truth.mean())
        found.append(
            {"predicted": predicted, "observed": observed, "low": low, "high": high, "rows": len(group)}
        )
    return found


def residuals(outcome: Outcome) -> dict[str, Any]:
    """A histogram of truth - prediction between its 0.5 % and 99.5 % quantiles; the outer bins hold the rest."""
    error = outcome.truth - outcome.predicted
    low, high = np.quantile(error, [0.005, 0.995])
    edges = np.linspace(low, high, 41) if high > low else np.array([low, high])
    quantiles = {str(q): float(np.quantile(error, q)) for q in (0.05, 0.25, 0.5, 0.75, 0.95)}
    return {
        "edges": edges.tolist(),
        "counts": count(error, edges.tolist()).tolist(),
        "mean": float(error.mean()),
        "std": float(error.std()),
        "quantiles": quantiles,
    }


def confusion(outcome: Outcome, classes: tuple[Any, ...]) -> dict[str, Any]:
    """Counts by true (rows) and predicted class; beyond 50 classes the rarest stand together as the last one."""
    matrix = Confusion(outcome.truth, outcome.predicted, len(classes)).matrix().astype(np.int64)
    labels = [_text(value) for value in classes]
    if len(classes) > MAX_CLASSES:
        kept = np.sort(np.argsort(-matrix.sum(axis=1), kind="stable")[: MAX_CLASSES - 1])
        place = np.full(len(classes), MAX_CLASSES - 1)
        place[kept] = np.arange(len(kept))
        small = np.zeros((MAX_CLASSES, MAX_CLASSES), dtype=np.int64)
        np.add.at(small, (place[:, None], place[None, :]), matrix)
        matrix = small
        labels = [labels[k] for k in kept] + [f"{len(classes) - len(kept)} rarer classes"]
    return {"labels": labels, "counts": matrix.tolist()}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
