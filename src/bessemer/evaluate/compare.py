"""Figures with intervals, and paired differences to the opponents, from one set of resamples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from bessemer.core.signature import Task
from bessemer.evaluate.slices import Slice
from bessemer.stats.arrays import Floats
from bessemer.stats.bootstrap import Statistic, bootstrap, interval
from bessemer.stats.metrics.outcome import Outcome
from bessemer.stats.metrics.table import METRICS, PRIMARY, Metric, Scorer, lookup

Verdict = Literal["better", "tie", "worse"]

#: One-vs-rest areas cost a sort and a pass a class: with more classes they are computed only when asked for.
MAX_AREAS = 20


@dataclass(frozen=True)
class Figure:
    """A metric's value with its interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Versus:
    """The model against an opponent on one metric; difference and interval are turned so that > 0 is better."""

    metric: str
    difference: float
    low: float
    high: float

    @property
    def verdict(self) -> Verdict:
        """Certain only where the whole interval lies on one side of zero."""
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "tie"


@dataclass(frozen=True)
class Comparison:
    """What one set of resamples gave. slices: in the order in which they were given; None where too small. more: the
    draws of other statistics, float64 (replicates, k) each."""

    metrics: Mapping[str, Figure]
    opponents: Mapping[str, Mapping[str, float]]
    versus: Mapping[str, Versus]
    slices: Sequence[Figure | None]
    more: Sequence[Floats] = ()


def primary_metric(task: Task, wanted: str) -> str:
    """The metric the model was chosen by, where evaluation knows it, else the task's usual one."""
    return wanted if wanted in METRICS[task] else PRIMARY[task]


def metric_names(
    task: Task, classes: int, primary: str, asked: Sequence[str], gated: Sequence[str]
) -> list[str]:
    """The metrics to compute, the primary one first: those asked for or all usual ones, and those of gates."""
    usual = [name for name in METRICS[task] if name != "roc_auc" or classes <= MAX_AREAS]
    return list(dict.fromkeys([primary, *(asked or usual), *gated]))


def _sliced(outcome: Outcome, part: Slice, metric: str) -> Statistic:
    scorer = Scorer(outcome.take(part.rows), [metric])
    return lambda weights: scorer(weights[part.rows])


def compare(
    outcome: Outcome,
    names: Sequence[str],
    opponents: Mapping[str, Outcome],
    slices: Sequence[Slice],
    *,
    replicates: int,
    confidence: float,
    rng: np.random.Generator,
    advance: Callable[[], object],
    more: Sequence[Statistic] = (),
) -> Comparison:
    """Every figure and its interval.

    Args:
        outcome: of the model; opponents' outcomes are on the same rows.
        names: metrics, the primary one first: it is the one of opponents and slices.
        more: other statistics of the same rows, to be drawn with them.
    """
    primary = lookup(outcome.task, names[0])
    model = Scorer(outcome, names)
    rivals = [Scorer(other, [primary.name]) for other in opponents.values()]
    parts = [_sliced(outcome, s, primary.name) for s in slices if not s.too_small]
    found = bootstrap([model, *rivals, *parts, *more], outcome.rows, replicates, rng, advance)
    values, own = model(), found[0][:, 0]

    def figure(value: float, draws: Floats) -> Figure:
        return Figure(value, *interval(draws, confidence))

    versus = {
        name: _versus(primary, float(values[0] - rival()[0]), own - draws[:, 0], confidence)
        for name, rival, draws in zip(opponents, rivals, found[1 : 1 + len(rivals)], strict=True)
    }
    whole = np.ones(outcome.rows)
    part_figures = iter(
        figure(float(part(whole)[0]), draws[:, 0])
        for part, draws in zip(parts, found[1 + len(rivals) : 1 + len(rivals) + len(parts)], strict=True)
    )
    return Comparison(
        metrics={name: figure(float(values[k]), found[0][:, k]) for k, name in enumerate(names)},
        opponents={name: _points(other, names) for name, other in opponents.items()},
        versus=versus,
        slices=[None if s.too_small else next(part_figures) for s in slices],
        more=found[1 + len(rivals) + len(parts) :],
    )


def _versus(metric: Metric, difference: float, draws: Floats, confidence: float) -> Versus:
    return Versus(metric.name, float(metric.gain(difference)), *interval(metric.gain(draws), confidence))


def _points(outcome: Outcome, names: Sequence[str]) -> dict[str, float]:
    return dict(zip(names, Scorer(outcome, names)().tolist(), strict=True))


def about(task: Task, name: str) -> dict[str, Any]:
    """What `evaluation.json` says of a metric beside its figure."""
    metric = lookup(task, name)
    return {"greater_is_better": metric.greater_is_better, "meaning": metric.meaning}


def as_json(value: Figure | Versus) -> dict[str, Any]:
    if isinstance(value, Figure):
        return {"value": value.value, "low": value.low, "high": value.high}
    return {
        "metric": value.metric,
        "difference": value.difference,
        "low": value.low,
        "high": value.high,
        "verdict": value.verdict,
    }
