"""Auto-PGD: the steps shrink by what they gain, so nothing has to be tuned.

Croce and Hein, Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free attacks (2020).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field

from bessemer.attack.arena import Moves, Rows
from bessemer.attack.frame import Frame
from bessemer.attack.library import evasion
from bessemer.attack.nets import NetSettings, WhiteBox

#: From how many classes on the difference of logits, by their spread, is defined.
_ENOUGH = 3


class APGD(WhiteBox):
    """White box; by cross-entropy, then, of three classes or more, by the difference of logits on the rows that still
    stand."""

    class Settings(NetSettings):
        """How long, and how often from elsewhere."""

        steps: int = Field(100, ge=1, le=10_000, description="steps of each start")
        restarts: int = Field(1, ge=1, le=100, description="random starts of each loss")

    def generate(self, estimator: Any, budget: float, frame: Frame, y: Rows) -> Moves:
        own, moves = self.settings, frame.shown()
        losses = ["cross_entropy", "difference_logits_ratio"][: 1 + (estimator.nb_classes >= _ENOUGH)]
        for loss in losses:
            standing = estimator.predict(moves, batch_size=len(moves)).argmax(axis=1) == y
            if not standing.any():
                break
            attack = evasion().AutoProjectedGradientDescent(
                estimator,
                norm=np.inf if own.norm == "l_inf" else 2,
                eps=budget,
                eps_step=2 * budget,
                max_iter=own.steps,
                nb_random_init=own.restarts,
                batch_size=len(moves),
                loss_type=loss,
                verbose=False,
            )
            moves[standing] = attack.generate(frame.shown()[standing], y[standing])
        return moves
