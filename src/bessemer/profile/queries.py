"""What usual queries are like: what blocks of training rows show of the statistics that watch those who ask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core.sql import quote
from bessemer.package.even import spread
from bessemer.package.queries import BACK, KINDS, LEVELS, SLOTS, Columns, tree_levels
from bessemer.stats.arrays import Floats, Ints, tidy
from bessemer.stats.queries import (
    Points,
    Prints,
    Seen,
    Tree,
    blocks_of,
    chance_of,
    nearest_earlier,
    tree_of,
)

if TYPE_CHECKING:
    import pyarrow as pa

#: Training rows that it is made of, at most, spread evenly; and the fewest it can be made of.
ROWS, FEWEST = 20_000, 1_000
#: By the values of so many columns, at most, rows are put in order.
ORDERS = 20

_DRAWN, _ORDERED, _FEWEST_BLOCKS = 64, 24, 8
#: Of rows drawn at random so many are near, and so many unlikely; and at most so many share fingerprints.
_NEAR, _UNLIKELY, _ALIKE = 0.02, 0.05, 0.03


def describe_queries(
    rows: pa.Table, sketches: Mapping[str, Mapping[str, Any]], rng: np.random.Generator
) -> dict[str, Any] | None:
    """`queries` of `reference.json`; None where there are too few rows, or columns that say nothing.

    Args:
        rows: of training (see `sample_queries`). sketches: of the columns, as in `reference.json`.
    """
    columns = Columns.of(sketches)
    if len(columns.names) < 2 or rows.num_rows < FEWEST:
        return None
    points = columns.points(lambda name: rows.column(name).combine_chunks())
    points = points.take(rng.permutation(len(points)))
    half = len(points) // 2
    first, rest = points.take(slice(half)), points.take(slice(half, None))
    sizes = [LEVELS + 1] * len(columns.numbers) + [KINDS + 2] * len(columns.kinds)
    tree = tree_of(tree_levels(first), sizes)
    prints = Prints.draw(rng, len(columns.numbers), len(columns.kinds), LEVELS)
    return _Baseline(columns, first, rest, tree, prints, rng).facts()


def sample_queries(
    connection: Any, relation: str, sketches: Mapping[str, Mapping[str, Any]], rows: int
) -> pa.Table:
    """At most `ROWS` rows of the columns that make rows points, spread evenly: the same whatever the threads.

    Args:
        relation: what stands after FROM. rows: how many it has.
    """
    names = ", ".join(quote(name) for name in Columns.of(sketches).names) or "NULL"
    found: pa.Table = connection.sql(spread(relation, names, rows, ROWS)).to_arrow_table()
    return found


class _Baseline:
    """The statistics of blocks of `rest`, with what was learnt and remembered of `first`."""

    def __init__(
        self,
        columns: Columns,
        first: Points,
        rest: Points,
        tree: Tree,
        prints: Prints,
        rng: np.random.Generator,
    ) -> None:
        self._columns, self._first, self._rest, self._tree = columns, first, rest, tree
        self._prints, self._rng = prints, rng
        self._rows = np.arange(1, len(first) + len(rest) + 1, dtype=np.uint32)
        self._seen = Seen(SLOTS)
        kept = slice(SLOTS // len(prints.parts))
        self._seen.add(prints.of(first.take(kept)), self._rows[: len(first)][kept])
        self._printed = prints.of(rest)
        self._surprise = tree.surprise(tree_levels(rest))

    def facts(self) -> dict[str, Any]:
        orders = dict(self._orders())
        drawn = list(blocks_of(orders["drawn"], BACK, _DRAWN, self._rng))
        radius = float(np.quantile(np.concatenate([self._distances(block) for block in drawn]), _NEAR))
        alike = np.concatenate([self._shared(block) for block in drawn])
        counts = range(1, len(self._prints.parts) + 1)
        least = next((k for k in counts if (alike >= k).mean() <= _ALIKE), counts[-1])
        limit = float(np.quantile(self._surprise, 1 - _UNLIKELY))
        usual: dict[str, dict[str, list[float]]] = {"near": {}, "alike": {}, "unlikely": {}}
        for name, order in orders.items():
            blocks = drawn if name == "drawn" else list(blocks_of(order, BACK, _ORDERED, self._rng))
            if len(blocks) < _FEWEST_BLOCKS:
                continue
            usual["near"][name] = _chance(self._distances(block) <= radius for block in blocks)
            usual["alike"][name] = _chance(self._shared(block) >= least for block in blocks)
            usual["unlikely"][name] = _chance(self._surprise[block] > limit for block in blocks)
        return {
            "numbers": list(self._columns.numbers),
            "kinds": list(self._columns.kinds),
            "radius": tidy(radius),
            "prints": {
                "levels": self._prints.levels,
                "parts": [list(part) for part in self._prints.parts],
                "shifts": self._prints.shifts.tolist(),
                "least": least,
            },
            "tree": {
                "parents": list(self._tree.parents),
                "tables": [counts.astype(int).tolist() for counts in self._tree.counts],
                "limit": tidy(limit),
            },
            "usual": usual,
        }

    def _orders(self) -> Iterator[tuple[str, Ints]]:
        """Rows in no order, and in the order of each column: the sorted file, or the one segment, of a client."""
        yield "drawn", np.arange(len(self._rest))
        both = np.concatenate([self._rest.numbers, self._rest.kinds], axis=1)
        for name, values in list(zip(self._columns.names, both.T, strict=True))[:ORDERS]:
            yield name, np.argsort(values, kind="stable")

    def _distances(self, block: Ints) -> Floats:
        return nearest_earlier(self._rest.take(slice(0)), self._distinct(block), BACK)

    def _distinct(self, block: Ints) -> Points:
        """Its rows without those that are there already: they are left out where queries are watched, too."""
        points = self._rest.take(block)
        both = np.concatenate([points.numbers, points.kinds], axis=1)
        return points.take(np.sort(np.unique(both, axis=0, return_index=True)[1]))

    def _shared(self, block: Ints) -> Ints:
        return self._seen.look(self._printed[block], self._rows[len(self._first) + block])[0]


def _chance(blocks: Iterator[np.ndarray[Any, Any]]) -> list[float]:
    found = [(int(block.sum()), len(block)) for block in blocks]
    chance = chance_of([events for events, _ in found], [rows for _, rows in found])
    return [tidy(chance.mean, 6), tidy(chance.between, 6), chance.blocks]
