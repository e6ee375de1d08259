"""What was done against unequal treatment, what it changed on the test rows, and what it cost there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bessemer.evaluate.fairness.compared import Judgement
from bessemer.evaluate.fairness.partition import Partition
from bessemer.evaluate.fairness.sides import Side, criteria_of
from bessemer.evaluate.thresholds import FIGURES, moved
from bessemer.package.decision import Decision
from bessemer.stats.arrays import Floats
from bessemer.stats.bootstrap import Statistic, interval
from bessemer.stats.fairness import between
from bessemer.stats.metrics.outcome import Outcome
from bessemer.stats.metrics.table import Scorer


class GroupThresholds:
    """Thresholds by group against one threshold for all: the same probabilities, the same rows, the same resamples.

    Criteria and metrics of labels, after and before; the two groups of a criterion are those that were furthest apart
    before, so that both figures speak of the same people.
    """

    def __init__(
        self, decision: Decision, outcome: Outcome, partitions: Sequence[Partition], sides: Sequence[Side]
    ) -> None:
        self._decision, self._task = decision, outcome.task
        before = moved(outcome, decision.threshold)
        self._before = [Judgement(before, partition, sides) for partition in partitions]
        self._after = [Judgement(outcome, partition, sides) for partition in partitions]
        self._scorers = [Scorer(one, FIGURES) for one in (before, outcome)]

    @property
    def statistics(self) -> list[Statistic]:
        judged = [one.statistic for one in [*self._before, *self._after]]
        return [*judged, *self._scorers]

    def content(self, draws: Sequence[Floats], confidence: float) -> dict[str, Any]:
        n = len(self._before)
        criteria = {
            before.partition.name: self._criteria(before, after, draws[k], draws[n + k], confidence)
            for k, (before, after) in enumerate(zip(self._before, self._after, strict=True))
        }
        return {
            "groups": [one.column for one in self._decision.groups],
            "constraint": self._decision.fair,
            "tolerance": self._decision.tolerance,
            "objective": self._decision.objective,
            "chosen_on": "valid",
            "common": self._decision.threshold,
            "thresholds": [
                {"group": names, "threshold": threshold, "rows": rows}
                for names, threshold, rows in zip(
                    self._decision.names(), self._decision.table, self._decision.rows, strict=True
                )
                if rows
            ],
            "criteria": criteria,
            "metrics": self._metrics(draws[2 * n], draws[2 * n + 1], confidence),
        }

    def _metrics(self, before: Floats, after: Floats, confidence: float) -> dict[str, Any]:
        values = [scorer() for scorer in self._scorers]
        return {
            name: _change(values[0][k], values[1][k], before[:, k], after[:, k], confidence)
            for k, name in enumerate(FIGURES)
        }

    def _criteria(
        self, before: Judgement, after: Judgement, was: Floats, now: Floats, confidence: float
    ) -> dict[str, Any]:
        found: dict[str, Any] = {}
        values = [one.values[0][0] for one in (before, after)]
        drawn = [one.split(part)[0][0] for one, part in ((before, was), (after, now))]
        for name, criterion in criteria_of(self._task).items():
            pair = before.pair(criterion, 0)
            if pair is None:
                continue
            ends = (pair.low, pair.high)
            point = [between(criterion, *(value[pair.figure][[k]] for k in ends))[0] for value in values]
            spread = [between(criterion, *(part[pair.figure][:, k] for k in ends)) for part in drawn]
            labels = [before.partition.labels[k] for k in ends]
            found[name] = {
                **_change(point[0], point[1], spread[0], spread[1], confidence),
                "between": labels if criterion.lowest_first else labels[::-1],
                "figure": pair.figure,
            }
        return found


def _change(before: float, after: float, was: Floats, now: Floats, confidence: float) -> dict[str, float]:
    low, high = interval(now - was, confidence)
    return {
        "before": float(before),
        "after": float(after),
        "difference": float(after - before),
        "low": low,
        "high": high,
    }
