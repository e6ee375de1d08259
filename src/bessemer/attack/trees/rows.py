"""The rows of a mixed-integer program over cells and leaves, as they are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bessemer.attack.trees.cells import Flags

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Branches:
    """All branches whose columns may move, one tree after the other.

    below: (2 B, L) sparse, the leaves on the left of each branch, then those on the right.
    mask: (B,) the number of its mask. masks: of each the column, and which of its cells go to the left.
    """

    below: Any
    mask: Ints
    masks: tuple[tuple[int, Flags], ...]


@dataclass(frozen=True)
class Groups:
    """The cells of one column that a program may choose, G groups side by side.

    cell: (G,) the cheapest cell of each, numbered in the column. cost: (G,) of those. first: of its G - 1 variables,
    `the group is at most k`. binding: masks of the column that bind, (M,), and left: (M, G) what each says of groups.
    """

    cell: Ints
    cost: Floats
    first: int
    binding: Ints
    left: Flags

    @property
    def variables(self) -> int:
        return len(self.cell) - 1


class Rows:
    """Rows of a program as they are written: low <= the sum of values times variables <= high."""

    def __init__(self, width: int) -> None:
        self.width, self.count = width, 0
        self._rows, self._columns, self._values = (list[Any]() for _ in range(3))
        self.low, self.high = list[float](), list[float]()

    def matrix(self) -> Any:
        """(count, width), sparse."""
        from scipy.sparse import coo_array

        at, columns, values = (
            np.concatenate([[], *each]) for each in (self._rows, self._columns, self._values)
        )
        places = (at.astype(np.int64), columns.astype(np.int64))
        return coo_array((values, places), shape=(self.count, self.width)).tocsr()

    def add(self, columns: list[Ints], values: list[Floats], low: float, high: float) -> None:
        """One row."""
        flat = np.concatenate(columns)
        self._put(np.zeros(len(flat), dtype=np.int64), flat, np.concatenate(values), [low], [high])

    def _put(self, at: Ints, columns: Ints, values: Floats, low: Any, high: Any) -> None:
        """Several rows; at: the row of each value, from 0."""
        self._rows.append(at + self.count)
        self._columns.append(columns)
        self._values.append(values)
        self.low += list(low)
        self.high += list(high)
        self.count += len(low)

    def order(self, group: Groups) -> None:
        """What is at most k is at most k + 1."""
        n = group.variables - 1
        if n > 0:
            at, here = np.arange(n), group.first + np.arange(n)
            columns, values = np.concatenate([here, here + 1]), np.repeat([-1.0, 1.0], n)
            self._put(np.concatenate([at, at]), columns, values, np.zeros(n), np.full(n, np.inf))

    def choose(self, tree: Ints, first: int) -> None:
        """Of each tree one leaf; tree: (l,) of the leaves' variables, which begin at `first`."""
        if len(tree):
            _, at = np.unique(tree, return_inverse=True)
            n = int(at.max()) + 1
            self._put(at, first + np.arange(len(tree)), np.ones(len(tree)), np.ones(n), np.ones(n))

    def branches(
        self, branches: Branches, binding: Ints, free: Ints, groups: list[Groups], first: int
    ) -> None:
        """Leaves on a side of a branch only where the column's group goes there."""
        n, known = len(branches.mask), len(binding)
        both = np.concatenate([binding, n + binding])
        row, column = branches.below[both][:, free].tocoo().coords
        values = [np.ones(len(row))]
        rows, columns = [row.astype(np.int64)], [first + column.astype(np.int64)]
        high = np.zeros(2 * known)
        mask = branches.mask[binding]
        for group in groups:
            for number, left in zip(group.binding.tolist(), group.left.astype(np.float64), strict=True):
                at = np.flatnonzero(mask == number)
                steps = left[:-1] - left[1:]
                moves = np.flatnonzero(steps)
                for side, sign, last in ((0, 1.0, left[-1]), (known, -1.0, 1 - left[-1])):
                    high[side + at] = last
                    rows.append(np.repeat(side + at, len(moves)))
                    columns.append(np.tile(group.first + moves, len(at)))
                    values.append(np.tile(-sign * steps[moves], len(at)))
        self._put(
            np.concatenate(rows),
            np.concatenate(columns),
            np.concatenate(values),
            np.full(2 * known, -np.inf),
            high,
        )
