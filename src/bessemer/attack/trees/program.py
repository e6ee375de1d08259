"""The nearest row that is answered otherwise, as a mixed-integer linear program.

Kantchelian, Tygar and Joseph, Evasion and hardening of tree ensemble classifiers (2016). A leaf of each tree is chosen,
and a cell of each column; the leaves below a branch only where the column's cell goes to their side. Theirs has a
binary variable for every threshold; so has this one, as `the cell is at most k` along the cells of a column, to which
categories of many indicators, ranks and means are the same as numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bessemer.attack.columns import Norm
from bessemer.attack.trees.board import Board
from bessemer.attack.trees.bound import below
from bessemer.attack.trees.cells import Flags, sent_left

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Term = tuple[int, float]

#: HiGHS keeps rows to 1e-6: the score's row is scaled so that its margin is well above.
_WELL_ABOVE = 1e-4
#: What scipy's status says where nothing fits.
_INFEASIBLE = 2


@dataclass(frozen=True)
class Solved:
    """What a program came to.

    cells: (C,) the chosen cell of each column; None where none was found. least: no row that is nearer is answered
    otherwise; infinity where none is at all within the budget.
    """

    cells: Ints | None
    least: float


class Program:
    """The program of a board; `solve` puts a row, a class and a budget into it.

    Variables: `the cell is at most k` for all but the last cell of each column, the leaves, and the distance.
    """

    def __init__(self, board: Board, norm: Norm, nodes: int) -> None:
        from scipy.sparse import csr_array

        self.board, self.norm, self.nodes = board, norm, nodes
        self._last = np.zeros(int(board.start[-1]), dtype=bool)
        self._last[board.start[1:] - 1] = True
        self._leaf = int((~self._last).sum())  # the variables before: `the cell is at most k`
        self._far = self._leaf + len(board.ensemble.leaves)
        self._width = self._far + 1
        rows, self._low, self._high, self._decided = self._structure()
        at = np.array([i for i, terms in enumerate(rows) for _ in terms], dtype=np.int64)
        flat = [term for terms in rows for term in terms]
        columns, values = np.array([c for c, _ in flat], dtype=np.int64), np.array([v for _, v in flat])
        self._matrix = csr_array((values, (at, columns)), shape=(len(rows), self._width))

    def _chosen(self, c: int, mask: Flags) -> tuple[list[Term], float]:
        """Whether the cell of a column is one of the mask's, as a sum of variables and a constant."""
        edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
        terms, constant, first = [], 0.0, int(self.board.start[c]) - c
        for low, high in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            if high == len(mask):
                constant += 1.0
            else:
                terms.append((first + high - 1, 1.0))
            if low > 0:
                terms.append((first + low - 1, -1.0))
        return terms, constant

    def _structure(self) -> tuple[list[list[Term]], Floats, Floats, list[tuple[int, int, int, bool]]]:
        """The rows that are alike for all that is asked, and those of branches that a row decides."""
        rows: list[list[Term]] = []
        low: list[float] = []
        high: list[float] = []
        fixed = []
        for terms, least, most, decided in self._rows():
            if decided is not None:
                fixed.append((len(rows), *decided))
            rows.append(terms)
            low.append(least)
            high.append(most)
        return rows, np.array(low), np.array(high), fixed

    def _rows(self) -> Iterator[tuple[list[Term], float, float, tuple[int, int, bool] | None]]:
        board = self.board
        for cell, (last, first) in enumerate(zip(self._last, np.roll(self._last, 1), strict=True)):
            at = cell - int(self._last[:cell].sum())
            terms = [] if last else [(at, 1.0)]
            yield terms if first else [*terms, (at - 1, -1.0)], 0.0, 1.0, None
        for t, tree in enumerate(board.ensemble.trees):
            first = self._leaf + int(board.ensemble.first[t])
            yield [(first + i, 1.0) for i in range(tree.branches + 1)], 1.0, 1.0, None
            for branch, sides in enumerate(below(tree)):
                owner, left = int(board.owner[tree.feature[branch]]), board.left[t][branch]
                for goes, leaves in zip((True, False), sides, strict=True):
                    terms = [(first + int(i), 1.0) for i in leaves]
                    if left is None:
                        yield terms, -np.inf, 1.0, (t, branch, goes)
                        continue
                    chosen, constant = self._chosen(owner, left if goes else ~left)
                    yield [*terms, *((c, -v) for c, v in chosen)], -np.inf, constant, None

    def solve(
        self,
        x: npt.NDArray[np.float32],
        cost: Floats,
        reachable: Flags,
        margins: tuple[Floats, float],
        margin: float,
        most: float,
    ) -> Solved:
        """The nearest cells whose margin is at least `margin`, no further than `most`.

        Args:
            x: (F,) the row's features. cost: of all cells, infinite where they are not allowed.
            reachable: (L,), leaves that some cells within `most` lead to. margins: as `Ensemble.margins` has them.
        """
        from scipy.optimize import Bounds, LinearConstraint, milp
        from scipy.sparse import csr_array, vstack

        allowed, (leaves, base) = cost <= most, margins
        own, least = self._far_rows(np.where(allowed, cost, 0.0), most)
        scale = max(1.0, _WELL_ABOVE / max(abs(margin), 1e-9))
        score = np.zeros((1, self._width))
        score[0, self._leaf : self._far] = leaves * scale
        matrix = vstack([self._matrix, csr_array(score), csr_array(own)])
        low, high = self._bounds(x, allowed)
        limits = LinearConstraint(
            matrix,
            np.concatenate([low, [(margin - base) * scale], least]),
            np.concatenate([high, np.full(1 + len(least), np.inf)]),
        )
        aim, whole, upper = np.zeros(self._width), np.zeros(self._width), np.ones(self._width)
        aim[self._far], whole[: self._leaf], upper[self._far] = 1.0, 1, most
        upper[self._leaf : self._far] = reachable
        # The presolve of HiGHS (scipy 1.17) loses nearer rows of some programs, and calls what is left the optimum.
        options = {"node_limit": self.nodes, "mip_rel_gap": 0.0, "presolve": False}
        return self._read(
            milp(aim, integrality=whole, bounds=Bounds(0, upper), constraints=limits, options=options)
        )

    def _bounds(self, x: npt.NDArray[np.float32], allowed: Flags) -> tuple[Floats, Floats]:
        """Of the rows that are always there: whether a cell is allowed, and where the row itself goes."""
        low, high = self._low.copy(), self._high.copy()
        cells = len(allowed)
        low[:cells] = -self._last.astype(np.float64)
        high[:cells] = allowed.astype(np.float64) - self._last
        for row, t, branch, goes in self._decided:
            high[row] = 1.0 if sent_left(self.board.ensemble.trees[t], branch, x) == goes else 0.0
        return low, high

    def _far_rows(self, cost: Floats, most: float) -> tuple[Floats, Floats]:
        """The distance is at least the cost of every column's cell (l_inf), or of all of them together."""
        owner = np.repeat(np.arange(len(self.board.cells)), np.diff(self.board.start))
        step = np.append(cost[:-1] - cost[1:], 0.0)[~self._last] if len(cost) else cost
        rows = np.zeros((len(self.board.cells), self._width))
        rows[owner[~self._last], np.arange(self._leaf)] = -step
        least = cost[self._last]
        if self.norm != "l_inf":
            rows, least = rows.sum(axis=0, keepdims=True), least.sum(keepdims=True)
        rows[:, self._far] = 1.0
        return rows, least

    def _read(self, found: Any) -> Solved:
        if found.status == _INFEASIBLE:
            return Solved(None, np.inf)
        bound = found.mip_dual_bound
        least = max(0.0, float(bound)) if bound is not None and np.isfinite(bound) else 0.0
        if found.x is None:
            return Solved(None, least)
        below_last = np.ones(len(self._last))
        below_last[~self._last] = found.x[: self._leaf]
        parts = np.split(below_last > 1 / 2, self.board.start[1:-1])
        return Solved(np.array([part.argmax() for part in parts], dtype=np.int64), least)
