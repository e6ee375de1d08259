"""ZOO: the gradient measured coordinate by coordinate from scores, then as Carlini and Wagner.

Chen et al., ZOO: zeroth order optimization based black-box attacks (2017).
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from bessemer.attack.arena import Arena, Moves, Norm, ask
from bessemer.attack.frame import Frame
from bessemer.attack.library import evasion, seeded
from bessemer.attack.nets import DistanceAttack, NetSettings
from bessemer.attack.protocol import Asks


class Zoo(DistanceAttack):
    """Black box, from scores; it shortens the length of the change."""

    ASKS: ClassVar[Asks] = "scores"

    class Settings(NetSettings):
        """How long, and how finely."""

        norm: Norm = Field("l_2", description="how a change is measured; it is l_2 that is made small")
        steps: int = Field(50, ge=1, le=100_000, description="steps of each search")
        searches: int = Field(
            3, ge=1, le=20, description="how often the weight of the distance is halved or doubled"
        )
        learning_rate: float = Field(0.05, gt=0, le=10, description="of its optimiser, Adam")
        width: float = Field(
            0.01, gt=0, le=1, description="how far a coordinate is moved to measure the gradient"
        )

    def closest(self, arena: Arena, frame: Frame, y: int, rng: Any) -> Moves | None:
        own = self.settings
        attack = evasion().ZooAttack(
            ask(arena, frame, hard=False),
            learning_rate=own.learning_rate,
            max_iter=own.steps,
            binary_search_steps=own.searches,
            initial_const=1.0,
            use_resize=False,
            use_importance=False,
            nb_parallel=min(128, int(np.prod(frame.shape))),
            variable_h=own.width,
            verbose=False,
        )
        with seeded(rng):
            found: Moves = attack.generate(frame.shown(), np.array([y]))
        return found
