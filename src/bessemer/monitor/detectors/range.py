"""Numbers outside the range of training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from bessemer.monitor.finding import Kind, Test
from bessemer.monitor.reference import Reference
from bessemer.monitor.window import Window
from bessemer.stats.two_sample import outside_p


class Range:
    """The number of values below the smallest or above the greatest of training.

    A few are no surprise: of n and m values of one distribution, 2m / (n + 1) of the m lie outside the n on average.
    """

    kind: ClassVar[Kind] = "quality"

    def tests(self, reference: Reference, window: Window) -> Iterator[Test]:
        for name, column in window.columns.items():
            before = reference.columns[name]
            if not before.is_numeric or before.dtype == "timestamp" or not before.count:
                continue
            assert before.edges is not None
            outside = column.below + column.above
            low, high = before.edges[0], before.edges[-1]
            own = f"{column.low:g} to {column.high:g}" if column.low is not None else "nothing"
            text = f"{outside:,} values of '{name}' lie outside {low:g} to {high:g}; they reach from {own}"
            p = outside_p(outside, column.sketch.count, before.count, 2)
            yield Test("range", name, self.kind, "values outside", float(outside), text, p)
