"""How far numbers have moved."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from typing import ClassVar

import numpy as np

from bessemer.monitor.finding import Kind, Test
from bessemer.monitor.grouping import numeric
from bessemer.monitor.reference import Reference
from bessemer.monitor.window import Window
from bessemer.stats.two_sample import wasserstein, wasserstein_null


class Wasserstein:
    """The first Wasserstein distance in standard deviations of the reference.

    What it is by chance is found by drawing both samples from the reference's counts; a gamma law with the mean and
    variance of the draws reaches the tail that they do not.
    """

    kind: ClassVar[Kind] = "drift"

    def tests(self, reference: Reference, window: Window) -> Iterator[Test]:
        from scipy.special import gammaincc

        for name, before, now in numeric(reference, window):
            if not before.std > 0:
                continue
            assert before.edges is not None
            edges = before.edges / before.std
            value = float(wasserstein(edges, before.counts, now.counts))
            seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
            mean, spread = wasserstein_null(edges, before.counts, now.count, np.random.default_rng(seed))
            shape, scale = (mean / spread) ** 2, spread**2 / mean
            yield Test(
                *("wasserstein", name, self.kind, "Wasserstein distance", value),
                f"'{name}' has moved by {value:.3g} standard deviations",
                float(gammaincc(shape, value / scale)),
                partial(_critical, shape=shape, scale=scale),
            )


def _critical(probability: float, *, shape: float, scale: float) -> float:
    from scipy.special import gammainccinv

    return float(gammainccinv(shape, probability) * scale)
