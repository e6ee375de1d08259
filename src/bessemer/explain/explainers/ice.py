"""Individual conditional expectation: how the score of each single row would go with one column's value."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from bessemer.explain.curves import CurveSettings, curve, moved_most, profiles, some_rows, wanted_columns
from bessemer.explain.examples import chosen
from bessemer.explain.explanation import Baseline, Error, Explanation, Kind
from bessemer.explain.grid import grid_of

if TYPE_CHECKING:
    from bessemer.core.stage import Context
    from bessemer.explain.curves import Ints
    from bessemer.explain.grid import Grid
    from bessemer.explain.sample import Floats, Sample
    from bessemer.explain.subject import Subject

#: How many worked examples of each kind have a line.
EXAMPLES = 2


class IndividualConditionalExpectation:
    """A line a row: its score with one column set to each value and everything else as it is.

    `lines` are of worked examples first and then of rows drawn at random. `mean` is the partial dependence over
    `rows` rows; `low` and `high` are the 10th and the 90th percentile of these rows' scores. Lines that are not
    parallel show that other columns change what this one does.

    Source: Goldstein et al., "Peeking inside the black box: visualizing statistical learning with plots of individual
    conditional expectation", Journal of Computational and Graphical Statistics 24 (2015).
    """

    kind: ClassVar[Kind] = "curves"

    class Settings(CurveSettings):
        """Of which columns and rows, and how fine."""

        most: int = Field(6, ge=1, le=200, description="How many columns, where none is named.")
        lines: int = Field(30, ge=1, le=1000, description="How many rows have a line of their own.")

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def refuses(self, subject: Subject) -> str:
        return ""

    def explain(
        self, subject: Subject, sample: Sample, ctx: Context, advance: Callable[[], None]
    ) -> Explanation:
        shown = self._shown(subject, sample, ctx)
        drawn = some_rows(sample, self.settings.rows, ctx, "ice")
        rows = np.concatenate([shown, drawn])
        curves: dict[str, Any] = {}
        gap = 0.0
        for column in wanted_columns(self.settings, subject, sample, ctx, "ice"):
            grid = grid_of(column, subject, sample, self.settings.points)
            scores = profiles(subject, sample, grid, rows)
            lines, others = scores[:, : len(shown)], scores[:, len(shown) :]
            output = moved_most(others.mean(axis=1), grid.counts)
            curves[column] = _curve(grid, subject, output, others[:, :, output])
            curves[column]["lines"] = [
                [row, lines[:, i, output].tolist()] for i, row in enumerate(shown.tolist())
            ]
            gap = max(gap, _gap(grid, lines[:, :, output], shown, sample.score[shown, output]))
            advance()
        return Explanation(
            self.kind,
            Baseline("the score of the row itself, with its own value"),
            Error(
                "grid gap",
                gap,
                "the worst difference between a row's score and its line at the nearest value that was asked about; "
                "that some of the rows it asks about could not be is no part of it",
            ),
            {"curves": curves, "unit": "score"},
        )

    def _shown(self, subject: Subject, sample: Sample, ctx: Context) -> Ints:
        """The rows that have a line, the worked examples first."""
        examples = [position for _, position in chosen(subject, sample, EXAMPLES)]
        others = ctx.rng("ice", "lines").permutation(len(sample)).tolist()
        return np.array(list(dict.fromkeys([*examples, *others]))[: self.settings.lines], dtype=np.int64)


def _curve(grid: Grid, subject: Subject, output: int, lines: Floats) -> dict[str, Any]:
    low, high = np.quantile(lines, [0.1, 0.9], axis=1)
    return curve(grid, subject, output, lines.mean(axis=1), low, high)


def _gap(grid: Grid, lines: Floats, rows: Ints, scores: Floats) -> float:
    """The worst |line at the point nearest to the row's own value - score|; lines (G, R), scores (R,)."""
    place = grid.place[rows]
    at = np.flatnonzero(place >= 0)
    return float(np.abs(lines[place[at], at] - scores[at]).max(initial=0.0))
