"""The graph over changed raw rows, counted, as one who can only ask sees it; and where the constraints let him go."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bessemer.attack.answers import Answers, answers_of
from bessemer.attack.columns import Column, Norm, changes, columns_of, distances, table_of, values_of

if TYPE_CHECKING:
    from bessemer.attack.protocol import Sample, Victim

Floats = npt.NDArray[np.float64]


@dataclass
class RawRows:
    """A sample as numbers (N, C) of the columns that may move (see `columns.values_of`)."""

    victim: Victim
    sample: Sample
    columns: tuple[Column, ...]
    values: Floats
    answers: Answers
    right: npt.NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        rows = np.arange(len(self.sample))
        self.right = self.answers.answers(self.sample.X, rows) == self.sample.y.astype(np.int64)
        self.answers.asked = 0

    def margins(self, row: int, values: Floats) -> Floats:
        """How far another class is ahead of the right one, for changes (n, C) of a row; where it is above 0 the row has
        fallen. (n,)."""
        scores = self._scores(row, values)
        own = int(self.sample.y[row])
        others = np.delete(scores, own, axis=1).max(axis=1)
        fell = scores.argmax(axis=1) != own
        margin = others - scores[:, own]
        # Of equal scores the first class is said.
        found: Floats = np.where(fell, np.maximum(margin, np.finfo(float).tiny), np.minimum(margin, 0.0))
        return found

    def _scores(self, row: int, values: Floats) -> Floats:
        table = table_of(self.columns, values, self.sample.table.take([row] * len(values)))
        return self.answers.of_table(table, row).astype(np.float64)

    def said(self, row: int, values: Floats) -> int:
        """The class that is said of one change (C,) of a row; a question that is ours, and not counted."""
        asked = self.answers.asked
        found = int(self._scores(row, values[None]).argmax())
        self.answers.asked = asked
        return found

    def told(self, row: int, values: Floats, norm: Norm) -> dict[str, Any]:
        """A row that fell, for a reader: how far it was moved, what it was and became, and what changed."""
        classes = self.victim.classes
        return {
            "budget": self.distance(row, values, norm),
            "true": classes[int(self.sample.y[row])],
            "answer": classes[self.said(row, values)],
            "columns": changes(self.columns, self.values[row], values),
        }

    def allowed(self, row: int, values: Floats, norm: Norm, budget: float) -> npt.NDArray[np.bool_]:
        """Which changes (n, C) of a row keep the constraints and the budget, (n,)."""
        own = self.values[row]
        fine = distances(self.columns, np.broadcast_to(own, values.shape), values, norm) <= budget
        for c, column in enumerate(self.columns):
            fine &= column.may(float(own[c]), values[:, c])
        return fine

    def distance(self, row: int, values: Floats, norm: Norm) -> float:
        """How far one change (C,) of a row is."""
        return float(distances(self.columns, self.values[row][None], values[None], norm)[0])


def raw_rows(victim: Victim, sample: Sample) -> RawRows:
    """The sample's rows, and the columns that may move."""
    columns = columns_of(victim, sample)
    return RawRows(victim, sample, columns, values_of(columns, sample.table), answers_of(victim, sample))
