"""A quick search for a near row that trees answer otherwise: what it finds bounds the exact search from above.

One column at a time goes to the cell that helps most (Yang et al., Greedy attack and Gumbel attack, 2020), all cells
of all columns being looked at together; then the same within ever less.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from bessemer.attack.columns import Norm
from bessemer.attack.distance import within
from bessemer.attack.trees.board import Board
from bessemer.package.trees.model import Trees
from bessemer.package.trees.sums import TreeSums

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Floats32 = npt.NDArray[np.float32]

#: How often the way that is left is halved.
_HALVINGS = 6


class Climb:
    """The search in the trees of a board."""

    def __init__(self, board: Board, norm: Norm) -> None:
        self._board, self._norm = board, norm
        ensemble = board.ensemble
        trees = Trees(tuple(ensemble.as_trees()), ensemble.base, len(board.owner))
        self._sums = TreeSums(trees)
        self._column = np.repeat(np.arange(len(board.cells)), np.diff(board.start))

    def near(
        self, x: Floats32, cost: Floats, home: Ints, own: int, offset: float, safe: float, most: float
    ) -> Iterator[Ints]:
        """Cells (C,) of rows that are answered otherwise, each nearer than the one before.

        Args:
            x: (F,) a row's features. cost: of all cells. home: (C,) the cells that it is in.
            own: its class. offset: of two classes, the score from which the second is said.
            safe: within this nothing is to be found. most: how far it may go.
        """
        low, high = safe, most
        for _ in range(_HALVINGS):
            reach = high if high == most else (low + high) / 2
            found = self._within(x, cost, home, own, offset, reach)
            if found is None:
                if reach == most:
                    return
                low = reach
            else:
                yield found
                high = self._far(cost, found)
            if high - low <= 1e-6 * most:
                return

    def _far(self, cost: Floats, cells: Ints) -> float:
        each = cost[self._board.start[:-1] + cells]
        return float(each.max() if self._norm == "l_inf" else each.sum())

    def _within(
        self, x: Floats32, cost: Floats, home: Ints, own: int, offset: float, most: float
    ) -> Ints | None:
        cells, current, ahead = home.copy(), x.copy(), -np.inf
        moved = np.zeros(len(home), dtype=bool)
        for _ in range(len(home)):
            spent = 0.0 if self._norm == "l_inf" else self._far(cost, cells)
            tried = np.flatnonzero((cost + spent <= within(most)) & ~moved[self._column])
            if not len(tried):
                return None
            X = self._moved(current, tried)
            margins = self._ahead(X, own, offset)
            best = int(margins.argmax())
            if margins[best] <= ahead:
                return None
            c = int(self._column[tried[best]])
            current, ahead, moved[c] = X[best], float(margins[best]), True
            cells[c] = tried[best] - self._board.start[c]
            if ahead > 0:
                return cells
        return None

    def _moved(self, x: Floats32, tried: Ints) -> Floats32:
        """The row with one cell changed, (n, F), for each of some cells."""
        X = np.repeat(x[None], len(tried), axis=0)
        column = self._column[tried]
        for c in np.unique(column).tolist():
            cells, here = self._board.cells[c], np.flatnonzero(column == c)
            X[here[:, None], cells.places] = cells.rows[tried[here] - self._board.start[c]]
        return X

    def _ahead(self, X: Floats32, own: int, offset: float) -> Floats:
        """How far another class is ahead, (n,)."""
        score = self._sums.sums(X)
        if score.shape[1] == 1:
            ahead: Floats = (score[:, 0] - offset) * (1.0 if own == 0 else -1.0)
            return ahead
        found: Floats = np.delete(score, own, axis=1).max(axis=1) - score[:, own]
        return found
