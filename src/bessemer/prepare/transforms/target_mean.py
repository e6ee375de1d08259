"""Target means: a level's mean target, blended with the overall mean, cross-fitted for training.

Source: D. Micci-Barreca, A preprocessing scheme for high-cardinality categorical attributes in classification
and prediction problems, SIGKDD Explorations 3(1), 2001. With n rows of sum S in a level, prior mean p and
smoothing m, the mean is (S + m p) / (n + m). In training a row gets the mean (and the prior) of the other
folds' rows only. Sums are of integers (see `Target`), so they are exact and leave nothing of the own fold behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from bessemer.prepare.transforms.base import Target, TrainColumn

_BY_FOLD = """
SELECT l.key, t.fold, count(*), {sums}
FROM (SELECT {key} AS key, fold, y FROM {table}) t JOIN ({levels}) l ON t.key IS NOT DISTINCT FROM l.key
GROUP BY l.key, t.fold
"""


def sums_sql(task: str, classes: int, y: str = "y") -> str:
    """The sums a target's means are made of: of the value, or the rows of each class but the first.

    >>> sums_sql("multiclass", 3)
    'count(*) FILTER (y = 1), count(*) FILTER (y = 2)'
    """
    if task == "regression":
        return f"sum({y})"
    return ", ".join(f"count(*) FILTER ({y} = {k})" for k in range(1, classes))


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
        for fold in range(len(target.rows))
    ]
    return means, np.stack(others).astype(np.float32)


def _by_fold(column: TrainColumn, key: str, levels: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Rows (folds, levels + 1) and sums (folds, levels + 1, means) as Python integers: exact whatever their size."""
    target, place = column.target, {level: i for i, level in enumerate(levels)}
    shape = (len(target.rows), len(levels) + 1)
    rows, sums = np.zeros(shape, dtype=object), np.zeros((*shape, target.means), dtype=object)
    sql = _BY_FOLD.format(
        sums=sums_sql(target.task, len(target.classes)),
        key=key,
        table=column.table,
        levels=column.levels_sql(key, len(levels)),
    )
    for level, fold, n, *found in column.query(sql):
        rows[fold, place[level]] = n
        sums[fold, place[level]] = found
    return rows, sums


def _means(
    rows: np.ndarray, sums: np.ndarray, all_rows: int, all_sums: np.ndarray, target: Target, smoothing: float
) -> np.ndarray:
    prior = all_sums.astype(np.float64) * target.unit / max(all_rows, 1)
    return smoothed(rows.astype(np.float64), sums.astype(np.float64) * target.unit, prior, smoothing)
