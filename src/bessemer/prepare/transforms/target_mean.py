"""Target means: a level's mean target, blended with the overall mean, cross-fitted for training.

Source: D. Micci-Barreca, A preprocessing scheme for high-cardinality categorical attributes in classification
and prediction problems, SIGKDD Explorations 3(1), 2001. With n rows of sum S in a level, prior mean p and
smoothing m, the mean is (S + m p) / (n + m). In training a row gets the mean (and the prior) of the other
folds' rows only. Sums are of integers (see `Target`), so they are exact and leave nothing of the own fold behind.
Rows that stay at an engine are in no fold of the training matrix: every fold learns from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from bessemer.prepare.transforms.base import Target, TrainColumn

#: The most frequent levels come first; those of `levels` are within so many rows as they and the folds make.
_BY_FOLD = """
SELECT key, fold, n, {names} FROM (
    SELECT key, fold, n, {names}, sum(n) OVER (PARTITION BY key) AS total
    FROM (SELECT {key} AS key, fold, count(*) AS n, {sums} FROM {table} GROUP BY 1, 2)
) ORDER BY total DESC, key NULLS FIRST, fold LIMIT {limit}
"""
#: A sum of a regression target is asked for in two that 64 bits hold, as not every engine has wider integers.
_HIGH = 2**26


def sums_sql(task: str, classes: int, y: str = "y") -> tuple[str, ...]:
    """What a target's means are made of: the value's sum, in two, or the rows of each class but the first.

    >>> sums_sql("multiclass", 3)
    ('count(*) FILTER (y = 1)', 'count(*) FILTER (y = 2)')
    """
    if task == "regression":
        return f"sum({y} // {_HIGH})", f"sum({y} % {_HIGH})"
    return tuple(f"count(*) FILTER ({y} = {k})" for k in range(1, classes))


def sums_of(task: str, found: Sequence[Any]) -> list[int]:
    """One sum for each mean, from the values of `sums_sql`."""
    if task == "regression":
        high, low = found
        return [int(high) * _HIGH + int(low)]
    return [int(n) for n in found]


def mean_names(target: Target) -> list[str]:
    """What each mean is, in words."""
    if target.task == "regression":
        return [f"mean {target.name}"]
    return [f"share of {target.name} = {cls}" for cls in target.classes[1:]]


def smoothed(rows: np.ndarray, sums: np.ndarray, prior: np.ndarray, smoothing: float) -> np.ndarray:
    """(S + m p) / (n + m), and the prior where there is nothing to divide by.

    Args:
        rows: (...,) counts; sums: (..., means); prior: (means,).

    >>> smoothed(np.array([4.0]), np.array([[4.0]]), np.array([0.5]), 4.0)
    array([[0.75]])
    """
    weight = np.expand_dims(rows, -1) + smoothing
    blended = (sums + smoothing * prior) / np.where(weight > 0, weight, 1.0)
    return np.where(weight > 0, blended, prior)


def fit_target_mean(
    column: TrainColumn, key: str, levels: Sequence[Any], smoothing: float
) -> tuple[np.ndarray, np.ndarray]:
    """The means of the most frequent levels (those of `column.levels`) of the SQL expression `key`.

    Returns:
        means: (levels + 1, means) float64 over all rows, for serving; the last row is the prior.
        folded: (folds, levels + 1, means) float32, for training: without the rows of the fold.
    """
    target = column.target
    rows, sums = _by_fold(column, key, levels)
    means = _means(
        rows.sum(axis=0), sums.sum(axis=0), target.rows.sum(), target.sums.sum(axis=0), target, smoothing
    )
    others = [
        _means(
            rows.sum(axis=0) - rows[fold],
            sums.sum(axis=0) - sums[fold],
            target.rows.sum() - target.rows[fold],
            target.sums.sum(axis=0) - target.sums[fold],
            target,
            smoothing,
        )
        for fold in range(target.folds)
    ]
    return means, np.stack(others).astype(np.float32)


def _by_fold(column: TrainColumn, key: str, levels: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Rows (folds, levels + 1) and sums (folds, levels + 1, means) as Python integers: exact whatever their size."""
    target, place = column.target, {level: i for i, level in enumerate(levels)}
    shape = (len(target.rows), len(levels) + 1)
    rows, sums = np.zeros(shape, dtype=object), np.zeros((*shape, target.means), dtype=object)
    made = sums_sql(target.task, len(target.classes))
    sql = _BY_FOLD.format(
        names=", ".join(f"s{i}" for i in range(len(made))),
        sums=", ".join(f"{sql} AS s{i}" for i, sql in enumerate(made)),
        key=key,
        table=column.table,
        limit=len(levels) * len(target.rows),
    )
    for level, fold, n, *found in column.query(sql):
        if level in place:
            rows[fold, place[level]] = int(n)
            sums[fold, place[level]] = sums_of(target.task, found)
    return rows, sums


def _means(
    rows: np.ndarray, sums: np.ndarray, all_rows: int, all_sums: np.ndarray, target: Target, smoothing: float
) -> np.ndarray:
    prior = all_sums.astype(np.float64) * target.unit / max(all_rows, 1)
    return smoothed(rows.astype(np.float64), sums.astype(np.float64) * target.unit, prior, smoothing)
