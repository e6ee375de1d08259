"""Accumulated local effects of the second order: what two columns do together beyond what each does alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from bessemer.explain.accumulate import effect_grid, interval_of
from bessemer.explain.ask import ask
from bessemer.explain.curves import some_rows
from bessemer.explain.explanation import Baseline, Error, Explanation, Kind
from bessemer.explain.surfaces import SurfaceSettings, surface, wanted_pairs

if TYPE_CHECKING:
    from bessemer.core.stage import Context
    from bessemer.explain.grid import Grid
    from bessemer.explain.sample import Floats, Sample
    from bessemer.explain.subject import Subject
    from bessemer.explain.surfaces import Ints

#: How often the rows are drawn anew for the error.
REPLICATES = 50


class AccumulatedLocalEffects2D:
    """The interaction of two columns, in units of the score: 0 everywhere where the model adds them.

    As `ale`, a row is only asked about the values next to its own, here in both columns; the effects of each column
    alone are taken out, so that what is left is the interaction, whose mean over the rows is 0. Cells without rows
    take the effect of the nearest cell that has some; `rows` says which they are.

    Source: Apley and Zhu, "Visualizing the effects of predictor variables in black box supervised learning models",
    Journal of the Royal Statistical Society B 82 (2020).
    """

    kind: ClassVar[Kind] = "surfaces"

    class Settings(SurfaceSettings):
        """Of which pairs, and how fine."""

        points: int = Field(9, ge=2, le=50, description="The most values of each column that are looked at.")
        rows: int = Field(2000, ge=2, le=100_000, description="How many rows of the sample, drawn at random.")

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def refuses(self, subject: Subject) -> str:
        return "a single column has no pair" if len(subject.columns) < 2 else ""

    def explain(
        self, subject: Subject, sample: Sample, ctx: Context, advance: Callable[[], None]
    ) -> Explanation:
        rows = some_rows(sample, self.settings.rows, ctx, "ale_2d")
        surfaces: list[dict[str, Any]] = []
        worst = 0.0
        for a, b in wanted_pairs(self.settings, subject, sample, ctx, advance):
            x, y = (effect_grid(name, subject, sample, self.settings.points) for name in (a, b))
            entry, error = _surface(x, y, rows, subject, sample, ctx)
            surfaces.append(entry)
            worst = max(worst, error)
            advance()
        return Explanation(
            self.kind,
            Baseline("a model that adds what the two columns do alone, which is 0 everywhere"),
            Error(
                "standard error",
                worst,
                "the largest bootstrap standard error over the rows of a cell that has rows",
            ),
            {"surfaces": surfaces, "unit": "score"},
        )


def _surface(
    x: Grid, y: Grid, rows: Ints, subject: Subject, sample: Sample, ctx: Context
) -> tuple[dict[str, Any], float]:
    """The surface of a pair, and its largest standard error."""
    if len(x) < 2 or len(y) < 2:
        return surface(x, y, subject, 0, np.zeros((len(x), len(y)))), 0.0
    down, across = (interval_of(grid, subject, sample)[rows] for grid in (x, y))
    both = (down >= 0) & (across >= 0)
    rows, down, across = rows[both], down[both], across[both]

    def corner(up: int, right: int) -> Floats:
        return ask(subject, sample.table, rows, {x.column: x.at[down + up], y.column: y.at[across + right]})

    local = corner(1, 1) - corner(0, 1) - corner(1, 0) + corner(0, 0)  # (M, K)
    shape = (len(x) - 1, len(y) - 1)
    cell = down * shape[1] + across
    found = [second_order(cell, effect, np.ones(len(rows)), shape) for effect in local.T]
    output = int(np.argmax([np.abs(z).mean() for z in found]))
    rng = ctx.rng("ale_2d", x.column, y.column)
    drawn = [
        second_order(
            cell, local[:, output], rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows))), shape
        )
        for _ in range(REPLICATES if len(rows) else 0)
    ]
    entry = surface(x, y, subject, output, found[output])
    errors = np.std(drawn, axis=0, ddof=1)[np.array(entry["rows"]) > 0] if drawn else np.zeros(0)
    return entry, float(errors.max(initial=0.0))


def second_order(cell: Ints, effect: Floats, weights: Any, shape: tuple[int, int]) -> Floats:
    """The interaction at the corners of the cells, float64 (X, Y), whose weighted mean over the rows is 0.

    Args:
        cell: int64 (M,), the cell of each row, row-major. effect: float64 (M,), the second difference over it.
        weights: (M,), of the rows. shape: how many cells there are each way, (X - 1, Y - 1).

    >>> z = second_order(np.array([0]), np.array([1.0]), np.ones(1), (1, 1))
    >>> z.tolist()
    [[0.25, -0.25], [-0.25, 0.25]]
    """
    held = np.bincount(cell, weights, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
    sums = np.bincount(cell, weights * effect, minlength=shape[0] * shape[1]).reshape(shape)
    local = _filled(sums / np.where(held > 0, held, 1.0), held > 0)
    z = np.zeros((shape[0] + 1, shape[1] + 1))
    z[1:, 1:] = local.cumsum(axis=0).cumsum(axis=1)
    first = _main(z, held)
    second = _main(z.T, held.T)
    z = z - first[:, None] - second[None, :]
    middle = (z[1:, 1:] + z[:-1, 1:] + z[1:, :-1] + z[:-1, :-1]) / 4
    found: Floats = z - (held * middle).sum() / max(float(held.sum()), 1e-12)
    return found


def _main(z: Floats, held: Floats) -> Floats:
    """The effect of the first column alone that is in z: float64 (X,), beginning with 0."""
    steps = z[1:] - z[:-1]
    share = held / np.where(held.sum(axis=1, keepdims=True) > 0, held.sum(axis=1, keepdims=True), 1.0)
    means = (share * (steps[:, 1:] + steps[:, :-1]) / 2).sum(axis=1)
    return np.concatenate([np.zeros(1), np.cumsum(means)])


def _filled(local: Floats, there: Any) -> Floats:
    """Cells without rows take the effect of the nearest one that has some, counted in cells."""
    if there.all() or not there.any():
        return local
    known = np.argwhere(there)
    found = local.copy()
    for place in np.argwhere(~there):
        nearest = known[np.abs(known - place).sum(axis=1).argmin()]
        found[tuple(place)] = local[tuple(nearest)]
    return found
