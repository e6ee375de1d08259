"""Growing more trees upon what was stolen, on the thief's rows."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from bessemer.protect.removals.boosted import boosted
from bessemer.protect.removals.removal import Margin, Stolen


class Grow:
    """Boosting goes on from the margins of the stolen model, whatever it is made of."""

    LEVELS: ClassVar[tuple[float, ...]] = (20, 100)

    def name(self, level: float) -> str:
        return f"{level:.0f} more rounds of trees"

    def refuses(self, stolen: Stolen) -> str:
        return ""

    def remove(self, stolen: Stolen, level: float) -> Margin:
        before = stolen.margin()
        booster: Any = boosted(stolen, stolen.y, int(level), before(stolen.X))

        def margin(X: np.ndarray) -> np.ndarray:
            more = np.asarray(booster.predict(X, raw_score=True, num_threads=1))
            found: np.ndarray = before(X) + more.reshape(len(X), stolen.outputs)
            return found

        return margin
