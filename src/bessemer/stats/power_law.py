"""How an error falls with the number of rows: error = a + b rows^-c.

Cortes et al. 1994; Hestness et al. 2017 found it over many tasks and sizes. `a` is what no number of rows removes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bessemer.stats.arrays import Floats

#: Exponents that are tried: from hardly any gain with rows to a faster one than independent rows can give.
_EXPONENTS = np.linspace(0.05, 2.0, 118)


@dataclass(frozen=True)
class PowerLaw:
    """error(rows) = floor + scale * rows^-exponent, all >= 0."""

    floor: float
    scale: float
    exponent: float

    def __call__(self, rows: float) -> float:
        return float(self.floor + self.scale * rows**-self.exponent)


def fit_power_law(rows: ArrayLike, errors: ArrayLike, spread: ArrayLike | None = None) -> PowerLaw:
    """The power law of least weighted squares.

    Args:
        rows: (n,), n >= 2 different numbers of rows, > 0.
        errors: (n,), the error with so many rows, finite.
        spread: (n,), the standard error of each; all alike where it is left out.

    For each exponent floor and scale follow in closed form; where one would be negative it is 0. Errors that do not
    fall give a scale of 0.

    >>> law = fit_power_law([100, 400, 1600], [0.2, 0.15, 0.125])
    >>> round(law.floor, 2), round(law.exponent, 2), round(law(6400), 4)
    (0.1, 0.5, 0.1125)
    """
    n, e = np.asarray(rows, dtype=np.float64), np.asarray(errors, dtype=np.float64)
    given = np.ones(len(n)) if spread is None else np.asarray(spread, dtype=np.float64)
    most = float(given.max()) or 1.0
    weight = 1 / np.maximum(given / most, 1e-3 if given.any() else 1.0) ** 2
    weight = weight / weight.sum()
    x = (n / n.min()) ** -_EXPONENTS[:, None]
    floor, scale = _lines(x, e, weight)
    misfit = (weight * (e - floor[:, None] - scale[:, None] * x) ** 2).sum(axis=1)
    best = int(np.argmin(misfit))
    c = float(_EXPONENTS[best])
    return PowerLaw(float(floor[best]), float(scale[best] * n.min() ** c), c)


def _lines(x: Floats, e: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """The line e = floor + scale x with both >= 0 of least weighted squares, for each row of x (k, n)."""
    mx, me = (weight * x).sum(axis=1), float((weight * e).sum())
    spread = (weight * (x - mx[:, None]) ** 2).sum(axis=1)
    slope = (weight * (x - mx[:, None]) * (e - me)).sum(axis=1) / np.maximum(spread, 1e-300)
    scale = np.maximum(slope, 0.0)
    floor = me - scale * mx
    through = np.maximum((weight * x * e).sum(axis=1) / (weight * x**2).sum(axis=1), 0.0)
    below = floor < 0
    return np.where(below, 0.0, floor), np.where(below, through, scale)
