"""The lattice of slices: every combination of levels of up to three columns, and where the loss is worst.

A slice says of one to three columns which level they have. For each set of columns one `bincount` over the
combined codes gives rows, loss and squared loss of all of its slices at once, so the whole lattice costs a pass
over the rows for each set of columns and memory for one set at a time. Chung et al. 2019 (Slice Finder) and
Sagadeeva and Boehm 2021 (SliceLine) state the problem; they walk the lattice level by level and prune it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from bessemer.stats.arrays import Bools, Floats
from bessemer.stats.means import Moments, by_code, moments, welch

#: How far (in standard errors) a slice must lie above each slice that it is a part of, to be worth its condition.
GAIN = 2.0
#: The most slices of one set of columns, and of the whole lattice, that are held for the choice.
_OF_A_SET, _OF_ALL = 50, 1000

Codes = Sequence[NDArray[np.int8]]


@dataclass(frozen=True)
class Cell:
    """A slice of the lattice. columns: their places; levels: one each; score: Welch's t against all other rows."""

    columns: tuple[int, ...]
    levels: tuple[int, ...]
    rows: int
    score: float

    def mask(self, codes: Codes) -> Bools:
        """Which rows are in the slice, bool (n,)."""
        found = np.ones(len(codes[0]), dtype=np.bool_)
        for column, level in zip(self.columns, self.levels, strict=True):
            found &= codes[column] == level
        return found

    def inside(self, other: Cell) -> bool:
        """Whether its conditions are those of the other, and more."""
        theirs = set(zip(other.columns, other.levels, strict=True))
        return theirs < set(zip(self.columns, self.levels, strict=True))


def sets_of_columns(columns: int, depth: int) -> Iterator[tuple[int, ...]]:
    for size in range(1, min(depth, columns) + 1):
        yield from combinations(range(columns), size)


def slices_in(levels: Sequence[int], depth: int) -> int:
    """How many slices the lattice has.

    >>> slices_in([2, 3], 2)
    11
    """
    return sum(math.prod(levels[c] for c in chosen) for chosen in sets_of_columns(len(levels), depth))


def worst(
    codes: Codes, levels: Sequence[int], loss: Floats, *, depth: int, fewest: int, most: int
) -> list[Cell]:
    """The slices whose loss lies furthest above that of the other rows, the surest first, without repetition.

    Args:
        codes: a column's level of each row, int8 (n,) from 0 to levels - 1, for each column.
        levels: how many levels each column has.
        loss: of each row, float64 (n,), finite.
        depth: the most columns of a slice.
        fewest: the least rows of a slice, at least 2; the most are half of all rows: more is not a slice but the rule.
        most: how many slices to give.

    A slice is left out when one of its conditions adds nothing: it is not worse, by `GAIN` standard errors, than
    the rows that meet its other conditions only. And it is left out when it repeats one that is already chosen:
    more than half of their rows together are in both, or without the rows of the chosen ones it is no worse.

    >>> codes = [np.array([0, 0, 0, 1, 1, 1], dtype=np.int8)]
    >>> loss = np.array([0.0, 0.1, 0.0, 1.0, 0.9, 1.0])
    >>> [(cell.columns, cell.levels, cell.rows) for cell in worst(codes, [2], loss, depth=1, fewest=2, most=5)]
    [((0,), (1,), 3)]
    """
    if not len(loss) or not np.ptp(loss):
        return []
    loss = (loss - loss.mean()) / np.ptp(loss)
    whole = moments(loss)
    found: list[Cell] = []
    for chosen in sets_of_columns(len(codes), depth):
        found += _of_set(chosen, codes, levels, loss, whole, fewest)
        if len(found) > 2 * _OF_ALL:
            found = _ranked(found)[:_OF_ALL]
    return _distinct(_ranked(found)[:_OF_ALL], codes, loss, most)


def _ranked(found: list[Cell]) -> list[Cell]:
    return sorted(found, key=lambda cell: (-cell.score, len(cell.columns), cell.columns, cell.levels))


def _of_set(
    chosen: tuple[int, ...],
    codes: Codes,
    levels: Sequence[int],
    loss: Floats,
    whole: Moments,
    fewest: int,
) -> list[Cell]:
    """The slices of one set of columns that are large enough, worse than the rest, and worse than their parents."""
    shape = tuple(levels[c] for c in chosen)
    combined = np.zeros(len(loss), dtype=np.int64)
    for column in chosen:
        combined = combined * levels[column] + codes[column]
    cells = by_code(combined, loss, math.prod(shape)).reshaped(shape)
    score = welch(cells, whole.without(cells))
    kept = (cells.rows >= fewest) & (2 * cells.rows <= whole.rows) & (score > GAIN)
    for axis in range(len(chosen) if len(chosen) > 1 else 0):
        kept &= welch(cells, cells.summed(axis).without(cells)) > GAIN
    places = np.argwhere(kept)[np.argsort(-score[kept], kind="stable")[:_OF_A_SET]]
    return [
        Cell(chosen, levels_of, int(cells.rows[levels_of]), float(score[levels_of]))
        for levels_of in (tuple(map(int, place)) for place in places)
    ]


def _distinct(ranked: list[Cell], codes: Codes, loss: Floats, most: int) -> list[Cell]:
    """The first `most` slices that do not repeat one before them."""
    chosen: list[tuple[Cell, Bools]] = []
    for cell in ranked:
        if len(chosen) == most:
            break
        mask = cell.mask(codes)
        if not any(_alike(mask, other) for _, other in chosen) and not _explained(cell, mask, chosen, loss):
            chosen.append((cell, mask))
    return [cell for cell, _ in chosen]


def _alike(mask: Bools, other: Bools) -> bool:
    return 2 * int(np.sum(mask & other)) > int(np.sum(mask | other))


def _explained(cell: Cell, mask: Bools, chosen: list[tuple[Cell, Bools]], loss: Floats) -> bool:
    """Whether the slice is worse only by rows it shares with chosen ones; inside a chosen one it has shown its gain."""
    rest = mask.copy()
    for kept, other in chosen:
        if not cell.inside(kept):
            rest &= ~other
    if rest.sum() == mask.sum():
        return False
    return not float(welch(moments(loss[rest]), moments(loss[~mask]))) > GAIN
