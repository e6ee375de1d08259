"""The population stability index, its bias taken off."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

from bessemer.monitor.finding import Kind, Test
from bessemer.monitor.grouping import compared
from bessemer.monitor.reference import Reference
from bessemer.monitor.window import Window
from bessemer.stats.distance import psi, psi_bias
from bessemer.stats.two_sample import chi_square_critical, chi_square_p


class Psi:
    """PSI minus (B - 1)(1/n + 1/m), what it is on average if nothing has changed (Yurdakul 2018), in B groups.

    So small samples do not alarm by being small: PSI / (1/n + 1/m) follows a chi-square law.
    """

    kind: ClassVar[Kind] = "drift"

    def tests(self, reference: Reference, window: Window) -> Iterator[Test]:
        for name, before, now in compared(reference, window):
            freedom, size = len(before) - 1, 1 / before.sum() + 1 / now.sum()
            value, bias = float(psi(before, now)), psi_bias(len(before), before.sum(), now.sum())
            yield Test(
                *("psi", name, self.kind, "PSI", value - bias),
                f"the population stability index of '{name}' is {value - bias:.4g}",
                chi_square_p(value / size, freedom),
                partial(_critical, freedom=freedom, size=size, bias=bias),
            )


def _critical(probability: float, *, freedom: int, size: float, bias: float) -> float:
    return chi_square_critical(probability, freedom) * size - bias
