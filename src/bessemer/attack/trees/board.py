"""All that trees ask of a row, as choices of cells: one of each column that may move; the rest is as the row has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bessemer.attack.columns import Column, columns_of, table_of, values_of
from bessemer.attack.trees.cells import Cells, Flags, goes_left, level_cells, number_cells
from bessemer.attack.trees.ensemble import Ensemble
from bessemer.attack.trees.sources import sources
from bessemer.package.head import FEATURES

if TYPE_CHECKING:
    from bessemer.attack.protocol import Sample, Victim

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Who decides at a branch, beside the number of a column: the row as it is; nobody knows.
FIXED, LOOSE = -1, -2
#: Whole numbers further from 0 are not all float64, so where a cell of them ends cannot be said.
_EXACT = 2**53


@dataclass(frozen=True)
class Board:
    """An ensemble, and the cells of C columns, one after the other.

    loose: columns that may move but have no cells: something else is computed from them, or where a cell ends is not
        known.
    owner: of each feature (F,), the column that decides it, FIXED or LOOSE.
    """

    ensemble: Ensemble
    cells: tuple[Cells, ...]
    loose: tuple[str, ...]
    owner: Ints

    @property
    def columns(self) -> tuple[Column, ...]:
        return tuple(cells.column for cells in self.cells)

    @cached_property
    def start(self) -> Ints:
        """(C + 1,): where the cells of each column begin."""
        return np.concatenate([[0], np.cumsum([len(cells) for cells in self.cells])]).astype(np.int64)

    @cached_property
    def left(self) -> tuple[tuple[Flags | None, ...], ...]:
        """Of each branch of each tree: which cells of its column go to the left; None where no column decides."""
        known: dict[tuple[int, float, bool], Flags] = {}
        return tuple(tuple(self._lefts(t, known)) for t in range(len(self.ensemble.trees)))

    def _lefts(self, t: int, known: dict[tuple[int, float, bool], Flags]) -> Iterator[Flags | None]:
        tree = self.ensemble.trees[t]
        for branch, feature in enumerate(tree.feature.tolist()):
            owner = int(self.owner[feature])
            if owner < 0:
                yield None
                continue
            key = (feature, float(tree.threshold[branch]), bool(tree.missing_left[branch]))
            if key not in known:
                cells = self.cells[owner]
                known[key] = goes_left(tree, branch, cells.rows[:, cells.places == feature][:, 0])
            yield known[key]

    def homes(self, sample: Sample) -> Ints:
        """(N, C): the cell that each row of the sample is in."""
        values = values_of(self.columns, sample.table)
        found = np.zeros(values.shape, dtype=np.int64)
        for c, cells in enumerate(self.cells):
            if cells.column.ordered:
                edges = cells.rows[:-2, 0]
                x = sample.X[:, cells.places[0]]
                found[:, c] = np.where(np.isnan(x), len(cells) - 1, np.searchsorted(edges, x, side="left"))
            else:
                of = {member: k for k, members in enumerate(cells.members) for member in members}
                found[:, c] = [of[-1 if np.isnan(v) else int(v)] for v in values[:, c]]
        return found

    def offers(self, values: Floats, home: Ints) -> tuple[Floats, Floats]:
        """The values and the costs (N, cells) of all cells, one column after the other, for rows (N, C), (N, C)."""
        each = [cells.offers(values[:, c], home[:, c]) for c, cells in enumerate(self.cells)]
        if not each:
            return np.zeros((len(values), 0)), np.zeros((len(values), 0))
        return np.concatenate([v for v, _ in each], axis=1), np.concatenate([c for _, c in each], axis=1)


def board_of(victim: Victim, sample: Sample, ensemble: Ensemble) -> Board:
    """The cells of all columns that may move and whose features depend on nothing else."""
    asked: dict[int, set[float]] = {}
    for tree in ensemble.trees:
        for feature, threshold in zip(tree.feature.tolist(), tree.threshold.tolist(), strict=True):
            asked.setdefault(feature, set()).add(threshold)
    above = sources(victim, sample)
    movable = columns_of(victim, sample)
    cells, loose = [], []
    for column in movable:
        places = [f for f in sorted(asked) if column.name in above[f]]
        if not places:
            continue
        made = None
        if all(above[f] == {column.name} for f in places):
            made = _cells(victim, sample, ensemble, column, np.array(places), asked)
        if made is None:
            loose.append(column.name)
        else:
            cells.append(made)
    owner = np.full(len(victim.features), FIXED, dtype=np.int64)
    for f in asked:
        if above[f] & set(loose):
            owner[f] = LOOSE
    for c, one in enumerate(cells):
        owner[one.places] = c
    return Board(ensemble, tuple(cells), tuple(loose), owner)


def _cells(
    victim: Victim,
    sample: Sample,
    ensemble: Ensemble,
    column: Column,
    places: Ints,
    asked: Mapping[int, set[float]],
) -> Cells | None:
    kinds = {victim.features[f]["kind"] for f in places}
    if column.ordered:
        if column.kind == "integer" and max(abs(column.low), abs(column.high)) > _EXACT:
            return None
        if kinds != {"number"} or len(places) > 1 or victim.features[places[0]]["group"] != column.name:
            return None
        return number_cells(column, int(places[0]), np.array(sorted(asked[int(places[0])]), dtype=np.float32))
    members = [*range(len(column.levels)), -1]
    values = np.array([np.nan if m < 0 else m for m in members])[:, None]
    base = sample.table.take([0] * len(members))
    X = victim.session.run(table_of([column], values, base), [FEATURES])[FEATURES][:, places]
    return level_cells(column, places, X, members, _seen(ensemble, places, X))


def _seen(ensemble: Ensemble, places: Sequence[int] | Ints, X: npt.NDArray[np.float32]) -> Flags:
    """Which way the branches on some features (f,) send rows (M, f): (M, P), each way of asking once."""
    where = {int(f): i for i, f in enumerate(places)}
    found: dict[tuple[int, float, bool], Flags] = {}
    for tree in ensemble.trees:
        for branch, feature in enumerate(tree.feature.tolist()):
            if feature in where:
                key = (feature, float(tree.threshold[branch]), bool(tree.missing_left[branch]))
                if key not in found:
                    found[key] = goes_left(tree, branch, X[:, where[feature]])
    return np.stack(list(found.values()), axis=1)
