"""The Jensen-Shannon distance."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import ClassVar

from bessemer.monitor.finding import Kind, Test
from bessemer.monitor.grouping import compared
from bessemer.monitor.reference import Reference
from bessemer.monitor.window import Window
from bessemer.stats.distance import jensen_shannon
from bessemer.stats.two_sample import chi_square_critical, chi_square_p


class JensenShannon:
    """The root of the divergence in bits (Endres and Schindelin 2003), in the groups that the package names.

    To second order the divergence is an eighth of the chi-square distance, in nats, which gives its law.
    """

    kind: ClassVar[Kind] = "drift"

    def tests(self, reference: Reference, window: Window) -> Iterator[Test]:
        for name, before, now in compared(reference, window):
            freedom = len(before) - 1
            value = float(jensen_shannon(before, now))
            unit = (1 / before.sum() + 1 / now.sum()) / (8 * math.log(2))
            yield Test(
                *("jensen_shannon", name, self.kind, "Jensen-Shannon distance", value),
                f"the distribution of '{name}' is {value:.4g} from what it was (0: the same, 1: nothing in common)",
                chi_square_p(value**2 / unit, freedom),
                partial(_critical, freedom=freedom, unit=unit),
            )


def _critical(probability: float, *, freedom: int, unit: float) -> float:
    return math.sqrt(chi_square_critical(probability, freedom) * unit)
