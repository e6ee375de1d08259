"""What usual queries are like, as `queries` in `reference.json` says: rows as points, and what blocks of training rows
show of the statistics by which those who ask are watched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.stats.arrays import Floats, Ints
from bessemer.stats.queries import (
    MISSING,
    STEPS,
    Chance,
    Points,
    Prints,
    Tree,
    levels_of,
)

if TYPE_CHECKING:
    import pyarrow as pa

#: Columns that are looked at, at most.
COLUMNS = 40
#: A query is compared with so many earlier ones; blocks have as many rows.
BACK = 100
#: Levels of a number and of a kind in the tree of columns.
LEVELS, KINDS = 8, 15
#: The fingerprints of the rows that are kept; a table of so many slots holds about 8,000 rows.
SLOTS = 1 << 16


@dataclass(frozen=True)
class Columns:
    """The inputs that make a row a point: `numbers`, then `kinds` (texts and booleans); sketches as in
    `reference.json`. Times go on and free texts are all different: they say nothing here."""

    sketches: Mapping[str, Mapping[str, Any]]
    numbers: tuple[str, ...]
    kinds: tuple[str, ...]

    @classmethod
    def of(cls, sketches: Mapping[str, Mapping[str, Any]]) -> Columns:
        used = [name for name, sketch in sketches.items() if _tells(sketch)][:COLUMNS]
        return cls(
            sketches,
            tuple(name for name in used if "edges" in sketches[name]),
            tuple(name for name in used if "edges" not in sketches[name]),
        )

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.numbers, *self.kinds)

    def points(self, column: Callable[[str], pa.Array]) -> Points:
        """Rows as points; `column` gives an Arrow array of each by its name."""
        numbers = [self._number(name, column(name)) for name in self.numbers]
        kinds = [self._kind(name, column(name)) for name in self.kinds]
        rows = len((numbers or kinds)[0])
        empty = np.zeros((rows, 0), dtype=np.int32)
        return Points(
            np.stack(numbers, axis=1) if numbers else empty, np.stack(kinds, axis=1) if kinds else empty
        )

    def _number(self, name: str, values: pa.Array) -> np.ndarray[Any, Any]:
        """Where values stand in the distribution of the reference."""
        found = np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)
        edges, passed = self._passed[name]
        place = np.rint(np.interp(found, edges, passed) * STEPS)
        return np.where(np.isfinite(found), np.nan_to_num(place), MISSING).astype(np.int32)

    @cached_property
    def _passed(self) -> dict[str, tuple[Floats, Floats]]:
        found = {}
        for name in self.numbers:
            counts = np.asarray(self.sketches[name]["counts"], dtype=np.float64)
            passed = np.concatenate([[0.0], np.cumsum(counts) / counts.sum()])
            found[name] = np.asarray(self.sketches[name]["edges"], dtype=np.float64), passed
        return found

    def _kind(self, name: str, values: pa.Array) -> np.ndarray[Any, Any]:
        """The number of each value, the most frequent first; one more for all others, -1 where it is missing."""
        import pyarrow as pa
        import pyarrow.compute as pc

        known = [value for value, _ in self.sketches[name]["categories"]]
        flat = values.cast(pa.bool_() if isinstance(known[0], bool) else pa.string())
        place = pc.index_in(flat, value_set=pa.array(known, flat.type)).fill_null(len(known))
        found = place.to_numpy(zero_copy_only=False).astype(np.int32)
        missing = pc.is_null(flat) if flat.type == pa.bool_() else pc.fill_null(pc.equal(flat, ""), True)
        return np.where(missing.to_numpy(zero_copy_only=False), -1, found)


def _tells(sketch: Mapping[str, Any]) -> bool:
    if sketch["dtype"] == "timestamp":
        return False
    if "edges" in sketch:
        return int(np.count_nonzero(sketch["counts"])) > 1
    counts = [n for _, n in sketch["categories"]]
    return len(counts) > 1 and sketch["other"] <= sum(counts)


@dataclass(frozen=True)
class Usual:
    """What is read of `queries`.

    radius: a row is near another below this distance. least: a row is like another from so many shared fingerprints on.
    limit: a row is unlikely above this surprise. chances: by statistic (`near`, `alike`, `unlikely`) what blocks of
    each sort are like: rows drawn at random, and neighbours in the order of each column.
    """

    columns: Columns
    radius: float
    prints: Prints
    least: int
    tree: Tree
    limit: float
    chances: Mapping[str, Mapping[str, Chance]]

    def surprise(self, points: Points) -> Floats:
        """How unlikely rows are together, in nats a column, float64 (n,)."""
        return self.tree.surprise(tree_levels(points))


def usual_queries(facts: Mapping[str, Any]) -> Usual | None:
    """What is usual, of `reference.json`; None where it does not say (too few rows, or an older package)."""
    found = facts.get("queries")
    if not found:
        return None
    prints, tree = found["prints"], found["tree"]
    tables = [np.asarray(table, dtype=np.float64) for table in tree["tables"]]
    return Usual(
        Columns(facts["columns"], tuple(found["numbers"]), tuple(found["kinds"])),
        found["radius"],
        Prints(
            prints["levels"],
            tuple(map(tuple, prints["parts"])),
            np.asarray(prints["shifts"], dtype=np.float64).reshape(len(prints["parts"]), -1),
        ),
        prints["least"],
        Tree(tuple(tree["parents"]), tuple(tables)),
        tree["limit"],
        {
            name: {sort: Chance(*values) for sort, values in sorts.items()}
            for name, sorts in found["usual"].items()
        },
    )


def tree_levels(points: Points) -> Ints:
    kinds = np.minimum(points.kinds, KINDS)
    return levels_of(Points(points.numbers, kinds), LEVELS)
