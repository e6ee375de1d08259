"""How far apart rows of mixed columns are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bessemer.explain.perturb import Column
    from bessemer.explain.sample import Floats

#: The share of values at either end that does not widen a column's range: one outlier must not make all others equal.
TAIL = 0.01

#: The most numbers held at once.
BLOCK = 4_000_000


@dataclass(frozen=True)
class Gower:
    """Gower's distance: the mean over columns of a difference between 0 and 1.

    Numbers and timestamps differ by |a - b| over the range (from the 1st to the 99th percentile), at most 1;
    categories by 0 or 1; a missing value from a known one by 1. A column with a single value never differs.

    Source: Gower, "A general coefficient of similarity and some of its properties", Biometrics 27 (1971).

    span: (C,), the range of ordered columns, 0 for categories.

    >>> from bessemer.explain.perturb import Column
    >>> age = Column("age", "number", np.array([20.0, 30, 40, np.nan]))
    >>> city = Column("city", "category", np.array([0.0, 1, 0, 0]), ("Bern", "Basel"))
    >>> gower = Gower.of([age, city])
    >>> gower.between(np.array([[20.0, 0]]), np.array([[30.0, 0], [40, 1], [np.nan, 0]])).round(2).tolist()
    [[0.26, 1.0, 0.5]]
    """

    span: Floats

    @classmethod
    def of(cls, columns: Sequence[Column]) -> Gower:
        return cls(np.array([_span(column) for column in columns]))

    def parts(self, a: Floats, b: Floats) -> Floats:
        """The difference in each column, (..., C), of values that broadcast against each other."""
        both, one = np.isnan(a) & np.isnan(b), np.isnan(a) ^ np.isnan(b)
        ordered = self.span > 0
        width = np.where(ordered, self.span, 1.0)
        with np.errstate(invalid="ignore", over="ignore"):
            apart = np.minimum(np.abs(a - b) / width, 1.0)
            found = np.where(ordered, apart, (a != b).astype(np.float64))
        return np.where(both, 0.0, np.where(one, 1.0, found))

    def between(self, a: Floats, b: Floats) -> Floats:
        """(N, C) and (M, C) -> (N, M), block by block."""
        found = np.empty((len(a), len(b)))
        size = max(1, BLOCK // max(1, b.size))
        for start in range(0, len(a), size):
            parts = self.parts(a[start : start + size, None, :], b[None, :, :])
            found[start : start + size] = parts.mean(axis=2) if parts.shape[2] else 0.0
        return found


def _span(column: Column) -> float:
    """The range of an ordered column without its tails; the whole range where that is nothing."""
    known = column.values[~np.isnan(column.values)]
    if not column.ordered or not len(known):
        return 0.0
    low, high = np.quantile(known, [TAIL, 1 - TAIL])
    if high <= low:
        low, high = known.min(), known.max()
    return float(high - low) if np.isfinite(high - low) else float(np.finfo(np.float64).max)
