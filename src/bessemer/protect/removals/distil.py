"""Distilling: a student learns the stolen model's answers to the thief's rows, and never sees a key."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from bessemer.protect.removals.boosted import boosted
from bessemer.protect.removals.removal import Margin, Stolen


class Distil:
    """A student of the answers alone."""

    LEVELS: ClassVar[tuple[float, ...]] = (200,)

    def name(self, level: float) -> str:
        return "distilled into a student"

    def refuses(self, stolen: Stolen) -> str:
        return ""

    def remove(self, stolen: Stolen, level: float) -> Margin:
        said = stolen.margin()(stolen.X)
        if stolen.task == "regression":
            taught = said[:, 0]
        elif stolen.task == "binary":
            taught = (said[:, 0] > 0).astype(np.float64)
        else:
            taught = said.argmax(axis=1).astype(np.float64)
        if len(np.unique(taught)) == 1:  # nothing to learn, and LightGBM would refuse
            constant = said[:1]
            return lambda X: np.repeat(constant, len(X), axis=0)
        booster: Any = boosted(stolen, taught, int(level))
        return lambda X: np.asarray(booster.predict(X, raw_score=True, num_threads=1)).reshape(
            len(X), stolen.outputs
        )
