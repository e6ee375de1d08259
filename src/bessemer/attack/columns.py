"""Raw columns as an attacker sees them: numbers in float64, with the bounds, levels and costs of a change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from bessemer.core.constraints import OF_LEVELS, Limit
from bessemer.core.signature import Field
from bessemer.package.decision import Decision

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.attack.protocol import Sample, Victim

Floats = npt.NDArray[np.float64]
Norm = Literal["l0", "l1", "l_inf"]

WORDS: Mapping[Norm, str] = {
    "l0": "columns changed, times their cost",
    "l1": "sum of all changes of columns, in standard deviations, times their cost",
    "l_inf": "largest change of a column, in standard deviations, times its cost",
}


@dataclass(frozen=True)
class Column:
    """A raw column that may be changed.

    kind: `number` and `integer` have an order; `flag` and `category` are places in `levels`. NaN is missing.
    low, high: between which a changed number lies. known: the first levels, which the training rows have; others
        are only what a row has itself.
    scale: the spread of a number in the training rows, which is a change of 1; a change of any other kind is 1.
    """

    name: str
    kind: Literal["number", "integer", "flag", "category"]
    limit: Limit
    low: float = -np.inf
    high: float = np.inf
    scale: float = 1.0
    levels: tuple[Any, ...] = ()
    known: int = 0

    @property
    def ordered(self) -> bool:
        return self.kind in ("number", "integer")

    def distance(self, before: Floats | float, after: Floats | float) -> Floats:
        """What a change costs, of shapes that broadcast; 0 where nothing changed."""
        before, after = np.broadcast_arrays(np.asarray(before, float), np.asarray(after, float))
        gone = np.isnan(before) != np.isnan(after)
        far = np.abs(after - before) / self.scale if self.ordered else (before != after).astype(float)
        both = np.isnan(before) & np.isnan(after)
        found: Floats = np.where(both, 0.0, np.where(gone, 1.0, far)) * self.limit.cost
        return found

    def may(self, before: Floats | float, after: Floats) -> npt.NDArray[np.bool_]:
        """Whether values may become others, of shapes that broadcast; they may always stay."""
        before, after = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
        gone, was = np.isnan(after), np.isnan(before)
        if self.ordered:
            fine = (after >= self.low) & (after <= self.high)
            if self.limit.increase_only:
                fine = fine & ~(after < before)
            if self.limit.decrease_only:
                fine = fine & ~(after > before)
        else:
            fine = after < self.known
        fine = np.where(gone | was, self.limit.missing & (fine | gone), fine)
        same = (gone & was) | (after == before)
        found: npt.NDArray[np.bool_] = (fine & (not self.limit.immutable)) | same
        return found


def columns_of(victim: Victim, sample: Sample) -> tuple[Column, ...]:
    """The columns that may be changed, in the order of the signature: not times, texts, pictures, nor what is said to
    be immutable, has one value only, or is of the groups that have thresholds of their own."""
    import pyarrow.parquet as pq

    kinds: dict[str, set[str]] = {}
    for feature in victim.features:
        kinds.setdefault(feature["group"], set()).add(feature["kind"])
    path = victim.splits.path("train.parquet")
    grouped = {group.column for group in Decision.from_json(victim.facts.get("decision")).groups}
    stored = set(pq.read_schema(path).names)
    found = []
    for field in victim.signature.inputs:
        limit = victim.constraints.get(field.name, Limit())
        if limit.immutable or field.is_image or field.shape or field.name not in stored - grouped:
            continue
        train = pq.read_table(path, columns=[field.name]).column(0)
        made = _column(field, limit, kinds.get(field.name, set()), train, sample.table.column(field.name))
        if made is not None:
            found.append(made)
    return tuple(found)


def _column(
    field: Field, limit: Limit, kinds: set[str], train: pa.ChunkedArray, own: pa.ChunkedArray
) -> Column | None:
    if field.dtype in ("number", "integer"):
        return _ordered(field, limit, train)
    if field.dtype not in ("boolean", "string") or not kinds <= OF_LEVELS:
        return None
    levels = _levels(train)
    if len(levels) < 2 and not limit.missing:
        return None
    others = sorted({v for v in own.to_pylist() if v not in (None, "")} - set(levels))
    kind: Literal["flag", "category"] = "flag" if field.dtype == "boolean" else "category"
    return Column(field.name, kind, limit, levels=(*levels, *others), known=len(levels))


def _ordered(field: Field, limit: Limit, train: pa.ChunkedArray) -> Column | None:
    values = _numbers(train)
    values = values[np.isfinite(values)]
    spread = float(values.std()) if len(values) else 0.0
    if not spread > 0:
        return None
    low = float(values.min()) if limit.min is None else limit.min
    high = float(values.max()) if limit.max is None else limit.max
    kind: Literal["number", "integer"] = "integer" if field.dtype == "integer" else "number"
    return Column(field.name, kind, limit, low, high, spread)


def _levels(column: pa.ChunkedArray) -> tuple[Any, ...]:
    """All values in their own order, missing ones left out: a certificate has to hold for the rarest too."""
    return tuple(sorted(value for value in column.unique().to_pylist() if value not in (None, "")))


def _numbers(column: pa.ChunkedArray) -> Floats:
    import pyarrow as pa

    values: Floats = column.cast(pa.float64(), safe=False).to_numpy()
    return values


def values_of(columns: Sequence[Column], table: pa.Table) -> Floats:
    """(N, C): numbers as they are, others as their place in `levels`; NaN is missing."""
    found = np.full((table.num_rows, len(columns)), np.nan)
    for c, column in enumerate(columns):
        raw = table.column(column.name)
        if column.ordered:
            numbers = _numbers(raw)
            found[:, c] = np.where(np.isfinite(numbers), numbers, np.nan)
        else:
            place = {level: i for i, level in enumerate(column.levels)}
            found[:, c] = [place.get(value, np.nan) for value in raw.to_pylist()]
    return found


def table_of(columns: Sequence[Column], values: Floats, base: pa.Table) -> pa.Table:
    """Raw rows with the values (N, C) in their columns; `base` has N rows, and the columns that stay.

    What is not moved stays exactly as it is in `base`, also where a float64 does not hold it, and whole numbers stay
    whole numbers.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    table, before = base, values_of(columns, base)
    for c, column in enumerate(columns):
        own, raw = values[:, c], base.column(column.name)
        if pa.types.is_dictionary(raw.type):
            raw = raw.cast(raw.type.value_type)
        made = (
            _ordered_array(column, own, raw.type) if column.ordered else _levels_array(column, own, raw.type)
        )
        if column.ordered and made.type != raw.type:
            raw = raw.cast(made.type, safe=False)
        same = (own == before[:, c]) | (np.isnan(own) & np.isnan(before[:, c]))
        kept = pc.if_else(pa.array(same), raw, made)
        table = table.set_column(table.schema.get_field_index(column.name), column.name, kept)
    return table


def _ordered_array(column: Column, own: Floats, kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    whole = column.kind == "integer" and pa.types.is_integer(kind)
    fits = whole or pa.types.is_floating(kind)
    return pa.array(np.rint(own) if whole else own, mask=np.isnan(own)).cast(kind if fits else pa.float64())


def _levels_array(column: Column, own: Floats, kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    return pa.array([None if value != value else column.levels[int(value)] for value in own.tolist()], kind)


def distances(columns: Sequence[Column], before: Floats, after: Floats, norm: Norm) -> Floats:
    """How far rows (N, C) are from others (N, C), (N,)."""
    each = [c.distance(before[:, i], after[:, i]) for i, c in enumerate(columns)]
    if not each:
        return np.zeros(len(after))
    parts = np.stack(each, axis=1)
    if norm == "l0":
        costs = np.array([c.limit.cost for c in columns])
        parts = np.where(parts > 0, costs, 0.0)
    found: Floats = parts.max(axis=1) if norm == "l_inf" else parts.sum(axis=1)
    return found


def changes(columns: Sequence[Column], before: Floats, after: Floats) -> dict[str, list[Any]]:
    """Of one row (C,) what changed: the column's name -> [before, after], as values of the column."""
    found = {}
    for column, old, new in zip(columns, before.tolist(), after.tolist(), strict=True):
        if column.distance(old, new) > 0:
            found[column.name] = [_shown(column, old), _shown(column, new)]
    return found


def _shown(column: Column, value: float) -> Any:
    if np.isnan(value):
        return None
    if column.ordered:
        return int(value) if column.kind == "integer" else float(value)
    level = column.levels[int(value)]
    return level if isinstance(level, str | bool) else str(level)
