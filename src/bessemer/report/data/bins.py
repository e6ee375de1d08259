"""The bins a column is counted in: of numbers, of values, of the lengths of texts. The last code is "missing"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from bessemer.report.data.parts import numbers
from bessemer.stats.arrays import Floats, Ints

#: Bins of a number where the page has room, and where it has many columns.
BINS, FEW_BINS = 24, 12
#: Columns from which on each has fewer bins.
MANY = 100
#: The share of a number's values left outside the drawn range on either side: the outer bins are open.
_TAIL = 0.005


class Bins(Protocol):
    """Gives each value of a column a bin: int64 codes (rows,), `size` for missing."""

    @property
    def size(self) -> int: ...

    def codes(self, array: Any) -> Ints: ...


@dataclass(frozen=True)
class Edges:
    """Bin i holds edges[i] < x <= edges[i + 1]; the first and the last also what lies beyond (as `stats.binning`)."""

    edges: Floats

    @property
    def size(self) -> int:
        return len(self.edges) - 1

    def of(self, values: Floats) -> Ints:
        codes = np.searchsorted(self.edges[1:-1], values)
        codes[np.isnan(values)] = self.size
        return codes.astype(np.int64)

    def codes(self, array: Any) -> Ints:
        return self.of(numbers(array))


@dataclass(frozen=True)
class Lengths:
    """Texts by their number of characters."""

    edges: Edges

    @property
    def size(self) -> int:
        return self.edges.size

    def codes(self, array: Any) -> Ints:
        return self.edges.of(lengths(array))


@dataclass(frozen=True)
class Booleans:
    """False and true."""

    @property
    def size(self) -> int:
        return 2

    def codes(self, array: Any) -> Ints:
        return np.nan_to_num(numbers(array), nan=2.0).astype(np.int64)


@dataclass(frozen=True)
class Values:
    """Texts by their value; those that are not listed share one bin, which stands last."""

    values: tuple[str, ...]

    @property
    def size(self) -> int:
        return len(self.values) + 1

    @cached_property
    def _set(self) -> Any:
        import pyarrow as pa

        return pa.array([*self.values, ""], pa.string())

    def codes(self, array: Any) -> Ints:
        import pyarrow as pa

        if not pa.types.is_dictionary(array.type):
            return self._plain(array)
        if not len(array.dictionary):
            return np.full(len(array), self.size, dtype=np.int64)
        places = array.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        return np.asarray(np.append(self._plain(array.dictionary), self.size)[places], dtype=np.int64)

    def _plain(self, array: Any) -> Ints:
        import pyarrow.compute as pc

        others, absent = len(self.values), array.is_null().to_numpy(zero_copy_only=False)
        found = pc.fill_null(pc.index_in(array, self._set), -1).to_numpy(zero_copy_only=False)
        codes = np.where(found < 0, others, np.where(found == others, self.size, found))
        return np.where(absent, self.size, codes).astype(np.int64)


def lengths(array: Any) -> Floats:
    """Characters of each text, NaN where it is missing or empty."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pc.utf8_length(array).cast(pa.float64()).to_numpy(zero_copy_only=False)
    return np.where(found > 0, found, np.nan)


def number_edges(
    values: Floats, most: int, *, whole: bool, fences: tuple[float, float] | None = None
) -> Edges:
    """Edges for a number from known values (n,), none NaN.

    A few whole numbers get a bin each; else bins are equally wide over the bulk of the values, on round numbers: what
    lies beyond the fences would squeeze all others into one bin.

    >>> number_edges(np.array([1.0, 2, 2, 3]), 24, whole=True).edges.tolist()
    [0.5, 1.5, 2.5, 3.5]
    """
    if not len(values):
        return Edges(np.array([0.0, 1.0]))
    low, high = (float(v) for v in np.quantile(values, [_TAIL, 1 - _TAIL], method="inverted_cdf"))
    if low == high:
        low, high = float(values.min()), float(values.max())
    if low == high:
        return Edges(np.array([low, high]))
    if whole and high - low < most:
        return Edges(np.arange(low, high + 2) - 0.5)
    if fences is not None and max(low, fences[0]) < min(high, fences[1]):
        low, high = max(low, fences[0]), min(high, fences[1])
    return Edges(_round_edges(low, high, most, whole=whole))


def _round_edges(low: float, high: float, most: int, *, whole: bool) -> Floats:
    """At most about so many equal bins on round numbers; where the spread is too small for those, on any."""
    width = high / most - low / most
    if width > max(1e-300, 1e-12 * max(abs(low), abs(high))):
        step = _round_step(width, whole=whole)
        edges = np.arange(np.floor(low / step), np.ceil(high / step) + 1) * step
        if len(edges) > 2:
            return np.asarray(edges, dtype=np.float64)
    return np.unique([low, *(low + (high - low) * (i / most) for i in range(1, most)), high])


def _round_step(width: float, *, whole: bool) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten.

    >>> _round_step(0.3, whole=False), _round_step(2.1, whole=True)
    (0.5, 5.0)
    """
    power = 10.0 ** np.floor(np.log10(width))
    steps = (1, 2, 5, 10) if whole else (1, 2, 2.5, 5, 10)
    step = float(next(m * power for m in steps if m * power >= width * 0.999999))
    return max(1.0, step) if whole else step


def common_values(counts: Sequence[tuple[str, int]], most: int) -> Values:
    """The most frequent values, the first of equals by name."""
    ranked = sorted(counts, key=lambda pair: (-pair[1], pair[0]))
    return Values(tuple(value for value, _ in ranked[:most]))
