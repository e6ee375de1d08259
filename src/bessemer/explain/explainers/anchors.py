"""Anchors: a rule that holds the prediction where it is, whatever the other columns say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.explain.anchor_search import Rule, Search
from bessemer.explain.explanation import Baseline, Error, Explanation, Kind
from bessemer.explain.local import explained_rows, predicted, said
from bessemer.explain.perturb import pool
from bessemer.explain.predicates import Predicate, predicates
from bessemer.stats.intervals import wilson

if TYPE_CHECKING:
    import numpy.typing as npt

    from bessemer.core.stage import Context
    from bessemer.explain.perturb import Places, Pool
    from bessemer.explain.sample import Floats, Sample
    from bessemer.explain.subject import Subject

#: How many background rows there are; one half is searched with, the other measures precision.
BACKGROUND = 4000

#: Conditions that a search starts from: of very wide tables those on the columns that move the row's score most.
CONDITIONS = 300

#: Confidence of the stated interval of the precision.
CONFIDENCE = 0.95


class Anchors:
    """The rule of highest coverage among the shortest that hold the prediction with the wanted precision.

    Precision is the share of rows with the rule's values, and all else from background rows, that get the same
    prediction; in regression, one within `within` standard deviations of the predictions. It is searched with KL-LUCB
    on one half of the background and measured on the other, with new draws: the interval (Wilson, 95 %) is not biased
    by the search. Coverage is the share of background rows that the rule is true of.

    Source: Ribeiro, Singh and Guestrin, "Anchors: high-precision model-agnostic explanations", AAAI 2018.
    """

    kind: ClassVar[Kind] = "rules"

    class Settings(Spec):
        """How precise a rule has to be, and what finding it may cost."""

        rows: int = Field(8, ge=1, le=1000, description="How many rows are explained.")
        precision: float = Field(0.95, gt=0.5, lt=1, description="Share of rows whose prediction must stay.")
        longest: int = Field(5, ge=1, le=20, description="The most conditions of a rule.")
        samples: int = Field(20_000, ge=500, le=1_000_000, description="Rows scored in one search, at most.")
        check: int = Field(1000, ge=100, le=1_000_000, description="Rows that the precision is measured on.")
        bins: int = Field(4, ge=2, le=50, description="Bins of a number: quantiles of the background.")
        within: float = Field(
            1.0, gt=0, le=10, description="In regression: what counts as the same, in standard deviations."
        )

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def refuses(self, subject: Subject) -> str:
        return ""

    def explain(
        self, subject: Subject, sample: Sample, ctx: Context, advance: Callable[[], None]
    ) -> Explanation:
        positions = explained_rows(subject, sample, self.settings.rows)
        cells = pool(subject, sample, positions, BACKGROUND, ctx.rng("anchors", "background"))
        everything, _ = predicted(subject, cells.table)
        within = self._within(subject, everything[cells.first :])
        rows = []
        for at, row in enumerate(positions):
            trial = _Trial(subject, cells, at, self.settings.bins, float(everything[at]), within)
            trial.narrow(_strength(subject, sample, row))
            rows.append({"row": row, **self._rule(trial, ctx.rng("anchors", row))})
            rows[-1]["prediction"] = said(subject, float(everything[at]))
            if within is not None:
                rows[-1]["within"] = within
            advance()
        return Explanation(
            self.kind,
            Baseline(f"rows that keep the rule and are otherwise like {cells.text}"),
            self._error(rows, within),
            {"rows": rows},
        )

    def _within(self, subject: Subject, found: Floats) -> float | None:
        """How far predictions may differ and still be the same; None for classes."""
        return self.settings.within * float(found.std()) if subject.task == "regression" else None

    def _rule(self, trial: _Trial, rng: np.random.Generator) -> dict[str, Any]:
        search = Search(
            attempt=lambda rules, times: trial.kept(rules, times, rng, trial.search_half),
            coverage=trial.coverage,
            follow=trial.follow,
            precision=self.settings.precision,
            budget=self.settings.samples,
        )
        rule = search.run(self.settings.longest)
        (kept,) = trial.kept([rule], self.settings.check, rng, trial.check_half)
        share = kept / self.settings.check
        low, high = wilson(kept, self.settings.check, CONFIDENCE)
        return {
            "conditions": [trial.predicates[p].to_json() for p in rule],
            "precision": share,
            "low": min(low, share),  # at 0 and 1 the formula is off in the last bit
            "high": max(high, share),
            "coverage": trial.coverage(rule),
        }

    def _error(self, rows: list[dict[str, Any]], within: float | None) -> Error:
        lowest = min((row["low"] for row in rows), default=None)
        stays = "stays" if within is None else f"stays within {within:.4g}"
        return Error(
            "precision",
            lowest,
            f"the lower end of the 95% interval of the share of rows whose prediction {stays}, of the worst rule; "
            f"wanted is {self.settings.precision:g}",
        )


def _strength(subject: Subject, sample: Sample, row: int) -> dict[str, float]:
    parts = np.abs(sample.contributions[row]).sum(axis=1)
    return dict(zip(subject.groups, parts.tolist(), strict=True))


class _Trial:
    """Trying rules around one row."""

    def __init__(
        self, subject: Subject, cells: Pool, at: int, bins: int, prediction: float, within: float | None
    ) -> None:
        self.subject, self.cells, self.at = subject, cells, at
        self.prediction, self.within = prediction, within
        self.predicates: list[Predicate] = predicates(cells, at, bins)
        halves = np.arange(cells.size)
        self.search_half = halves[::2]
        self.check_half = halves[1::2] if len(halves) > 1 else halves

    def narrow(self, strength: Mapping[str, float]) -> None:
        """Keep the conditions on the strongest columns; one without a contribution of its own may be behind any."""
        ranked = sorted(self.predicates, key=lambda one: -strength.get(one.name, np.inf))
        kept = {id(one) for one in ranked[:CONDITIONS]}
        self.predicates = [one for one in self.predicates if id(one) in kept]

    def follow(self, rule: Rule) -> list[Rule]:
        """The rules with one more condition."""
        return [tuple(sorted((*rule, p))) for p in range(len(self.predicates)) if p not in rule]

    def coverage(self, rule: Rule) -> float:
        holds = np.ones(self.cells.size, dtype=bool)
        for p in rule:
            holds &= self.predicates[p].holds
        return float(holds.mean())

    def kept(
        self, rules: Sequence[Rule], times: int, rng: np.random.Generator, half: npt.NDArray[np.int64]
    ) -> list[int]:
        """How many of `times` rows with each rule keep the prediction; all go through the graph at once."""
        places = np.concatenate([self._rows(rule, times, rng, half) for rule in rules])
        same = self._same(predicted(self.subject, self.cells.mixed(places))[0])
        return [int(count) for count in same.reshape(len(rules), times).sum(axis=1)]

    def _rows(self, rule: Rule, times: int, rng: np.random.Generator, half: npt.NDArray[np.int64]) -> Places:
        """Background rows, whose columns in the rule have values for which it is true."""
        drawn = self.cells.first + rng.choice(half, size=times)
        places = np.repeat(drawn[:, None], len(self.cells.columns), axis=1)
        for column in dict.fromkeys(self.predicates[p].column for p in rule):
            holds = np.ones(self.cells.size, dtype=bool)
            for p in rule:
                if self.predicates[p].column == column:
                    holds &= self.predicates[p].holds
            fitting = half[holds[half]]
            places[:, column] = (
                self.cells.first + rng.choice(fitting, size=times) if len(fitting) else self.at
            )
        return places

    def _same(self, found: Floats) -> npt.NDArray[np.bool_]:
        if self.within is None:
            return np.asarray(found == self.prediction)
        return np.asarray(np.abs(found - self.prediction) <= self.within)
