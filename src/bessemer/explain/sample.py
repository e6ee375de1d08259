"""The sample of test rows that is explained, with its scores and contributions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bessemer.core.errors import BessemerError, DataError

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.artifact import Artifact
    from bessemer.core.stage import Context
    from bessemer.explain.subject import Subject

Floats = npt.NDArray[np.float64]

#: How far contributions may be from the score they add up to, relative to the largest score (at least 1).
TOLERANCE = 1e-4

#: The most numbers (rows x features x outputs) that are held at once while contributions are computed.
BLOCK = 4_000_000

#: What explaining all rows may take, in about a nanosecond of one thread; and the fewest rows that say something.
_WORK, _FEWEST = 5e9, 200


@dataclass(frozen=True)
class Rows:
    """Rows as they are and as the learner sees them. table: N raw rows; features: float32 (N, F); actual: float64 (N,),
    the class index, or the value in regression."""

    table: pa.Table
    features: npt.NDArray[np.float32]
    actual: Floats

    def __len__(self) -> int:
        return len(self.actual)


@dataclass(frozen=True)
class Training:
    """The rows that the model was fitted to, read when they are asked for."""

    splits: Artifact
    columns: list[str]

    def __len__(self) -> int:
        return int(self.splits.meta["rows"]["train"])

    def draw(self, most: int, rng: np.random.Generator) -> Rows:
        """All rows, or `most` of them drawn at random, in their order."""
        return read_rows(self.splits, "train", pick(len(self), most, rng), self.columns)


@dataclass(frozen=True)
class Sample:
    """Test rows under explanation. N rows, G groups, K outputs (1, or one a class in multiclass).

    table: the raw columns, N rows.
    features: what the learner sees, float32 (N, F).
    actual: the class index, or the value in regression, float64 (N,).
    score: the graph's raw score, float64 (N, K).
    probability: float64 (N, classes); (N, 0) in regression.
    base: what the score would be without knowing anything of the row, float64 (K,).
    contributions: float64 (N, G, K); base + their sum over G is the score.
    training: the rows the model was fitted to; None where only a package is there.
    """

    table: pa.Table
    features: npt.NDArray[np.float32]
    actual: Floats
    score: Floats
    probability: Floats
    base: Floats
    contributions: Floats
    training: Training | None = None

    def __len__(self) -> int:
        return len(self.actual)

    @cached_property
    def predicted(self) -> Floats:
        """The predicted class index, or the value in regression."""
        if self.probability.shape[1]:
            best: Floats = self.probability.argmax(axis=1).astype(np.float64)
            return best
        return self.score[:, 0]

    @cached_property
    def gap(self) -> float:
        """The worst |base + sum of contributions - score|."""
        total = self.base[None, :] + self.contributions.sum(axis=1)
        return float(np.abs(total - self.score).max(initial=0.0))


def draw(splits: Artifact, subject: Subject, rows: int, ctx: Context) -> Sample:
    """Draw up to `rows` test rows at random and explain each.

    Raises:
        DataError: the test part has no rows.
        BessemerError: the contributions do not add up to the score of the graph.
    """
    count = int(splits.meta["rows"]["test"])
    if not count:
        raise DataError("the test part has no rows to explain", fix="make `prepare.split.test` larger")
    rows = _affordable(rows, subject, ctx)
    drawn = read_rows(splits, "test", pick(count, rows, ctx.rng("sample")), subject.columns)
    sample = explained(subject, drawn, Training(splits, subject.columns))
    check_sum(sample)
    return sample


def explained(subject: Subject, rows: Rows, training: Training | None = None) -> Sample:
    """The rows with their scores and contributions."""
    outputs = ["score"] if subject.task == "regression" else ["score", "probability"]
    found = subject.session.run(rows.table, outputs)
    base, contributions = grouped(subject, rows.features)
    return Sample(
        table=rows.table,
        features=rows.features,
        actual=rows.actual,
        score=found["score"].astype(np.float64).reshape(len(rows), -1),
        probability=found.get("probability", np.zeros((len(rows), 0))).astype(np.float64),
        base=base,
        contributions=contributions,
        training=training,
    )


def pick(count: int, most: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Ascending positions: all of `count`, or `most` of them drawn at random."""
    if most >= count:
        return np.arange(count)
    return np.sort(rng.choice(count, most, replace=False))


def read_rows(splits: Artifact, part: str, chosen: npt.NDArray[np.int64], columns: list[str]) -> Rows:
    """The rows of a part (train, valid or test) at the given ascending positions."""
    X, y = (np.load(splits.path(f"{part}.{name}.npy"), mmap_mode="r") for name in ("X", "y"))
    return Rows(
        table=take_rows(splits, part, chosen, columns),
        features=np.ascontiguousarray(X[chosen], dtype=np.float32),
        actual=np.asarray(y[chosen], dtype=np.float64),
    )


def _affordable(rows: int, subject: Subject, ctx: Context) -> int:
    """Fewer rows where each is dear: an ensemble of thousands of deep trees takes a tenth of a second for one."""
    most = max(_FEWEST, int(_WORK / max(1.0, subject.contributions.work)))
    if rows <= most:
        return rows
    ctx.note(f"{most} rows are explained instead of {rows:,}: the model is large, and each takes a while")
    return most


def check_sum(sample: Sample) -> None:
    """Refuse contributions that do not add up to the score the graph gives."""
    allowed = TOLERANCE * max(1.0, float(np.abs(sample.score).max(initial=0.0)))
    if not sample.gap <= allowed:  # NaN is refused too
        raise BessemerError(
            f"contributions differ from the model's score by {sample.gap:.3g} (allowed: {allowed:.3g})",
            why="the native model and model.onnx do not compute the same score, so it cannot be explained",
            fix="bessemer run --force train",
        )


def take_rows(splits: Artifact, part: str, chosen: npt.NDArray[np.int64], columns: list[str]) -> pa.Table:
    """The raw rows of a part at the given ascending positions, read as a stream."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(splits.path(f"{part}.parquet")) as file:
        batches = []
        first = 0
        for batch in file.iter_batches(batch_size=65_536, columns=columns, use_threads=False):
            low, high = np.searchsorted(chosen, [first, first + len(batch)])
            if high > low:
                batches.append(batch.take(pa.array(chosen[low:high] - first)))
            first += len(batch)
    return pa.Table.from_batches(batches).select(columns).combine_chunks()


def grouped(subject: Subject, features: npt.NDArray[np.float32]) -> tuple[Floats, Floats]:
    """The base (K,) and the contributions summed by group (N, G, K), block by block."""
    blocks = []
    base: Floats = np.zeros(1)
    for block in _blocks(features, max(1, len(subject.classes))):
        bases, parts = subject.contributions.compute(block)
        base = np.asarray(bases, dtype=np.float64).reshape(len(block), -1)[0]
        blocks.append(subject.contributions.by_group(parts, subject.groups))
    return base, np.concatenate(blocks)


def _blocks(features: npt.NDArray[np.float32], outputs: int) -> Iterator[Any]:
    size = max(1, BLOCK // max(1, features.shape[1] * outputs))
    for start in range(0, len(features), size):
        yield features[start : start + size]
