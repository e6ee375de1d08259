"""Explanations of trees by looking up what each leaf is worth to a row's pattern (see `worth.py`), in C.

A tree is suited where its tables are small: 2^d lines a leaf of d players. The budget is the model's, so what does
not fit is left to the walks of `shapley.py` and `hybrids.py`, which need no tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from bessemer.package.trees.model import Tree
from bessemer.package.trees.numbered import Numbered, in_blocks, numbered
from bessemer.package.trees.worth import independent, observed, worth

if TYPE_CHECKING:
    from bessemer.package.trees._shapley import Leaves

#: Float64 numbers in all tables of a model's trees (64 MB), and players of one leaf, at most.
BUDGET, DEEPEST = 1 << 23, 14
#: Rows that one thread takes at a time.
_ROWS = 1024

#: (leaves, d) -> (P, 2^d) float64: the weights of the patterns at P leaves of d players each.
Weights = Callable[[np.ndarray, int], np.ndarray]
#: What is known of the players that a row does not decide, for a block of trees.
Game = Callable[[Numbered], Weights]


@cache
def leaves_type() -> type[Leaves] | None:
    """The class of `_shapley.c`; None where it was not compiled."""
    try:
        from bessemer.package.trees._shapley import Leaves
    except ImportError:
        return None
    return Leaves


def suited(trees: Sequence[Tree], player: np.ndarray, order: int = 1, budget: int = 0) -> np.ndarray:
    """(T,) bool: which trees get tables, the smallest first, as far as the budget (in numbers) goes."""
    if leaves_type() is None:
        return np.zeros(len(trees), dtype=bool)
    sizes: list[float] = []
    for block in in_blocks(trees):
        made = numbered(block, player)
        count = made.count.astype(np.float64)
        pairs = count if order == 1 else count * (count - 1) / 2
        each = np.where(count <= DEEPEST, pairs * 2.0 ** np.minimum(count, DEEPEST), np.inf)
        sizes += np.add.reduceat(each, made.flat.first_leaf()).tolist()
    by_size = np.argsort(sizes, kind="stable")
    total = np.cumsum(np.array(sizes)[by_size])
    fits = np.zeros(len(trees), dtype=bool)
    fits[by_size] = total <= (budget or BUDGET)
    return fits


def path_dependent(made: Numbered) -> Weights:
    """The game of independent players, each with the training rows' shares."""
    return lambda leaves, players: independent(made.share[leaves, :players])


def against(background: np.ndarray, features: int) -> Game:
    """The game of the rows of a background (B, F) float32."""

    def game(made: Numbered) -> Weights:
        patterns = np.empty((len(background), len(made.value)), dtype=np.uint32)
        leaves_of(made, features, features).patterns(background, patterns)
        return lambda leaves, players: observed(patterns[:, leaves], players)

    return game


class Tabled:
    """Trees of one output as tables; safe to use from several threads.

    Args:
        trees: with one value a leaf, such as `suited` says.
        player: (F,) the player of each feature.
        columns: C, how many numbers a row gets.
        game: `path_dependent`, or `against` a background.
        pairs: None for one column a player. Else (C', C') int32, the column of each pair of players, and a row gets the
            interaction index of each pair.
    """

    def __init__(
        self,
        trees: Sequence[Tree],
        player: np.ndarray,
        columns: int,
        game: Game,
        pairs: np.ndarray | None = None,
    ) -> None:
        self._columns = columns
        self._blocks = []
        self.base = 0.0  #: what the trees are worth where no player is known
        for block in in_blocks(trees):
            made = numbered(block, player)
            tables, base = _tables(made, game(made), pairs)
            self.base += base
            if len(tables["table"]) or pairs is None:
                self._blocks.append(leaves_of(made, len(player), columns, **tables))

    def contributions(self, X: np.ndarray, threads: int = 1) -> np.ndarray:
        """(N, F) float32 -> (N, C) float64."""
        X, found = np.ascontiguousarray(X, dtype=np.float32), np.zeros((len(X), self._columns))

        def run(start: int) -> None:
            for block in self._blocks:
                block.add(X[start : start + _ROWS], found[start : start + _ROWS])

        shared(run, len(X), threads, _ROWS)
        return found


def shared(run: Callable[[int], None], rows: int, threads: int, block: int) -> None:
    """run(start) for each block of rows, on several threads where there are several blocks."""
    starts = range(0, rows, block)
    if threads == 1 or len(starts) < 2:
        for start in starts:
            run(start)
        return
    with ThreadPoolExecutor(min(threads, len(starts)), thread_name_prefix="bessemer-explain") as pool:
        list(pool.map(run, starts))


def leaves_of(
    made: Numbered,
    features: int,
    columns: int,
    *,
    width: np.ndarray | None = None,
    column: np.ndarray | None = None,
    table: np.ndarray | None = None,
) -> Leaves:
    """The C object of some trees; without tables a leaf has a column for each of its players.

    Raises:
        ValueError: a path asks more than 64 players.
    """
    kind = leaves_type()
    assert kind is not None
    flat = made.flat
    plain = made.member[made.member >= 0]
    return kind(
        features,
        columns,
        flat.branches,
        flat.feature,
        flat.threshold,
        flat.missing_left,
        flat.left,
        flat.right,
        made.bit,
        made.value,
        made.count.astype(np.uint8),
        (made.count if width is None else width).astype(np.int32),
        (plain if column is None else column).astype(np.int32),
        np.zeros(0) if table is None else table,
    )


def _tables(
    made: Numbered, weights: Weights, pairs: np.ndarray | None
) -> tuple[dict[str, np.ndarray], float]:
    """width, column and table of every leaf, one leaf after the other; and what they are worth with no player known."""
    order = 1 if pairs is None else 2
    width = made.count if order == 1 else made.count * (made.count - 1) // 2
    start, first = _starts(width << made.count), _starts(width)
    table, column = np.empty(start[-1]), np.empty(first[-1], dtype=np.int32)
    base = 0.0
    for players in np.unique(made.count).tolist():
        leaves = np.flatnonzero(made.count == players)
        known = weights(leaves, players)
        base += float(made.value[leaves] @ known[:, -1])
        if players < order:
            continue
        worths = worth(known, order) * made.value[leaves, None, None]
        flat = worths.reshape(len(leaves), -1)
        table[start[leaves, None] + np.arange(flat.shape[1])] = flat
        member = made.member[leaves, :players]
        if pairs is not None:
            a, b = np.triu_indices(players, 1)
            member = pairs[member[:, a], member[:, b]]
        column[first[leaves, None] + np.arange(member.shape[1])] = member
    return {"width": width, "column": column, "table": table}, base


def _starts(sizes: np.ndarray) -> np.ndarray:
    """Where each part begins, and where the last ends."""
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
