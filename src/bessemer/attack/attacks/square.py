"""The Square attack: random squares of pixels, kept where the right answer loses.

Andriushchenko et al., Square attack: a query-efficient black-box attack via random search (2020).
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from bessemer.attack.arena import Arena, Moves, Rows, ask
from bessemer.attack.frame import Frame
from bessemer.attack.library import evasion, seeded
from bessemer.attack.nets import BudgetAttack, NetSettings
from bessemer.attack.protocol import Asks, Victim
from bessemer.attack.surface import surface_of

#: By l_2 an image is cut into this many tiles each way, of two pixels at least.
_TILES = 5


class Square(BudgetAttack):
    """Black box, from scores; images only."""

    ASKS: ClassVar[Asks] = "scores"

    class Settings(NetSettings):
        """How long."""

        steps: int = Field(500, ge=1, le=100_000, description="squares that are tried for a row")

    def refuses(self, victim: Victim) -> str:
        surface = surface_of(victim)
        if why := super().refuses(victim):
            return why
        if surface is None or surface.image is None:
            return "it moves squares of pixels, and the model's features are not one image"
        _, height, width = surface.image
        if self.settings.norm == "l_2" and min(height, width) < 2 * _TILES:
            return f"by l_2 it needs images of at least {2 * _TILES} pixels each way"
        return ""

    def attempt(self, arena: Arena, frame: Frame, y: Rows, budget: float, rng: Any) -> tuple[Moves, int]:
        own, asked = self.settings, arena.answers.asked
        _, height, width = frame.shape
        # The library draws a square's place below the image's edge less its side, which must not be 0.
        largest = (min(height, width) - 1) ** 2 / (height * width)
        attack = evasion().SquareAttack(
            ask(arena, frame, hard=False),
            norm=np.inf if own.norm == "l_inf" else 2,
            eps=budget,
            max_iter=own.steps,
            p_init=min(0.8, largest),
            batch_size=len(y),
            verbose=False,
        )
        with seeded(rng):
            moves = attack.generate(frame.shown(), y)
        return moves, arena.answers.asked - asked
