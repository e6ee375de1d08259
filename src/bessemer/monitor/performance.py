"""How good the model is in a window: measured where labels have come, estimated where they have not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from statistics import NormalDist
from typing import Any

import numpy as np

from bessemer.core.signature import Task
from bessemer.monitor.finding import Test
from bessemer.monitor.reference import Reference
from bessemer.monitor.scored import Scored
from bessemer.stats.bootstrap import bootstrap
from bessemer.stats.metrics.outcome import Outcome
from bessemer.stats.metrics.table import METRICS, Scorer, lookup
from bessemer.stats.unlabelled import Estimated, from_confidence, from_residuals

#: Fewer labelled rows are counted, and not judged.
LEAST_LABELS = 30
_REPLICATES = 100
_WIDTH = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Figure:
    """A metric in a window: value with its 95 % interval; NaN where it is not defined."""

    value: float
    spread: float

    def to_json(self) -> dict[str, float]:
        half = _WIDTH * self.spread
        return {"value": self.value, "low": self.value - half, "high": self.value + half}


@dataclass(frozen=True)
class Performance:
    """What is known of it.

    metric: the one that the model was chosen by. reference: each metric on the test rows, when the model was made.
    measured: on the window's labelled rows; empty while there are fewer than `LEAST_LABELS`.
    estimated: on all rows, from the model's own confidence or the errors it had.
    """

    metric: str
    labelled: int
    rows: int
    reference: Mapping[str, Figure]
    measured: Mapping[str, Figure]
    estimated: Mapping[str, Figure]

    def to_json(self) -> dict[str, Any]:
        named = {"reference": self.reference, "measured": self.measured, "estimated": self.estimated}
        figures = {kind: {name: f.to_json() for name, f in found.items()} for kind, found in named.items()}
        return {"metric": self.metric, "labelled": self.labelled, "rows": self.rows, **figures}


def performance(
    reference: Reference, scored: Scored, task: Task, metric: str, rng: np.random.Generator
) -> Performance:
    """Measure and estimate the metrics that the reference has."""
    known = {name: _figure(found) for name, found in reference.facts["performance"].items()}
    names = [name for name in known if name in METRICS[task]]
    return Performance(
        metric if metric in names else next(iter(names), ""),
        scored.labelled,
        scored.outputs.rows,
        known,
        _measured(scored, task, names, rng),
        _estimated(reference, scored, task, names, rng),
    )


def _figure(found: Mapping[str, Any]) -> Figure:
    value, low, high = (math.nan if found[k] is None else float(found[k]) for k in ("value", "low", "high"))
    return Figure(value, (high - low) / (2 * _WIDTH))


def _measured(scored: Scored, task: Task, names: list[str], rng: np.random.Generator) -> dict[str, Figure]:
    there = np.flatnonzero(np.isfinite(scored.truth))
    if len(there) < LEAST_LABELS or not names:
        return {}
    truth, predicted = (_typed(task, part[there]) for part in (scored.truth, scored.predicted))
    outcome = Outcome(task, truth, predicted, scored.probability[there])
    scorer = Scorer(outcome, names)
    (draws,) = bootstrap([scorer], outcome.rows, _REPLICATES, rng)
    with np.errstate(invalid="ignore"):
        spreads = np.nanstd(draws, axis=0, ddof=1)
    return {name: Figure(float(v), float(s)) for name, v, s in zip(names, scorer(), spreads, strict=True)}


def _typed(task: Task, values: np.ndarray[Any, Any]) -> Any:
    return values if task == "regression" else values.astype(np.int64)


def _estimated(
    reference: Reference, scored: Scored, task: Task, names: list[str], rng: np.random.Generator
) -> dict[str, Figure]:
    found: Mapping[str, Estimated] = {}
    if task != "regression" and len(scored.predicted) and names:
        found = from_confidence(task, scored.probability, _typed(task, scored.predicted), names, rng)
    elif reference.residuals is not None and len(scored.predicted):
        found = from_residuals(reference.residuals, scored.predicted)
    return {name: Figure(each.value, each.spread) for name, each in found.items() if name in names}


def tests(found: Performance, task: Task) -> Iterator[Test]:
    """Whether the chosen metric is worse than when the model was made: one-sided, measured and estimated apart."""
    for kind, figures in (("measured", found.measured), ("estimated", found.estimated)):
        before, now = found.reference.get(found.metric), figures.get(found.metric)
        if before is None or now is None:
            continue
        lost = float(lookup(task, found.metric).gain(before.value - now.value))
        spread = math.hypot(before.spread, now.spread)
        if not spread > 0 or math.isnan(lost):
            continue
        words = f"{found.metric} is {now.value:.4g}, {before.value:.4g} when the model was made"
        rows = f"on {found.labelled:,} labelled rows" if kind == "measured" else "as estimated without labels"
        yield Test(
            *(f"{kind}_performance", found.metric, "performance", f"loss of {found.metric}", lost),
            f"{words}, {rows}",
            0.5 * math.erfc(lost / spread / math.sqrt(2)),
            partial(_critical, spread=spread),
            "output",
        )


def _critical(probability: float, *, spread: float) -> float:
    return NormalDist().inv_cdf(1 - probability) * spread
