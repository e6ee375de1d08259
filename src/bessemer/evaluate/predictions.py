"""The test rows' predictions as a Parquet file, written batch by batch."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bessemer.core.signature import Task


def _class_type(classes: tuple[Any, ...]) -> pa.DataType:
    kinds = {type(value) for value in classes}
    return pa.bool_() if kinds == {bool} else pa.int64() if kinds == {int} else pa.string()


class PredictionWriter:
    """Writes `target`, `prediction` and the probabilities of the rows in the order in which they come.

    Binary: `probability` of the positive class; multiclass: `probability_<class>` for each class.
    """

    def __init__(self, path: Path, task: Task, classes: tuple[Any, ...], truth: NDArray[np.float64]) -> None:
        self._task, self._truth, self._row = task, truth, 0
        regression = task == "regression"
        value = pa.float64() if regression else _class_type(classes)
        self._classes = None if regression else pa.array(classes, type=value)
        self._probabilities = {
            "regression": [],
            "binary": ["probability"],
            "multiclass": [f"probability_{name}" for name in classes],
        }[task]
        prediction = pa.float32() if regression else value
        fields = [("target", value), ("prediction", prediction)]
        self._schema = pa.schema(fields + [(name, pa.float32()) for name in self._probabilities])
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd", version="2.6")

    def __enter__(self) -> PredictionWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def write(self, prediction: NDArray[Any], probability: NDArray[Any] | None) -> None:
        """Add a batch: predictions (n,) as the graph gives them, probabilities (n, classes)."""
        truth = self._truth[self._row : self._row + len(prediction)]
        self._row += len(prediction)
        if self._classes is None:
            target = pa.array(truth, type=pa.float64())
        else:
            target = self._classes.take(pa.array(truth.astype(np.int64)))
        columns = [target, pa.array(prediction).cast(self._schema.field("prediction").type)]
        if probability is not None:
            kept = probability[:, 1:] if self._task == "binary" else probability
            columns += [pa.array(np.ascontiguousarray(column)) for column in kept.T]
        self._writer.write_batch(pa.record_batch(columns, schema=self._schema), row_group_size=122_880)
