"""A model of trees, its rows under attack, and what each of them may become: what the attacks on trees share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bessemer.attack.answers import Answers
from bessemer.attack.columns import Norm, values_of
from bessemer.attack.distance import within
from bessemer.attack.raw import RawRows
from bessemer.attack.trees.board import Board, board_of
from bessemer.attack.trees.bound import Paths, best, paths_of
from bessemer.attack.trees.ensemble import check_ensemble, ensemble_of
from bessemer.core.errors import FormatError

if TYPE_CHECKING:
    from bessemer.attack.protocol import Sample, Victim

Floats = npt.NDArray[np.float64]
#: Rows whose cells are looked at together.
_BLOCK = 64


@dataclass(frozen=True)
class Case:
    """rows: of the board's columns. homes: (N, C), the cell that each row is in."""

    rows: RawRows
    board: Board
    homes: npt.NDArray[np.int64]

    @cached_property
    def paths(self) -> Paths:
        return paths_of(self.board)

    def stands(self, row: int, budget: float) -> bool:
        """Whether a row's answer surely stands, each column being moved by no more than the budget: a sound bound."""
        return bool(self.stand(row, (budget,))[0])

    def stand(self, row: int, budgets: Sequence[float]) -> npt.NDArray[np.bool_]:
        """The same of several budgets, (B,)."""
        _, cost = self.offers(row, "l_inf")
        allowed = cost <= np.array([within(budget) for budget in budgets])[:, None]
        reachable = self.paths.reachable(allowed, self.standing(row))
        ahead = [best(self.board, reachable, *self.margins(row, other)) for other in self.others(row)]
        found: npt.NDArray[np.bool_] = np.max(ahead, axis=0) < -self.board.ensemble.room
        return found

    @cached_property
    def standing(self) -> Callable[[int], npt.NDArray[np.bool_]]:
        """(L,) of a row: which leaves the features that no column decides lead to. The last row's are kept, since a
        row is looked at by many budgets and classes, one after the other."""
        return lru_cache(maxsize=1)(self._standing)

    def _standing(self, row: int) -> npt.NDArray[np.bool_]:
        return self.paths.standing(self.board, self.rows.sample.X[row])

    def others(self, row: int) -> list[int]:
        """The classes that a row could be answered as, beside its own."""
        return [k for k in range(self.rows.answers.classes) if k != int(self.rows.sample.y[row])]

    def offset(self, row: int) -> float:
        """Of two classes, the score from which the second is said."""
        return 0.0 if self.rows.answers.offset is None else float(self.rows.answers.offset[row])

    def margins(self, row: int, other: int) -> tuple[Floats, float]:
        return self.board.ensemble.margins(int(self.rows.sample.y[row]), other, self.offset(row))

    @cached_property
    def offers(self) -> Callable[[int, Norm], tuple[Floats, Floats]]:
        """The value and the cost of every cell for a row, by the norm; the last row's are kept."""
        return lru_cache(maxsize=2)(self._offers)

    @cached_property
    def _block(self) -> Callable[[int], tuple[Floats, Floats]]:
        """What `Board.offers` says of so many rows at once; rows are asked for in their order."""

        def offers(block: int) -> tuple[Floats, Floats]:
            rows = slice(block * _BLOCK, (block + 1) * _BLOCK)
            return self.board.offers(self.rows.values[rows], self.homes[rows])

        return lru_cache(maxsize=1)(offers)

    def _offers(self, row: int, norm: Norm) -> tuple[Floats, Floats]:
        values, cost = (each[row % _BLOCK] for each in self._block(row // _BLOCK))
        if norm == "l0":
            each = np.repeat([c.limit.cost for c in self.board.columns], np.diff(self.board.start))
            cost = np.where(np.isfinite(cost) & (cost > 0), each, cost)
        return values, cost

    def notes(self) -> tuple[str, ...]:
        """What a reader has to know of all that is found here."""
        names = ", ".join(column.name for column in self.board.columns)
        told = [f"columns that may move, and do matter to the trees: {names or 'none'}"]
        if self.board.loose:
            told.append(
                f"{', '.join(self.board.loose)}: other features are computed from these columns, or they are whole "
                "numbers beyond 2**53, so the exact attack leaves them as they are, and the bound takes such features "
                "for anything"
            )
        return tuple(told)


def case_of(victim: Victim, sample: Sample) -> Case:
    """Raises:
    FormatError: the model is not of trees alone (see `ensemble_of`).
    """
    ensemble = ensemble_of(victim)
    answers = Answers(victim, sample)
    check_ensemble(ensemble, answers, sample)
    board = board_of(victim, sample, ensemble)
    rows = RawRows(victim, sample, board.columns, values_of(board.columns, sample.table), answers)
    return Case(rows, board, board.homes(sample))


def refuses(victim: Victim) -> str:
    """Why a model is not one of trees that can be looked into; '' where it can."""
    if victim.task == "regression":
        return "a number has no right and wrong answer"
    try:
        ensemble: Any = ensemble_of(victim)
    except FormatError as error:
        return str(error.args[0])
    return "" if len(ensemble.trees) else "the model has no trees"
