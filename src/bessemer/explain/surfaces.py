"""What the explainers that draw a surface over pairs of columns have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, Field

from bessemer.core.spec import Spec
from bessemer.explain.ask import strongest_columns
from bessemer.explain.curves import named_class, some_rows, with_values
from bessemer.explain.joint import joints

if TYPE_CHECKING:
    from bessemer.core.stage import Context
    from bessemer.explain.grid import Grid
    from bessemer.explain.sample import Floats, Sample
    from bessemer.explain.subject import Subject

Ints = npt.NDArray[np.int64]

#: Where no pair is named: the columns among whose pairs the strongest interactions are sought, and the rows for it.
COLUMNS, ROWS = 6, 40


def _two(pair: list[str]) -> list[str]:
    if len(set(pair)) != 2 or len(pair) != 2:
        raise ValueError(f"{pair} is not a pair: write [column, another column]")
    return pair


class SurfaceSettings(Spec):
    """Of which pairs, and how fine."""

    pairs: list[Annotated[list[str], AfterValidator(_two)]] = Field(
        [],
        description="Pairs of raw columns, by name; where none is named those that interact most strongly.",
    )
    most: int = Field(3, ge=1, le=15, description="How many pairs, where none is named.")
    points: int = Field(12, ge=2, le=50, description="The most values of each column that are looked at.")
    rows: int = Field(100, ge=2, le=10_000, description="How many rows of the sample, drawn at random.")

    @property
    def named(self) -> list[str]:
        """The columns that must be there."""
        return [name for pair in self.pairs for name in pair]


def wanted_pairs(
    settings: SurfaceSettings, subject: Subject, sample: Sample, ctx: Context, advance: Callable[[], None]
) -> list[tuple[str, str]]:
    """The named pairs, or those of the strongest columns whose interaction moves the score most.

    Raises:
        UsageError: the model takes no column of that name.
    """
    if settings.pairs:
        there = with_values(settings.named, subject, sample, ctx)
        return [(a, b) for a, b in settings.pairs if a in there and b in there]
    columns = strongest_columns(subject, sample, ctx, COLUMNS)
    rows = some_rows(sample, ROWS, ctx, "surfaces")
    found = joints(columns, rows, np.ones((1, len(rows))), subject, sample, advance)
    ranked = sorted(found, key=lambda one: (-one.size[0], one.columns))
    return [one.columns for one in ranked if one.size[0] > 0][: settings.most]


def surface(x: Grid, y: Grid, subject: Subject, output: int, z: Floats) -> dict[str, Any]:
    """A surface as `bessemer.testing.explainers.CONTENT` has it; z is float64 (X, Y)."""
    entry = {
        "columns": [x.column, y.column],
        "kinds": [x.kind, y.kind],
        "x": x.values,
        "y": y.values,
        "z": z.tolist(),
        "rows": cell_counts(x, y).tolist(),
    }
    return entry | named_class(subject, output)


def cell_counts(x: Grid, y: Grid) -> Ints:
    """How many rows of the sample each pair of points speaks for, int64 (X, Y)."""
    both = (x.place >= 0) & (y.place >= 0)
    cells = np.bincount(x.place[both] * len(y) + y.place[both], minlength=len(x) * len(y))
    found: Ints = cells.reshape(len(x), len(y)).astype(np.int64)
    return found
