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
from bessemer.profile.groups import put_right
from bessemer.stats.bootstrap import bootstrap
from bessemer.stats.metrics.outcome import Outcome
from bessemer.stats.metrics.table import METRICS, Scorer, lookup
from bessemer.stats.unlabelled import Estimated, from_confidence, from_residuals

#: Fewer labelled rows, or of two classes fewer of either, are counted and not judged.
LEAST_LABELS = 30
_REPLICATES = 100
_WIDTH = NormalDist().inv_cdf(0.975)

#: Where metrics lie that are not between 0 and 1.
_BOUNDS: Mapping[str, tuple[float, float]] = {
    **dict.fromkeys(("log_loss", "rmse", "mae", "median_ae"), (0.0, math.inf)),
    "mcc": (-1.0, 1.0),
    **dict.fromkeys(("r2", "explained_variance"), (-math.inf, 1.0)),
    **dict.fromkeys(("brier", "smape"), (0.0, 2.0)),
}


@dataclass(frozen=True)
class Figure:
    """A metric in a window: value with its 95 % interval; NaN where it is not defined."""

    value: float
    spread: float

    def to_json(self, metric: str) -> dict[str, float]:
        half = _WIDTH * self.spread
        low, high = _BOUNDS.get(metric, (0.0, 1.0))
        return {"value": self.value, "low": max(low, self.value - half), "high": min(high, self.value + half)}


@dataclass(frozen=True)
class Performance:
    """What is known of it.

    metric: the one that the model was chosen by. reference: each metric on the test rows, when the model was made.
    measured: on the window's labelled rows; empty while there are fewer than `LEAST_LABELS`.
    estimated: on all rows, from the model's own confidence or the errors it had; less what the same estimate was off by
    on the test rows, as far as they could tell: the spread is of both.
    fewest: labels of the rarer of two classes, or labels. test_rows: how many `reference` is of.
    """

    metric: str
    labelled: int
    fewest: int
    rows: int
    test_rows: int
    reference: Mapping[str, Figure]
    measured: Mapping[str, Figure]
    estimated: Mapping[str, Figure]

    def to_json(self) -> dict[str, Any]:
        named = {"reference": self.reference, "measured": self.measured, "estimated": self.estimated}
        figures = {
            kind: {name: f.to_json(name) for name, f in found.items()} for kind, found in named.items()
        }
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
        _fewest(scored, task),
        scored.outputs.rows,
        int(reference.facts["output_rows"]),
        known,
        _measured(scored, task, names, rng),
        _estimated(reference, scored, task, names, rng),
    )


def _fewest(scored: Scored, task: Task) -> int:
    labels = scored.truth[np.isfinite(scored.truth)]
    if task != "binary":
        return len(labels)
    positive = int((labels == 1).sum())
    return min(positive, len(labels) - positive)


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
        probability, predicted = scored.probability, _typed(task, scored.predicted)
        if (known := reference.facts.get("calibration")) is not None:
            probability = put_right(task, probability, predicted, known)
        found = from_confidence(task, probability, predicted, names, rng)
    elif reference.residuals is not None and len(scored.predicted):
        found = from_residuals(reference.residuals, scored.predicted)
    told: Mapping[str, Any] = reference.facts["performance"]
    before: Mapping[str, Any] = reference.facts.get("estimated") or {}

    def figure(name: str, found: Estimated) -> Figure:
        if before.get(name, {}).get("value") is None or told[name]["value"] is None:
            return Figure(found.value, found.spread)
        known = _figure(told[name])
        return Figure(
            found.value + known.value - float(before[name]["value"]),
            math.hypot(found.spread, 0.0 if math.isnan(known.spread) else known.spread),
        )

    return {name: figure(name, each) for name, each in found.items() if name in names}


def tests(found: Performance, task: Task) -> Iterator[Test]:
    """Whether the chosen metric is worse than when the model was made: one-sided, measured and estimated apart."""
    for kind, figures in (("measured", found.measured), ("estimated", found.estimated)):
        before, now = found.reference.get(found.metric), figures.get(found.metric)
        if before is None or now is None or (kind == "measured" and found.fewest < LEAST_LABELS):
            continue
        lost = float(lookup(task, found.metric).gain(before.value - now.value))
        # few labels may agree by chance and seem to have no spread: it is at least what so many test rows have
        rows = found.labelled if kind == "measured" else found.rows
        floor = before.spread * math.sqrt(found.test_rows / max(1, rows))
        if kind == "measured":
            spread = math.hypot(before.spread, max(now.spread, floor))
        else:  # what the test rows leave open is in its spread
            spread = max(now.spread, math.hypot(before.spread, floor))
        if not spread > 0 or math.isnan(lost):
            continue
        words = f"{found.metric} is {now.value:.4g}, {before.value:.4g} when the model was made"
        where = (
            f"on {found.labelled:,} labelled rows" if kind == "measured" else "as estimated without labels"
        )
        yield Test(
            *(f"{kind}_performance", found.metric, "performance", f"loss of {found.metric}", lost),
            f"{words}, {where}",
            0.5 * math.erfc(lost / spread / math.sqrt(2)),
            partial(_critical, spread=spread),
            "output",
        )


def _critical(probability: float, *, spread: float) -> float:
    return NormalDist().inv_cdf(1 - probability) * spread
