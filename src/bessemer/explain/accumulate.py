"""Steps along a column, and the curve that they add up to: the workings of accumulated local effects."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bessemer.explain.grid import Grid, grid_of
from bessemer.explain.similar import similar_order
from bessemer.explain.values import values_of

if TYPE_CHECKING:
    from bessemer.explain.sample import Floats, Sample
    from bessemer.explain.subject import Subject

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Steps:
    """S steps of rows. row: int64 (S,); step: int64 (S,), s is the step from grid point s to s + 1."""

    row: Ints
    step: Ints


def effect_grid(column: str, subject: Subject, sample: Sample, points: int) -> Grid:
    """The grid in the order of the steps: numbers ascending without missing, categories by likeness."""
    grid = grid_of(column, subject, sample, points)
    if grid.kind == "category":
        order = similar_order(grid, subject, sample)
        place = np.append(np.argsort(order), -1)[grid.place]  # the last entry is for the rows of no point
        return replace(grid, values=[grid.values[i] for i in order], at=grid.at[order], place=place)
    return grid_of(column, subject, sample, points, missing=False)


def steps_of(grid: Grid, rows: Ints, subject: Subject, sample: Sample) -> Steps:
    """The steps that each row takes.

    Where every value is a point, from the row's own value to both neighbours; else over the interval that its
    value lies in.
    """
    rows = rows[grid.place[rows] >= 0]
    place = grid.place[rows]
    if grid.stepwise:
        down, up = place > 0, place < len(grid) - 1
        return Steps(np.concatenate([rows[down], rows[up]]), np.concatenate([place[down] - 1, place[up]]))
    return Steps(rows, interval_of(grid, subject, sample)[rows])


def interval_of(grid: Grid, subject: Subject, sample: Sample) -> Ints:
    """The interval between grid points s and s + 1 that each row of the sample lies in: s, int64 (N,); -1 is none.

    An interval holds its upper end, and the first one its lower end too.
    """
    place = grid.place
    if not grid.stepwise:
        numbers = values_of(grid.column, subject, sample).numbers
        assert numbers is not None
        place = np.where(place >= 0, np.searchsorted(numbers[grid.at], numbers), -1)
    # of times within one second, which are one point, some lie behind the last
    found: Ints = np.where(place >= 0, np.clip(place - 1, 0, max(0, len(grid) - 2)), -1)
    return found


def accumulated(grid: Grid, steps: Steps, differences: Floats, weights: Floats) -> Floats:
    """The curve at the grid's points: float64 (G, K), whose weighted mean over the rows is 0.

    Args:
        differences: float64 (S, K), what each step does to the score.
        weights: float64 (N,), of each row of the sample; those that are not drawn have 0.

    A step that no row takes adds nothing.
    """
    many = len(grid) - 1
    taken = np.bincount(steps.step, weights[steps.row], minlength=many)
    sums = [np.bincount(steps.step, weights[steps.row] * column, minlength=many) for column in differences.T]
    means = np.array(sums) / np.where(taken > 0, taken, 1.0)  # (K, G - 1)
    curves = np.concatenate([np.zeros((len(means), 1)), np.cumsum(means, axis=1)], axis=1)
    if grid.stepwise:
        at = grid.place >= 0
        held = np.bincount(grid.place[at], weights[at], minlength=len(grid))
        centre = (curves * held).sum(axis=1) / max(float(held.sum()), 1e-12)
    else:
        middles = (curves[:, 1:] + curves[:, :-1]) / 2
        centre = (middles * taken).sum(axis=1) / max(float(taken.sum()), 1e-12)
    found: Floats = (curves - centre[:, None]).T
    return found
