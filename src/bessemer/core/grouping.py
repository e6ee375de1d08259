"""Rows by the value of a column: the same groups in training, in judging and in the graph that ships.

A text, a boolean and a whole number of few different values has a group a value (*levels*); another number and a
timestamp is cut (*edges*). Values that were not there when the groups were made, and missing ones, have groups of
their own.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

#: A column has at most so many levels; the rarer ones stand together.
MOST_LEVELS = 20
OTHER, MISSING = "other values", "missing"
_QUARTERS = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Grouping:
    """The groups of a column: one a level, or one a range, then `OTHER`, then `MISSING`.

    levels: the values, most frequent first.
    edges: ascending; the ranges are up to edges[0], above edges[0] to edges[1], ..., above the last. Timestamps in
        microseconds since 1970 (UTC).
    """

    column: str
    dtype: str
    levels: tuple[Any, ...] = ()
    edges: tuple[Any, ...] = ()
    kind: str = field(default="levels")

    @property
    def size(self) -> int:
        """How many groups there are, `OTHER` and `MISSING` not among them."""
        return len(self.levels) if self.kind == "levels" else len(self.edges) + 1

    @property
    def names(self) -> list[str]:
        """What the groups are called, `size` + 2 names that all differ.

        >>> Grouping("x", "string", levels=("a", "missing")).names
        ['a', 'missing', 'other values', 'missing (no value)']
        """
        if self.kind == "levels":
            own = [str(v).lower() if isinstance(v, bool) else str(v) for v in self.levels]
        else:
            own = _ranges(_texts(self.edges, self.dtype))
        other = _unlike(OTHER, own, " (rarer ones)")
        return [*own, other, _unlike(MISSING, own, " (no value)")]

    def codes(self, values: pa.Array | pa.ChunkedArray) -> NDArray[np.int64]:
        """The group of each value, int64 (n,): `size` is `OTHER`, `size` + 1 is `MISSING` (null, NaN, infinite, '')."""
        import pyarrow as pa
        import pyarrow.compute as pc

        missing = missing_values(values)
        if self.kind == "levels":
            own = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
            found = pc.fill_null(pc.index_in(values, value_set=pa.array(self.levels, type=own)), self.size)
            codes = found.to_numpy(zero_copy_only=False) if isinstance(found, pa.Array) else found.to_numpy()
        else:
            # Numbers are compared as in the graph.
            kind = np.int64 if self.dtype == "timestamp" else np.float32
            with np.errstate(over="ignore"):
                edges = np.asarray(self.edges, dtype=kind)
            codes = np.searchsorted(edges, numbers_of(values).astype(kind), side="left")
        grouped: NDArray[np.int64] = np.where(missing, self.size + 1, codes).astype(np.int64)
        return grouped

    def to_json(self) -> dict[str, Any]:
        return {
            "column": self.column,
            "dtype": self.dtype,
            "kind": self.kind,
            "levels": list(self.levels),
            "edges": list(self.edges),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Grouping:
        return cls(
            value["column"], value["dtype"], tuple(value["levels"]), tuple(value["edges"]), value["kind"]
        )


def group(
    column: str,
    values: pa.Array | pa.ChunkedArray,
    bins: Sequence[float] | None = None,
    most: int = MOST_LEVELS,
) -> Grouping:
    """The groups that a column's values make.

    Args:
        bins: where numbers are cut; at their quartiles when nothing is said.
        most: how many levels are kept, the most frequent ones.

    >>> import pyarrow as pa
    >>> found = group("sex", pa.array(["f", "m", "m", None, ""]))
    >>> found.levels, found.codes(pa.array(["m", "x", None])).tolist()
    (('m', 'f'), [0, 2, 3])
    >>> group("age", pa.array([17.0, 44.0]), bins=[25, 60]).names[:3]
    ['up to 25', 'above 25 to 60', 'above 60']
    """
    dtype = _dtype(values.type)
    measure = dtype in ("number", "timestamp") or (
        dtype == "integer" and (bins is not None or _is_measure(values, most))
    )
    if not measure:
        return Grouping(column, dtype, levels=_levels(values, most))
    if bins is None:
        known = numbers_of(values)[~missing_values(values)]
        cuts = np.quantile(known, _QUARTERS, method="inverted_cdf") if len(known) else known[:0]
        inner = np.unique(cuts)
        bins = inner[inner < known.max()].tolist() if len(known) else []
    return Grouping(column, dtype, edges=tuple(sorted(set(bins))), kind="ranges")


def _is_measure(values: pa.Array | pa.ChunkedArray, most: int) -> bool:
    """Whether whole numbers are too many, or too large for the float32 of the graph, to be groups of their own."""
    import pyarrow.compute as pc

    ends = pc.min_max(values).as_py()
    large = max(abs(ends["min"] or 0), abs(ends["max"] or 0)) > 2**24
    return bool(large or pc.count_distinct(values).as_py() > most)


def _levels(values: pa.Array | pa.ChunkedArray, most: int) -> tuple[Any, ...]:
    counted: dict[Any, int] = {}
    for pair in values.value_counts() if len(values) else ():
        value, count = pair["values"].as_py(), pair["counts"].as_py()
        if value is not None and value != "":
            counted[value] = counted.get(value, 0) + count
    ranked = sorted(counted, key=lambda v: (-counted[v], v))
    return tuple(ranked[:most])


def missing_values(values: pa.Array | pa.ChunkedArray) -> NDArray[np.bool_]:
    """Which values the graph takes for missing, bool (n,): null, NaN, infinite, an empty text.

    Numbers are float32 in the graph: what is beyond its range (about 3.4e38) is infinite there.

    >>> import pyarrow as pa
    >>> missing_values(pa.array([1.0, None, 1e300])).tolist()
    [False, True, True]
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        plain = values.cast(kind)
        found = pc.fill_null(pc.equal(plain, pa.scalar("", kind)), True)
    elif pa.types.is_floating(kind):
        found = pc.fill_null(pc.invert(pc.is_finite(values.cast(pa.float32(), safe=False))), True)
    else:
        found = pc.is_null(values)
    made = found.to_numpy(zero_copy_only=False) if isinstance(found, pa.Array) else found.to_numpy()
    return np.asarray(made, dtype=np.bool_)


def numbers_of(values: pa.Array | pa.ChunkedArray) -> NDArray[Any]:
    """Numbers as float64 (n,), NaN where null, infinite beyond the float32 of the graph; timestamps as int64
    microseconds, 0 where null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_timestamp(values.type):
        values = pc.fill_null(values.cast(pa.timestamp("us")).cast(pa.int64()), 0)
        return np.asarray(values.to_numpy(), dtype=np.int64)
    numbers = values.cast(pa.float64(), safe=False)
    found = (
        numbers.to_numpy() if isinstance(numbers, pa.ChunkedArray) else numbers.to_numpy(zero_copy_only=False)
    )
    known: NDArray[np.float64] = np.asarray(found, dtype=np.float64)
    with np.errstate(over="ignore"):
        single = known.astype(np.float32)
    return np.where(np.isinf(single), single, known)


def _dtype(kind: pa.DataType) -> str:
    import pyarrow.types as pt

    if pt.is_dictionary(kind):
        kind = kind.value_type
    if pt.is_boolean(kind):
        return "boolean"
    if pt.is_integer(kind):
        return "integer"
    if pt.is_floating(kind):
        return "number"
    return "timestamp" if pt.is_timestamp(kind) else "string"


def _texts(edges: Sequence[Any], dtype: str) -> list[str]:
    """Edges in words: in 6 digits, or to the second; in as many more as tell them apart where these do not."""
    if dtype == "timestamp":
        moments = [dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=int(edge)) for edge in edges]
        forms = ("seconds", "milliseconds", "microseconds")
        ways = ([moment.isoformat(" ", form) for moment in moments] for form in forms)
    else:
        whole = all(float(edge).is_integer() and abs(edge) < 2**53 for edge in edges)
        digits = [".6g", *([".0f"] if whole else []), *(f".{k}g" for k in range(7, 18))]
        ways = ([format(float(edge), form) for edge in edges] for form in digits)
    found: list[str] = []
    for found in ways:
        if len(set(found)) == len(edges):
            break
    return found


def _unlike(name: str, taken: Sequence[str], more: str) -> str:
    """A name that is not taken: with `more` behind it as often as it needs."""
    while name in taken:
        name += more
    return name


def _ranges(edges: Sequence[str]) -> list[str]:
    if not edges:
        return ["all values"]
    inner = [f"above {low} to {high}" for low, high in pairwise(edges)]
    return [f"up to {edges[0]}", *inner, f"above {edges[-1]}"]
