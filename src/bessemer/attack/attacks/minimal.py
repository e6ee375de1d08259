"""The nearest row that trees answer otherwise: exact, by a mixed-integer program (see `trees.program`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from bessemer.attack.distance import DistanceSettings, within
from bessemer.attack.protocol import Found, Kind, Point, Sample, Victim, share_point
from bessemer.attack.sound import STANDING
from bessemer.attack.trees.case import Case, case_of, refuses
from bessemer.attack.trees.program import Program
from bessemer.core.spec import Spec
from bessemer.core.stage import Context

#: Attacked rows that are told of, at most.
SHOWN = 100
#: How exactly the end of the bound is looked for, and how much wider each search is.
_HALVINGS, _WIDER = 7, 1.4


class MinimalSettings(DistanceSettings):
    """How far it looks, and how long."""

    nodes: int = Field(
        2000, ge=1, le=10_000_000, description="nodes of the search of a row and a class, at most"
    )


@dataclass(frozen=True)
class Nearest:
    """distance: of the nearest row found, infinity where none is; least: none is nearer. values: (C,) of that row."""

    distance: float
    least: float
    values: npt.NDArray[np.float64] | None = None


class Minimal:
    """White box, exact; the rows that fall at a budget, and those that certainly do not."""

    kind: ClassVar[Kind] = "evasion"
    Settings: ClassVar[type[Spec]] = MinimalSettings

    def __init__(self, settings: MinimalSettings) -> None:
        self.settings = settings

    def refuses(self, victim: Victim) -> str:
        return refuses(victim)

    def attack(self, victim: Victim, sample: Sample, ctx: Context, advance: Callable[[], None]) -> Found:
        case = case_of(victim, sample)
        program = Program(case.board, self.settings.norm, self.settings.nodes)
        budgets = self.settings.curve()
        found = []
        for row in range(len(sample)):
            found.append(
                nearest(case, program, row, within(budgets[-1]))
                if case.rows.right[row]
                else Nearest(0.0, 0.0)
            )
            advance()
        return self._found(case, found, budgets)

    def _found(self, case: Case, found: list[Nearest], budgets: tuple[float, ...]) -> Found:
        reach, least = (np.array([getattr(one, name) for one in found]) for name in ("distance", "least"))
        points = [self._point(case, budget, reach, least) for budget in (0.0, *budgets)]
        norm = self.settings.norm
        shown = [case.rows.told(i, one.values, norm) for i, one in enumerate(found) if one.values is not None]
        unsure = int((case.rows.right & (least < reach) & (least <= within(budgets[-1]))).sum())
        told = (
            [f"{unsure} rows: the search ended before it was sure of the nearest; raise `nodes`"]
            if unsure
            else []
        )
        return Found(
            STANDING,
            self.settings.unit,
            len(found),
            tuple(points),
            (*told, *case.notes()),
            tuple(shown[:SHOWN]),
        )

    def _point(self, case: Case, budget: float, reach: Any, least: Any) -> Point:
        standing = case.rows.right & ((reach > within(budget)) | (budget == 0))
        proven = case.rows.right & ((least > within(budget)) | (budget == 0))
        rows = len(case.rows.sample)
        return share_point(
            budget, int(standing.sum()), rows, case.rows.sample.confidence, proven=float(proven.sum()) / rows
        )


def nearest(case: Case, program: Program, row: int, most: float) -> Nearest:
    """The nearest row to one of the sample that is answered otherwise, within `most`; the graph itself says whether
    it is. It looks ever further from where the bound ends: the less may move, the smaller the program."""
    if not case.board.cells:
        return Nearest(np.inf, np.inf)
    sure, found = 0.0, Nearest(np.inf, 0.0)
    for reach in _widening(case, program, row, most):
        one = _nearest(case, program, row, reach)
        found = replace(one, least=min(max(sure, one.least), one.distance))
        if np.isfinite(found.distance):
            break
        sure = min(found.least, reach)  # where nothing is within reach, nothing is known beyond it
    return found


def _widening(case: Case, program: Program, row: int, most: float) -> Iterator[float]:
    if program.norm != "l0":
        safe, open_ = 0.0, most
        for _ in range(_HALVINGS):
            middle = (safe + open_) / 2
            safe, open_ = (middle, open_) if case.stands(row, middle) else (safe, middle)
        reach = open_ * _WIDER
        while reach < most:
            yield reach
            reach *= _WIDER
    yield most


def _nearest(case: Case, program: Program, row: int, most: float) -> Nearest:
    values, cost = case.offers(row, program.norm)
    found = Nearest(np.inf, np.inf)
    for other in case.others(row):
        one = _towards(case, program, row, other, values, cost, min(most, found.distance))
        nearer = one if one.distance < found.distance else found
        found = replace(nearer, least=min(found.least, one.least))
    return found


def _towards(
    case: Case, program: Program, row: int, other: int, values: Any, cost: Any, most: float
) -> Nearest:
    """The nearest row of one other class. What the trees say without rounding may be what the graph does not: then the
    search is made again with room for it, and the first one's bound holds."""
    margins = case.margins(row, other)
    reachable = case.paths.reachable(cost <= most, case.standing(row))
    room, least = case.board.ensemble.rounding + 1e-9, 0.0
    for margin in (-room, room, 16 * room):
        solved = program.solve(case.rows.sample.X[row], cost, reachable, margins, margin, most)
        least = max(least, solved.least) if margin < 0 else least
        if solved.cells is None:
            return Nearest(np.inf, least)
        chosen = case.board.start[:-1] + solved.cells
        moved = values[chosen]
        if case.rows.said(row, moved) != int(case.rows.sample.y[row]):
            distance = case.rows.distance(row, moved, program.norm)
            return Nearest(distance, min(least, distance), moved)
    return Nearest(np.inf, least)
