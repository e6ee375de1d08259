"""Slices: the test rows by the value of a raw column, or by its quarters where it is a measure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as pt
from numpy.typing import NDArray

MAX_LEVELS = 20
MIN_ROWS = 30

Kind = Literal["level", "range", "missing", "other"]


@dataclass(frozen=True)
class Slice:
    """Rows of one value (level), of one quarter (range), without a value, or of all the rarer levels.

    rows: int64, places in the test part, ascending.
    """

    column: str
    value: str
    kind: Kind
    rows: NDArray[np.int64]

    @property
    def too_small(self) -> bool:
        return len(self.rows) < MIN_ROWS


def columns_of(part: Path) -> list[str]:
    return list(pq.ParquetFile(part).schema_arrow.names)


def slices_of(part: Path, column: str) -> list[Slice]:
    """The slices of a column of a Parquet file; every row is in exactly one.

    Text, booleans and whole numbers of at most 20 different values have a slice for each of their 20 most
    frequent values; other numbers and timestamps are cut at their quartiles. Missing is what the graph takes for it:
    null, NaN, an empty text.
    """
    values = pq.ParquetFile(part).read(columns=[column]).column(column).combine_chunks()
    if isinstance(values, pa.ChunkedArray):
        values = pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], type=values.type)
    measure = pt.is_floating(values.type) or pt.is_timestamp(values.type) or pt.is_integer(values.type)
    if measure and not (pt.is_integer(values.type) and pc.count_distinct(values).as_py() <= MAX_LEVELS):
        return _ranges(column, values)
    return _levels(column, values)


def _levels(column: str, values: Any) -> list[Slice]:
    if pt.is_string(values.type) or pt.is_large_string(values.type):
        values = pc.if_else(pc.equal(values, ""), pa.scalar(None, values.type), values)
    coded = values.dictionary_encode()
    names = coded.dictionary.to_pylist()
    codes = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    counts = np.bincount(codes[codes >= 0], minlength=len(names))
    ranked = sorted(range(len(names)), key=lambda k: (-counts[k], names[k]))
    found = [
        Slice(column, _shown(names[k]), "level", np.flatnonzero(codes == k)) for k in ranked[:MAX_LEVELS]
    ]
    if rest := ranked[MAX_LEVELS:]:
        rows = np.flatnonzero(np.isin(codes, rest))
        found.append(Slice(column, f"{len(rest)} rarer values", "other", rows))
    return found + _missing(column, codes < 0)


def _ranges(column: str, values: Any) -> list[Slice]:
    timestamp = pt.is_timestamp(values.type)
    numbers = values.cast(pa.timestamp("us")).cast(pa.int64()) if timestamp else values
    missing = values.is_null(nan_is_null=True).to_numpy(zero_copy_only=False)
    filled = pc.fill_null(numbers, 0).to_numpy(zero_copy_only=False)
    known = filled[~missing]
    if not len(known):
        return _missing(column, missing)
    cuts = np.quantile(known, [0, 0.25, 0.5, 0.75, 1], method="inverted_cdf")
    edges = np.unique(cuts)
    inner = edges[1:-1]
    place = np.searchsorted(inner, filled, side="left")
    place[missing] = -1
    lows, highs = edges[:-1] if len(edges) > 1 else edges, edges[1:] if len(edges) > 1 else edges
    found = []
    for k, (low, high) in enumerate(zip(lows, highs, strict=True)):
        text = _range_text(low, high, first=k == 0, timestamp=timestamp)
        found.append(Slice(column, text, "range", np.flatnonzero(place == k)))
    return [s for s in found if len(s.rows)] + _missing(column, missing)


def _missing(column: str, missing: NDArray[np.bool_]) -> list[Slice]:
    return [Slice(column, "missing", "missing", np.flatnonzero(missing))] if missing.any() else []


def _range_text(low: Any, high: Any, *, first: bool, timestamp: bool) -> str:
    """'12 to 30' for the first range, which holds both ends; 'above 30 to 41' for the others."""
    ends = [_moment(x) if timestamp else f"{float(x):.6g}" for x in (low, high)]
    if low == high:
        return ends[0]
    return f"{ends[0]} to {ends[1]}" if first else f"above {ends[0]} to {ends[1]}"


def _moment(microseconds: Any) -> str:
    return str(np.datetime64(int(microseconds), "us").astype("datetime64[s]")).replace("T", " ")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def all_slices(part: Path, columns: Iterable[str]) -> dict[str, list[Slice]]:
    return {column: slices_of(part, column) for column in columns}
