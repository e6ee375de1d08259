"""The greatest distance of two cumulative distributions of numbers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

from bessemer.monitor.finding import Kind, Test
from bessemer.monitor.grouping import numeric
from bessemer.monitor.reference import Reference
from bessemer.monitor.window import Window
from bessemer.stats.distance import kolmogorov_smirnov
from bessemer.stats.two_sample import kolmogorov_critical, kolmogorov_p


class KolmogorovSmirnov:
    """The two-sample distance at the edges of the reference's bins: 256 quantiles, so within 1/256 of the exact one."""

    kind: ClassVar[Kind] = "drift"

    def tests(self, reference: Reference, window: Window) -> Iterator[Test]:
        for name, before, now in numeric(reference, window):
            value = float(kolmogorov_smirnov(before.counts, now.counts))
            yield Test(
                *("kolmogorov_smirnov", name, self.kind, "KS distance", value),
                f"the distribution of '{name}' has moved: mean {now.mean:.4g}, {before.mean:.4g} before",
                kolmogorov_p(value, before.count, now.count),
                partial(kolmogorov_critical, n=before.count, m=now.count),
            )
