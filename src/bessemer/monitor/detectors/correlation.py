"""Pairs of numbers that go together otherwise than before."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

import numpy as np

from bessemer.monitor.finding import Kind, Test
from bessemer.monitor.reference import Reference
from bessemer.monitor.window import Window
from bessemer.stats.association import correlation_critical, correlation_p


class Correlation:
    """The pair of columns whose rank correlation has changed most, by Fisher's z; one test, corrected for all pairs.

    The variance of z is that of the pair as it is: two columns need not be jointly normal.

    It finds what no column shows by itself. A column that has changed by itself changes its correlations, too: then the
    tests of that column are the surer ones.
    """

    kind: ClassVar[Kind] = "drift"
    reads: ClassVar[tuple[str, ...]] = ("pairs",)

    def tests(self, reference: Reference, window: Window) -> Iterator[Test]:
        if window.pairs is None:
            return
        before, now = reference.pairs, window.pairs
        place = [before.columns.index(name) for name in now.columns]
        pairs = []
        for i, j in zip(*np.triu_indices(len(place), 1), strict=True):
            at = place[i], place[j]
            numbers = (before.correlation[at], before.rows[at], now.correlation[i, j], now.rows[i, j])
            if np.isfinite(numbers).all():
                factor = float(max(before.spread[at], now.spread[i, j]))
                p = correlation_p(*map(float, numbers), factor=factor)
                pairs.append((p, i, j, (*numbers, factor)))
        if not pairs:
            return
        p, i, j, (r, n, other, m, factor) = min(pairs, key=lambda pair: pair[:3])
        named = f"{now.columns[i]} × {now.columns[j]}"
        yield Test(
            *("correlation", named, self.kind, "change of the rank correlation", abs(other - r)),
            f"'{now.columns[i]}' and '{now.columns[j]}' go together otherwise: correlation {other:.3g}, {r:.3g} before",
            min(1.0, p * len(pairs)),
            partial(
                _critical,
                r=float(r),
                n=float(n),
                m=float(m),
                factor=factor,
                rises=bool(other > r),
                pairs=len(pairs),
            ),
        )


def _critical(
    probability: float, *, r: float, n: float, m: float, factor: float, rises: bool, pairs: int
) -> float:
    return correlation_critical(probability / pairs, r, n, m, factor, rises=rises)
