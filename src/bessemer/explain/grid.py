"""The values at which the model is asked, column by column: values that were seen, never made up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bessemer.explain.values import Kind, iso, values_of

if TYPE_CHECKING:
    from bessemer.explain.sample import Sample
    from bessemer.explain.subject import Subject
    from bessemer.explain.values import Values

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Grid:
    """G values of one raw column, each standing in some row of the sample.

    kind: number and timestamp are in ascending order; categories the most frequent first.
    values: as JSON holds them; timestamps as ISO 8601, None is missing and always the last.
    at: int64 (G,), a row of the sample that has the value.
    place: int64 (N,), the grid point of each row: its own value, or of numbers the nearest one; -1 is none.
    whole: every value of the column in the sample is a point.
    """

    column: str
    kind: Kind
    values: list[Any]
    at: Ints
    place: Ints
    whole: bool

    def __len__(self) -> int:
        return len(self.values)

    @property
    def stepwise(self) -> bool:
        """Whether rows step from point to point; else the points are the ends of intervals."""
        return self.whole or self.kind == "category"

    @property
    def counts(self) -> Ints:
        """How many rows of the sample each point speaks for, int64 (G,)."""
        counted: Ints = np.bincount(self.place[self.place >= 0], minlength=len(self)).astype(np.int64)
        return counted


def grid_of(column: str, subject: Subject, sample: Sample, points: int, *, missing: bool = True) -> Grid:
    """Up to `points` values of a raw column, and missing where there are missing values and `missing` is wanted.

    Numbers and timestamps: every distinct value where they are few, else values with about as many rows each, the
    lowest and the highest in any case (see `spread`). Categories and booleans: the most frequent ones.
    """
    values = values_of(column, subject, sample)
    at, place, whole = _categories(values, points) if values.numbers is None else _numbers(values, points)
    shown = _shown(values, at)
    known = _known(values)
    if missing and not known.all():
        place = np.where(known, place, len(at))
        at = np.append(at, np.flatnonzero(~known)[0])
        shown.append(None)
    return Grid(column, values.kind, shown, at.astype(np.int64), place.astype(np.int64), whole)


def _known(values: Values) -> npt.NDArray[np.bool_]:
    if values.numbers is not None:
        return ~np.isnan(values.numbers)
    assert values.texts is not None
    return np.array([text is not None for text in values.texts], dtype=bool)


def _numbers(values: Values, points: int) -> tuple[Ints, Ints, bool]:
    assert values.numbers is not None
    numbers = values.numbers
    if values.kind == "timestamp":
        numbers = np.floor(numbers / 1e6)  # they are shown to the second
    rows = np.flatnonzero(~np.isnan(numbers))
    distinct, first, counts = np.unique(numbers[rows], return_index=True, return_counts=True)
    chosen = spread(counts, points)
    place = np.full(len(numbers), -1, dtype=np.int64)
    if len(chosen):
        middles = (distinct[chosen][1:] + distinct[chosen][:-1]) / 2
        place[rows] = np.searchsorted(middles, numbers[rows])
    return rows[first[chosen]], place, len(chosen) == len(distinct)


def spread(counts: Ints, points: int) -> Ints:
    """Which of many distinct values to take, in ascending order, so that they speak for about as many rows each.

    counts: int64 (D,), how many rows have each distinct value, in ascending order of the values. The first and the
    last are always taken. A value that many rows share is taken once, and the other points go to the other rows.

    >>> spread(np.array([900, 25, 25, 25, 25]), 3).tolist(), spread(np.array([1, 1]), 3).tolist()
    ([0, 2, 4], [0, 1])
    """
    if len(counts) <= points:
        return np.arange(len(counts))
    heavy = counts * points > counts.sum()
    ends = np.array([0, len(counts) - 1])
    heavy[ends] = True
    light = np.flatnonzero(~heavy)
    reached = np.cumsum(counts[light])
    share = np.linspace(0, 1, max(0, points - int(heavy.sum())) + 2)[1:-1]
    places = np.searchsorted(reached, share * counts[light].sum()) if len(light) else []
    chosen: Ints = np.union1d(np.flatnonzero(heavy), light[np.asarray(places, dtype=np.int64)]).astype(
        np.int64
    )
    return chosen


def _categories(values: Values, points: int) -> tuple[Ints, Ints, bool]:
    assert values.texts is not None
    where: dict[Any, list[int]] = {}
    for row, text in enumerate(values.texts):
        if text is not None:
            where.setdefault(text, []).append(row)
    ranked = sorted(where.items(), key=lambda item: (-len(item[1]), str(item[0])))[:points]
    place = np.full(len(values.texts), -1, dtype=np.int64)
    for point, (_, rows) in enumerate(ranked):
        place[rows] = point
    return np.array([rows[0] for _, rows in ranked], dtype=np.int64), place, len(ranked) == len(where)


def _shown(values: Values, at: Ints) -> list[Any]:
    if values.texts is not None:
        return [values.texts[row] for row in at]
    assert values.numbers is not None
    found = [float(values.numbers[row]) for row in at]
    return [iso(value) for value in found] if values.kind == "timestamp" else found
