"""The search for counterfactuals of one row: near, with few changes, and unlike each other.

It starts from two sides: the nearest background rows that are predicted as wanted (Brughmans, Leyman and Martens,
"NICE", 2023), and the row itself with one change more at a time. Whatever reaches the aim is then made as small as it
can be: changes are taken back one by one, and numbers pulled back towards the row, as long as the graph still agrees.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from bessemer.explain.distance import Gower
from bessemer.explain.perturb import Places, Pool
from bessemer.explain.sample import Floats

#: Values of a column that are tried; single changes at all; those that are tried together with others.
VALUES, CELLS, MOVES = 12, 5000, 80

#: Rows that are followed at once; background rows that are started from; rows that are made smaller.
BEAM, DONORS, REFINED = 8, 30, 24

#: What one changed column costs, in whole ranges of a column; and what being close to another answer costs.
PER_CHANGE, ALIKE = 0.5, 1.0

#: Rows as places in the pool (N, C) -> how far each is beyond its aim; above 0 it is reached.
Gain = Callable[[Places], Floats]


@dataclass(frozen=True)
class Allowed:
    """What may change: fixed columns may not; those of `directions` only upwards (1) or downwards (-1)."""

    fixed: frozenset[str] = frozenset()
    directions: tuple[tuple[str, int], ...] = ()

    def of(self, cells: Pool, at: int) -> npt.NDArray[np.bool_]:
        """(M, C): whether the row at `at` may have each value of the pool. A value never becomes missing."""
        found = np.zeros((cells.table.num_rows, len(cells.columns)), dtype=bool)
        directions = dict(self.directions)
        for c, column in enumerate(cells.columns):
            own = column.values[at]
            if column.name in self.fixed:
                continue
            known = ~np.isnan(column.values)
            if direction := directions.get(column.name):
                known &= (column.values - own) * direction > 0  # False where the own value is missing
            found[:, c] = known
        found[at] = True
        return found


@dataclass(frozen=True)
class Search:
    """One row's search. values: (M, C) of the pool, as `perturb.Column` has them."""

    cells: Pool
    at: int
    values: Floats
    gower: Gower
    allowed: npt.NDArray[np.bool_]
    gain: Gain
    most_changes: int

    @cached_property
    def own(self) -> Places:
        return np.full(self.values.shape[1], self.at, dtype=np.int64)

    @cached_property
    def moves(self) -> list[tuple[int, int]]:
        """Single changes (column, place): up to VALUES values of each column, evenly spread or the most frequent."""
        most = max(2, min(VALUES, CELLS // max(1, self.values.shape[1])))
        return [(c, p) for c in range(self.values.shape[1]) for p in self._tried(c, most)]

    def _tried(self, c: int, most: int) -> list[int]:
        places = np.flatnonzero(
            self.allowed[:, c] & self._differs(self.values[:, c], self.values[self.at, c])
        )
        places = places[places >= self.cells.first]
        different, where, rows = np.unique(self.values[places, c], return_index=True, return_counts=True)
        if len(different) > most and self.cells.columns[c].ordered:
            kept = np.unique(np.linspace(0, len(different) - 1, most).round().astype(np.int64))
        else:
            kept = np.argsort(-rows, kind="stable")[:most]
        return [int(p) for p in places[where[kept]]]

    @staticmethod
    def _differs(a: Floats, b: Floats) -> npt.NDArray[np.bool_]:
        return np.asarray((a != b) & ~(np.isnan(a) & np.isnan(b)))

    def matrix(self, places: Places) -> Floats:
        """The values at these places, (N, C)."""
        found: Floats = np.take_along_axis(self.values, places, axis=0)
        return found

    def changed(self, places: Places) -> npt.NDArray[np.bool_]:
        """(N, C): where rows differ from the explained one."""
        return self._differs(self.matrix(places), self.values[self.at])

    def apart(self, places: Places) -> Floats:
        """Gower's difference in each column, (N, C)."""
        return self.gower.parts(self.matrix(places), self.values[self.at])

    def cost(self, places: Places) -> Floats:
        """(N,): the sum of the differences, and something for each changed column."""
        total: Floats = self.apart(places).sum(axis=1) + PER_CHANGE * self.changed(places).sum(axis=1)
        return total

    def run(self, donors: Places, count: int) -> tuple[Places, float]:
        """Up to `count` rows that reach the aim, (N, C), and the best gain seen.

        Where all answers lean on the same column, the search is made again without it.

        donors: positions in the pool of background rows that do.
        """
        found, best = self._found(donors)
        search = self
        for _ in range(count - 1):
            if not len(found) or len(found) >= count:
                break
            search = search.without(int(self.changed(found).sum(axis=0).argmax()))
            more, _ = search._found(donors)
            if not len(more):
                break
            found = self._distinct(np.concatenate([found, more]))
        return self._diverse(found, count), best

    def without(self, column: int) -> Search:
        """The same, and one more column may not change."""
        allowed = self.allowed.copy()
        allowed[:, column] = False
        allowed[self.at] = True
        return replace(self, allowed=allowed)

    def _found(self, donors: Places) -> tuple[Places, float]:
        """Rows that reach the aim with as little as it takes, and the best gain seen."""
        reached, best = self._grown()
        started = self._donated(donors)
        gains = self.gain(started) if len(started) else np.zeros(0)
        best = max([best, *gains.tolist()])
        found = np.concatenate([reached, started[gains > 0]])
        if not len(found):
            return found, best
        found = self._reverted(self._pulled(self._reverted(self._distinct(found)[:REFINED])))
        return self._distinct(found[self.changed(found).sum(axis=1) <= self.most_changes]), best

    def _distinct(self, rows: Places) -> Places:
        """The cheapest first, and one of those that change the same columns to the same categories."""
        rows = rows[np.argsort(self.cost(rows), kind="stable")]
        ordered = np.array([column.ordered for column in self.cells.columns])
        seen = np.where(ordered, self.changed(rows), np.nan_to_num(self.matrix(rows), nan=-1.0))
        _, first = np.unique(seen, axis=0, return_index=True)
        return rows[np.sort(first)]

    def _donated(self, donors: Places) -> Places:
        """The row with all that it may take over from each of the nearest donors."""
        rows = np.where(self.allowed[donors], donors[:, None], self.at)
        rows = np.where(self.changed(rows), rows, self.at)
        near = np.argsort(self.apart(rows).sum(axis=1), kind="stable")[:DONORS]
        return rows[near]

    def _grown(self) -> tuple[Places, float]:
        """Rows with one change more at a time: those that reach the aim, and the best gain seen."""
        beam, moves = self.own[None, :], self.moves
        reached, best = [beam[:0]], -np.inf
        for depth in range(min(self.most_changes, 6)):
            rows = self._moved(beam, moves)
            if not len(rows):
                break
            gains = self.gain(rows)
            best = max(best, float(gains.max()))
            there = rows[gains > 0]
            reached.append(there[np.argsort(self.cost(there), kind="stable")[:REFINED]])
            if depth == 0:
                moves = [moves[i] for i in np.sort(self._ranked(rows, gains)[:MOVES])]
            short = gains <= 0
            rows, gains = rows[short], gains[short]
            beam = rows[self._ranked(rows, gains)[:BEAM]]
        return np.concatenate(reached), best

    def _moved(self, beam: Places, moves: list[tuple[int, int]]) -> Places:
        """Every row of the beam with every move in a column that it has not changed; none twice."""
        rows = []
        for row in beam:
            for c, place in moves:
                if row[c] == self.at:
                    rows.append(row.copy())
                    rows[-1][c] = place
        return np.unique(np.array(rows).reshape(-1, len(self.own)), axis=0)

    def _ranked(self, rows: Places, gains: Floats) -> npt.NDArray[np.int64]:
        """Positions, in turn by the gain and by what is gained for the cost."""
        start = float(gains.min(initial=0.0))
        by_gain = np.argsort(-gains, kind="stable")
        by_cost = np.argsort(-(gains - start) / self.cost(rows), kind="stable")
        turns = np.column_stack([by_gain, by_cost]).ravel()
        return np.asarray(list(dict.fromkeys(turns.tolist())), dtype=np.int64)

    def _reverted(self, rows: Places) -> Places:
        """Changes taken back, the dearest first, as long as the aim is still reached."""
        rows = rows.copy()
        open_rows = np.arange(len(rows))
        while len(open_rows):
            owner, column = np.nonzero(self.changed(rows[open_rows]))
            trial = rows[open_rows][owner]
            trial[np.arange(len(trial)), column] = self.at
            fine = self.gain(trial) > 0 if len(trial) else np.zeros(0, dtype=bool)
            saved = np.where(fine, self.apart(rows[open_rows])[owner, column], -1.0)
            went = []
            for i in range(len(open_rows)):
                mine = np.flatnonzero((owner == i) & fine)
                if len(mine):
                    rows[open_rows[i]] = trial[mine[np.argmax(saved[mine])]]
                    went.append(open_rows[i])
            open_rows = np.array(went, dtype=np.int64)
        return np.unique(rows, axis=0)

    def _pulled(self, rows: Places) -> Places:
        """Numbers pulled back towards the row, by bisection over the values that there are."""
        rows = rows.copy()
        for c, column in enumerate(self.cells.columns):
            if column.ordered and not np.isnan(self.values[self.at, c]):
                mine = np.flatnonzero(self.changed(rows)[:, c])
                if len(mine):
                    rows[mine] = self._pulled_in(rows[mine], c)
        return rows

    def _pulled_in(self, rows: Places, c: int) -> Places:
        places = np.flatnonzero(self.allowed[:, c])
        places = places[
            (places >= self.cells.first) | (places == self.at)
        ]  # of no other row that is explained
        steps, where = np.unique(self.values[places, c], return_index=True)  # ascending values
        places = places[where]
        own = np.searchsorted(steps, self.values[self.at, c])
        near = np.full(len(rows), own, dtype=np.int64)  # not known to reach the aim
        far = np.searchsorted(steps, self.values[rows[:, c], c])  # known to
        while (still := np.abs(far - near) > 1).any():
            middle = (near + far) // 2
            trial = rows[still].copy()
            trial[:, c] = places[middle[still]]
            fine = self.gain(trial) > 0
            far[still] = np.where(fine, middle[still], far[still])
            near[still] = np.where(fine, near[still], middle[still])
        rows[:, c] = places[far]
        return rows

    def _diverse(self, rows: Places, count: int) -> Places:
        """The cheapest, then in turn the one that is cheap and unlike those that are taken."""
        cost, changed, values = self.cost(rows), self.changed(rows), self.matrix(rows)
        taken: list[int] = []
        while len(taken) < min(count, len(rows)):
            worth = -cost
            for i in taken:
                common = (changed & changed[i]).sum(axis=1) / (changed | changed[i]).sum(axis=1)
                near = 1 / (1 + self.gower.parts(values, values[i]).sum(axis=1))
                worth = worth - ALIKE * (common + near)
            worth[taken] = -np.inf
            taken.append(int(np.argmax(worth)))
        return rows[taken]
