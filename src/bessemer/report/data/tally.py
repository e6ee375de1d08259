"""The second pass: every column counted by part, by target and by bin, in one stream of all rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.report.data.bins import Edges
from bessemer.report.data.parts import Parts, numbers
from bessemer.stats.arrays import Floats, Ints

if TYPE_CHECKING:
    from bessemer.core.stage import Context
    from bessemer.report.data.layout import Layout
    from bessemer.report.data.target import Target

#: Smallest and greatest values that are kept.
EXTREMES = 5


@dataclass
class Tally:
    """What was counted of a column.

    counts: int64 (parts, groups, bins + 1), the last bin is "missing". sums: of the target of a regression, by bin,
    float64 (bins + 1,). beyond: rows below the lower and above the upper fence, by part, int64 (parts, 2).
    low, high: the smallest and greatest distinct values, ascending.
    """

    counts: Ints
    sums: Floats
    beyond: Ints
    low: Floats
    high: Floats

    @property
    def by_part(self) -> Ints:
        return np.asarray(self.counts.sum(axis=1))

    @property
    def by_group(self) -> Ints:
        return np.asarray(self.counts.sum(axis=0))

    @property
    def rows(self) -> int:
        return int(self.counts.sum())


def count(parts: Parts, layouts: Sequence[Layout], target: Target, ctx: Context) -> dict[str, Tally]:
    """A tally of each column."""
    names = [layout.name for layout in layouts]
    shape = (len(parts.names), len(target.groups))
    found = {layout.name: _empty(shape, layout) for layout in layouts}
    if not names:
        return found
    coded = [layout.name for layout in layouts if layout.coded]
    with ctx.progress("describe the data", sum(parts.rows)) as bar:
        for batch in parts.batches(names, dictionaries=coded):
            groups = target.codes(batch.y)
            for place, layout in enumerate(layouts):
                _add(
                    found[layout.name], layout, batch.rows.column(place), batch.part, groups, batch.y, target
                )
            bar.advance(len(batch.y))
    return found


def _empty(shape: tuple[int, int], layout: Layout) -> Tally:
    bins, none = layout.bins.size + 1, np.zeros(0)
    counts = np.zeros((*shape, bins), dtype=np.int64)
    return Tally(counts, np.zeros(bins), np.zeros((shape[0], 2), dtype=np.int64), none, none)


def _add(
    tally: Tally, layout: Layout, array: Any, part: int, groups: Ints, y: Floats, target: Target
) -> None:
    if isinstance(layout.bins, Edges):
        values = numbers(array)
        codes = layout.bins.of(values)
        if layout.kind == "number":
            _range(tally, layout, values, part)
    else:
        codes = layout.bins.codes(array)
    _, width, bins = tally.counts.shape
    found = np.bincount(groups * bins + codes, minlength=width * bins)
    tally.counts[part] += found.reshape(width, bins)
    if target.task == "regression":
        tally.sums += np.bincount(codes, weights=y, minlength=bins)


def _range(tally: Tally, layout: Layout, values: Floats, part: int) -> None:
    if layout.fences is not None:
        low, high = layout.fences
        tally.beyond[part] += (np.count_nonzero(values < low), np.count_nonzero(values > high))
    full = len(tally.low) == EXTREMES
    if (lower := values[values < tally.low[-1]] if full else values[~np.isnan(values)]).size:
        tally.low = np.unique(np.append(tally.low, lower))[:EXTREMES]
    if (upper := values[values > tally.high[0]] if full else values[~np.isnan(values)]).size:
        tally.high = np.unique(np.append(tally.high, upper))[-EXTREMES:]
