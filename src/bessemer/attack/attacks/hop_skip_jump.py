"""HopSkipJump: along the border between answers, by a gradient that is guessed from answers alone.

Chen, Jordan and Wainwright, HopSkipJumpAttack: a query-efficient decision-based attack (2020).
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from bessemer.attack.arena import Arena, Moves, ask
from bessemer.attack.frame import Frame
from bessemer.attack.library import evasion, seeded
from bessemer.attack.nets import DistanceAttack, NetSettings
from bessemer.attack.protocol import Asks
from bessemer.attack.start import start


class HopSkipJump(DistanceAttack):
    """Black box, from answers alone."""

    ASKS: ClassVar[Asks] = "answers"

    class Settings(NetSettings):
        """How long, and how many questions a guess costs."""

        steps: int = Field(10, ge=1, le=10_000, description="steps along the border")
        first_questions: int = Field(
            50, ge=2, le=100_000, description="questions of the first guess of the gradient"
        )
        most_questions: int = Field(500, ge=2, le=1_000_000, description="questions of a guess at most")

    def closest(self, arena: Arena, frame: Frame, y: int, rng: Any) -> Moves | None:
        own = self.settings
        if (begin := start(arena, frame, y, own.norm, rng)) is None:
            return None
        attack = evasion().HopSkipJump(
            ask(arena, frame, hard=True),
            norm=np.inf if own.norm == "l_inf" else 2,
            max_iter=own.steps,
            init_eval=min(own.first_questions, own.most_questions),
            max_eval=own.most_questions,
            verbose=False,
        )
        with seeded(rng):
            found: Moves = attack.generate(frame.shown(), x_adv_init=begin)
        return found
