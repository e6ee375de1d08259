"""Whether values are missing more or less often than in training."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

from bessemer.monitor.finding import Kind, Test
from bessemer.monitor.reference import Reference
from bessemer.monitor.window import Window
from bessemer.stats.two_sample import shares_critical, shares_p


class Missing:
    """The difference of the two shares of missing values; the score test, or Fisher's where few are missing."""

    kind: ClassVar[Kind] = "quality"

    def tests(self, reference: Reference, window: Window) -> Iterator[Test]:
        for name, column in window.columns.items():
            before, now = reference.columns[name], column.sketch
            events, rows = (float(before.missing), float(now.missing)), (float(before.rows), float(now.rows))
            if not sum(events) or not all(rows):
                continue
            shares = [e / r for e, r in zip(events, rows, strict=True)]
            yield Test(
                *("missing", name, self.kind, "missing share"),
                abs(shares[1] - shares[0]),
                f"{shares[1]:.2%} of '{name}' are missing, {shares[0]:.2%} before",
                shares_p(events, rows),
                partial(shares_critical, events=events, rows=rows),
            )
