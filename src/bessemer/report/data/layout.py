"""What each column is shown as, and the bins it is counted in: decided on the sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core.media import is_image
from bessemer.report.data.bins import (
    BINS,
    FEW_BINS,
    MANY,
    Bins,
    Booleans,
    Edges,
    Lengths,
    common_values,
    lengths,
    number_edges,
)
from bessemer.report.data.calendar import Calendar, calendar
from bessemer.report.data.parts import numbers
from bessemer.report.data.sample import TEXT
from bessemer.stats.arrays import Floats

if TYPE_CHECKING:
    from bessemer.report.data.sample import Sample

#: Categories with a bin of their own, where the page has room and where it has many columns.
_VALUES, _FEW_VALUES = 12, 6
#: A text has so many words on average and is no category that repeats (as `prepare` decides).
_WORDS, _REPEATS = 4.0, 0.1
#: A text column whose values differ in this share of the rows is an identifier, where so many rows show it.
_UNIQUE, _SEEN = 0.95, 20
#: Values that tell that a column is one of images.
_LOOKED_AT = 100
#: Tukey's outer fences: so many interquartile ranges beyond the quartiles lies what is far out.
FENCE = 3.0


@dataclass(frozen=True)
class Layout:
    """How a column is shown.

    kind: number, boolean, category, text, identifier, image or time. distinct: of the sample.
    fences: beyond them a number is far out; None where more than half of the values are equal, or it is none.
    calendar: a time's own bins. values: the known numbers of the sample (numbers and times), else empty.
    """

    name: str
    dtype: str
    kind: str
    bins: Bins
    distinct: int
    values: Floats
    fences: tuple[float, float] | None = None
    calendar: Calendar | None = None

    @property
    def coded(self) -> bool:
        """Whether it pays to read the column as codes and a dictionary."""
        return self.kind == "category"


def lay_out(sample: Sample, name: str, dtype: str, columns: int) -> Layout:
    """The layout of one of so many columns."""
    array, most = sample.column(name), BINS if columns <= MANY else FEW_BINS
    if dtype == "VARCHAR":
        return _text(sample, name, array, most)
    values = numbers(array)
    values = values[~np.isnan(values)]
    distinct = len(np.unique(values))
    if dtype == "BOOLEAN":
        return Layout(name, dtype, "boolean", Booleans(), distinct, values)
    if dtype == "TIMESTAMP":
        found = calendar(values)
        return Layout(name, dtype, "time", found.edges, distinct, values, calendar=found)
    fences, whole = _fences(values), bool(np.all(values == np.round(values)))
    edges = number_edges(values, most, whole=whole, fences=fences)
    return Layout(name, dtype, "number", edges, distinct, values, fences=fences)


def _text(sample: Sample, name: str, array: Any, most: int) -> Layout:
    import pyarrow.compute as pc

    known = array.filter(~sample.missing[name])
    counted = pc.value_counts(known)
    values, counts = counted.field("values").to_pylist(), counted.field("counts").to_pylist()
    kind, none = _text_kind(known, len(values)), np.zeros(0)
    if kind == "text":
        edges = number_edges(lengths(known), most, whole=True)
        return Layout(name, "VARCHAR", kind, Lengths(edges), len(values), none)
    short = [pair for pair in zip(values, counts, strict=True) if len(pair[0]) < TEXT]
    bins = common_values(
        [] if kind in ("identifier", "image") else short, _VALUES if most == BINS else _FEW_VALUES
    )
    return Layout(name, "VARCHAR", kind, bins, len(values), none)


def _text_kind(known: Any, distinct: int) -> str:
    import pyarrow.compute as pc

    n = len(known)
    if not n:
        return "category"
    if all(map(is_image, known.slice(0, _LOOKED_AT).to_pylist())):
        return "image"
    words = float(pc.sum(pc.count_substring(known, " ")).as_py()) / n + 1
    if words >= _WORDS and distinct >= _REPEATS * n:
        return "text"
    return "identifier" if n >= _SEEN and distinct >= _UNIQUE * n else "category"


def _fences(values: Floats) -> tuple[float, float] | None:
    if not len(values):
        return None
    low, high = (float(v) for v in np.quantile(values, [0.25, 0.75], method="inverted_cdf"))
    reach = FENCE * (high - low)
    return (low - reach, high + reach) if 0 < reach < float("inf") else None


def edges_of(layout: Layout) -> Edges | None:
    """The edges of what is counted, where it is counted by size."""
    bins = layout.bins
    return bins.edges if isinstance(bins, Lengths) else bins if isinstance(bins, Edges) else None
