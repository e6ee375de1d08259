"""The test rows in groups: by each column that was asked for, and by each two of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bessemer.core.grouping import Grouping, group
from bessemer.evaluate.fairness.spec import FairnessSpec
from bessemer.evaluate.slices import MIN_ROWS

#: Pairs of columns that are judged together; with more columns the first pairs are.
MOST_PAIRS = 10
#: What stands between the two columns, and between their groups.
TIMES = " × "


@dataclass(frozen=True)
class Partition:
    """Every test row in one of some groups.

    name: the column, or 'a × b'. labels: what the groups are called. codes: the group of each row, int64 (n,).
    pooled: codes of groups that stand for several, which are shown and not compared.
    origin: of a single column, the code of each group in the column's `Grouping`.
    """

    name: str
    columns: tuple[str, ...]
    labels: tuple[str, ...]
    codes: NDArray[np.int64]
    pooled: frozenset[int] = frozenset()
    origin: tuple[int, ...] = ()

    @property
    def sizes(self) -> NDArray[np.int64]:
        return np.bincount(self.codes, minlength=len(self.labels)).astype(np.int64)

    def rows(self, k: int) -> NDArray[np.int64]:
        return np.flatnonzero(self.codes == k)


def groupings(
    part: Path, spec: FairnessSpec, known: Sequence[Grouping] = ()
) -> dict[str, tuple[Grouping, NDArray[np.int64]]]:
    """The groups of each column and the code of each row of a Parquet file.

    Args:
        known: groups that the model itself was given, which are kept.
    """
    table = pq.read_table(part, columns=list(spec.groups))
    own = {one.column: one for one in known}
    found = {}
    for name in spec.groups:
        made = own.get(name) if name not in spec.bins else None
        made = made or group(name, table[name], spec.bins.get(name))
        found[name] = (made, made.codes(table[name]))
    return found


def partitions(
    found: Mapping[str, tuple[Grouping, NDArray[np.int64]]], spec: FairnessSpec
) -> list[Partition]:
    """One a column, then one for each two columns; small groups of two columns are pooled."""
    single = {name: _of_column(name, *one) for name, one in found.items()}
    pairs = list(combinations(single.values(), 2))[:MOST_PAIRS] if spec.intersections else []
    return [*single.values(), *(_of_pair(a, b) for a, b in pairs)]


def _of_column(name: str, grouping: Grouping, codes: NDArray[np.int64]) -> Partition:
    used, place = np.unique(codes, return_inverse=True)
    order = list(range(len(used)))
    if grouping.kind == "levels":  # largest first; the rest and the missing ones last
        sizes = np.bincount(place, minlength=len(used))
        order.sort(
            key=lambda k: (used[k] >= grouping.size, -sizes[k] if used[k] < grouping.size else used[k])
        )
    turned = np.argsort(np.array(order, dtype=np.int64))
    origin = tuple(int(used[k]) for k in order)
    names = grouping.names
    return Partition(
        name,
        (name,),
        tuple(names[code] for code in origin),
        turned[place].astype(np.int64),
        frozenset(k for k, code in enumerate(origin) if code == grouping.size),
        origin,
    )


def _of_pair(a: Partition, b: Partition) -> Partition:
    both = a.codes * len(b.labels) + b.codes
    used, place, sizes = np.unique(both, return_inverse=True, return_counts=True)
    labels = _joined([(a.labels[k // len(b.labels)], b.labels[k % len(b.labels)]) for k in used])
    large = [k for k in np.argsort(-sizes, kind="stable").tolist() if sizes[k] >= MIN_ROWS]
    small = sorted(set(range(len(used))) - set(large))
    target = np.full(len(used), len(large), dtype=np.int64)
    target[large] = np.arange(len(large))
    kept = [labels[k] for k in large]
    mixed = {int(target[k]) for k, code in enumerate(used) if _is_mixed(a, b, int(code))}
    if small:
        kept.append(f"{len(small)} smaller groups" if len(small) > 1 else labels[small[0]])
        mixed |= {len(large)} if len(small) > 1 else set()
    name, columns = f"{a.name}{TIMES}{b.name}", (*a.columns, *b.columns)
    return Partition(name, columns, tuple(kept), target[place].astype(np.int64), frozenset(mixed))


def _joined(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """The names of two groups as one; in quotes where they would be alike without, as of 'a × b' with 'c' and of 'a'
    with 'b × c'."""
    plain = [TIMES.join(pair) for pair in pairs]
    if len(set(plain)) == len(pairs):
        return plain
    return [TIMES.join(json.dumps(name, ensure_ascii=False) for name in pair) for pair in pairs]


def _is_mixed(a: Partition, b: Partition, k: int) -> bool:
    return k // len(b.labels) in a.pooled or k % len(b.labels) in b.pooled
