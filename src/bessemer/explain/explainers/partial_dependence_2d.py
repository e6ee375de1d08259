"""Partial dependence on two columns at once: the surface over both."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bessemer.explain.ask import ask
from bessemer.explain.curves import moved_most, some_rows
from bessemer.explain.explanation import Baseline, Error, Explanation, Kind
from bessemer.explain.grid import grid_of
from bessemer.explain.surfaces import SurfaceSettings, cell_counts, surface, wanted_pairs

if TYPE_CHECKING:
    from bessemer.core.stage import Context
    from bessemer.explain.sample import Floats, Sample
    from bessemer.explain.subject import Subject
    from bessemer.explain.surfaces import Ints


class PartialDependence2D:
    """The mean score of the rows if they all had the same values in two columns.

    `z` is the partial dependence, in units of the score; `rows` is how many test rows are in each cell: where there
    are none, the model speaks of what it has not seen. Where no pair is named, those with the strongest interaction
    are shown: with the largest part of their joint effect, in units of the score, that is not the sum of the two.

    Source: Friedman, "Greedy function approximation: a gradient boosting machine", Annals of Statistics 29 (2001).
    """

    kind: ClassVar[Kind] = "surfaces"

    class Settings(SurfaceSettings):
        """Of which pairs, and how fine."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def refuses(self, subject: Subject) -> str:
        return "a single column has no pair" if len(subject.columns) < 2 else ""

    def explain(
        self, subject: Subject, sample: Sample, ctx: Context, advance: Callable[[], None]
    ) -> Explanation:
        rows = some_rows(sample, self.settings.rows, ctx, "partial_dependence_2d")
        surfaces: list[dict[str, Any]] = []
        worst = 0.0
        for pair in wanted_pairs(self.settings, subject, sample, ctx, advance):
            entry, error = _surface(pair, self.settings.points, rows, subject, sample)
            surfaces.append(entry)
            worst = max(worst, error)
            advance()
        return Explanation(
            self.kind,
            Baseline(
                f"the mean score of {len(rows):,} test rows as they are",
                tuple(sample.score[rows].mean(axis=0).tolist()),
            ),
            Error(
                "standard error",
                worst,
                "the largest standard error over the rows of how far a point lies from the surface's mean; that some "
                "of the rows it asks about could not be is no part of it",
            ),
            {"surfaces": surfaces, "unit": "score"},
        )


def _surface(
    pair: tuple[str, str], points: int, rows: Ints, subject: Subject, sample: Sample
) -> tuple[dict[str, Any], float]:
    """The surface of a pair, and its largest standard error."""
    x, y = (grid_of(name, subject, sample, points, missing=False) for name in pair)
    along, across = np.repeat(x.at, len(y)), np.tile(y.at, len(x))
    donors = {pair[0]: np.repeat(along, len(rows)), pair[1]: np.repeat(across, len(rows))}
    scores = ask(subject, sample.table, np.tile(rows, len(along)), donors).reshape(len(along), len(rows), -1)
    output = moved_most(scores.mean(axis=1), cell_counts(x, y).ravel())
    lines = scores[:, :, output]
    z = lines.mean(axis=1).reshape(len(x), len(y))
    return surface(x, y, subject, output, z), _standard_error(lines)


def _standard_error(lines: Floats) -> float:
    """The largest of how far each point lies from the mean of all: lines (points, M)."""
    if lines.shape[1] < 2 or not len(lines):
        return 0.0
    shapes = lines - lines.mean(axis=0)
    return float(shapes.std(axis=1, ddof=1).max() / lines.shape[1] ** 0.5)
