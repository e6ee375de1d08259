"""Texts that are made of other words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from bessemer.monitor.finding import Kind, Test
from bessemer.monitor.joint import JointReference
from bessemer.monitor.reference import Reference
from bessemer.monitor.window import Window


class Text:
    """The mean shares of hashed words and of runs of three bytes, of columns whose values are too many to count."""

    kind: ClassVar[Kind] = "drift"
    reads: ClassVar[tuple[str, ...]] = ("texts",)

    def tests(self, reference: Reference, window: Window) -> Iterator[Test]:
        if window.joint is None:
            return
        known = JointReference(reference).texts
        for name, seen in window.joint.texts.items():
            found = known[name].compare(seen)
            if found is not None:
                yield Test(
                    *("text", name, self.kind, "maximum mean discrepancy of words", found.value),
                    f"the texts of '{name}' are made of other words, or of other runs of letters",
                    found.p_value,
                    found.critical,
                )
