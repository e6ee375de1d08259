"""Rows that are otherwise as a whole: what columns have together, whatever it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from bessemer.monitor.finding import WHOLE_ROWS, Kind, Test
from bessemer.monitor.joint import JointReference
from bessemer.monitor.reference import Reference
from bessemer.monitor.window import Window


class Mmd:
    """The maximum mean discrepancy of whole rows by random Fourier features (see `stats.mean_features`)."""

    kind: ClassVar[Kind] = "drift"
    reads: ClassVar[tuple[str, ...]] = ("mean",)

    def tests(self, reference: Reference, window: Window) -> Iterator[Test]:
        if window.joint is None or window.joint.mean is None:
            return
        known = JointReference(reference)
        found = known.mean.compare(window.joint.mean) if known.mean is not None else None
        if found is not None:
            yield Test(
                *("mmd", WHOLE_ROWS, self.kind, "maximum mean discrepancy", found.value),
                f"rows as a whole are otherwise: what {len(known.columns)} columns have together has changed",
                found.p_value,
                found.critical,
            )
