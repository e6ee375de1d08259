"""A certificate for trees: within which budgets nothing at all can turn the answer.

A sound bound over leaves that can be reached (see `trees.bound`), in the spirit of Chen et al., Robustness verification
of tree-based models (2019), whose pairs of trees are left out: where it says nothing, an attack may still find nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from bessemer.attack.distance import DistanceSettings
from bessemer.attack.protocol import Found, Kind, Sample, Victim, share_point
from bessemer.attack.sound import CERTIFIED
from bessemer.attack.trees.case import case_of, refuses
from bessemer.core.spec import Spec
from bessemer.core.stage import Context


class IntervalSettings(DistanceSettings):
    """Which budgets are certified; by l1 too each column is given all of it, which is sound and not tight."""


class Interval:
    """A certificate; the share of rows that are right, and stay so whatever is moved within the budget."""

    kind: ClassVar[Kind] = "certificate"
    Settings: ClassVar[type[Spec]] = IntervalSettings

    def __init__(self, settings: IntervalSettings) -> None:
        self.settings = settings

    def refuses(self, victim: Victim) -> str:
        if self.settings.norm == "l0":
            return (
                "it bounds each column on its own, which says nothing of how many move: use norm l1 or l_inf"
            )
        return refuses(victim)

    def attack(self, victim: Victim, sample: Sample, ctx: Context, advance: Callable[[], None]) -> Found:
        case = case_of(victim, sample)
        budgets = (0.0, *self.settings.curve())
        safe = np.zeros((len(sample), len(budgets)), dtype=bool)
        for row in range(len(sample)):
            if case.rows.right[row]:
                safe[row, 1:] = case.stand(row, budgets[1:])
            advance()
        safe[:, 0] = case.rows.right
        points = [
            share_point(budget, int(safe[:, i].sum()), len(sample), sample.confidence)
            for i, budget in enumerate(budgets)
        ]
        told = "a bound: what it does not certify need not fall"
        return Found(CERTIFIED, self.settings.unit, len(sample), tuple(points), (told, *case.notes()))
