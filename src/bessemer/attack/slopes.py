"""The gradient by raw columns: that by features, taken through what the graph makes of a raw column.

What stands before `features` has no gradient in torch (texts, look-ups, times). It is measured: a number is moved a
little, a category is put to each level, and what its features become is multiplied with the gradient by features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bessemer.attack.columns import Column

Floats = npt.NDArray[np.float64]
#: (R, C) raw values -> (R, F) features, of these rows.
Features = Callable[[Floats], npt.NDArray[np.float32]]

#: A number is moved by this part of its spread to measure. Features are float32.
_STEP = 1e-3
#: Levels of a category that are looked at in a step, at most.
LEVELS = 32


def slopes(
    columns: Sequence[Column],
    features: Features,
    values: Floats,
    gradient: Floats,
    low: Floats,
    high: Floats,
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    """How the loss rises with each number, in its spread, and the level of each category that it rises most by, both
    (R, C); NaN where a column does not move.

    Args:
        values: (R, C), what they are now. gradient: (R, F) of the loss by features.
        low, high: (R, C), where they may go.
    """
    probe = _Probe(features, values, features(values).astype(np.float64), gradient)
    slope, best = np.full(values.shape, np.nan), np.full(values.shape, np.nan)
    for c, column in enumerate(columns):
        free = high[:, c] > low[:, c]
        if not free.any():
            continue
        if column.ordered:
            slope[free, c] = probe.rise(c, column, high[:, c])[free]
        else:
            best[free, c] = probe.level(c, column, rng)[free]
    return slope, best


@dataclass(frozen=True)
class _Probe:
    """Rows as they are: values (R, C), what features they give (R, F), and the gradient by these."""

    features: Features
    values: Floats
    base: Floats
    gradient: Floats

    def rise(self, c: int, column: Column, high: Floats) -> Floats:
        """How the loss rises with a number, in its spread, (R,)."""
        step = 1.0 if column.kind == "integer" else _STEP * column.scale
        signed = np.where(self.values[:, c] + step <= high, step, -step)
        rise: Floats = self._put(c, self.values[:, c] + signed) / signed * column.scale
        return rise

    def level(self, c: int, column: Column, rng: np.random.Generator) -> Floats:
        """The level of a category that the loss rises most by, (R,); the row's own where it rises by none."""
        levels = np.arange(column.known)
        if len(levels) > LEVELS:
            levels = np.sort(rng.choice(levels, LEVELS, replace=False))
        best, most = self.values[:, c].copy(), np.zeros(len(self.values))
        for level in levels:
            rise = self._put(c, float(level))
            better = rise > most
            best[better], most[better] = level, rise[better]
        return best

    def _put(self, c: int, value: Floats | float) -> Floats:
        """By how much the loss rises, along the gradient, where a column has another value."""
        moved = self.values.copy()
        moved[:, c] = value
        by = self.features(moved).astype(np.float64) - self.base
        found: Floats = np.where(np.isfinite(by), by * self.gradient, 0.0).sum(axis=1)
        return found
