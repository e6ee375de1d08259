"""Where errors are more than they should be: rows by the groups of each input that the reference has."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.monitor.reference import Reference, Sketch
from bessemer.monitor.watching.logged import HASHED
from bessemer.stats.arrays import Floats, Ints, shown
from bessemer.stats.multiple import holm

if TYPE_CHECKING:
    import pyarrow as pa

#: Columns beyond the first so many are not looked at.
COLUMNS = 100
_SURE, _SHOWN = 0.05, 5


@dataclass(frozen=True)
class Grouping:
    """The groups of one input, the last one of missing values."""

    names: tuple[str, ...]
    sketch: Sketch
    groups: tuple[Any, ...]

    def places(self, column: pa.Array) -> Ints:
        """The group of each value (n,)."""
        if self.sketch.edges is None:
            known = {value: k for k, value in enumerate(self.groups)}
            last = len(self.groups)
            return np.array(
                [last + 1 if v in (None, "") else known.get(v, last) for v in column.to_pylist()], np.int64
            )
        values = column.cast("float64").to_numpy(zero_copy_only=False)
        there = np.isfinite(values)
        bins = np.searchsorted(self.sketch.edges[1:-1], np.where(there, values, 0.0))
        found = np.searchsorted(np.asarray(self.groups, dtype=np.int64), bins, side="right") - 1
        return np.where(there, found, len(self.groups)).astype(np.int64)


def groupings(reference: Reference, inputs: Sequence[str]) -> dict[str, Grouping]:
    """The inputs that have groups: not times, and none that never had a value."""
    known = [name for name in inputs if name in reference.groups and name in reference.columns]
    return {name: _grouping(reference.columns[name], reference.groups[name]) for name in known[:COLUMNS]}


def _grouping(sketch: Sketch, groups: Sequence[Any]) -> Grouping:
    if sketch.edges is None:
        names = (*(_said(value) for value in groups), "any other value", "missing")
        return Grouping(names, sketch, tuple(groups))
    edges, starts = sketch.edges, [int(start) for start in groups]
    cuts = [shown(float(edges[start])) for start in starts[1:]]
    inner = [f"above {a}, up to {b}" for a, b in pairwise(cuts)]
    ends = ["any number"] if not cuts else [f"up to {cuts[0]}", *inner, f"above {cuts[-1]}"]
    return Grouping((*ends, "missing"), sketch, tuple(starts))


def _said(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def is_plain(grouping: Grouping, column: pa.Array) -> bool:
    """Whether values are those of the input: rows that are labelled now may have been logged when it was hashed."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_string(column.type):
        return True
    if grouping.sketch.edges is not None:
        return False
    return not pc.any(pc.match_substring_regex(column, HASHED)).as_py()


def tallied(grouping: Grouping, column: pa.Array, wrong: Floats, expected: Floats) -> Floats:
    """Rows, wrong rows and expected wrong rows by group: float64 (groups, 3)."""
    place, size = grouping.places(column), len(grouping.names)
    weights: tuple[Floats | None, ...] = (None, wrong, expected)
    return np.stack([np.bincount(place, w, minlength=size).astype(np.float64) for w in weights], axis=1)


def worst(
    groups: Mapping[str, Grouping], sums: Mapping[str, Floats], weights: Mapping[str, float], known: float
) -> list[dict[str, Any]]:
    """The groups with more errors than expected for certain, those that explain most first.

    Args:
        sums: by input, as `tallied`. weights: how much of what the model says is up to each input, adding up to 1.
        known: of so many test rows it is known what is to be expected.

    Each has `column`, `group`, `labels`, `errors`, `expected`, `share` (of all errors beyond what was expected) and
    `weight`. The order is that of share times weight.
    """
    rows = [(name, k, *sums[name][k]) for name in groups for k in range(len(groups[name].names))]
    rows = [row for row in rows if row[2] > 0]
    chance = holm([_chance(n, errors, expected, known) for _, _, n, errors, expected in rows])
    everywhere = max((float((part[:, 1] - part[:, 2]).sum()) for part in sums.values()), default=0.0)
    found = [
        {
            "column": name,
            "group": groups[name].names[k],
            "labels": int(n),
            "errors": int(errors),
            "expected": expected,
            "share": (errors - expected) / everywhere if everywhere > 0 else math.nan,
            "weight": weights.get(name, 0.0),
        }
        for (name, k, n, errors, expected), p in zip(rows, chance, strict=True)
        if p <= _SURE
    ]
    found.sort(key=lambda each: -(each["errors"] - each["expected"]) * each["weight"])
    return found[:_SHOWN]


def _chance(rows: float, errors: float, expected: float, known: float) -> float:
    """One-sided: how likely so many errors are where so many are expected (normal, with a correction for steps)."""
    rate = min(0.999, max(expected, 0.5) / rows)
    spread = math.sqrt(rows * rate * (1 - rate) * (1 + rows / max(known, 1.0)))
    return math.erfc((errors - 0.5 - expected) / spread / math.sqrt(2)) / 2 if spread else 1.0
