"""Rows that do not follow from few directions as they used to."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

import numpy as np

from bessemer.monitor.finding import WHOLE_ROWS, Kind, Test
from bessemer.monitor.joint import JointReference
from bessemer.monitor.reference import Reference
from bessemer.monitor.window import Window
from bessemer.stats.distance import kolmogorov_smirnov
from bessemer.stats.mean_features import LEAST_ROWS
from bessemer.stats.two_sample import kolmogorov_critical, kolmogorov_p

#: The share of the reference's rows that do not lie far, for the words of a finding.
_FAR = 0.9


class Reconstruction:
    """How far rows lie from the plane of the reference's principal components: the KS distance, in 256 bins."""

    kind: ClassVar[Kind] = "drift"
    reads: ClassVar[tuple[str, ...]] = ("distances",)

    def tests(self, reference: Reference, window: Window) -> Iterator[Test]:
        if window.joint is None or window.joint.distances is None:
            return
        before, now = JointReference(reference).counts, window.joint.distances
        if now.sum() < LEAST_ROWS:
            return
        value = float(kolmogorov_smirnov(before, now))
        far = int(np.searchsorted(np.cumsum(before), _FAR * before.sum())) + 1
        beyond, expected = (float(counts[far:].sum() / counts.sum()) for counts in (now, before))
        yield Test(
            *("reconstruction", WHOLE_ROWS, self.kind, "KS distance of the reconstruction error", value),
            f"rows go together otherwise: {beyond:.1%} of them lie far from what they used to be made of, "
            f"{expected:.1%} before",
            kolmogorov_p(value, float(before.sum()), float(now.sum())),
            partial(kolmogorov_critical, n=float(before.sum()), m=float(now.sum())),
        )
