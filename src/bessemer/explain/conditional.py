"""Shuffles among rows that are alike, so that a shuffled row is one that could be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bessemer.explain.matrix import matrix, questions
from bessemer.explain.values import raw_values

if TYPE_CHECKING:
    from bessemer.explain.sample import Floats, Sample

Ints = npt.NDArray[np.int64]

#: The most categories of a column that are told apart; the most cells, and the fewest rows of one.
CATEGORIES, CELLS, ROWS = 20, 64, 20


def cells(column: str, others: list[str], sample: Sample, seed: int) -> Ints:
    """The cell of each row, int64 (N,): within one, the other columns say nothing more of this one.

    The cells are the leaves of a tree that predicts the column from the others, the conditional subgroups of Molnar,
    König, Bischl and Casalicchio (Data Mining and Knowledge Discovery, 2023).
    """
    from sklearn.tree import DecisionTreeRegressor

    asked = questions(sample.table, others, CATEGORIES)
    if not asked or len(sample) < 2 * ROWS:
        return np.zeros(len(sample), dtype=np.int64)
    X = matrix(sample.table, asked)
    tree = DecisionTreeRegressor(max_leaf_nodes=CELLS, min_samples_leaf=ROWS, random_state=seed)
    return np.asarray(tree.fit(X, _target(column, sample)).apply(X), dtype=np.int64)


def _target(column: str, sample: Sample) -> Floats:
    """What the tree predicts: the rank of a number and whether it is there; which category it is."""
    values = raw_values(sample.table.column(column))
    if values.numbers is None:
        asked = questions(sample.table, [column], CATEGORIES)
        return matrix(sample.table, asked).astype(np.float64) if asked else np.zeros((len(sample), 1))
    missing = np.isnan(values.numbers)
    distinct, place = np.unique(np.where(missing, 0.0, values.numbers), return_inverse=True)
    rank = np.where(missing, 0.0, place / max(1, len(distinct) - 1))
    return np.stack([rank, missing.astype(np.float64)], axis=1)


def shuffled_within(cell: Ints, rng: np.random.Generator) -> Ints:
    """An order of the rows, int64 (N,), in which each row takes the place of one of its own cell.

    >>> order = shuffled_within(np.array([0, 1, 0, 1]), np.random.default_rng(0))
    >>> sorted(order.tolist()), (order % 2).tolist()
    ([0, 1, 2, 3], [0, 1, 0, 1])
    """
    found = np.empty(len(cell), dtype=np.int64)
    found[np.argsort(cell, kind="stable")] = np.lexsort((rng.random(len(cell)), cell))
    return found
