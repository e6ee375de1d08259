"""What the model says of a window's rows: its outputs counted in the reference's bins, and a sample to judge it by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bessemer.core.signature import Field, Signature
from bessemer.core.sql import quote
from bessemer.monitor.reference import Sketch
from bessemer.monitor.window import Column, Window
from bessemer.stats.arrays import Floats, Ints
from bessemer.stats.binning import count
from bessemer.stats.metrics.outcome import class_indices

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.package.model import Model

#: The most rows that performance is measured on: a draw of them, where there are more.
SAMPLE = 50_000
_BATCH_ROWS = 65_536

_TYPES = {
    "integer": "DOUBLE",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMP",
    "string": "VARCHAR",
}


@dataclass(frozen=True)
class Scored:
    """Rows of a window with what the model says of them.

    outputs: all rows, as a window whose columns are the outputs. labelled: how many of all rows have a label.
    The rest is of a sample of n rows: predicted is the class index, or the number (n,); probability is (n, classes), or
    (n, 0) in regression; truth as predicted, NaN where there is no label.
    """

    outputs: Window
    predicted: Floats
    probability: Floats
    truth: Floats
    labelled: int


def score(
    connection: Any, relation: str, model: Model, reference: Mapping[str, Sketch], rng: np.random.Generator
) -> Scored:
    """Score the rows of a relation, batch by batch.

    Args:
        reference: the sketches of the outputs, by name.

    A value that is not of its column's type is missing here, as it is to the scan.
    """
    rows = int(connection.execute(f"SELECT count(*) FROM {relation}").fetchone()[0])
    sums = {name: np.zeros(len(sketch.counts)) for name, sketch in reference.items()}
    moments = {name: np.zeros(2) for name, sketch in reference.items() if sketch.is_numeric}
    kept: list[tuple[Floats, Floats, Floats]] = []
    labelled = 0
    for batch, truth in _batches(connection, relation, model.signature):
        made = model.session.run(batch, _asked(model), allow_missing=True)
        predicted, probability = _said(made, model.signature)
        for name, values in _outputs(made, predicted, probability, model.task).items():
            sums[name] += _counted(values, reference[name])
            if name in moments:
                moments[name] += values.sum(), (values**2).sum()
        labelled += int(np.isfinite(truth).sum())
        chosen = rng.random(len(predicted)) < SAMPLE / max(1, rows)
        kept.append((predicted[chosen], probability[chosen], truth[chosen]))
    columns = {name: Column(_sketch(reference[name], sums[name], moments.get(name), rows)) for name in sums}
    parts = [np.concatenate(part) for part in zip(*kept, strict=True)] if kept else [np.zeros(0)] * 3
    return Scored(Window(rows, columns), parts[0], parts[1], parts[2], labelled)


def _asked(model: Model) -> tuple[str, ...]:
    return ("prediction", "score") if model.task == "regression" else ("prediction", "probability", "score")


def _batches(connection: Any, relation: str, signature: Signature) -> Iterator[tuple[pa.RecordBatch, Floats]]:
    """The inputs as the model takes them, and the truth: NaN where there is none."""
    described = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    there = {row[0]: str(row[1]) for row in described}
    wanted = [_input(field, there[field.name]) for field in signature.inputs if field.name in there]
    target = signature.target if signature.target in there else ""
    if target:
        kind = "DOUBLE" if signature.task == "regression" else "VARCHAR"
        wanted.append(f"TRY_CAST({quote(target)} AS {kind})")
    if not wanted:
        return
    reader = connection.sql(f"SELECT {', '.join(wanted)} FROM {relation}").to_arrow_reader(_BATCH_ROWS)
    for batch in reader:
        if not target:
            yield batch, np.full(batch.num_rows, np.nan)
            continue
        *inputs, last = range(batch.num_columns)  # by place: an input may have any name
        yield batch.select(inputs), _truth(batch.column(last), signature)


def _input(field: Field, kind: str) -> str:
    name = quote(field.name)
    if field.dtype == "string":
        return f"CAST({name} AS VARCHAR) AS {name}"
    return f"TRY_CAST({name} AS {_TYPES[field.dtype]}) AS {name}"


def _truth(column: Any, signature: Signature) -> Floats:
    if signature.task == "regression":
        values: Floats = column.to_numpy(zero_copy_only=False).astype(np.float64)
        return np.where(np.isfinite(values), values, np.nan)
    names = {_text(name): float(k) for k, name in enumerate(signature.classes)}
    return np.array([names.get(value, np.nan) for value in column.to_pylist()], dtype=np.float64)


def _text(value: Any) -> str:
    """A class as DuckDB writes it as text."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _said(made: Mapping[str, NDArray[Any]], signature: Signature) -> tuple[Floats, Floats]:
    if signature.task == "regression":
        predicted = made["prediction"].reshape(-1).astype(np.float64)
        return predicted, np.zeros((len(predicted), 0))
    said: Ints = class_indices(made["prediction"], signature.classes)
    return said.astype(np.float64), made["probability"].astype(np.float64)


def _outputs(
    made: Mapping[str, NDArray[Any]], predicted: Floats, probability: Floats, task: str
) -> dict[str, Floats]:
    if task == "regression":
        return {"prediction": predicted}
    if task == "multiclass":
        return {"prediction": predicted, "confidence": probability.max(axis=1)}
    raw = made["score"].reshape(len(predicted), -1)[:, 0].astype(np.float64)
    return {"prediction": predicted, "probability": probability[:, 1], "score": raw}


def _counted(values: Floats, reference: Sketch) -> Floats:
    """Counts in the reference's bins, or by class: the reference has its classes in order, and one count for others."""
    if reference.edges is not None:
        return count(values, reference.edges.tolist()).astype(np.float64)
    return np.bincount(values.astype(np.int64), minlength=len(reference.counts)).astype(np.float64)


def _sketch(reference: Sketch, counts: Floats, moments: Floats | None, rows: int) -> Sketch:
    if moments is None or not rows:
        return Sketch(reference.dtype, counts, 0, reference.edges, reference.values)
    mean = float(moments[0]) / rows
    spread = float(np.sqrt(max(0.0, float(moments[1]) / rows - mean**2)))
    return Sketch(reference.dtype, counts, 0, reference.edges, reference.values, mean, spread)
