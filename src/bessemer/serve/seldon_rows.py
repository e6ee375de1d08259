"""Seldon's payloads to rows, and what its feedback says was true to labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bessemer.serve.any_rows import any_rows
from bessemer.serve.columns import takes_matrix
from bessemer.serve.dialect import Label, Subject
from bessemer.serve.errors import RequestError
from bessemer.serve.frames import read_rows, read_split
from bessemer.serve.loose_json import parse_loosely
from bessemer.serve.seldon_messages import ARRAYS, Payload
from bessemer.serve.tensor_values import Tensor
from bessemer.serve.tensors import to_matrix
from bessemer.serve.wire import Array, Batch

_KEYS = ("instances", "rows", "data")


def read_batch(subject: Subject, payload: Payload, *, ignore_extra: bool = False) -> tuple[Batch, bool]:
    """The rows of a payload, and whether they were one that stood alone.

    Raises:
        RequestError: 400 where it has none, or has faults; 413 for too many rows.
    """
    if payload.kind not in ARRAYS:
        value = payload.value
        if payload.kind != "jsonData":
            value = parse_loosely(value.encode("utf-8") if isinstance(value, str) else value)
        found = any_rows(subject, value, _KEYS, ignore_extra=ignore_extra)
        return Batch(len(found.values), found.values), found.alone
    if isinstance(payload.value, np.ndarray):
        return _numbers(subject, payload.value, payload.names, ignore_extra), False
    return _nested(subject, payload.value, payload.names, ignore_extra), False


def _numbers(subject: Subject, array: Array, names: Sequence[str], ignore_extra: bool) -> Batch:
    fields = subject.signature.inputs
    if array.ndim == 1:
        array = array.reshape(1, -1) if len(fields) != 1 else array.reshape(-1, 1)
    subject.check_rows(len(array))
    if takes_matrix(fields) and not names and len(fields) > 1 and array.dtype.kind != "O":
        raw = memoryview(array.astype("<f8").tobytes())
        return Batch(len(array), matrix=to_matrix(Tensor("tensor", "FP64", array.shape, raw=raw), fields))
    return _nested(subject, array.tolist(), names, ignore_extra)


def _nested(subject: Subject, rows: Any, names: Sequence[str], ignore_extra: bool) -> Batch:
    if isinstance(rows, list) and rows and not any(isinstance(row, list | dict) for row in rows):
        rows = [rows] if len(subject.signature.inputs) != 1 else [[row] for row in rows]
    if not names or not isinstance(rows, list) or any(isinstance(row, dict) for row in rows):
        return read_rows(subject, rows, "ndarray", ignore_extra=ignore_extra)
    return read_split(subject, {"columns": list(names), "data": rows}, ignore_extra=ignore_extra)


# labels --------------------------------------------------------------------------------------------
def labels_of(subject: Subject, puid: str, truth: Payload | None) -> list[Label]:
    """The labels of a Feedback: of a request with one row under its puid, else of its rows as PUID-0, PUID-1 ...

    Raises:
        RequestError: 400 where the prediction is not named, or the truth is not one value a row.
    """
    if not puid:
        raise RequestError(400, "the feedback names no prediction", fix="send response.meta.puid")
    if truth is None:
        what = "the feedback has no truth; a reward alone is not kept"
        raise RequestError(400, what, fix='send {"truth": {"data": {"ndarray": [["yes"]]}}}')
    values = truth.value.tolist() if isinstance(truth.value, np.ndarray) else truth.value
    values = values if isinstance(values, list) else [values]
    flat = [value[0] if isinstance(value, list) and len(value) == 1 else value for value in values]
    subject.check_rows(len(flat))
    found = [_label(subject, value) for value in flat]
    if len(found) == 1:
        return [Label(puid, found[0])]
    return [Label(f"{puid}-{i}", label) for i, label in enumerate(found)]


def _label(subject: Subject, value: Any) -> Any:
    """A value as the class that it is; numbers of the protocol are doubles."""
    if isinstance(value, bool | str):
        return value
    return next(
        (known for known in subject.signature.classes if type(known) is int and known == value), value
    )
