"""What the model says of a window's rows: its outputs counted in the reference's bins, and a sample to judge it by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bessemer.core.signature import Field, Signature, class_text
from bessemer.core.sql import quote
from bessemer.monitor.reference import Sketch
from bessemer.monitor.window import Column, Window
from bessemer.stats.arrays import Floats, Ints
from bessemer.stats.binning import count
from bessemer.stats.metrics.outcome import class_indices, said_codes

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


class Tally:
    """Adds up what was said of rows, batch by batch; memory does not grow with them.

    Args:
        reference: the sketches of the outputs, by name. rows: how many will come.
    """

    def __init__(self, reference: Mapping[str, Sketch], rows: int, rng: np.random.Generator) -> None:
        self._reference, self._rng = reference, rng
        self._share = SAMPLE / max(1, rows)
        self._sums = {name: np.zeros(len(sketch.counts)) for name, sketch in reference.items()}
        self._moments = {name: np.zeros(2) for name, sketch in reference.items() if sketch.is_numeric}
        self._kept: list[tuple[Floats, Floats, Floats]] = []
        self._rows = self._labelled = 0

    def add(
        self, outputs: Mapping[str, Floats], predicted: Floats, probability: Floats, truth: Floats
    ) -> None:
        """A batch: outputs by name, of which `prediction` is the class index; the rest as in `Scored`."""
        for name, values in outputs.items():
            if name not in self._sums:
                continue
            known = values[
                np.isfinite(values)
            ]  # a protocol that does not answer with it does not log it either
            self._sums[name] += _counted(known, self._reference[name])
            if name in self._moments:
                self._moments[name] += known.sum(), (known**2).sum()
        self._rows += len(predicted)
        self._labelled += int(np.isfinite(truth).sum())
        chosen = self._rng.random(len(predicted)) < self._share
        self._kept.append((predicted[chosen], probability[chosen], truth[chosen]))

    def done(self) -> Scored:
        columns = {
            name: Column(_sketch(self._reference[name], counts, self._moments.get(name), self._rows))
            for name, counts in self._sums.items()
            if counts.sum() or not self._rows
        }
        parts = [np.concatenate(part) for part in zip(*self._kept, strict=True)] or [np.zeros(0)] * 3
        return Scored(Window(self._rows, columns), parts[0], parts[1], parts[2], self._labelled)


def score(
    connection: Any, relation: str, model: Model, reference: Mapping[str, Sketch], rng: np.random.Generator
) -> Scored:
    """Let the model predict the rows of a relation, batch by batch.

    A value that is not of its column's type is missing here, as it is to the scan.
    """
    rows = int(connection.execute(f"SELECT count(*) FROM {relation}").fetchone()[0])
    tally = Tally(reference, rows, rng)
    for batch, truth in _batches(connection, relation, model.signature):
        made = model.session.run(batch, _asked(model), allow_missing=True)
        predicted, probability = _said(made, model.signature)
        raw = made["score"].reshape(len(predicted), -1).astype(np.float64)
        outputs = outputs_of(model.task, predicted, probability, raw[:, 0])
        outputs |= further_outputs(model.signature, made)
        tally.add(outputs, predicted, probability, truth)
    return tally.done()


def _asked(model: Model) -> tuple[str, ...]:
    own = ("prediction", "score") if model.task == "regression" else ("prediction", "probability", "score")
    return (*own, *(one.prediction for one in model.signature.further))


def _batches(connection: Any, relation: str, signature: Signature) -> Iterator[tuple[pa.RecordBatch, Floats]]:
    """The inputs as the model takes them, and the truth: NaN where there is none."""
    described = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    there = {row[0]: str(row[1]) for row in described}
    known = any(field.name in there for field in signature.inputs)
    wanted = [_input(field, there) for field in signature.inputs] if known else []
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
        yield batch.select(inputs), truth_of(batch.column(last), signature)


def _input(field: Field, there: Mapping[str, str]) -> str:
    """A column that is absent is missing in every row: that it is absent is told of elsewhere."""
    if field.name not in there:
        return f"CAST(NULL AS {_TYPES[field.dtype]}) AS {quote(field.name)}"
    return typed_input(field, there[field.name])


def typed_input(field: Field, kind: str) -> str:
    """What selects an input as the model takes it; a value that is not of its type is missing. kind: DuckDB's type."""
    name = quote(field.name)
    if field.dtype == "string":
        return f"CAST({name} AS VARCHAR) AS {name}"
    return f"TRY_CAST({name} AS {_TYPES[field.dtype]}) AS {name}"


def truth_of(column: Any, signature: Signature) -> Floats:
    """Labels, an Arrow array (n,), as class indices or numbers; NaN where there is none or no such class."""
    if signature.task == "regression":
        values: Floats = column.to_numpy(zero_copy_only=False).astype(np.float64)
        return np.where(np.isfinite(values), values, np.nan)
    names = {class_text(name): float(k) for k, name in enumerate(signature.classes)}
    if all(isinstance(name, bool) for name in signature.classes):
        names |= {"1": names["true"], "t": names["true"], "0": names["false"], "f": names["false"]}
    said = (class_text(value) for value in column.to_pylist())
    return np.array([names.get(text, np.nan) for text in said], dtype=np.float64)


def _said(made: Mapping[str, NDArray[Any]], signature: Signature) -> tuple[Floats, Floats]:
    if signature.task == "regression":
        predicted = made["prediction"].reshape(-1).astype(np.float64)
        return predicted, np.zeros((len(predicted), 0))
    said: Ints = class_indices(made["prediction"], signature.classes)
    return said.astype(np.float64), made["probability"].astype(np.float64)


def outputs_of(task: str, predicted: Floats, probability: Floats, score: Floats) -> dict[str, Floats]:
    """The outputs that the reference has sketches of, by name."""
    if task == "regression":
        return {"prediction": predicted}
    if task == "multiclass":
        return {"prediction": predicted, "confidence": probability.max(axis=1)}
    return {"prediction": predicted, "probability": probability[:, 1], "score": score}


def further_outputs(signature: Signature, said: Mapping[str, Any]) -> dict[str, Floats]:
    """The same of further targets: class indices or numbers. said: arrays (n,) by the output's name."""
    return {
        one.prediction: said_codes(said[one.prediction], one.classes)
        for one in signature.further
        if one.prediction in said
    }


def _counted(values: Floats, reference: Sketch) -> Floats:
    """Counts in the reference's bins, or by class: the reference has its classes in order, and one count for others."""
    if reference.edges is not None:
        return count(values, reference.edges.tolist()).astype(np.float64)
    return np.bincount(values.astype(np.int64), minlength=len(reference.counts)).astype(np.float64)


def _sketch(reference: Sketch, counts: Floats, moments: Floats | None, rows: int) -> Sketch:
    known = int(counts.sum())
    missing = rows - known
    if moments is None or not known:
        return Sketch(reference.dtype, counts, missing, reference.edges, reference.values)
    mean = float(moments[0]) / known
    spread = float(np.sqrt(max(0.0, float(moments[1]) / known - mean**2)))
    return Sketch(reference.dtype, counts, missing, reference.edges, reference.values, mean, spread)
