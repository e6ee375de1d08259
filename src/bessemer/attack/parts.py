"""Rows of a part of the splits as whoever asks the model has them: raw, and the features that the graph makes of them.

The training matrix of the splits is not taken: what was cross-fitted there would tell training rows from others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bessemer.attack.protocol import Sample, Victim
from bessemer.core.parquet import rows_at
from bessemer.package.head import FEATURES

if TYPE_CHECKING:
    import pyarrow as pa

Floats = npt.NDArray[np.float64]


def part_rows(victim: Victim, part: str, most: int, rng: np.random.Generator) -> tuple[pa.Table, Floats]:
    """All raw rows of a part (train, valid, test) and their targets, or `most` of them by chance, in their order."""
    rows = np.arange(int(victim.splits.meta["rows"][part]))
    if len(rows) > most:
        rows = np.sort(rng.choice(rows, most, replace=False))
    columns = [field.name for field in victim.signature.inputs]
    table = rows_at(victim.splits.path(f"{part}.parquet"), rows, columns)
    return table, np.load(victim.splits.path(f"{part}.y.npy"), allow_pickle=False)[rows]


def sampled(victim: Victim, table: pa.Table, y: Floats, confidence: float) -> Sample:
    """Raw rows with their features by the graph that ships."""
    X = victim.session.run(table, [FEATURES])[FEATURES]
    return Sample(table, np.ascontiguousarray(X, dtype=np.float32), y, confidence)


def log_odds(victim: Victim, table: pa.Table, y: Floats) -> Floats:
    """How sure the graph is of the right answer: the log-odds of the right class, (N,), or of a number minus the
    logarithm of the squared error; neither of them NaN. The higher, the smaller is the loss of the row."""
    score = np.asarray(victim.session.run(table, ["score"])["score"], dtype=np.float64)
    return odds_of(score, y, victim.task)


def odds_of(score: Floats, y: Floats, task: Any) -> Floats:
    """The same of scores (N, K') that are there.

    >>> odds_of(np.array([[2.0], [2.0]]), np.array([1.0, 0.0]), "binary").tolist()
    [2.0, -2.0]
    """
    if task == "regression":
        return np.asarray(-np.log((score[:, 0] - y) ** 2 + 1e-12 * (1 + float(np.var(y)))))
    if task == "binary":
        return np.where(y == 1, score[:, 0], -score[:, 0])
    own = np.arange(len(y)), y.astype(np.int64)
    others = score.copy()
    others[own] = -np.inf
    most = others.max(axis=1, keepdims=True)
    rest = most[:, 0] + np.log(np.exp(others - most).sum(axis=1))
    return np.asarray(score[own] - rest)
