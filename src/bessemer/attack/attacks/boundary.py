"""The boundary attack: a random walk along the border between answers, towards the row.

Brendel, Rauber and Bethge, Decision-based adversarial attacks (2018).
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from bessemer.attack.arena import Arena, Moves, Norm, ask
from bessemer.attack.frame import Frame
from bessemer.attack.library import evasion, seeded
from bessemer.attack.nets import DistanceAttack, NetSettings
from bessemer.attack.protocol import Asks
from bessemer.attack.start import start


class Boundary(DistanceAttack):
    """Black box, from answers alone; it shortens the length of the change."""

    ASKS: ClassVar[Asks] = "answers"

    class Settings(NetSettings):
        """How long."""

        norm: Norm = Field("l_2", description="how a change is measured; it is l_2 that is made small")
        steps: int = Field(100, ge=1, le=100_000, description="steps of the walk")

    def closest(self, arena: Arena, frame: Frame, y: int, rng: Any) -> Moves | None:
        if (begin := start(arena, frame, y, "l_2", rng)) is None:
            return None
        attack = evasion().BoundaryAttack(
            ask(arena, frame, hard=True), targeted=False, max_iter=self.settings.steps, verbose=False
        )
        with seeded(rng):
            found: Moves = attack.generate(frame.shown(), x_adv_init=begin)
        return found
