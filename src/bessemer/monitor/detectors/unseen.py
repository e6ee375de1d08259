"""Texts that training did not have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from bessemer.monitor.finding import Kind, Test
from bessemer.monitor.reference import Reference
from bessemer.monitor.window import Window
from bessemer.stats.two_sample import outside_p


class Unseen:
    """The number of rows with a text that no training row had.

    A few are no surprise: by Good (1953) the share of texts that were never seen is about that of the rows whose text
    was seen once. Only of columns all of whose texts are known; where the reference counts the rarest together
    (`other`), new ones are part of their share, which `chi_square` compares.
    """

    kind: ClassVar[Kind] = "quality"

    def tests(self, reference: Reference, window: Window) -> Iterator[Test]:
        for name, column in window.columns.items():
            before, now = reference.columns[name], column.sketch
            if before.is_numeric or before.counts[-1] or not before.count:
                continue
            new = int(now.counts[-1])
            examples = ", ".join(repr(value) for value in column.examples)
            text = f"{new:,} values of '{name}' were never seen in training: {examples}"
            once = int((before.counts == 1).sum())
            p = outside_p(new, now.count, before.count, once + 1)
            yield Test("unseen", name, self.kind, "unseen values", float(new), text, p)
