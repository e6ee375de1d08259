"""A search over raw rows that asks the model and nothing else: of any model, whatever it is made of.

The change of one column that helps most is made, then the next, as in Yang et al., Greedy attack and Gumbel attack
(2020); then several columns are drawn at once. What turns the answer is pulled back towards the row, a column at a
time. It is an attacker with a purse of questions: what he does not find may be there all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from bessemer.attack.columns import Column
from bessemer.attack.distance import DistanceSettings, within
from bessemer.attack.protocol import Asks, Found, Kind, Sample, Victim, share_point
from bessemer.attack.raw import RawRows, raw_rows
from bessemer.attack.sound import STANDING
from bessemer.core.spec import Spec
from bessemer.core.stage import Context

Floats = npt.NDArray[np.float64]

#: Values of a column that are tried; rows that are drawn at once; halvings of a number's way back; rows told of.
VALUES, DRAWN, HALVINGS, SHOWN = 8, 50, 6, 100


class QuerySearchSettings(DistanceSettings):
    """How far, and how many questions."""

    questions: int = Field(
        1000, ge=10, le=10_000_000, description="questions about a row at each budget, about; the purse"
    )


class QuerySearch:
    """Black box, from scores; raw rows under the constraints."""

    kind: ClassVar[Kind] = "evasion"
    ASKS: ClassVar[Asks] = "scores"
    Settings: ClassVar[type[Spec]] = QuerySearchSettings

    def __init__(self, settings: QuerySearchSettings) -> None:
        self.settings = settings

    def refuses(self, victim: Victim) -> str:
        return "a number has no right and wrong answer" if victim.task == "regression" else ""

    def attack(self, victim: Victim, sample: Sample, ctx: Context, advance: Callable[[], None]) -> Found:
        rows, budgets = raw_rows(victim, sample), self.settings.curve()
        reach, asked = np.full(len(sample), np.inf), np.zeros((len(sample), len(budgets)))
        samples: list[dict[str, Any]] = []
        for row in range(len(sample)):
            if rows.right[row] and rows.columns:
                reach[row], told = self._row(rows, row, asked[row], ctx.rng("query_search", row))
                samples += told
            advance()
        tried = max(1, int(rows.right.sum()))
        points = [share_point(0.0, int(rows.right.sum()), len(sample), sample.confidence, queries=0.0)]
        for i, budget in enumerate(budgets):
            stands = int((rows.right & (reach > within(budget))).sum())
            queries = float(asked[:, i].sum()) / tried
            points.append(share_point(budget, stands, len(sample), sample.confidence, queries=queries))
        note = "a search: what it does not find may be there"
        return Found(
            STANDING, self.settings.unit, len(sample), tuple(points), (note,), tuple(samples[:SHOWN])
        )

    def _row(
        self, rows: RawRows, row: int, asked: Floats, rng: np.random.Generator
    ) -> tuple[float, list[dict[str, Any]]]:
        """How far a row was moved to fall, and how; asked: (B,), filled with the questions so far at each budget."""
        before = rows.answers.asked
        for i, budget in enumerate(self.settings.curve()):
            hunt = Hunt(rows, row, self.settings, within(budget), rng)
            found = hunt.run()
            asked[i:] = rows.answers.asked - before
            if found is not None:
                return rows.distance(row, found, self.settings.norm), [
                    rows.told(row, found, self.settings.norm)
                ]
        return np.inf, []


class Hunt:
    """The search for one row at one budget."""

    def __init__(
        self,
        rows: RawRows,
        row: int,
        settings: QuerySearchSettings,
        budget: float,
        rng: np.random.Generator,
    ) -> None:
        self.rows, self.row, self.settings, self.budget, self.rng = rows, row, settings, budget, rng
        self.own = rows.values[row]
        self.last = rows.answers.asked + settings.questions
        self.tried = [self._tried(c, column) for c, column in enumerate(rows.columns)]

    def run(self) -> Floats | None:
        """A change (C,) that turns the answer, as near as it could be brought; None where none was found."""
        found = self._greedy()
        while found is None and self._rich():
            found = self._drawn()
        return None if found is None else self._pulled(found)

    def _rich(self) -> bool:
        return self.rows.answers.asked < self.last and any(len(values) for values in self.tried)

    def _tried(self, c: int, column: Column) -> Floats:
        """Values of a column that the constraints and the budget allow, the row's own left out."""
        own = float(self.own[c])
        if column.ordered and not np.isnan(own):
            far = column.scale / column.limit.cost * self.budget if self.settings.norm != "l0" else np.inf
            values = np.linspace(max(column.low, own - far), min(column.high, own + far), VALUES)
            values = _inside(column, values, own) if column.kind == "integer" else values
        elif column.ordered:
            values = np.linspace(column.low, column.high, VALUES)
            values = np.rint(values) if column.kind == "integer" else values
        else:
            values = np.arange(column.known, dtype=np.float64)
            values = values if len(values) <= VALUES else self.rng.choice(values, VALUES, replace=False)
        values = np.unique(np.append(values, np.nan))
        rows = np.repeat(self.own[None], len(values), axis=0)
        rows[:, c] = values
        fine = self.rows.allowed(self.row, rows, self.settings.norm, self.budget)
        same = np.isnan(values) if np.isnan(own) else values == own
        return values[fine & ~same]

    def _greedy(self) -> Floats | None:
        """One change more at a time, the one that helps most."""
        current, most = self.own.copy(), -np.inf
        for _ in range(len(self.tried)):
            moves = self._moves(current)
            if not len(moves) or not self._rich():
                return None
            margins = self.rows.margins(self.row, moves)
            best = int(margins.argmax())
            if margins[best] > 0:
                chosen: Floats = moves[best]
                return chosen
            if margins[best] <= most:
                return None
            current, most = moves[best], float(margins[best])
        return None

    def _moves(self, current: Floats) -> Floats:
        """The row with one column more changed, in each way that is tried."""
        made = []
        for c, values in enumerate(self.tried):
            if current[c] == self.own[c] or (np.isnan(current[c]) and np.isnan(self.own[c])):
                moved = np.repeat(current[None], len(values), axis=0)
                moved[:, c] = values
                made.append(moved)
        moves = np.concatenate(made) if made else np.zeros((0, len(current)))
        return moves[self.rows.allowed(self.row, moves, self.settings.norm, self.budget)]

    def _drawn(self) -> Floats | None:
        """Several columns at once, by chance."""
        moves = np.repeat(self.own[None], DRAWN, axis=0)
        share = self.rng.uniform(0.1, 1.0, DRAWN)
        for c, values in enumerate(self.tried):
            if len(values):
                chosen = self.rng.random(DRAWN) < share
                moves[:, c] = np.where(chosen, self.rng.choice(values, DRAWN), moves[:, c])
        moves = moves[self.rows.allowed(self.row, moves, self.settings.norm, self.budget)]
        if not len(moves):
            self.last -= DRAWN  # nothing was asked, and time went by
            return None
        margins = self.rows.margins(self.row, moves)
        return moves[int(margins.argmax())] if margins.max() > 0 else None

    def _pulled(self, found: Floats) -> Floats:
        """Each column taken back, or a number as far back as still turns the answer, the furthest column first."""
        far = [column.distance(self.own[c], found[c]) for c, column in enumerate(self.rows.columns)]
        for c in np.argsort(-np.array(far, dtype=np.float64), kind="stable"):
            if far[c] > 0 and not self._kept(found, c, float(self.own[c])):
                self._nearer(found, int(c))
        return found

    def _kept(self, found: Floats, c: int, value: float) -> bool:
        """Put a value into the change if the answer stays turned."""
        moved = found.copy()
        moved[c] = value
        if self.rows.margins(self.row, moved[None])[0] <= 0:
            return False
        found[c] = value
        return True

    def _nearer(self, found: Floats, c: int) -> None:
        column, near = self.rows.columns[c], float(self.own[c])
        if not column.ordered or np.isnan(near) or np.isnan(found[c]):
            return
        for _ in range(HALVINGS):
            middle = (near + float(found[c])) / 2
            middle = float(np.trunc(middle)) if column.kind == "integer" else middle
            moved = found.copy()
            moved[c] = middle
            fine = self.rows.allowed(self.row, moved[None], self.settings.norm, self.budget)[0]
            if middle in (near, found[c]) or not fine or not self._kept(found, c, middle):
                near = middle


def _inside(column: Column, values: Floats, own: float) -> Floats:
    """Whole numbers no further from a number than these are."""
    found: Floats = np.where(values < own, np.ceil(values), np.floor(values))
    return found
