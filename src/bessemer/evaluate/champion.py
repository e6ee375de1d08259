"""The champion: the package in production, judged on the same test rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bessemer.core.errors import DataError
from bessemer.core.signature import Signature, Task
from bessemer.evaluate.scoring import BATCH_ROWS
from bessemer.stats.metrics.outcome import Outcome, class_indices, classified, estimated


@dataclass(frozen=True)
class Wanted:
    """What is predicted: the name of the target, its task, and its classes in their order; () of a number."""

    target: str
    task: Task
    classes: tuple[Any, ...]


@dataclass(frozen=True)
class _Answer:
    """A target of a package, and what the columns of its answers are called."""

    task: Task
    classes: tuple[Any, ...]
    prediction: str
    probability: str

    def columns(self, classes: tuple[Any, ...]) -> list[str]:
        """Those that judge it, of classes in this order."""
        if self.task == "multiclass":
            return [f"{self.probability}_{name}" for name in classes]
        return [self.prediction if self.task == "regression" else self.probability]


def champion_outcome(package: Path, part: Path, wanted: Wanted, truth: NDArray[np.float64]) -> Outcome:
    """The outcome of a package on a Parquet file of raw rows: of its main target, or of the further one of that name.

    Raises:
        PackageError: the package is refused.
        DataError: it predicts something else, or cannot read these rows.
    """
    from bessemer.package import load

    model, (task, classes) = load(package), (wanted.task, wanted.classes)
    answer = _answer(model.signature, wanted, package.name)
    columns = answer.columns(classes)
    found, said = [], []
    for batch in pq.ParquetFile(part).iter_batches(BATCH_ROWS):
        made = model.predict(pa.Table.from_batches([batch]))
        found.append(np.stack([made.column(c).to_numpy() for c in columns], axis=1))
        if task == "binary":
            said.append(class_indices(np.array(made.column(answer.prediction).to_pylist()), classes))
    values = np.concatenate(found)
    if task == "regression":
        return estimated(truth, values[:, 0])
    if task == "binary":
        positive = values[:, 0] if answer.classes == classes else 1 - values[:, 0]
        values = np.stack([1 - positive, positive], axis=1)
    return classified(task, truth, values, np.concatenate(said) if said else None)


def _answer(signature: Signature, wanted: Wanted, package: str) -> _Answer:
    """What a package says of the wanted target.

    Raises:
        DataError: it predicts no target of this name, or another task or other classes of it.
    """
    found = {
        one.name: _Answer(one.task, one.classes, one.prediction, one.probability) for one in signature.further
    }
    found[signature.target] = _Answer(signature.task, tuple(signature.classes), "prediction", "probability")
    answer = found.get(wanted.target)
    if answer is None or answer.task != wanted.task or set(answer.classes) != set(wanted.classes):
        own = answer or found[signature.target]
        name = wanted.target if answer is not None else signature.target
        raise DataError(
            f"the champion {package} predicts something else than this project",
            why=f"it is a {own.task} model of '{name}': {_words(own.classes)}; "
            f"this is a {wanted.task} task of '{wanted.target}': {_words(wanted.classes)}",
            fix="set evaluate.champion to a package of this project, or leave it out; of an imported model the "
            "target is what `bessemer import --target` said",
        )
    return answer


def _words(classes: tuple[Any, ...]) -> str:
    shown = ", ".join(repr(c) for c in classes[:5])
    return f"{shown} and {len(classes) - 5} more" if len(classes) > 5 else shown or "numbers"
