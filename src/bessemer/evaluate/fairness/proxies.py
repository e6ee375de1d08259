"""Which inputs give a group away: how well each, and all together, tell the group of a row they have not seen.

Leaving a column out of the inputs does not hide it where others stand in for it. For each input the share of each
group in its bins is learnt on training rows; for all inputs together gradient boosting is (scikit-learn's). Both are
judged on the test rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bessemer.core.grouping import Grouping, group, missing_values, numbers_of
from bessemer.core.parquet import rows_at
from bessemer.core.signature import Task
from bessemer.evaluate.fairness.partition import Partition
from bessemer.evaluate.slices import MIN_ROWS
from bessemer.stats.arrays import Floats
from bessemer.stats.bootstrap import Statistic, interval
from bessemer.stats.metrics.outcome import Outcome, classified
from bessemer.stats.metrics.table import Scorer

#: The most training rows, and the most cells (rows x columns), that the proxies are learnt from; and the most test rows
#: that they are judged on.
MOST_ROWS, MOST_CELLS, MOST_JUDGED = 10_000, 1_000_000, 10_000
#: So many columns are listed, the most telling ones first.
SHOWN = 6
_BINS, _LEVELS = 20, 100
_METRICS = ("roc_auc", "accuracy")


@dataclass
class Proxies:
    """How well a column's groups are told from other inputs.

    rows: the test rows whose group is among those compared. names: the inputs that were looked at.
    groups: the labels. single: by input, the outcome of guessing the group from it. together: from all of them.
    """

    column: str
    rows: NDArray[np.int64]
    groups: tuple[str, ...]
    single: dict[str, Outcome]
    together: Outcome

    def __post_init__(self) -> None:
        self._scorers = [Scorer(outcome, _METRICS) for outcome in self.outcomes]

    @property
    def outcomes(self) -> list[Outcome]:
        return [self.together, *self.single.values()]

    @property
    def statistic(self) -> Statistic:
        return lambda weights: np.concatenate([scorer(weights[self.rows]) for scorer in self._scorers])

    def content(self, draws: Floats, confidence: float) -> dict[str, Any]:
        """`together` and `columns` of `evaluation.json`."""
        figures = []
        for k, scorer in enumerate(self._scorers):
            values, own = scorer(), draws[:, 2 * k : 2 * k + 2]
            figures.append(
                {
                    name: dict(
                        zip(
                            ("value", "low", "high"),
                            (float(values[i]), *interval(own[:, i], confidence)),
                            strict=True,
                        )
                    )
                    for i, name in enumerate(_METRICS)
                }
            )
        chance = float(np.bincount(self.together.truth.astype(np.int64)).max() / self.together.rows)
        return {
            "groups": list(self.groups),
            "rows": len(self.rows),
            "chance": {"roc_auc": 0.5, "accuracy": chance},
            "together": figures[0],
            "columns": [{"column": name, **one} for name, one in zip(self.single, figures[1:], strict=True)],
        }

    def guessed(self, rows: int) -> Partition:
        """All `rows` test rows by the group that the inputs together suggest; rows of no compared group stand apart."""
        codes = np.full(rows, len(self.groups), dtype=np.int64)
        codes[self.rows] = self.together.predicted
        labels = (*self.groups, "not compared")
        return Partition(self.column, (self.column,), labels, codes, frozenset({len(self.groups)}))


def find_proxies(
    train: Path, test: Path, inputs: Sequence[str], partition: Partition, grouping: Grouping, seed: int
) -> Proxies | None:
    """The proxies of a column; None where fewer than two of its groups have rows enough, or there is no other input.

    Args:
        train, test: Parquet files of raw rows. inputs: the model's raw columns.
        partition: the test rows by the column. grouping: its groups.
    """
    names = [name for name in inputs if name != partition.name]
    if not names:
        return None
    most = max(1000, min(MOST_ROWS, MOST_CELLS // len(names)))
    table = _spread(train, [*names, partition.name], most)
    codes = grouping.codes(table[partition.name])
    compared = _compared(partition, np.bincount(codes, minlength=grouping.size + 2))
    if len(compared) < 2:
        return None
    place = np.full(grouping.size + 2, -1, dtype=np.int64)  # by the grouping's code; -1 is not compared
    place[[partition.origin[k] for k in compared]] = np.arange(len(compared))
    known = np.flatnonzero(place[codes] >= 0)
    table, y = table.take(pa.array(known)), place[codes[known]]
    own = place[np.array(partition.origin)][partition.codes]
    rows = _evenly(np.flatnonzero(own >= 0).astype(np.int64), MOST_JUDGED)
    held = rows_at(test, rows, names)
    truth = own[rows]
    coded = {name: _coded(table[name], held[name]) for name in names}
    task: Task = "binary" if len(compared) == 2 else "multiclass"
    single = {
        name: classified(task, truth, _shares(c.train, y, c.test, len(compared))) for name, c in coded.items()
    }
    ranked = sorted(single, key=lambda name: (-_auc(single[name]), name))[:SHOWN]
    together = classified(task, truth, _boosted(list(coded.values()), y, seed))
    groups = tuple(partition.labels[k] for k in compared)
    return Proxies(partition.name, rows, groups, {name: single[name] for name in ranked}, together)


def _compared(partition: Partition, trained: NDArray[np.int64]) -> list[int]:
    """The groups of the partition with rows enough, `trained` being the training rows by the grouping's code."""
    return [
        k
        for k, code in enumerate(partition.origin)
        if k not in partition.pooled and min(partition.sizes[k], trained[code]) >= MIN_ROWS
    ]


def _auc(outcome: Outcome) -> float:
    return float(Scorer(outcome, ["roc_auc"])()[0])


def _spread(path: Path, columns: Sequence[str], most: int) -> pa.Table:
    """About `most` rows of a Parquet file, spread evenly over it."""
    rows = _evenly(np.arange(pq.read_metadata(path).num_rows, dtype=np.int64), most)
    found: pa.Table = rows_at(path, rows, list(columns))
    return found


def _evenly(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """All of the rows, or `most` of them spread evenly, in order."""
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]


@dataclass(frozen=True)
class _Coded:
    """A column in bins, int64 (n,), and as numbers for boosting, float64 (n,); whether the numbers are only names."""

    train: NDArray[np.int64]
    test: NDArray[np.int64]
    numbers: tuple[Floats, Floats]
    names: bool


def _coded(train: pa.ChunkedArray, test: pa.ChunkedArray) -> _Coded:
    made = group("", train, most=_LEVELS)
    if made.kind == "ranges":
        known = numbers_of(train)[~missing_values(train)]
        if len(known):
            edges = np.unique(np.quantile(known, np.arange(1, _BINS) / _BINS, method="inverted_cdf"))
            made = Grouping("", made.dtype, edges=tuple(edges.tolist()), kind="ranges")
    codes = made.codes(train), made.codes(test)
    if made.kind == "levels":
        return _Coded(
            *codes, (codes[0].astype(np.float64), codes[1].astype(np.float64)), made.dtype == "string"
        )
    numbers = [
        np.where(missing_values(part), np.nan, numbers_of(part).astype(np.float64)) for part in (train, test)
    ]
    return _Coded(*codes, (numbers[0], numbers[1]), False)


def _shares(bins: NDArray[np.int64], y: NDArray[np.int64], asked: NDArray[np.int64], groups: int) -> Floats:
    """The share of each group in the bin of each asked row, drawn towards the overall shares by one row's weight."""
    size = int(max(bins.max(initial=0), asked.max(initial=0))) + 1
    counts = np.bincount(bins * groups + y, minlength=size * groups).reshape(size, groups).astype(np.float64)
    prior = np.bincount(y, minlength=groups) / len(y)
    shares: Floats = (counts + prior) / (counts.sum(axis=1, keepdims=True) + 1)
    return shares[asked]


def _boosted(columns: Sequence[_Coded], y: NDArray[np.int64], seed: int) -> Floats:
    """The probability of each group for the test rows, from all columns."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    X, Z = (np.column_stack([c.numbers[k] for c in columns]) for k in (0, 1))
    model = HistGradientBoostingClassifier(
        max_iter=max(8, min(30, 150 // (int(y.max()) + 1))),  # a round is a tree for each group
        max_leaf_nodes=15,
        learning_rate=0.2,
        early_stopping=False,
        categorical_features=[c.names for c in columns],
        random_state=seed % 2**31,
    )
    with threadpool_limits(
        limits=1, user_api="openmp"
    ):  # small fits on a shared machine wait for their threads
        found: Floats = model.fit(X, y).predict_proba(Z)
    return found
