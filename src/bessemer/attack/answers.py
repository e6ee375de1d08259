"""What the graph that ships says of features: the half of it behind `features`, run by onnxruntime."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bessemer.core.errors import FormatError
from bessemer.package.cut import behind
from bessemer.package.decision import Decision
from bessemer.package.head import FEATURES
from bessemer.package.onnx_format import parse, serialize
from bessemer.package.runtime import open_session

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.attack.protocol import Oracle, Sample, Victim
    from bessemer.package.differentiable import Twin

Floats32 = npt.NDArray[np.float32]

#: How far the twin's scores may be from the graph's, in parts of a score and 1.
_APART = 1e-3


class Answers:
    """Scores of classes for changed rows of a sample, counted.

    asked: rows that the graph has been asked for so far.
    """

    def __init__(self, victim: Victim, sample: Sample) -> None:
        part = behind(parse(victim.model.bytes("model.onnx")), FEATURES, ["score"])
        if part is None:
            raise FormatError("the graph's score is not computed from its features alone")
        self._victim = victim
        self._session = open_session(serialize(part), 1)
        self.offset = _offsets(victim, sample)
        self.classes = max(2, len(victim.classes))
        self.asked = 0

    def of_table(self, table: pa.Table, row: int) -> Floats32:
        """Scores (n, K) of raw rows (n) that were made of one row of the sample."""
        X = self._victim.session.run(table, [FEATURES])[FEATURES]
        return self.scores(X, np.full(len(X), row))

    def scores(self, X: Floats32, rows: npt.NDArray[np.int64]) -> Floats32:
        """Scores (n, K) of features (n, F) that were made of these rows of the sample; the greatest is the answer."""
        self.asked += len(X)
        found = self._session.run(["score"], {FEATURES: np.ascontiguousarray(X, dtype=np.float32)})[0]
        return self.of_classes(np.asarray(found, dtype=np.float32), rows)

    def of_classes(self, score: Floats32, rows: npt.NDArray[np.int64]) -> Floats32:
        """What the graph calls `score` as a column for each class: of two classes the first is always 0."""
        if self.offset is None:
            return score
        second = score[:, 0] - self.offset[rows]
        return np.stack([np.zeros_like(second), second], axis=1)

    def answers(self, X: Floats32, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The class index that the graph says, (n,)."""
        found: npt.NDArray[np.int64] = self.scores(X, rows).argmax(axis=1)
        return found


class AskedAnswers(Answers):
    """The same of a model that is somewhere else: its oracle is asked for raw rows, with what was moved in them."""

    def __init__(self, oracle: Oracle, victim: Victim, sample: Sample) -> None:
        self._oracle, self._table = oracle, sample.table
        self.offset, self.classes, self.asked = None, max(2, len(victim.classes)), 0

    def of_table(self, table: pa.Table, row: int) -> Floats32:
        self.asked += table.num_rows
        return self._oracle.scores(table).astype(np.float32)

    def scores(self, X: Floats32, rows: npt.NDArray[np.int64]) -> Floats32:
        return self.of_table(self._oracle.table(X, self._table.take(rows)), 0)


def answers_of(victim: Victim, sample: Sample) -> Answers:
    """Whoever answers for a victim."""
    if victim.oracle is not None:
        return AskedAnswers(victim.oracle, victim, sample)
    return Answers(victim, sample)


def _offsets(victim: Victim, sample: Sample) -> Floats32 | None:
    """The score from which the second of two classes is said, for each row; None where there are more."""
    if victim.task != "binary":
        return None
    thresholds = Decision.from_json(victim.facts.get("decision")).thresholds(sample.table, len(sample))
    inside = np.clip(thresholds.astype(np.float64), 1e-12, 1 - 1e-7)
    # At the threshold itself the second class is said, where `argmax` says the first.
    offsets: Floats32 = np.nextafter(np.log(inside / (1 - inside)).astype(np.float32), np.float32(-np.inf))
    return offsets


def twin_of(victim: Victim) -> Twin:
    """The victim's score with gradients.

    Raises:
        FormatError: its graph has none; the text names the operator.
    """
    from bessemer.package.differentiable import twin

    return twin(victim.model.bytes("model.onnx"))


def check_twin(twin: Twin, answers: Answers, sample: Sample) -> None:
    """Hold the twin against the graph on the sample as it stands.

    Raises:
        FormatError: their scores differ, so what the twin finds would not be of the graph.
    """
    import torch

    rows = np.arange(len(sample))
    expected = answers.scores(sample.X, rows)
    with torch.no_grad():
        found = answers.of_classes(twin(torch.from_numpy(sample.X)).numpy(), rows)
    apart = float((np.abs(found - expected) / (1 + np.abs(expected))).max(initial=0))
    if not apart <= _APART:
        raise FormatError(f"the graph in torch differs from the graph that ships by {apart:.2g}")
