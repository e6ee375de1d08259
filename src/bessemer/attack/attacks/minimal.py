"""The nearest row that trees answer otherwise: exact, by a mixed-integer program (see `trees.program`)."""

from __future__ import annotations

from collections.abc import Callable
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
#: How exactly the end of the bound is looked for.
_HALVINGS = 7


class MinimalSettings(DistanceSettings):
    """How far it looks, and how long."""

    nodes: int = Field(
        2000, ge=1, le=10_000_000, description="nodes of the search of a row and a class, at most"
    )


@dataclass(frozen=True)
class Nearest:
    """distance: of the nearest row found, infinity where none is; least: none is nearer. values: (C,) of that row.
    failed: whether the solver broke down on the way."""

    distance: float
    least: float
    values: npt.NDArray[np.float64] | None = None
    failed: bool = False


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
        unsure = case.rows.right & (least < reach) & (least <= within(budgets[-1]))
        failed = np.array([one.failed for one in found], dtype=bool)
        why = {
            "the search ended before it was sure of the nearest; raise `nodes`": unsure & ~failed,
            "the solver broke down before it was sure of the nearest": unsure & failed,
        }
        told = [f"{int(rows.sum())} rows: {words}" for words, rows in why.items() if rows.any()]
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
    it is. Where the bound ends is how near nothing is, what a quick search finds how far one has to look: the less may
    move, the smaller the program."""
    if not case.board.cells:
        return Nearest(np.inf, np.inf)
    safe = _safe(case, program, row, most)
    found = _climbed(case, program, row, safe, most)
    exact = _nearest(case, program, row, _below(case, program, row, found.distance, most))
    if exact.failed and np.isfinite(exact.distance):  # what is left to look at is another program
        again = _nearest(case, program, row, _below(case, program, row, exact.distance, most))
        if again.distance >= exact.distance:
            again = replace(exact, least=again.least, failed=again.failed)
        exact = again
    nearer = exact if exact.distance < found.distance else found
    return replace(nearer, least=min(max(safe, exact.least), nearer.distance), failed=exact.failed)


def _safe(case: Case, program: Program, row: int, most: float) -> float:
    """How far every column may be moved, by the bound, without a change of the answer."""
    safe, open_ = 0.0, most
    for _ in range(_HALVINGS if program.norm != "l0" else 0):
        middle = (safe + open_) / 2
        safe, open_ = (middle, open_) if case.stands(row, middle) else (safe, middle)
    return safe


def _climbed(case: Case, program: Program, row: int, safe: float, most: float) -> Nearest:
    """The nearest row of the quick search that the graph itself answers otherwise."""
    values, cost = case.offers(row, program.norm)
    sample, found = case.rows.sample, Nearest(np.inf, 0.0)
    own, home, start = int(sample.y[row]), case.homes[row], case.board.start[:-1]
    for cells in program.climb.near(sample.X[row], cost, home, own, case.offset(row), safe, most):
        moved = values[start + cells]
        if case.rows.said(row, moved) == own:
            break
        distance = case.rows.distance(row, moved, program.norm)
        found = Nearest(distance, 0.0, moved) if distance < found.distance else found
    return found


def _below(case: Case, program: Program, row: int, distance: float, most: float) -> float:
    """How far the exact search has to look to better what was found: by l_inf, to the greatest cost that is less; by
    l0, where all columns cost the same, to a column less."""
    _, cost = case.offers(row, program.norm)
    if program.norm == "l1" or not np.isfinite(distance):
        return min(distance, most)
    if program.norm == "l_inf":
        return float(cost[cost < distance * (1 - 1e-9)].max(initial=0.0))
    steps = np.unique(cost[np.isfinite(cost) & (cost > 0)])
    return within(distance - float(steps[0])) if len(steps) == 1 else distance


def _nearest(case: Case, program: Program, row: int, most: float) -> Nearest:
    found = Nearest(np.inf, np.inf)
    for other in case.others(row):
        one = _towards(case, program, row, other, min(most, found.distance))
        nearer = one if one.distance < found.distance else found
        found = replace(nearer, least=min(found.least, one.least), failed=found.failed or one.failed)
    return found


def _towards(case: Case, program: Program, row: int, other: int, most: float) -> Nearest:
    """The nearest row of one other class. What the trees say without rounding may be what the graph does not: then the
    search is made again with room for it, and the first one's bound holds."""
    margins, (values, cost) = case.margins(row, other), case.offers(row, program.norm)
    reachable = case.paths.reachable(cost <= most, case.standing(row))
    reachable[case.paths.loose.elsewhere(case.rows.sample.X[row])] = False
    room, least, failed = case.board.ensemble.room + 1e-9, 0.0, False
    for margin in (-room, room, 16 * room):
        solved = program.solve(cost, reachable, margins, margin, most)
        least = max(least, solved.least) if margin < 0 else least
        failed = failed or solved.failed
        if solved.cells is None:
            return Nearest(np.inf, least, failed=failed)
        moved = values[case.board.start[:-1] + solved.cells]
        if case.rows.said(row, moved) != int(case.rows.sample.y[row]):
            distance = case.rows.distance(row, moved, program.norm)
            return Nearest(distance, min(least, distance), moved, failed)
    return Nearest(np.inf, least, failed=failed)
