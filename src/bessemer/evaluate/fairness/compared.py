"""A partition judged: figures of its groups with intervals, and the criteria between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from bessemer.evaluate.fairness.partition import Partition
from bessemer.evaluate.fairness.sides import Side, criteria_of
from bessemer.evaluate.slices import MIN_ROWS
from bessemer.stats.arrays import Bools, Floats
from bessemer.stats.bootstrap import Statistic, interval
from bessemer.stats.fairness import Criterion, Decisions, Estimates, Pair, between, widest
from bessemer.stats.homogeneity import beta_draws, same_means, same_rates
from bessemer.stats.intervals import wilson
from bessemer.stats.metrics.outcome import Outcome
from bessemer.stats.metrics.table import Scorer

#: A rate of fewer rows than this is shown and not compared.
FEWEST = 10
#: Figures that are a share of rows, whose interval at 0 and at 1 has a formula where resamples all agree.
_RATES = ("base_rate", "selection_rate", "tpr", "fpr", "precision", "accuracy")


@dataclass
class Judgement:
    """Figures of a partition's groups under one outcome, ready for the bootstrap.

    metric: the name of the main metric, given for each group; '' for none.
    """

    outcome: Outcome
    partition: Partition
    sides: Sequence[Side]
    metric: str = ""
    _parts: list[Decisions | Estimates] = field(init=False)
    _scorers: dict[int, tuple[Any, Scorer]] = field(init=False)

    def __post_init__(self) -> None:
        self._parts = [side.figures(self.outcome, self.partition) for side in self.sides]
        self._scorers = {}
        for k in range(len(self.partition.labels) if self.metric else 0):
            rows = self.partition.rows(k)
            if len(rows) >= MIN_ROWS:
                self._scorers[k] = (rows, Scorer(self.outcome.take(rows), [self.metric]))

    @property
    def large(self) -> Bools:
        found: Bools = self.partition.sizes >= MIN_ROWS
        return found

    @property
    def statistic(self) -> Statistic:
        """All figures of all groups, flat: (sides * figures * groups,), then the main metric of each group."""

        def flat(weights: Floats) -> Floats:
            own = np.full(len(self.partition.labels), np.nan)
            for k, (rows, scorer) in self._scorers.items():
                own[k] = scorer(weights[rows])[0]
            return np.concatenate([*(part(weights).ravel() for part in self._parts), own])

        return flat

    def split(self, draws: Floats) -> tuple[list[dict[str, Floats]], Floats]:
        """Draws of `statistic` (r, k) by side and figure (r, groups), and of the main metric."""
        groups, sides, start = len(self.partition.labels), [], 0
        for part in self._parts:
            found = {}
            for name in part.figures:
                found[name] = draws[:, start : start + groups]
                start += groups
            sides.append(found)
        return sides, draws[:, start:]

    @cached_property
    def values(self) -> tuple[list[dict[str, Floats]], Floats]:
        """The figures on the rows themselves, by side, float64 (groups,), and the main metric."""
        sides, own = self.split(self.statistic(np.ones(self.outcome.rows))[None, :])
        return [{name: value[0] for name, value in side.items()} for side in sides], own[0]

    def allowed(self, side: int) -> dict[str, Bools]:
        """By figure, which groups are compared: large enough, not pooled, and the figure has rows enough."""
        single = np.array([k not in self.partition.pooled for k in range(len(self.partition.labels))])
        return {
            name: self.large & single & (rows >= FEWEST) for name, rows in self._parts[side].bases().items()
        }

    # what goes into evaluation.json --------------------------------------------------------------------
    def groups(self, draws: Floats, confidence: float) -> list[dict[str, Any]]:
        """The groups with their figures and intervals."""
        (values, main), (drawn, drawn_main) = self.values, self.split(draws)
        found = []
        for k, label in enumerate(self.partition.labels):
            rows = int(self.partition.sizes[k])
            one: dict[str, Any] = {
                "value": label,
                "rows": rows,
                "share": rows / self.outcome.rows,
                "too_small": rows < MIN_ROWS,
                "pooled": k in self.partition.pooled,
                "metrics": {},
            }
            if rows >= MIN_ROWS:
                one["metrics"] = {
                    **({self.metric: _figure(main[k], drawn_main[:, k], confidence)} if self.metric else {}),
                    **(self._figures(0, k, values, drawn, confidence) if len(self.sides) == 1 else {}),
                }
                if len(self.sides) > 1:
                    one["classes"] = {
                        side.label: self._figures(s, k, values, drawn, confidence)
                        for s, side in enumerate(self.sides)
                    }
            found.append(one)
        return found

    def _figures(
        self,
        s: int,
        k: int,
        values: Sequence[Mapping[str, Floats]],
        drawn: Sequence[Mapping[str, Floats]],
        confidence: float,
    ) -> dict[str, Any]:
        bases = self._parts[s].bases()
        found = {}
        for name, value in values[s].items():
            made = _figure(value[k], drawn[s][name][:, k], confidence)
            if name in _RATES and value[k] in (
                0.0,
                1.0,
            ):  # every resample says the same, which is no certainty
                made["low"], made["high"] = wilson(value[k] * bases[name][k], bases[name][k], confidence)
            found[name] = made
        return found

    def criteria(self, draws: Floats, confidence: float) -> dict[str, Any]:
        """Each criterion on the side where it is worst, with the interval of the two groups named and a p-value."""
        values, _ = self.values
        drawn, _ = self.split(draws)
        found: dict[str, Any] = {}
        for name, criterion in criteria_of(self.outcome.task).items():
            made = [
                self._criterion(criterion, s, values[s], drawn[s], confidence) for s in range(len(self.sides))
            ]
            defined = [one for one in made if one["value"] is not None]
            worst = min if criterion.ratio else max
            found[name] = worst(defined, key=lambda one: float(one["value"])) if defined else made[0]
            if len(defined) > 1:  # one of several sides was chosen (Bonferroni)
                found[name]["p"] = float(np.minimum(1.0, found[name]["p"] * len(defined)))
        return found

    def pair(self, criterion: Criterion, side: int) -> Pair | None:
        return widest(criterion, self.values[0][side], self.allowed(side))

    def _criterion(
        self,
        criterion: Criterion,
        s: int,
        values: Mapping[str, Floats],
        drawn: Mapping[str, Floats],
        confidence: float,
    ) -> dict[str, Any]:
        pair = widest(criterion, values, self.allowed(s))
        named = {"class": self.sides[s].label} if self.sides[s].label else {}
        if pair is None:
            nothing = {"value": None, "low": None, "high": None, "between": None, "figure": None, "p": None}
            return {**nothing, **named}
        labels = [self.partition.labels[k] for k in (pair.low, pair.high)]
        value = between(criterion, values[pair.figure][[pair.low]], values[pair.figure][[pair.high]])[0]
        spread = between(
            criterion, *(self._draws(s, pair.figure, k, values, drawn) for k in (pair.low, pair.high))
        )
        return {
            **_figure(float(value), spread, confidence),
            "between": labels if criterion.lowest_first else labels[::-1],
            "figure": pair.figure,
            "p": self._p(criterion, s, values),
            **named,
        }

    def _draws(
        self, s: int, figure: str, k: int, values: Mapping[str, Floats], drawn: Mapping[str, Floats]
    ) -> Floats:
        """The draws of a group's figure; of a rate of 0 or 1, which no resample changes, those of its distribution."""
        draws = drawn[figure][:, k]
        if figure not in _RATES or values[figure][k] not in (0.0, 1.0):
            return draws
        rows = self._parts[s].bases()[figure][k]
        return beta_draws(float(values[figure][k] * rows), float(rows), len(draws))

    def _p(self, criterion: Criterion, s: int, values: Mapping[str, Floats]) -> float:
        """The chance of differences like these if all groups were alike, over all groups and figures compared.

        A figure that cannot be tested is left out; NaN where none can (`same_rates`, `same_means` say when).
        """
        part, allowed = self._parts[s], self.allowed(s)
        found = []
        for figure in criterion.figures:
            mask, rows = allowed[figure], part.bases()[figure]
            if isinstance(part, Estimates):
                mean, variance = part.spread(figure)
                found.append(same_means(mean[mask], variance[mask], rows[mask]))
            elif figure == "bias":
                mean, variance = part.differences()
                found.append(same_means(mean[mask], variance[mask], rows[mask]))
            else:
                found.append(same_rates((values[figure] * rows)[mask], rows[mask]))
        tested = [p for p in found if not np.isnan(p)]
        return min(1.0, min(tested) * len(tested)) if tested else float("nan")


def _figure(value: float, draws: Floats, confidence: float) -> dict[str, Any]:
    low, high = interval(draws, confidence)
    return {"value": float(value), "low": low, "high": high}
