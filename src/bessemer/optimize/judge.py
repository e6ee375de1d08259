"""How much a version loses: against the parent's answers, and where the right ones are known, against those."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bessemer.core.signature import Task
from bessemer.stats.bootstrap import bootstrap, interval
from bessemer.stats.intervals import clopper_pearson
from bessemer.stats.metrics.outcome import Outcome, classified, estimated
from bessemer.stats.metrics.table import PRIMARY, Scorer, lookup

REPLICATES = 500


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
    metric: the name of one; before, after: of the parent and the version; worse: how much worse it is, with the upper
    end of the interval, paired over rows. None where no right answers are known.
    """

    rows: int
    difference: float
    other: float
    other_high: float
    metric: str = ""
    before: float | None = None
    after: float | None = None
    worse: float | None = None
    worse_high: float | None = None

    @property
    def bound(self) -> float:
        """What the loss is at most, at the chosen confidence: a share."""
        return self.other_high if self.worse_high is None else self.worse_high


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
        truth: (N,) class indices or numbers, None where they are not known.
        metric: of the task, '' for its usual one. confidence: of the intervals. rng: of the resamples.

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
    name = metric or PRIMARY[task]
    better = lookup(task, name)
    scorers = [Scorer(_outcome(task, truth, said), [name]) for said in (parent, version)]
    before, after = (float(scorer()[0]) for scorer in scorers)
    replicates = bootstrap(scorers, len(truth), REPLICATES, rng)
    scale = 1.0 if name not in ("rmse", "mae", "median_ae") else max(abs(before), 1e-12)
    gains = [
        float(better.gain(b - a)) / scale
        for a, b in zip(replicates[0][:, 0], replicates[1][:, 0], strict=True)
    ]
    low, _ = interval(np.array(gains), 2 * confidence - 1)
    worse = 0.0 - float(better.gain(after - before)) / scale
    return Loss(found.rows, worst, found.other, high, name, before, after, worse, max(0.0 - low, worse))


def _outcome(task: Task, truth: np.ndarray, said: Said) -> Outcome:
    if task == "regression":
        return estimated(truth, said.values[:, 0])
    return classified(task, truth, said.values, said.classes)


def to_json(loss: Loss) -> dict[str, Any]:
    """What is known of it."""
    return {name: value for name, value in vars(loss).items() if value not in (None, "")}
