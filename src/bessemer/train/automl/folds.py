"""The folds that members are fitted and judged in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bessemer.train.learner import Part

#: Parts that rows in their order are cut into, to tell what is sure.
_STRETCHES = 10


@dataclass(frozen=True)
class Fold:
    """Row numbers of the pool: what a fit learns from, and what stops and judges it."""

    learn: np.ndarray
    judge: np.ndarray


@dataclass(frozen=True)
class Resampling:
    """The pool of rows and its folds. Every judged row is in exactly one fold's `judge`.

    pool: (N, F); judged: (J,) the rows that some fold judges, in order.
    """

    pool: Part
    folds: tuple[Fold, ...]
    judged: np.ndarray

    @property
    def y(self) -> np.ndarray:
        """(J,) the target of the judged rows."""
        found: np.ndarray = self.pool.y[self.judged]
        return found

    @property
    def blocks(self) -> np.ndarray:
        """(J,) numbers, from 0, of blocks of the judged rows that have nothing in common: the folds; of one or two
        folds ten stretches of the rows in their order, which is that of time where the split is by time."""
        if len(self.folds) < 3:
            return np.arange(len(self.judged)) * _STRETCHES // max(1, len(self.judged))
        found = np.empty(len(self.judged), dtype=np.int64)
        for number, fold in enumerate(self.folds):
            found[self.place(fold)] = number
        return found

    def place(self, fold: Fold) -> np.ndarray:
        """Where a fold's judged rows stand among all judged rows."""
        return np.searchsorted(self.judged, fold.judge)


def count_for(rows: int) -> int:
    """Folds by rows: more where rows are few and each counts.

    >>> count_for(1000), count_for(20_000), count_for(200_000)
    (8, 5, 3)
    """
    return 8 if rows < 3_000 else 5 if rows < 50_000 else 3


def resample(
    pool: Part,
    count: int,
    rng: np.random.Generator,
    *,
    classes: int,
    groups: np.ndarray | None = None,
    judges: int = 0,
) -> Resampling:
    """Cut the pool into folds; or keep its last rows as the one judge.

    Args:
        count: folds; no more than rows, or groups, allow.
        classes: 0 for a regression; else each class is spread evenly over the folds.
        groups: (N,) a number for each row: rows of a group share a fold.
        judges: how many rows at the end judge all the others, where the valid part was chosen on purpose (later
            in time, or given); 0 cuts folds.
    """
    rows = np.arange(len(pool))
    if judges:
        return Resampling(pool, (Fold(rows[:-judges], rows[-judges:]),), rows[-judges:])
    if groups is not None:
        number = by_group(groups, count, rng)
    else:
        number = _by_row(pool.y, classes, min(count, len(pool)), rng)
    folds = tuple(Fold(rows[number != k], rows[number == k]) for k in np.unique(number))
    return Resampling(pool, folds, rows)


def holdout(resampling: Resampling) -> Resampling:
    """The first fold alone: a single fit for each member, where the budget allows no more."""
    first = resampling.folds[0]
    return Resampling(resampling.pool, (first,), first.judge)


def joined(train: Part, valid: Part) -> Part:
    """Both parts in memory, train first."""
    if not len(valid):
        return Part(np.asarray(train.X), train.y, train.weight)
    X = np.concatenate([train.X, valid.X])
    weight = None
    if train.weight is not None and valid.weight is not None:
        weight = np.concatenate([train.weight, valid.weight])
    return Part(X, np.concatenate([train.y, valid.y]), weight)


def _by_row(y: np.ndarray, classes: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """(N,) fold numbers: dealt out in turn over the rows in random order, class by class."""
    order = rng.permutation(len(y))
    if classes:
        order = order[np.argsort(y[order], kind="stable")]
    number = np.empty(len(y), dtype=np.int64)
    number[order] = np.arange(len(y)) % count
    return number


def by_group(groups: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """(N,) fold numbers: the largest groups first, each into the fold with the fewest rows."""
    _, index, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    shuffled = rng.permutation(len(sizes))
    order: Sequence[int] = shuffled[np.argsort(-sizes[shuffled], kind="stable")].tolist()
    filled, fold_of = np.zeros(min(count, len(sizes)), dtype=np.int64), np.empty(len(sizes), dtype=np.int64)
    for group in order:
        fold = int(np.argmin(filled))
        fold_of[group] = fold
        filled[fold] += sizes[group]
    found: np.ndarray = fold_of[index]
    return found
