"""A hint at leaks: a single column that tells the target (nearly) perfectly is too good to be true.

The check is of ranks, on a sample of the train part: the area under the ROC curve of each class against the
rest, or Spearman's correlation with a value. A column is pointed at when its features tell every class.
Missing counts as the smallest value.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bessemer.core.stage import Context
from bessemer.prepare.assemble import Preprocessor
from bessemer.prepare.labelled import Labelled

#: Distance from perfect order that is still suspicious.
_NEAR = 0.0005
#: Rows looked at, fewer where there are many features; below the least nothing can be said.
_ROWS, _LEAST, _NUMBERS = 20_000, 100, 2**24
_SHOWN = 10


def ranks(values: np.ndarray) -> np.ndarray:
    """Mean ranks (N,) from 1, ties sharing theirs; NaN ranks lowest.

    >>> ranks(np.array([2.0, np.nan, 2.0, 5.0])).tolist()
    [2.5, 1.0, 2.5, 4.0]
    """
    filled = np.where(np.isnan(values), -np.inf, values)
    _, place, counts = np.unique(filled, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    result: np.ndarray = (last - (counts - 1) / 2)[place]
    return result


def order_strengths(feature: np.ndarray, y: np.ndarray, *, classes: int) -> np.ndarray:
    """How well a feature alone orders the target, 0 (not at all) to 1 (perfectly).

    Args:
        feature: (N,) float; y: (N,) class indexes or values; classes: 0 for a value.

    Returns:
        |Spearman's correlation| with a value, shape (1,); |2 AUC - 1| of each class against the rest, shape
        (classes,), 0 for a class that has no rows or all.

    >>> order_strengths(np.array([1.0, 2, 3, 4]), np.array([0, 0, 1, 1]), classes=2).tolist()
    [1.0, 1.0]
    """
    r = ranks(feature)
    if not classes:
        s = ranks(y)
        spread = float(r.std() * s.std())
        return np.array([abs(float(((r - r.mean()) * (s - s.mean())).mean())) / spread if spread else 0.0])
    index = y.astype(np.int64)
    inside = np.bincount(index, minlength=classes).astype(np.float64)
    pairs = inside * (len(y) - inside)
    above = np.bincount(index, weights=r, minlength=classes) - inside * (inside + 1) / 2
    strengths: np.ndarray = np.where(pairs > 0, np.abs(2 * above / np.maximum(pairs, 1) - 1), 0.0)
    return strengths


def warn_of_leaks(
    data: Labelled, preprocessor: Preprocessor, X: Path, y: Path, further: Path | None, ctx: Context
) -> None:
    """Warn of raw columns and derived features that alone tell a target, of further ones on the rows that have them."""
    groups = [feature.group for feature in preprocessor.features]
    matrix = np.load(X, mmap_mode="r")
    targets = [(data.target, len(data.classes), np.load(y, mmap_mode="r"))]
    if further is not None:
        columns = np.load(further, mmap_mode="r").T
        targets += [(one.name, len(one.classes), own) for one, own in zip(data.further, columns, strict=True)]
    for target, classes, values in targets:
        if names := _tellers(groups, matrix, values, classes):
            shown = ", ".join(names[:_SHOWN])
            ctx.warn(
                f"{shown} alone tells '{target}' (nearly) perfectly: is it known before the prediction is made? "
                f"If not: prepare: {{exclude: [{shown}]}}"
            )


def _tellers(groups: Sequence[str], matrix: np.ndarray, target: np.ndarray, classes: int) -> list[str]:
    """The raw columns and derived features that alone tell a target, NaN where a row has none.

    groups: which of them each feature, a column of `matrix`, is of.
    """
    known = np.flatnonzero(np.isfinite(target))
    rows = min(_ROWS, max(_LEAST, _NUMBERS // matrix.shape[1]), len(known))
    if rows < _LEAST:
        return []
    chosen = known[np.linspace(0, len(known) - 1, rows).astype(np.int64)]
    sample, told = np.asarray(matrix[chosen]), np.asarray(target[chosen])
    there = np.unique(told).astype(np.int64) if classes else slice(None)
    best: dict[str, np.ndarray] = {}
    for i, group in enumerate(groups):
        found = order_strengths(sample[:, i], told, classes=classes)[there]
        best[group] = np.maximum(best.get(group, 0.0), found)
    return [group for group, strengths in best.items() if strengths.min() >= 1 - _NEAR]
