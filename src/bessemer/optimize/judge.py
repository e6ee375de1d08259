"""How much a version loses: against the parent's answers, and where the right ones are known, against those."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bessemer.core.errors import DataError
from bessemer.core.signature import Task
from bessemer.stats.bootstrap import bootstrap, interval
from bessemer.stats.intervals import clopper_pearson
from bessemer.stats.metrics.outcome import Outcome, classified, estimated
from bessemer.stats.metrics.table import PRIMARY, Scorer, lookup

#: Resamples, at least; and how many of them lie beyond the end that is asked for, at least.
REPLICATES, BEYOND = 500, 10
_MOST_REPLICATES = 20_000


@dataclass(frozen=True)
class Said:
    """What a version said of N rows. values: (N, C) probabilities or (N, 1) values; classes: (N,) the class index it
    decides for, empty for a regression."""

    values: np.ndarray
    classes: np.ndarray


@dataclass(frozen=True)
class Loss:
    """What a version loses.

    difference: the greatest one of probabilities; of values relative to their size where above 1. other: the share of
    rows of another class (of a regression: that differ by more than a hundredth of the spread), with its upper end.
    labelled: rows whose right answer is known. metric: the name of one; before, after: of the parent and the version on
    those rows; worse: how much worse it is (of what is better when less, relative to `before`), with the upper end of
    the interval, paired over rows; infinite where it is not defined. None where no right answers are known.
    """

    rows: int
    difference: float
    other: float
    other_high: float
    labelled: int = 0
    metric: str = ""
    before: float | None = None
    after: float | None = None
    worse: float | None = None
    worse_high: float | None = None

    @property
    def bound(self) -> float:
        """What the loss is at most, at the chosen confidence: a share."""
        return self.other_high if self.worse_high is None else self.worse_high

    def within(self, most: float, changed: float) -> bool:
        """Whether it is surely no more than `most`, and surely no more than the share `changed` of rows are answered
        otherwise: a metric may not see that (of the area under the ROC curve the order alone counts)."""
        return self.bound <= most and self.other_high <= changed


def floor(rows: int, confidence: float) -> float:
    """What a loss that is seen in none of N rows may still be (at 95 % about 3 / N; Hanley and Lippman-Hand 1983).

    A resample of rows that show no loss shows none either: its interval would be a point.

    >>> round(floor(300, 0.95), 3)
    0.01
    """
    return -math.log1p(-confidence) / max(1, rows)


def check_metric(task: Task, parent: Said, truth: np.ndarray, metric: str) -> None:
    """Whether the metric says anything on these rows.

    Args:
        truth: (N,), NaN where it is not known, not everywhere. metric: '' for the task's usual one.

    Raises:
        UsageError: no such metric. DataError: it is not defined on them.
    """
    name, known = metric or PRIMARY[task], np.isfinite(truth)
    if not np.isfinite(Scorer(_outcome(task, truth[known], _some(parent, known)), [name])()[0]):
        raise DataError(
            f"{name} says nothing of the {int(known.sum()):,} rows with right answers that versions are judged on",
            why="they are all of one class, or of one value",
            fix="give rows in no order (the first ones of a source are read), or another --metric",
        )


def loss_of(
    task: Task,
    parent: Said,
    version: Said,
    truth: np.ndarray | None,
    metric: str,
    confidence: float,
    rng: np.random.Generator,
) -> Loss:
    """Compare a version with its parent on the same rows.

    Args:
        truth: (N,) class indices or numbers, NaN where they are not known, not everywhere; None where they nowhere are.
        metric: of the task, '' for its usual one. confidence: of each upper end, above 0.5. rng: of the resamples.

    Raises:
        UsageError: no such metric.
    """
    away = np.abs(version.values.astype(np.float64) - parent.values.astype(np.float64))
    if task == "regression":
        away = away / np.maximum(1.0, np.abs(parent.values))
        spread = float(np.std(parent.values)) or 1.0
        changed = np.abs(version.values - parent.values)[:, 0] > spread / 100
    else:
        changed = version.classes != parent.classes
    worst = float(np.where(np.isfinite(away), away, np.inf).max(initial=0.0))
    # one-sided: the upper end alone is what is asked
    _, high = clopper_pearson(int(changed.sum()), len(changed), 2 * confidence - 1)
    found = Loss(len(changed), worst, float(changed.mean()), high)
    if truth is None:
        return found
    known = np.isfinite(truth)
    sides = (_some(parent, known), _some(version, known))
    return replace(found, **_in_metric(task, sides, truth[known], metric or PRIMARY[task], confidence, rng))


def _in_metric(
    task: Task,
    sides: tuple[Said, Said],
    truth: np.ndarray,
    name: str,
    confidence: float,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """The fields of `Loss` that right answers give."""
    better = lookup(task, name)
    scorers = [Scorer(_outcome(task, truth, said), [name]) for said in sides]
    before, after = (float(scorer()[0]) for scorer in scorers)
    scale = 1.0 if better.greater_is_better else max(abs(before), float(np.finfo(np.float32).tiny))
    times = min(_MOST_REPLICATES, max(REPLICATES, math.ceil(BEYOND / (1 - confidence))))
    old, new = bootstrap(scorers, len(truth), times, rng)
    low, _ = interval(better.gain(new[:, 0] - old[:, 0]) / scale, 2 * confidence - 1)
    worse = 0.0 - float(better.gain(after - before)) / scale
    high = max(0.0 - low, worse, floor(len(truth), confidence)) if np.isfinite([low, worse]).all() else np.inf
    return {
        "labelled": len(truth),
        "metric": name,
        "before": before,
        "after": after,
        "worse": worse,
        "worse_high": float(high),
    }


def _some(said: Said, rows: np.ndarray) -> Said:
    """What was said of those rows (N,) that are True."""
    return Said(said.values[rows], said.classes[rows] if len(said.classes) else said.classes)


def _outcome(task: Task, truth: np.ndarray, said: Said) -> Outcome:
    if task == "regression":
        return estimated(truth, said.values[:, 0])
    return classified(task, truth, said.values, said.classes)


def to_json(loss: Loss) -> dict[str, Any]:
    """What is known of it."""
    return {name: value for name, value in vars(loss).items() if value not in (None, "")}
