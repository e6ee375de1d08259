"""What the explainers that draw a curve for each column have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from bessemer.core.errors import UsageError, did_you_mean
from bessemer.core.spec import Spec
from bessemer.explain.ask import ask, strongest_columns
from bessemer.explain.grid import Grid, grid_of
from bessemer.explain.sample import pick

if TYPE_CHECKING:
    from bessemer.core.stage import Context
    from bessemer.explain.sample import Floats, Sample
    from bessemer.explain.subject import Subject

Ints = npt.NDArray[np.int64]


class CurveSettings(Spec):
    """Of which columns, and how fine."""

    columns: list[str] = Field(
        [], description="Raw columns, by name; where none is named those that move the score most."
    )
    most: int = Field(12, ge=1, le=200, description="How many columns, where none is named.")
    points: int = Field(20, ge=2, le=200, description="The most values of a column that are looked at.")
    rows: int = Field(200, ge=2, le=100_000, description="How many rows of the sample, drawn at random.")

    @property
    def named(self) -> list[str]:
        """The columns that must be there."""
        return list(self.columns)


def wanted_columns(
    settings: CurveSettings, subject: Subject, sample: Sample, ctx: Context, what: str
) -> list[str]:
    """The named columns that have values in the sample, or the strongest ones.

    Raises:
        UsageError: the model takes no column of that name.
    """
    if settings.columns:
        return with_values(settings.columns, subject, sample, ctx)
    return strongest_columns(subject, sample, ctx, settings.most, what)


def with_values(names: Sequence[str], subject: Subject, sample: Sample, ctx: Context) -> list[str]:
    """The named columns, each once, without images and those that are missing in every row of the sample, of which a
    note says so.

    Raises:
        UsageError: the model takes no column of that name.
    """
    for name in names:
        if name not in subject.columns:
            raise UsageError(
                f"the model takes no column {name!r}, so it cannot be explained",
                fix=did_you_mean(name, subject.columns),
            )
    for name in subject.images.intersection(names):
        ctx.note(f"{name!r} has images, which have no values in an order: there is no curve of it")
    names = [name for name in names if name not in subject.images]
    empty = [name for name in names if not len(grid_of(name, subject, sample, 2, missing=False))]
    for name in empty:
        ctx.note(f"{name!r} is missing in every row that is explained, so there is nothing to show of it")
    return [name for name in dict.fromkeys(names) if name not in empty]


def some_rows(sample: Sample, most: int, ctx: Context, what: str) -> Ints:
    """Ascending positions of up to `most` rows of the sample, drawn at random."""
    return pick(len(sample), most, ctx.rng(what, "rows")).astype(np.int64)


def profiles(subject: Subject, sample: Sample, grid: Grid, rows: Ints) -> Floats:
    """The score of each of M rows with the column set to each of the grid's G values: float64 (G, M, K).

    These are the individual conditional expectations of Goldstein et al. (2015); their mean over the rows is the
    partial dependence of Friedman (2001).
    """
    asked, donors = np.tile(rows, len(grid)), np.repeat(grid.at, len(rows))
    scores = ask(subject, sample.table, asked, {grid.column: donors})
    return scores.reshape(len(grid), len(rows), -1)


def moved_most(curves: Floats, counts: Ints) -> int:
    """The output whose curve swings most over the rows: curves (G, K), counts (G,), how many rows each point has."""
    weights = np.maximum(counts, 1)[:, None] / max(1, int(np.maximum(counts, 1).sum()))
    centred = curves - (weights * curves).sum(axis=0)
    return int((weights * centred**2).sum(axis=0).argmax()) if len(curves) else 0


def curve(
    grid: Grid, subject: Subject, output: int, values: Floats, low: Floats, high: Floats
) -> dict[str, Any]:
    """A curve as `bessemer.testing.explainers.CONTENT` has it; values, low and high are float64 (G,)."""
    points = zip(grid.values, values.tolist(), low.tolist(), high.tolist(), grid.counts.tolist(), strict=True)
    entry: dict[str, Any] = {"kind": grid.kind, "points": [list(point) for point in points]}
    return entry | named_class(subject, output)


def named_class(subject: Subject, output: int) -> dict[str, Any]:
    """The class that an output is the score of, where there is one output a class."""
    return {"class": subject.classes[output]} if subject.task == "multiclass" else {}


def widest(curves: Sequence[dict[str, Any]]) -> float:
    """Half the widest interval of all points; 0 where there are none."""
    return max((p[3] - p[2] for entry in curves for p in entry["points"]), default=0.0) / 2
