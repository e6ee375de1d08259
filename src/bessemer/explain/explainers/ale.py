"""Accumulated local effects: how the score goes with a column among rows that are like each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from bessemer.explain.accumulate import accumulated, effect_grid, steps_of
from bessemer.explain.ask import ask
from bessemer.explain.curves import CurveSettings, curve, moved_most, some_rows, wanted_columns, widest
from bessemer.explain.explanation import Baseline, Error, Explanation, Kind

if TYPE_CHECKING:
    from bessemer.core.stage import Context
    from bessemer.explain.curves import Ints
    from bessemer.explain.grid import Grid
    from bessemer.explain.sample import Sample
    from bessemer.explain.subject import Subject

#: How often the rows are drawn anew for the intervals.
REPLICATES = 200


class AccumulatedLocalEffects:
    """What small steps of a column do to the score of the rows that are near, added up along the column.

    A row is only asked about the values next to its own, so that rows that cannot be play no part, as they do in
    partial dependence. The curve's mean over the rows is 0; a value says how far the score lies from there. `low` and
    `high` are the 95% bootstrap interval over the rows. Numbers: steps between quantiles of the values, or between all
    values where they are few. Categories: steps between categories whose rows are alike in the other columns. Rows
    without a number are left out; to be missing is a category like others.

    Source: Apley and Zhu, "Visualizing the effects of predictor variables in black box supervised learning models",
    Journal of the Royal Statistical Society B 82 (2020), with the authors' treatment of categories.
    """

    kind: ClassVar[Kind] = "curves"

    class Settings(CurveSettings):
        """Of which columns, and how fine."""

        rows: int = Field(2000, ge=2, le=100_000, description="How many rows of the sample, drawn at random.")

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def refuses(self, subject: Subject) -> str:
        return ""

    def explain(
        self, subject: Subject, sample: Sample, ctx: Context, advance: Callable[[], None]
    ) -> Explanation:
        rows = some_rows(sample, self.settings.rows, ctx, "ale")
        curves: dict[str, Any] = {}
        for column in wanted_columns(self.settings, subject, sample, ctx, "ale"):
            grid = effect_grid(column, subject, sample, self.settings.points)
            curves[column] = _curve(grid, rows, subject, sample, ctx)
            advance()
        return Explanation(
            self.kind,
            Baseline(
                "the mean of the curve over the rows, which is 0: the mean score",
                tuple(sample.score[rows].mean(axis=0).tolist()),
            ),
            Error("95% interval", widest(list(curves.values())), "half the widest interval over the rows"),
            {"curves": curves, "unit": "score"},
        )


def _curve(grid: Grid, rows: Ints, subject: Subject, sample: Sample, ctx: Context) -> dict[str, Any]:
    if len(grid) < 2:
        flat = np.zeros(len(grid))
        return curve(grid, subject, 0, flat, flat, flat)
    steps = steps_of(grid, rows, subject, sample)
    low, high = (
        ask(subject, sample.table, steps.row, {grid.column: grid.at[steps.step + end]}) for end in (0, 1)
    )
    weights = np.bincount(rows, minlength=len(sample)).astype(np.float64)
    effects = accumulated(grid, steps, high - low, weights)
    output = moved_most(effects, grid.counts)
    rng = ctx.rng("ale", grid.column)
    drawn = []
    for _ in range(REPLICATES):
        weights = np.bincount(rng.choice(rows, len(rows)), minlength=len(sample)).astype(np.float64)
        drawn.append(accumulated(grid, steps, (high - low)[:, [output]], weights)[:, 0])
    return curve(grid, subject, output, effects[:, output], *np.quantile(drawn, [0.025, 0.975], axis=0))
