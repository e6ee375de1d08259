"""Projected gradient descent: steps along the gradient, put back into the ball of the budget.

Madry et al., Towards deep learning models resistant to adversarial attacks (2018).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field

from bessemer.attack.arena import Moves, Rows
from bessemer.attack.frame import Frame
from bessemer.attack.library import evasion
from bessemer.attack.nets import NetSettings, WhiteBox


class PGD(WhiteBox):
    """White box; the usual first attack."""

    class Settings(NetSettings):
        """How long, and how often from elsewhere."""

        steps: int = Field(40, ge=1, le=10_000, description="steps of each start")
        restarts: int = Field(
            1, ge=1, le=100, description="random starts; a row has fallen if one of them does it"
        )

    def generate(self, estimator: Any, budget: float, frame: Frame, y: Rows) -> Moves:
        own = self.settings
        norm = np.inf if own.norm == "l_inf" else 2
        attack = evasion().ProjectedGradientDescentPyTorch(
            estimator,
            norm=norm,
            eps=budget,
            eps_step=2.5 * budget / own.steps,
            max_iter=own.steps,
            num_random_init=own.restarts,
            batch_size=len(y),
            verbose=False,
        )
        found: Moves = attack.generate(frame.shown(), y)
        return found
