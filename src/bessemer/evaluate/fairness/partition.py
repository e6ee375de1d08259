"""The test rows in groups: by each column that was asked for, and by each two of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bessemer.core.grouping import OTHER, Grouping, group
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
    pooled: labels of groups that stand for several, which are shown and not compared.
    """

    name: str
    columns: tuple[str, ...]
    labels: tuple[str, ...]
    codes: NDArray[np.int64]
    pooled: frozenset[str] = frozenset()

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
    labels = [grouping.names[k] for k in used]
    pooled = frozenset(OTHER for k in used if k == grouping.size)
    order = list(range(len(labels)))
    if grouping.kind == "levels":  # largest first; the rest and the missing ones last
        sizes = np.bincount(place, minlength=len(labels))
        order.sort(
            key=lambda k: (used[k] >= grouping.size, -sizes[k] if used[k] < grouping.size else used[k])
        )
    turned = np.argsort(np.array(order, dtype=np.int64))
    return Partition(name, (name,), tuple(labels[k] for k in order), turned[place].astype(np.int64), pooled)


def _of_pair(a: Partition, b: Partition) -> Partition:
    both = a.codes * len(b.labels) + b.codes
    used, place, sizes = np.unique(both, return_inverse=True, return_counts=True)
    labels = [f"{a.labels[k // len(b.labels)]}{TIMES}{b.labels[k % len(b.labels)]}" for k in used]
    large = [k for k in np.argsort(-sizes, kind="stable").tolist() if sizes[k] >= MIN_ROWS]
    small = sorted(set(range(len(used))) - set(large))
    target = np.full(len(used), len(large), dtype=np.int64)
    target[large] = np.arange(len(large))
    kept = [labels[k] for k in large]
    mixed = {label for k, label in zip(used, labels, strict=True) if _is_mixed(a, b, int(k))}
    if small:
        kept.append(f"{len(small)} smaller groups" if len(small) > 1 else labels[small[0]])
        mixed |= {kept[-1]} if len(small) > 1 else set()
    name, columns = f"{a.name}{TIMES}{b.name}", (*a.columns, *b.columns)
    return Partition(name, columns, tuple(kept), target[place].astype(np.int64), frozenset(mixed))


def _is_mixed(a: Partition, b: Partition, k: int) -> bool:
    return a.labels[k // len(b.labels)] in a.pooled or b.labels[k % len(b.labels)] in b.pooled
