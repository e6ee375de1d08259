"""Partial dependence: the mean score of the rows if they all had the same value in one column."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bessemer.explain.curves import (
    CurveSettings,
    curve,
    moved_most,
    profiles,
    some_rows,
    wanted_columns,
    widest,
)
from bessemer.explain.explanation import Baseline, Error, Explanation, Kind
from bessemer.explain.grid import grid_of

if TYPE_CHECKING:
    from bessemer.core.stage import Context
    from bessemer.explain.grid import Grid
    from bessemer.explain.sample import Floats, Sample
    from bessemer.explain.subject import Subject


class PartialDependence:
    """The score with one column set to a value, averaged over rows of the test part.

    `mean` is the partial dependence, in units of the score. `low` and `high` are the 95% t interval of the curve's
    shape over the rows: of how far the point lies from the curve's own mean. That rows differ in the height of their
    scores is no part of it. Where columns go together, rows that cannot be are asked about too: see `ale`.

    Source: Friedman, "Greedy function approximation: a gradient boosting machine", Annals of Statistics 29 (2001).
    """

    kind: ClassVar[Kind] = "curves"

    class Settings(CurveSettings):
        """Of which columns, and how fine."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def refuses(self, subject: Subject) -> str:
        return ""

    def explain(
        self, subject: Subject, sample: Sample, ctx: Context, advance: Callable[[], None]
    ) -> Explanation:
        rows = some_rows(sample, self.settings.rows, ctx, "partial_dependence")
        curves: dict[str, Any] = {}
        for column in wanted_columns(self.settings, subject, sample, ctx, "partial dependence"):
            grid = grid_of(column, subject, sample, self.settings.points)
            curves[column] = dependence_curve(grid, subject, profiles(subject, sample, grid, rows))
            advance()
        return Explanation(
            self.kind,
            Baseline(
                f"the mean score of {len(rows):,} test rows as they are",
                tuple(sample.score[rows].mean(axis=0).tolist()),
            ),
            Error(
                "95% interval",
                widest(list(curves.values())),
                "half the widest interval of a curve's shape over the rows; that some of the rows it asks about could "
                "not be is no part of it",
            ),
            {"curves": curves, "unit": "score"},
        )


def dependence_curve(grid: Grid, subject: Subject, scores: Floats) -> dict[str, Any]:
    """The partial dependence of one column from the scores (G, M, K) of M rows at each of the G grid values."""
    means = scores.mean(axis=1)
    output = moved_most(means, grid.counts)
    low, high = _band(scores[:, :, output], grid.counts)
    return curve(grid, subject, output, means[:, output], low, high)


def _band(lines: Floats, counts: Any) -> tuple[Floats, Floats]:
    """The 95% t interval of the shape at each point, around the mean: lines (G, M) -> (G,) and (G,)."""
    from scipy.special import stdtrit

    means = lines.mean(axis=1)
    weights = np.maximum(counts, 1) / np.maximum(counts, 1).sum()
    shapes = lines - (weights[:, None] * lines).sum(axis=0)
    n = lines.shape[1]
    if n < 2:
        return means, means
    half = float(stdtrit(n - 1, 0.975)) * shapes.std(axis=1, ddof=1) / n**0.5
    return means - half, means + half
