"""Running models over rows: the shipped graph over raw columns, the baselines over the feature matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bessemer.core.artifact import Artifact
from bessemer.core.errors import DataError
from bessemer.core.further import Further, further_of
from bessemer.core.signature import Signature, Task
from bessemer.package.decision import Decision
from bessemer.package.runtime import open_session
from bessemer.package.session import GraphSession
from bessemer.stats.metrics.outcome import Outcome, class_indices, classified, estimated

BATCH_ROWS = 65_536

#: What is told of each batch: its predictions (n,) and, for classifiers, probabilities (n, classes).
Sink = Callable[[NDArray[Any], NDArray[Any] | None], None]


class More(Protocol):
    """Takes other outputs of the graph than those that judge the main target: (n, ...) each, batch by batch."""

    @property
    def outputs(self) -> tuple[str, ...]: ...

    def take(self, made: Mapping[str, NDArray[Any]]) -> None: ...


def outputs_of(task: Task) -> list[str]:
    return ["prediction"] if task == "regression" else ["prediction", "probability"]


@dataclass(frozen=True)
class Judged:
    """A model, opened to be judged. classes: in the order of the class index. inputs: its raw columns. decision: what
    makes a positive of two classes. target: the main one. further: the targets beside it."""

    task: Task
    classes: tuple[Any, ...]
    inputs: tuple[str, ...]
    learner: str
    metric: str
    session: GraphSession
    baselines: dict[str, bytes]
    decision: Decision = field(default_factory=Decision)
    further: tuple[Further, ...] = ()
    target: str = ""

    def over(
        self,
        part: Path,
        truth: NDArray[np.float64],
        sink: Sink = lambda p, q: None,
        more: More | None = None,
    ) -> Outcome:
        """The outcome of the shipped graph on a Parquet file of raw rows, in batches.

        Args:
            more: takes other outputs of the same runs.

        Raises:
            DataError: the graph gave a number that is not finite.
        """
        found: list[NDArray[Any]] = []
        said: list[NDArray[np.int64]] = []
        asked = [*outputs_of(self.task), *(more.outputs if more is not None else ())]
        for batch in pq.ParquetFile(part).iter_batches(BATCH_ROWS):
            made = self.session.run(batch, asked)
            if more is not None:
                more.take(made)
            found.append(_figures(self.task, made))
            if self.task == "binary":
                said.append(class_indices(made["prediction"], self.classes))
            sink(made["prediction"].reshape(-1), made.get("probability"))
        return self._outcome("the model", truth, found, np.concatenate(said) if said else None)

    def baseline(self, name: str, X: NDArray[np.float32], truth: NDArray[np.float64]) -> Outcome:
        """The outcome of a baseline on the feature matrix (n, features)."""
        session = open_session(self.baselines[name], 1)
        outputs = outputs_of(self.task)
        found = []
        for rows in _slices(len(X)):
            values = session.run(outputs, {"features": np.ascontiguousarray(X[rows])})
            found.append(_figures(self.task, dict(zip(outputs, values, strict=True))))
        return self._outcome(f"the {name} baseline", truth, found)

    def _outcome(
        self,
        who: str,
        truth: NDArray[np.float64],
        found: Sequence[NDArray[Any]],
        said: NDArray[np.int64] | None = None,
    ) -> Outcome:
        values = finite(who, np.concatenate(found))
        if self.task == "regression":
            return estimated(truth, values)
        return classified(self.task, truth, values, said)


def finite(who: str, values: NDArray[Any]) -> NDArray[Any]:
    """The values (n,) or (n, k) as they are.

    Raises:
        DataError: one of them is not finite.
    """
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1))[0])
        raise DataError(
            f"{who} gave a prediction that is not a finite number, first in row {row}",
            why="values of the features overflow what the learner can compute with",
            fix="bound the column with a rule in the contract, or derive a smaller one such as ln(x)",
        )
    return values


def _figures(task: Task, made: dict[str, NDArray[Any]]) -> NDArray[Any]:
    return made["prediction"].reshape(-1) if task == "regression" else made["probability"]


def _slices(rows: int) -> Iterator[slice]:
    return (slice(start, start + BATCH_ROWS) for start in range(0, rows, BATCH_ROWS))


def open_judged(model: Artifact) -> Judged:
    """Open the model of a `model` artifact.

    One thread: trees added in another order differ in the last bits.
    """
    facts = model.json("model.json")
    signature = Signature.from_json(model.json("signature.json"))
    names = (n for n in model.files if n.startswith("baselines/") and n.endswith(".onnx"))
    return Judged(
        task=facts["task"],
        classes=tuple(facts["classes"]),
        inputs=tuple(field.name for field in signature.inputs),
        learner=facts["learner"],
        metric=facts["metric"],
        session=GraphSession(model.bytes("model.onnx"), signature.inputs),
        baselines={Path(name).stem: model.bytes(name) for name in sorted(names)},
        decision=Decision.from_json(facts.get("decision")),
        further=further_of(facts),
        target=facts["target"],
    )
