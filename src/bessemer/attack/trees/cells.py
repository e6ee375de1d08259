"""Cells: values of a raw column that the trees cannot tell apart.

Of a number they lie between the thresholds of its feature; of a category each level is one, or several are that no
tree parts. Moving a column is choosing one of its cells, and the value of it that costs least: so integers stay whole,
the indicators of one category change together, and whatever the graph makes of a level is what the trees see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from bessemer.attack.columns import Column
from bessemer.package.trees.model import Tree

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Cells:
    """The K cells of a column, in the order of its first feature's values.

    places: (f,) the features that the column alone makes. rows: (K, f) float32, their values in each cell.
    least, most: (K,) of a number, the least and the greatest raw float64 (or whole number) whose float32 is in the
        cell; NaN for what is missing.
    members: of a category the places of its levels in each cell; empty for numbers; -1 is what is missing.
    """

    column: Column
    places: npt.NDArray[np.int64]
    rows: npt.NDArray[np.float32]
    least: Floats
    most: Floats
    members: tuple[tuple[int, ...], ...]

    def __len__(self) -> int:
        return len(self.rows)

    def offers(self, value: Floats, own: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
        """The value (N, K) of each cell that is nearest to a row's own (N,), and its cost; an infinite one where no
        value of the cell is allowed. own: (N,) the cell the row is in, where it may stay at no cost."""
        column, rows = self.column, np.arange(len(value))
        if column.ordered:
            values, before = self._nearest(value[:, None]), value[:, None]
            cost = np.where(column.may(before, values), column.distance(before, values), np.inf)
        else:
            each = [self._cheapest(one) for one in value.tolist()]
            values, cost = (np.stack([pair[i] for pair in each]) for i in range(2))
        values[rows, own], cost[rows, own] = value, 0.0
        return values, cost

    def _nearest(self, value: Floats) -> Floats:
        low, high = _within(self.column, value)
        least, most = np.maximum(self.least, low), np.minimum(self.most, high)
        near = np.clip(np.where(np.isnan(value), least, value), least, most)
        missing = np.isnan(self.least)
        # NaN stands for missing, so a cell without an allowed value gets one that `may` refuses.
        return np.where(missing, np.nan, np.where(least <= most, near, np.inf))

    def _cheapest(self, value: float) -> tuple[Floats, Floats]:
        """The cheapest level (K,) of each cell for one value, and its cost; what was asked before is remembered."""
        key = -1.0 if value != value else value
        if key not in self._known:
            self._known[key] = self._cheapest_of(value)
        return self._known[key]

    @cached_property
    def _known(self) -> dict[float, tuple[Floats, Floats]]:
        return {}

    def _cheapest_of(self, value: float) -> tuple[Floats, Floats]:
        column = self.column
        values, cost = np.full(len(self), np.nan), np.full(len(self), np.inf)
        for k, tried in enumerate(self._tried):
            each = np.where(column.may(value, tried), column.distance(value, tried), np.inf)
            best = int(each.argmin())
            values[k], cost[k] = tried[best], each[best]
        return values, cost

    @cached_property
    def _tried(self) -> tuple[Floats, ...]:
        """`members`, as values of the column."""
        return tuple(np.array([np.nan if m < 0 else m for m in members]) for members in self.members)


def _within(column: Column, value: Floats) -> tuple[Floats, Floats]:
    """Between which changed numbers lie."""
    low, high = np.full(value.shape, column.low), np.full(value.shape, column.high)
    if column.limit.increase_only:
        low = np.fmax(low, value)
    if column.limit.decrease_only:
        high = np.fmin(high, value)
    return (np.ceil(low), np.floor(high)) if column.kind == "integer" else (low, high)


def _borders(edges: npt.NDArray[np.float32]) -> tuple[Floats, Floats]:
    """Of each threshold (E,) the greatest raw number whose float32 is not above it, and the least whose is.

    Trees see float32: what lies above a threshold, but nearer to it than to the next float32, goes where it goes. Of
    whole numbers above 2**24 these are many.

    >>> [part.tolist() for part in _borders(np.array([1.7e9], dtype=np.float32))]
    [[1700000064.0], [1700000064.0000002]]
    """
    above = np.nextafter(edges, np.float32(np.inf)).astype(np.float64)
    middle = (edges.astype(np.float64) + above) / 2
    down = middle.astype(np.float32) <= edges  # a tie goes to the even one
    most = np.where(down, middle, np.nextafter(middle, -np.inf))
    least = np.where(down, np.nextafter(middle, np.inf), middle)
    return most, least


def number_cells(column: Column, place: int, thresholds: npt.NDArray[np.float32]) -> Cells:
    """The cells of a number that is its own feature; thresholds: of all branches on it."""
    edges = np.unique(thresholds).astype(np.float32)
    below, above = _borders(edges)
    least, most = np.append(-np.inf, above), np.append(below, np.inf)
    rows = np.concatenate([edges, [np.float32(np.inf)]]).astype(np.float32)
    if column.kind == "integer":
        least, most = np.ceil(least), np.floor(most)
    least, most = np.append(least, np.nan), np.append(most, np.nan)
    found = np.append(rows, np.float32(np.nan)).reshape(-1, 1)
    return Cells(column, np.array([place]), found, least, most, ())


def level_cells(
    column: Column,
    places: npt.NDArray[np.int64],
    rows: npt.NDArray[np.float32],
    members: Sequence[int],
    seen: Flags,
) -> Cells:
    """The cells of a category. rows: (M, f), the features of each of its M levels; members: their places, -1 for
    missing; seen: (M, P), which way each of its P branches sends them."""
    _, first, cell = np.unique(seen, axis=0, return_index=True, return_inverse=True)
    cell = cell.reshape(-1)
    order = np.argsort(rows[first, 0], kind="stable") if rows.shape[1] else np.arange(len(first))
    groups = tuple(tuple(members[int(i)] for i in np.flatnonzero(cell == k)) for k in order)
    nothing = np.full(len(order), np.nan)
    return Cells(column, places, rows[first[order]], nothing, nothing, groups)


def goes_left(tree: Tree, branch: int, x: npt.NDArray[np.float32]) -> Flags:
    """Which values (K,) of its feature a branch sends to the left."""
    found: Flags = np.where(np.isnan(x), bool(tree.missing_left[branch]), x <= tree.threshold[branch])
    return found


def sent_left(tree: Tree, branch: int, x: npt.NDArray[np.float32]) -> bool:
    """Whether a branch sends a row (F,) to the left."""
    return bool(goes_left(tree, branch, x[tree.feature[branch], None])[0])
