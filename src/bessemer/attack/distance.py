"""How far a row of a table may be moved, and how that is measured."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bessemer.attack.columns import WORDS, Norm
from bessemer.core.spec import Spec

Budgets = list[Annotated[float, Field(gt=0, le=1e6)]]

#: Where the curve is measured when nothing is said.
BUDGETS: dict[str, tuple[float, ...]] = {
    "l0": (1.0, 2.0, 3.0),
    "l1": (0.1, 0.25, 0.5, 1.0, 2.0),
    "l_inf": (0.1, 0.25, 0.5, 1.0),
}
BUDGET_TEXT = "how far a row may be moved; in standard deviations, columns for l0"


class DistanceSettings(Spec):
    """How far a row may be moved, and how that is measured."""

    norm: Norm = Field("l_inf", description="how a change is measured: l0, l1 or l_inf over raw columns")
    budgets: Budgets | None = Field(None, min_length=1, max_length=50, description=BUDGET_TEXT)

    def curve(self) -> tuple[float, ...]:
        """The budgets, the least first."""
        return tuple(sorted(set(self.budgets or BUDGETS[self.norm])))

    @property
    def unit(self) -> str:
        return WORDS[self.norm]


def within(budget: float) -> float:
    """A budget with room for the rounding of float64.

    >>> within(2.0) > 2.0
    True
    """
    return budget * (1 + 1e-9) + 1e-12
