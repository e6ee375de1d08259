"""The champion: the package in production, judged on the same test rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bessemer.core.errors import DataError
from bessemer.core.signature import Task
from bessemer.evaluate.scoring import BATCH_ROWS
from bessemer.stats.metrics.outcome import Outcome, class_indices, classified, estimated


def champion_outcome(
    package: Path, part: Path, task: Task, classes: tuple[Any, ...], truth: NDArray[np.float64]
) -> Outcome:
    """The outcome of a package on a Parquet file of raw rows.

    Raises:
        PackageError: the package is refused.
        DataError: it predicts something else, or cannot read these rows.
    """
    from bessemer.package import load

    model = load(package)
    signature = model.signature
    if signature.task != task or set(signature.classes) != set(classes):
        raise DataError(
            f"the champion {package.name} predicts something else than this project",
            why=f"it is a {signature.task} model of {_words(signature.classes)}; "
            f"this is a {task} task of {_words(classes)}",
            fix="set evaluate.champion to a package of this project, or leave it out",
        )
    wanted = _columns(task, classes)
    found, said = [], []
    for batch in pq.ParquetFile(part).iter_batches(BATCH_ROWS):
        made = model.predict(pa.Table.from_batches([batch]))
        found.append(np.stack([made.column(c).to_numpy() for c in wanted], axis=1))
        if task == "binary":
            said.append(class_indices(np.array(made.column("prediction").to_pylist()), classes))
    values = np.concatenate(found)
    if task == "regression":
        return estimated(truth, values[:, 0])
    if task == "binary":
        positive = values[:, 0] if tuple(signature.classes) == classes else 1 - values[:, 0]
        values = np.stack([1 - positive, positive], axis=1)
    return classified(task, truth, values, np.concatenate(said) if said else None)


def _columns(task: Task, classes: tuple[Any, ...]) -> list[str]:
    if task == "multiclass":
        return [f"probability_{name}" for name in classes]
    return ["prediction" if task == "regression" else "probability"]


def _words(classes: tuple[Any, ...]) -> str:
    shown = ", ".join(repr(c) for c in classes[:5])
    return f"{shown} and {len(classes) - 5} more" if len(classes) > 5 else shown or "numbers"
