"""What a stream of queries tells of the one who asks: how near they lie, how alike they are, how likely together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bessemer.stats.arrays import Floats, Ints

#: Numbers are places in the reference's distribution, in so many steps from 0 to 1: a row takes 2 bytes a column.
STEPS = 65_534
#: A column's value that is missing: as far from every other as can be.
MISSING = -STEPS

_BLOCK = 256
#: What the median deviation of a normal distribution is multiplied with to be its standard deviation.
_NORMAL = 1.4826
_GOLDEN = 0x9E3779B97F4A7C15


@dataclass(frozen=True)
class Points:
    """Rows as points: numbers int32 (n, k), each from 0 to `STEPS` or `MISSING`; kinds int32 (n, m), equal or not."""

    numbers: NDArray[np.int32]
    kinds: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, at: ArrayLike | slice) -> Points:
        where = at if isinstance(at, slice) else np.asarray(at)
        return Points(self.numbers[where], self.kinds[where])

    def joined(self, other: Points) -> Points:
        return Points(
            np.concatenate([self.numbers, other.numbers]), np.concatenate([self.kinds, other.kinds])
        )


def nearest_earlier(before: Points, points: Points, back: int) -> Floats:
    """The distance of each point to the nearest of the `back` points before it: float64 (n,), from 0 to 1.

    Gower's distance: the mean over the columns of how far numbers are apart, and of whether kinds differ. A value that
    is missing on one side only counts as far as can be. inf for a point that has none before it. (Juuti et al. 2019,
    PRADA, watch the least distance to earlier queries; Gower 1971.)

    Args:
        before: points that came before the first one; only the last `back` of them count.

    >>> rows = Points(np.int32([[0], [65534], [6553]]), np.int32([[1], [1], [2]]))
    >>> nearest_earlier(rows.take(slice(0)), rows, 100).round(2).tolist()
    [inf, 0.5, 0.55]
    """
    held = before.take(slice(max(0, len(before) - back), None))
    whole, first = held.joined(points), len(held)
    found = np.full(len(points), np.inf)
    for start in range(0, len(points), _BLOCK):
        stop = min(len(points), start + _BLOCK)
        low = max(0, first + start - back)
        far = _distances(
            whole.take(slice(first + start, first + stop)), whole.take(slice(low, first + stop - 1))
        )
        place = np.arange(first + start, first + stop)[:, None] - np.arange(low, first + stop - 1)
        far[(place < 1) | (place > back)] = np.inf
        if far.shape[1]:
            found[start:stop] = far.min(axis=1)
    return found


def _distances(a: Points, b: Points) -> NDArray[np.float32]:
    """(len(a), len(b)), a column at a time: the cube of all columns would not fit the cache."""
    total = np.zeros((len(a), len(b)), dtype=np.float32)
    for x, y in zip(a.numbers.T, b.numbers.T, strict=True):
        apart = np.abs(x[:, None] - y)
        np.minimum(apart, STEPS, out=apart)
        total += apart
    total /= STEPS
    for x, y in zip(a.kinds.T, b.kinds.T, strict=True):
        total += x[:, None] != y
    return total / np.float32(max(1, a.numbers.shape[1] + a.kinds.shape[1]))


def levels_of(points: Points, levels: int, shift: ArrayLike = 0.0) -> Ints:
    """Points in few levels: int64 (n, k + m). Numbers in `levels` equal steps from 1, 0 where missing; kinds from 1.

    Args:
        shift: moves the steps of each number by a share of one, (k,) or a number, so that several cuts differ.

    >>> levels_of(Points(np.int32([[0, 65534, MISSING]]), np.int32([[-1, 4]])), 4).tolist()
    [[1, 4, 0, 0, 5]]
    """
    moved = points.numbers / (STEPS + 1) * levels + np.asarray(shift)
    numbers = np.where(points.numbers < 0, 0, np.floor(moved).astype(np.int64) + 1)
    return np.concatenate([numbers, points.kinds.astype(np.int64) + 1], axis=1)


@dataclass(frozen=True)
class Chance:
    """How often events are in blocks of rows of one sort.

    mean: of arcsin(sqrt(share)), a scale on which the variance of a count does not depend on its share. between: the
    standard deviation between blocks, beyond that of counting. blocks: how many there were.
    """

    mean: float
    between: float
    blocks: int


def chance_of(events: ArrayLike, rows: ArrayLike, *, robust: bool = False) -> Chance:
    """What blocks (at least two) are like, of their counts of events and rows, (blocks,) each.

    Args:
        robust: by the median and the median deviation from it, where some of the blocks may be of another sort.

    >>> round(chance_of([5, 5, 5, 5], [100] * 4).mean, 4)
    0.2331
    """
    n = np.asarray(rows, dtype=np.float64)
    angles = _angle(np.asarray(events, dtype=np.float64), n)
    middle = float(np.median(angles) if robust else angles.mean())
    spread = _NORMAL * np.median(np.abs(angles - middle)) if robust else np.std(angles, ddof=1)
    beyond = float(spread**2 - np.mean(1 / (4 * n + 2)))
    return Chance(middle, float(np.sqrt(max(0.0, beyond))), len(angles))


def tail(events: float, rows: float, chance: Chance) -> float:
    """How likely a further block has a share as great: a p-value.

    Of Student's t with one degree of freedom fewer than there are blocks: what the blocks' mean and spread are is known
    only so well (a prediction interval). Counts are Anscombe's (1948) arcsines.

    >>> usual = chance_of([4, 6, 5, 7, 3, 5, 6, 4], [100] * 8)
    >>> tail(5, 100, usual) > 0.4, tail(60, 100, usual) < 1e-4
    (True, True)
    """
    from scipy.special import stdtr

    counted = 1 / (4 * rows + 2)
    spread = np.sqrt((chance.between**2 + counted) * (1 + 1 / chance.blocks))
    t = (_angle(np.float64(events), np.float64(rows)) - chance.mean) / spread
    return float(stdtr(chance.blocks - 1, -t))


def _angle(events: Floats | np.float64, rows: Floats | np.float64) -> Floats:
    return np.arcsin(np.sqrt((events + 0.375) / (rows + 0.75)))


@dataclass(frozen=True)
class Tree:
    """Which column goes with which (Chow and Liu 1968).

    parents: (d,), -1 for the first. counts: for each column those of its parent's levels and its own, (levels of the
    parent, levels); (1, 1) for the first, whose own share says nothing of how columns go together.
    """

    parents: tuple[int, ...]
    counts: tuple[Floats, ...]

    @cached_property
    def _logs(self) -> list[Floats]:
        """The logarithm of how likely each level is given the parent's; what was seen never counts as half a row."""
        filled = [table + 0.5 for table in self.counts]
        return [np.log(table / table.sum(axis=1, keepdims=True)) for table in filled]

    def surprise(self, levels: Ints) -> Floats:
        """How unlikely each row's values are given those of their parents, in nats a column: float64 (n,).

        Args:
            levels: (n, d), from 0; beyond the tables counts as the last.
        """
        total = np.zeros(len(levels))
        for column, (parent, table) in enumerate(zip(self.parents, self._logs, strict=True)):
            if parent >= 0:
                rows = np.minimum(levels[:, parent], table.shape[0] - 1)
                total -= table[rows, np.minimum(levels[:, column], table.shape[1] - 1)]
        found: Floats = total / max(1, len(self.parents) - 1)
        return found


def tree_of(levels: Ints, sizes: Sequence[int]) -> Tree:
    """The tree of pairs that tell most of each other.

    Args:
        levels: (n, d), column j from 0 to sizes[j] - 1.

    >>> first = np.arange(300) % 3
    >>> tree_of(np.stack([first, np.arange(300) % 2, first], axis=1), [3, 2, 3]).parents
    (-1, 0, 0)
    """
    d = len(sizes)
    crossed = {(i, j): _crossed(levels, sizes, i, j) for i in range(d) for j in range(i + 1, d)}
    parents = _spanning(d, {pair: _information(table) for pair, table in crossed.items()})
    counts = [np.zeros((1, 1))] * d
    for column, parent in enumerate(parents):
        if parent >= 0:
            counts[column] = crossed[parent, column] if parent < column else crossed[column, parent].T
    return Tree(tuple(parents), tuple(counts))


def _spanning(d: int, told: dict[tuple[int, int], float]) -> list[int]:
    """The parents in the spanning tree of the greatest sum (Prim); of equal ones the first."""
    parents, inside = [-1] * d, {0}
    while len(inside) < d:
        pairs = ((a, b) for a in sorted(inside) for b in range(d) if b not in inside)
        parent, column = max(pairs, key=lambda pair: told[min(pair), max(pair)])
        parents[column] = parent
        inside.add(column)
    return parents


def _crossed(levels: Ints, sizes: Sequence[int], i: int, j: int) -> Floats:
    flat = np.bincount(levels[:, i] * sizes[j] + levels[:, j], minlength=sizes[i] * sizes[j])
    return flat.reshape(sizes[i], sizes[j]).astype(np.float64)


def _information(table: Floats) -> float:
    """The mutual information of a table of counts, in nats, less its bias (Miller 1955)."""
    n = table.sum()
    alone = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True)
    seen = table > 0
    free = (np.count_nonzero(table.sum(axis=1)) - 1) * (np.count_nonzero(table.sum(axis=0)) - 1)
    return float((table[seen] / n * np.log(table[seen] * n / alone[seen])).sum() - free / (2 * n))


@dataclass(frozen=True)
class Prints:
    """How rows are fingerprinted: several times, each of a part of the columns, in `levels` cut elsewhere each time.

    Two rows that differ by little, or in few columns, share some of their fingerprints. (Blacklight, Li et al. 2022,
    does so with windows of pixels; a part of the columns is a window of a row.)

    parts: for each fingerprint the columns it looks at. shifts: (prints, k) where it cuts numbers, from 0 to 1.
    """

    levels: int
    parts: tuple[tuple[int, ...], ...]
    shifts: Floats

    @classmethod
    def draw(cls, rng: np.random.Generator, numbers: int, kinds: int, levels: int, prints: int = 8) -> Prints:
        """Each looks at three of four columns, two at least."""
        d = numbers + kinds
        size = max(min(2, d), -(-3 * d // 4))
        parts = [tuple(sorted(rng.permutation(d)[:size].tolist())) for _ in range(prints)]
        return cls(levels, tuple(parts), rng.random((prints, numbers)).round(4))

    def of(self, points: Points) -> NDArray[np.uint64]:
        """The fingerprints of rows: uint64 (n, prints)."""
        found = np.empty((len(points), len(self.parts)), dtype=np.uint64)
        for i, part in enumerate(self.parts):
            values = levels_of(points, self.levels, self.shifts[i]).astype(np.uint64)
            total = _mixed(np.full(len(points), i + 1, dtype=np.uint64))
            for j in part:
                total = _mixed(total ^ (values[:, j] + np.uint64((j + 1) * _GOLDEN % 2**64)))
            found[:, i] = total
        return found


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finisher of MurmurHash3: every bit depends on every other."""
    x = (x ^ (x >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    x = (x ^ (x >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return x ^ (x >> np.uint64(33))


class Seen:
    """The fingerprints of the last rows, in memory that does not grow: a slot a fingerprint, and the newest has it.

    slots: of the table, a power of two. marks: half of the fingerprint in each, uint32. rows: the number of its row.
    owners: whose row it is, a number, 0 where nobody said.

    >>> seen = Seen(64)
    >>> seen.add(np.uint64([[1, 2], [3, 2]]), np.uint32([10, 11]))[0].tolist()
    [0, 1]
    """

    def __init__(
        self,
        slots: int,
        marks: NDArray[np.uint32] | None = None,
        rows: NDArray[np.uint32] | None = None,
        owners: NDArray[np.uint32] | None = None,
    ) -> None:
        self.slots = slots
        self.marks = np.zeros(slots, dtype=np.uint32) if marks is None else marks
        self.rows = np.zeros(slots, dtype=np.uint32) if rows is None else rows
        self.owners = np.zeros(slots, dtype=np.uint32) if owners is None else owners

    def add(self, prints: NDArray[np.uint64], rows: NDArray[np.uint32]) -> tuple[Ints, NDArray[np.uint32]]:
        """Look rows up and take them in, one after the other.

        Args:
            prints: (n, prints). rows: (n,) a number of each row other than 0; equal rows have equal ones.

        Returns:
            for each row how many fingerprints it shares with the other row that it shares most with, and that row's
            number (0: none); int64 and uint32 (n,).
        """
        parts = [
            self._block(prints[i : i + _BLOCK], rows[i : i + _BLOCK]) for i in range(0, len(rows), _BLOCK)
        ]
        if not parts:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint32)
        return np.concatenate([shared for shared, _ in parts]), np.concatenate([row for _, row in parts])

    def look(self, prints: NDArray[np.uint64], rows: NDArray[np.uint32]) -> tuple[Ints, NDArray[np.uint32]]:
        """The same as `add`, and nothing but the block's own rows is taken in."""
        there, _ = self._there(prints, rows)
        shared, best = _most_shared(there)
        which = there[np.arange(len(rows)), best]
        own, nearest = _within(prints, rows)
        closer = own > shared
        return np.where(closer, own, shared), np.where(closer, nearest, which)

    def add_of(
        self, prints: NDArray[np.uint64], rows: NDArray[np.uint32], owner: int
    ) -> tuple[Ints, NDArray[np.uint32], Ints]:
        """Look the rows of one owner up and take them in, as `add` does.

        Returns:
            for each row how many fingerprints it shares with the other row that it shares most with, whose that one is
            (of several the owner's own), and how many it shares with one of the owner's own; (n,) each.

        >>> seen = Seen(64)
        >>> _ = seen.add_of(np.uint64([[1, 2]]), np.uint32([10]), 7)
        >>> [each.tolist() for each in seen.add_of(np.uint64([[1, 2], [3, 2]]), np.uint32([11, 12]), 8)]
        [[2, 1], [7, 8], [0, 1]]
        """
        parts = [
            self._block_of(prints[i : i + _BLOCK], rows[i : i + _BLOCK], owner)
            for i in range(0, len(rows), _BLOCK)
        ]
        shared, whose, own = zip(*parts, strict=True) if parts else ([], [], [])
        none = np.zeros(0, dtype=np.int64)
        return (
            np.concatenate([none, *shared]),
            np.concatenate([none.astype(np.uint32), *whose]),
            np.concatenate([none, *own]),
        )

    def _block_of(
        self, prints: NDArray[np.uint64], rows: NDArray[np.uint32], owner: int
    ) -> tuple[Ints, NDArray[np.uint32], Ints]:
        there, owners = self._there(prints, rows)
        shared, best = _most_shared(there)
        own = np.maximum(_most_shared(np.where(owners == owner, there, 0))[0], _within(prints, rows)[0])
        whose = np.where(own >= shared, np.uint32(owner), owners[np.arange(len(rows)), best])
        self._take(prints, rows, owner)
        return np.maximum(shared, own), whose, own

    def _there(
        self, prints: NDArray[np.uint64], rows: NDArray[np.uint32]
    ) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        """The numbers of the other rows that have each fingerprint, 0 for none, and whose they are; (n, prints)."""
        places, marks = self._places(prints)
        there = np.where(self.marks[places] == marks, self.rows[places], 0)
        there[there == rows[:, None]] = 0
        return there, self.owners[places]

    def _block(self, prints: NDArray[np.uint64], rows: NDArray[np.uint32]) -> tuple[Ints, NDArray[np.uint32]]:
        found = self.look(prints, rows)
        self._take(prints, rows, 0)
        return found

    def _take(self, prints: NDArray[np.uint64], rows: NDArray[np.uint32], owner: int) -> None:
        places, marks = self._places(prints)
        self.marks[places], self.rows[places], self.owners[places] = marks, rows[:, None], owner

    def _places(self, prints: NDArray[np.uint64]) -> tuple[Ints, NDArray[np.uint32]]:
        places = (prints & np.uint64(self.slots - 1)).astype(np.int64)
        return places, (prints >> np.uint64(32)).astype(np.uint32)


def _most_shared(there: NDArray[np.uint32]) -> tuple[Ints, Ints]:
    """How often the number that stands in a row most often does, 0 aside, and where: (n,) each."""
    votes = ((there[:, :, None] == there[:, None, :]) & (there != 0)[:, :, None]).sum(axis=2)
    best = votes.argmax(axis=1)
    found: Ints = votes[np.arange(len(there)), best]
    return found, best


def _within(prints: NDArray[np.uint64], rows: NDArray[np.uint32]) -> tuple[Ints, NDArray[np.uint32]]:
    """What each row shares most with one that stands before it, and which."""
    n = len(rows)
    shared = np.zeros((n, n), dtype=np.int64)
    for column in prints.T:
        shared += column[:, None] == column
    shared[(rows[:, None] == rows) | (np.arange(n)[:, None] <= np.arange(n))] = 0
    best = shared.argmax(axis=1) if n else np.zeros(0, dtype=np.int64)
    most = shared[np.arange(n), best]
    return most, np.where(most > 0, rows[best], 0).astype(np.uint32)


def blocks_of(order: Ints, size: int, count: int, rng: np.random.Generator) -> Iterator[Ints]:
    """At most `count` runs of `size` neighbours in an order, drawn evenly; fewer where there are not so many."""
    whole = len(order) // size
    for place in sorted(rng.permutation(whole)[:count].tolist()):
        yield order[place * size : (place + 1) * size]
