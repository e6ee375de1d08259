"""Pearson's test of the shares of values, or of groups of numbers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

import numpy as np

from bessemer.monitor.finding import Kind, Test
from bessemer.monitor.grouping import compared
from bessemer.monitor.reference import Reference
from bessemer.monitor.window import Window
from bessemer.stats.distance import shares
from bessemer.stats.two_sample import chi_square, chi_square_critical, chi_square_p


class ChiSquare:
    """The statistic of homogeneity (Pearson 1900) in the groups that the package names, missing values apart."""

    kind: ClassVar[Kind] = "drift"

    def tests(self, reference: Reference, window: Window) -> Iterator[Test]:
        for name, before, now in compared(reference, window):
            value, freedom = chi_square(before, now)
            moved = float(np.abs(shares(before) - shares(now)).sum() / 2)
            yield Test(
                *("chi_square", name, self.kind, "chi-square", value),
                f"the distribution of '{name}' has changed: {moved:.1%} of the rows lie elsewhere",
                chi_square_p(value, freedom),
                partial(chi_square_critical, freedom=freedom),
            )
