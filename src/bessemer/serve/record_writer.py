"""Predictions as a flat table: the columns of `Model.predict`, as JSON objects or lines of CSV."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from bessemer.core.signature import Signature
from bessemer.serve.dialect import Subject
from bessemer.serve.wire import Array, Predictions, to_json

#: A text a row.
Column = list[bytes]


class RecordWriter:
    """Writes flat rows for one signature.

    The columns are `prediction`; for two classes `probability` (of the second), for more `probability_CLASS` each;
    those of further targets (`core.further.Further.columns`); when explained also `score`, `base` and
    `contribution_GROUP` each.

    >>> writer = RecordWriter(Signature((), (), classes=("no", "yes")))
    >>> made = Predictions({"prediction": np.array(["yes"], object), "probability": np.float32([[0.25, 0.75]])})
    >>> writer.objects(made), writer.lines(made)
    ([b'{"prediction":"yes","probability":0.75}'], [b'yes,0.75'])
    """

    def __init__(self, signature: Signature) -> None:
        classes = signature.classes
        self._names: tuple[str, ...] = ("prediction", *(f"probability_{name}" for name in classes))
        self._shares: tuple[int, ...] = tuple(range(len(classes)))
        if signature.task == "binary" and classes:
            self._names, self._shares = ("prediction", "probability"), (1,)
        self._further = signature.further
        self._names += tuple(name for one in self._further for name in one.columns)

    def names(self, predictions: Predictions) -> tuple[str, ...]:
        """The names of the columns."""
        if predictions.base is None:
            return self._names
        told = (f"contribution_{group}" for group in predictions.contributions)
        return (*self._names, "score", "base", *told)

    def objects(self, predictions: Predictions) -> list[bytes]:
        """Each row as a JSON object."""
        return predictions.lines("record", self._objects)

    def lines(self, predictions: Predictions) -> list[bytes]:
        """Each row as a line of CSV, without its end; what is missing is empty."""
        return predictions.lines("csv", self._cells)

    def _objects(self, predictions: Predictions) -> list[bytes]:
        template = _template(self.names(predictions))
        columns = self._columns(predictions, predictions.texts, list)
        return [template % row for row in zip(*columns, strict=True)]

    def _cells(self, predictions: Predictions) -> list[bytes]:
        outputs = predictions.outputs
        columns = self._columns(predictions, lambda name: _cells(outputs[name]), _emptied)
        return [b",".join(row) for row in zip(*columns, strict=True)]

    def _columns(
        self, predictions: Predictions, said: Callable[[str], list[bytes]], number: Callable[[Column], Column]
    ) -> list[Column]:
        """Args: said: writes an output of predictions. number: what is done to the texts of numbers."""
        found = [said("prediction"), *map(number, _shares(predictions, "probability", self._shares))]
        for one in self._further:
            found.append(said(one.prediction))
            found += map(number, _shares(predictions, one.probability, [i for _, i in one.shares]))
        if predictions.base is not None:
            assert predictions.explained is not None
            told = (predictions.explained, predictions.base, *predictions.contributions.values())
            found += [number(_digits(column)) for column in told]
        return found


def _shares(predictions: Predictions, name: str, places: Sequence[int]) -> list[Column]:
    """The texts of some classes' probabilities."""
    rows = [text.split(b",") for text in predictions.texts(name)] if places else []
    return [[row[i] for row in rows] for i in places]


_WRITERS: WeakKeyDictionary[Subject, RecordWriter] = WeakKeyDictionary()


def writer_of(subject: Subject) -> RecordWriter:
    """The writer for a loaded model: made once, and gone with the model."""
    found = _WRITERS.get(subject)
    if found is None:
        found = _WRITERS[subject] = RecordWriter(subject.signature)
    return found


@lru_cache(maxsize=64)
def _template(names: tuple[str, ...]) -> bytes:
    keys = [to_json(name).replace(b"%", b"%%") for name in names]
    return b"{" + b",".join(key + b":%b" for key in keys) + b"}"


def _digits(column: Array) -> list[bytes]:
    text = to_json(np.ascontiguousarray(column))[1:-1]
    return text.split(b",") if text else []


def _emptied(column: list[bytes]) -> list[bytes]:
    return [b"" if cell == b"null" else cell for cell in column] if b"null" in column else column


def _cells(column: Array) -> list[bytes]:
    """The predictions as cells of CSV; class names repeat."""
    if column.dtype.kind not in "OUS":
        return _emptied(_digits(column))
    known: dict[Any, bytes] = {}
    return [
        known[value] if value in known else known.setdefault(value, _cell(str(value)))
        for value in column.tolist()
    ]


def _cell(text: str) -> bytes:
    if any(mark in text for mark in ',"\r\n'):
        text = '"' + text.replace('"', '""') + '"'
    return text.encode("utf-8")
