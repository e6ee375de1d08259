"""The nearest row that is answered otherwise, as a mixed-integer linear program.

Kantchelian, Tygar and Joseph, Evasion and hardening of tree ensemble classifiers (2016). A leaf of each tree is chosen,
and a cell of each column; the leaves below a branch only where the column's cell goes to their side. Theirs has a
binary variable for every threshold; so has this one, as `the cell is at most k` along the cells of a column, to which
categories of many indicators, ranks and means are the same as numbers.

Of a row only what is within reach is written down. A leaf that no allowed cell leads to has no variable, and a tree of
which one leaf is left is a number. A branch binds where leaves within reach lie on both its sides: of a chosen leaf and
the one that the cells lead to, the lowest branch above both is such a one, so they are the same. Cells side by side
that those branches do not tell apart are one, of which the cheapest is taken.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from bessemer.attack.columns import Norm
from bessemer.attack.trees.board import Board
from bessemer.attack.trees.bound import below
from bessemer.attack.trees.cells import Flags
from bessemer.attack.trees.climb import Climb
from bessemer.attack.trees.rows import Branches, Groups, Rows

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: HiGHS keeps rows to 1e-6: the score's row is scaled so that its margin is well above.
_WELL_ABOVE = 1e-4
#: What scipy's status says where nothing fits, and of all ends that are no breakdown: the optimum, a limit, and that.
_INFEASIBLE = 2
_SOUND = (0, 1, _INFEASIBLE)


@dataclass(frozen=True)
class Solved:
    """What a program came to.

    cells: (C,) the chosen cell of each column; None where none was found. least: no row that is nearer is answered
    otherwise; infinity where none is at all within the budget. failed: whether the solver broke down, so that nothing
    is known of what is nearer.
    """

    cells: Ints | None
    least: float
    failed: bool = False


class Program:
    """The program of a board; `solve` puts a row, a class and a budget into it."""

    def __init__(self, board: Board, norm: Norm, nodes: int) -> None:
        self.board, self.norm, self.nodes = board, norm, nodes
        self.climb = Climb(board, norm)

    @cached_property
    def _branches(self) -> Branches:
        from scipy.sparse import csr_array

        board = self.board
        numbers: dict[tuple[int, bytes], int] = {}
        masks, mask, leaves = list[tuple[int, Flags]](), list[int](), list[tuple[Ints, Ints]]()
        for t, tree in enumerate(board.ensemble.trees):
            sides, offset = below(tree), board.ensemble.first[t]
            for branch, left in enumerate(board.left[t]):
                if left is None:  # the row decides: the other side is not within reach
                    continue
                owner = int(board.owner[tree.feature[branch]])
                key = (owner, left.tobytes())
                if key not in numbers:
                    numbers[key] = len(masks)
                    masks.append((owner, left))
                mask.append(numbers[key])
                leaves.append((sides[branch][0] + offset, sides[branch][1] + offset))
        every = [left for left, _ in leaves] + [right for _, right in leaves]
        sizes = np.concatenate([[0], np.cumsum([len(one) for one in every])]).astype(np.int64)
        flat = np.concatenate([np.zeros(0, dtype=np.int64), *every])
        shape = (len(every), len(board.ensemble.leaves))
        found = csr_array((np.ones(len(flat)), flat, sizes), shape=shape)
        return Branches(found, np.array(mask, dtype=np.int64), tuple(masks))

    def solve(
        self, cost: Floats, reachable: Flags, margins: tuple[Floats, float], margin: float, most: float
    ) -> Solved:
        """The nearest cells whose margin is at least `margin`, no further than `most`.

        Args:
            cost: of all cells, infinite where they are not allowed.
            reachable: (L,), leaves that some cells within `most` lead to, all else staying as it is.
            margins: as `Ensemble.margins` has them.
        """
        from scipy.optimize import Bounds, LinearConstraint, milp

        left, right = np.split(self._branches.below @ reachable.astype(np.float64) > 0, 2)
        binding = np.flatnonzero(left & right)
        groups = self._groups(cost, most, np.unique(self._branches.mask[binding]))
        scale = max(1.0, _WELL_ABOVE / max(abs(margin), 1e-9))
        rows = self._rows(reachable, binding, groups, (margins[0] * scale, (margin - margins[1]) * scale))
        aim, whole, upper = np.zeros(rows.width), np.zeros(rows.width), np.ones(rows.width)
        aim[-1], whole[: _count(groups)], upper[-1] = 1.0, 1, most
        limits = LinearConstraint(rows.matrix(), np.array(rows.low), np.array(rows.high))

        def solved(presolve: bool) -> Any:
            options = {"node_limit": self.nodes, "mip_rel_gap": 0.0, "presolve": presolve}
            return milp(aim, integrality=whole, bounds=Bounds(0, upper), constraints=limits, options=options)

        # The presolve of HiGHS (scipy 1.17) loses nearer rows of some programs, and calls what is left the optimum;
        # without it HiGHS breaks down on a few. Of those it is asked for a row, and its bound is not believed.
        found = solved(presolve=False)
        if found.status in _SOUND:
            return _read(found, groups)
        return replace(_read(solved(presolve=True), groups), least=0.0, failed=True)

    def _rows(
        self, reachable: Flags, binding: Ints, groups: list[Groups], wanted: tuple[Floats, float]
    ) -> Rows:
        """The program of leaves within reach. wanted: what each leaf adds (L,), and how much it has to be."""
        (leaves, least), first = wanted, self.board.ensemble.first
        alone = np.add.reduceat(reachable.astype(np.int64), first) == 1
        tree = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(leaves))))
        free, count = np.flatnonzero(reachable & ~alone[tree]), _count(groups)
        rows = Rows(count + len(free) + 1)
        for group in groups:
            rows.order(group)
        rows.choose(tree[free], count)
        rows.branches(self._branches, binding, free, groups, count)
        self._far(rows, groups)
        sure = float(leaves[reachable & alone[tree]].sum())
        rows.add([count + np.arange(len(free))], [leaves[free]], least - sure, np.inf)
        return rows

    def _groups(self, cost: Floats, most: float, binding: Ints) -> list[Groups]:
        """The groups of allowed cells that the binding masks tell apart."""
        masks = self._branches.masks
        of: dict[int, list[int]] = {}
        for number in binding.tolist():
            of.setdefault(masks[number][0], []).append(number)
        found, first = [], 0
        for c, own in enumerate(np.split(cost, self.board.start[1:-1])):
            allowed, asked = np.flatnonzero(own <= most), of.get(c, [])
            sides = np.array([masks[number][1][allowed] for number in asked]).reshape(
                len(asked), len(allowed)
            )
            begin = np.flatnonzero(np.append(True, (sides[:, 1:] != sides[:, :-1]).any(axis=0)))
            ends = np.append(begin[1:], len(allowed))
            cheapest = [a + int(own[allowed[a:b]].argmin()) for a, b in zip(begin, ends, strict=True)]
            cell = allowed[cheapest]
            found.append(Groups(cell, own[cell], first, np.array(asked, dtype=np.int64), sides[:, begin]))
            first += len(cell) - 1
        return found

    def _far(self, rows: Rows, groups: list[Groups]) -> None:
        """The distance is at least the cost of every column's group (l_inf), or of all of them together."""
        each = [group for group in groups if group.cost.any()]
        parts = [[group] for group in each] if self.norm == "l_inf" else [each]
        for part in parts:
            columns = [group.first + np.arange(group.variables) for group in part]
            steps = [group.cost[1:] - group.cost[:-1] for group in part]
            least = float(sum(group.cost[-1] for group in part))
            rows.add([*columns, np.array([rows.width - 1])], [*steps, np.ones(1)], least, np.inf)


def _count(groups: list[Groups]) -> int:
    return sum(group.variables for group in groups)


def _read(found: Any, groups: list[Groups]) -> Solved:
    if found.status == _INFEASIBLE:
        return Solved(None, np.inf)
    bound = found.mip_dual_bound
    least = max(0.0, float(bound)) if bound is not None and np.isfinite(bound) else 0.0
    if found.x is None:
        return Solved(None, least)
    cells = []
    for group in groups:
        chosen = np.append(found.x[group.first : group.first + group.variables] > 1 / 2, True)
        cells.append(group.cell[int(chosen.argmax())])
    return Solved(np.array(cells, dtype=np.int64), least)
