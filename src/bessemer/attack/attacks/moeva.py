"""MOEVA: an evolution of rows towards two aims at once, another answer and a small change; from scores alone.

Simonetto, Dyrmishi, Ghamizi, Cordy and Le Traon, A unified framework for adversarial attack and defense in constrained
feature space (2022), with the authors' algorithm R-NSGA-III (Vesikar, Deb and Blank 2018) and library, pymoo. Their
third aim, broken constraints, is not needed: each row is repaired before it is asked about.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from bessemer.attack.columns import distances
from bessemer.attack.distance import DistanceSettings, within
from bessemer.attack.evolution import evolved
from bessemer.attack.protocol import Asks, Found, Kind, Sample, Victim, share_point
from bessemer.attack.raw import RawRows, raw_rows
from bessemer.attack.sound import STANDING
from bessemer.attack.typed import reach, repaired
from bessemer.core.spec import Spec
from bessemer.core.stage import Context

Floats = npt.NDArray[np.float64]

#: Rows told of.
_SHOWN = 100


class MoevaSettings(DistanceSettings):
    """How far, and how long."""

    generations: int = Field(30, ge=1, le=100_000, description="generations of a row")
    population: int = Field(
        40, ge=4, le=10_000, description="changed rows that live on, and that each one makes"
    )


class Moeva:
    """Black box, from scores; raw rows under the constraints."""

    kind: ClassVar[Kind] = "evasion"
    ASKS: ClassVar[Asks] = "scores"
    Settings: ClassVar[type[Spec]] = MoevaSettings

    def __init__(self, settings: MoevaSettings) -> None:
        self.settings = settings

    def refuses(self, victim: Victim) -> str:
        return "a number has no right and wrong answer" if victim.task == "regression" else ""

    def attack(self, victim: Victim, sample: Sample, ctx: Context, advance: Callable[[], None]) -> Found:
        rows, norm = raw_rows(victim, sample), self.settings.norm
        far, told = np.full(len(sample), np.inf), list[dict[str, Any]]()
        for row in range(len(sample)):
            if rows.right[row] and rows.columns:
                nearest = self._nearest(rows, row, ctx.rng("moeva", row))
                if nearest is not None:
                    far[row] = rows.distance(row, nearest, norm)
                    told += [rows.told(row, nearest, norm)] if len(told) < _SHOWN else []
            advance()
        right = int(rows.right.sum())
        queries = rows.answers.asked / max(1, right)
        points = [share_point(0.0, right, len(sample), sample.confidence, queries=0.0)]
        for budget in self.settings.curve():
            stands = int((rows.right & (far > within(budget))).sum())
            points.append(share_point(budget, stands, len(sample), sample.confidence, queries=queries))
        note = "a search: what it does not find may be there"
        return Found(STANDING, self.settings.unit, len(sample), tuple(points), (note,), tuple(told))

    def _nearest(self, rows: RawRows, row: int, rng: np.random.Generator) -> Floats | None:
        """The nearest change (C,) that was come by and turns the answer, within the largest budget."""
        own, norm, most = rows.values[row][None], self.settings.norm, self.settings.curve()[-1]
        low, high = reach(rows.columns, own, most, norm)
        free = np.flatnonzero(high[0] > low[0])
        best: list[Any] = [within(most), None]
        if not len(free):
            return None

        def aims(moved: Floats) -> Floats:
            """(n, 2) of values (n, free): how far the right class is ahead, and how far the row was moved."""
            values = placed(moved)
            ahead = -rows.margins(row, values)
            length = distances(rows.columns, np.broadcast_to(own, values.shape), values, norm)
            fell = np.flatnonzero((ahead < 0) & (length <= best[0]))
            if len(fell):
                i = fell[length[fell].argmin()]
                best[:] = float(length[i]), values[i]
            return np.stack([ahead, length], axis=1)

        def placed(moved: Floats) -> Floats:
            values = np.repeat(own, len(moved), axis=0)
            values[:, free] = moved
            return repaired(rows.columns, np.repeat(own, len(values), axis=0), values, low, high)

        drawn = [not rows.columns[c].ordered for c in free]
        evolved(
            aims,
            lambda moved: placed(moved)[:, free],
            (own[0, free], low[0, free], high[0, free]),
            np.array(drawn),
            (self.settings.generations, self.settings.population),
            rng,
        )
        found: Floats | None = best[1]
        return found
