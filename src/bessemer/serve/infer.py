"""An inference request held against a model: its tensors become a batch, predictions the outputs it asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bessemer.core.errors import did_you_mean
from bessemer.serve.dialect import Subject
from bessemer.serve.errors import RequestError
from bessemer.serve.infer_inputs import facts_of, read_inputs
from bessemer.serve.infer_request import InferRequest, Wanted
from bessemer.serve.row_writer import class_key
from bessemer.serve.wire import Array, Batch, Predictions


@dataclass(frozen=True)
class Answer:
    """What an answer must have: the request's id, and the outputs."""

    id: str | None
    outputs: tuple[Wanted, ...]


def read_batch(subject: Subject, asked: InferRequest, *, ignore_extra: bool = False) -> Batch:
    """The batch of a request; its `context` is the `Answer` it wants.

    Raises:
        RequestError: 400 for inputs or outputs the model does not have, or tensors that do not fit it; 413 for too
            many rows; 403 and 501 where it may not be explained, or cannot.
    """
    batch = read_inputs(subject, asked, ignore_extra=ignore_extra)
    explaining = facts_of(subject).explaining
    wanted = asked.explain or any(each.name in explaining for each in asked.outputs)
    batch.explain = subject.explains(wanted)
    batch.context = answer = _answer(subject, asked, explaining if batch.explain else ())
    batch.outputs = tuple(wanted.name for wanted in answer.outputs)
    batch.timeout, batch.id = asked.timeout, asked.id or ""
    return batch


def answered(subject: Subject, batch: Batch, predictions: Predictions) -> list[tuple[Wanted, Array]]:
    """The outputs that were asked for."""
    asked: Answer = batch.context
    arrays = dict(predictions.outputs)
    if predictions.base is not None:
        arrays["base"] = predictions.base
        arrays |= {f"contribution_{group}": each for group, each in predictions.contributions.items()}
    return [
        (
            wanted,
            _greatest(arrays[wanted.name], wanted.classes, _classes_of(subject, wanted.name))
            if wanted.classes
            else arrays[wanted.name],
        )
        for wanted in asked.outputs
    ]


def _classes_of(subject: Subject, output: str) -> tuple[Any, ...]:
    """The classes of the target that an output is about."""
    for one in subject.signature.further:
        if output in (*one.outputs, one.score):
            return one.classes
    return subject.signature.classes


def _greatest(array: Array, count: int, classes: tuple[Any, ...]) -> Array:
    """Triton's classification: for each row its greatest values as 'VALUE:INDEX:CLASS' (VALUE with six digits)."""
    table = array.reshape(len(array), -1)
    count = min(count, table.shape[1])
    order = np.argsort(-table, axis=1, kind="stable")[:, :count]
    names = [f":{class_key(value)}" for value in classes] if len(classes) == table.shape[1] else []
    texts = [
        [
            f"{table[row, i]:{'d' if table.dtype.kind in 'iu' else 'f'}}:{i}{names[i] if names else ''}"
            for i in each
        ]
        for row, each in enumerate(order.tolist())
    ]
    return np.array(texts, dtype=object).reshape(len(array), count)


def _answer(subject: Subject, asked: InferRequest, explaining: tuple[str, ...]) -> Answer:
    facts = facts_of(subject)
    known = facts.outputs + explaining
    for wanted in asked.outputs:
        if wanted.name not in known and wanted.name not in facts.on_request:
            fix = did_you_mean(wanted.name, known + facts.on_request)
            raise RequestError(400, f"the model has no output '{wanted.name}'", fix=fix)
        if wanted.classes and wanted.name in facts.texts:
            what = f"the output '{wanted.name}' is text and has no classification"
            raise RequestError(400, what, fix="ask for the classification of 'probability'")
    return Answer(asked.id, asked.outputs or tuple(Wanted(name, asked.binary) for name in known))
