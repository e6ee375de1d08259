"""Noise on what comes in: the thief's server blurs every request before the model sees it."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from bessemer.protect.removals.removal import Margin, Stolen

#: A feature with fewer values than this is a level or a flag, and is left alone.
_CONTINUOUS = 10


class Noise:
    """Gaussian, a share of each continuous feature's spread."""

    LEVELS: ClassVar[tuple[float, ...]] = (0.05, 0.2)

    def name(self, level: float) -> str:
        return f"noise of {level:g} standard deviations on inputs"

    def refuses(self, stolen: Stolen) -> str:
        return "" if _spread(stolen.X).any() else "no feature is continuous"

    def remove(self, stolen: Stolen, level: float) -> Margin:
        before, spread, rng = stolen.margin(), _spread(stolen.X), stolen.rng()

        def margin(X: np.ndarray) -> np.ndarray:
            blurred = X + level * spread * rng.standard_normal(X.shape)
            return before(blurred.astype(np.float32))

        return margin


def _spread(X: np.ndarray) -> np.ndarray:
    """(F,) the standard deviation of each continuous feature, 0 of the others."""
    found = np.zeros(X.shape[1])
    for place, column in enumerate(X.T):
        known = column[np.isfinite(column)]
        if len(np.unique(known)) >= _CONTINUOUS:
            found[place] = known.std()
    return found
