"""The sample of test rows that is explained, with its scores and contributions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from bessemer.core.errors import BessemerError, DataError
from bessemer.core.parquet import rows_at
from bessemer.explain.explanation import Error
from bessemer.stats.metrics.outcome import class_indices

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


class Drawn(Protocol):
    """Rows to compare with: those the model was fitted to, or the nearest to them that there is.

    text: what they are, in words, to follow "compared with".
    """

    @property
    def text(self) -> str: ...

    def __len__(self) -> int: ...

    def draw(self, most: int, rng: np.random.Generator) -> Rows:
        """All rows, or `most` of them drawn at random, in their order. `actual` is NaN where it is not known."""


@dataclass(frozen=True)
class Training:
    """The rows that the model was fitted to, read when they are asked for."""

    splits: Artifact
    columns: list[str]
    text: str = "training rows"

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
    asked: the positions of the rows that someone asked about; None where the telling ones are to be found.
    standard_error: the worst of a contribution; 0 where the method is exact.
    said: the class index that the graph said, int64 (N,), of two classes: its threshold may be any.
    """

    table: pa.Table
    features: npt.NDArray[np.float32]
    actual: Floats
    score: Floats
    probability: Floats
    base: Floats
    contributions: Floats
    training: Drawn | None = None
    asked: tuple[int, ...] | None = None
    standard_error: float = 0.0
    said: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.actual)

    @cached_property
    def predicted(self) -> Floats:
        """The predicted class index, or the value in regression."""
        if self.said is not None:
            return self.said.astype(np.float64)
        if self.probability.shape[1]:
            best: Floats = self.probability.argmax(axis=1).astype(np.float64)
            return best
        return self.score[:, 0]

    @cached_property
    def gap(self) -> float:
        """The worst |base + sum of contributions - score|."""
        total = self.base[None, :] + self.contributions.sum(axis=1)
        return float(np.abs(total - self.score).max(initial=0.0))

    @property
    def error(self) -> Error:
        """How far the contributions may be from what they claim."""
        if self.standard_error > self.gap:
            text = "the worst standard error of a contribution: the method draws at random"
            return Error("standard error", self.standard_error, text)
        return Error(
            "additivity gap", self.gap, "the worst difference of base and contributions from the score"
        )


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


def explained(subject: Subject, rows: Rows, training: Drawn | None = None) -> Sample:
    """The rows with their scores and contributions."""
    outputs = ["score"] if subject.task == "regression" else ["score", "probability"]
    binary = subject.task == "binary"
    found = subject.session.run(rows.table, [*outputs, *(["prediction"] if binary else [])])
    base, contributions, error = grouped(subject, rows.features)
    return Sample(
        table=rows.table,
        features=rows.features,
        actual=rows.actual,
        score=found["score"].astype(np.float64).reshape(len(rows), -1),
        probability=found.get("probability", np.zeros((len(rows), 0))).astype(np.float64),
        base=base,
        contributions=contributions,
        training=training,
        standard_error=error,
        said=class_indices(found["prediction"], subject.classes) if binary else None,
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
        table=rows_at(splits.path(f"{part}.parquet"), chosen, columns),
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


def grouped(subject: Subject, features: npt.NDArray[np.float32]) -> tuple[Floats, Floats, float]:
    """The base (K,), the contributions summed by group (N, G, K), and the worst standard error of one; by blocks."""
    blocks = []
    base: Floats = np.zeros(1)
    worst = 0.0
    explain = subject.contributions
    for block in _blocks(features, max(1, len(subject.classes))):
        found = explain.estimate(block)
        base = np.asarray(found.base, dtype=np.float64)
        blocks.append(explain.by_group(found.each, subject.groups))
        if found.error.any():
            squares = explain.by_group(found.error**2, subject.groups)
            worst = max(worst, float(np.sqrt(squares.max(initial=0.0))))
    return base, np.concatenate(blocks), worst


def _blocks(features: npt.NDArray[np.float32], outputs: int) -> Iterator[Any]:
    size = max(1, BLOCK // max(1, features.shape[1] * outputs))
    for start in range(0, len(features), size):
        yield features[start : start + size]
