"""The tensors of an inference request held against a model: they become a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from bessemer.core.errors import did_you_mean
from bessemer.core.signature import Field
from bessemer.package.session import missing_tensor
from bessemer.serve.columns import narrow_faults, takes_matrix
from bessemer.serve.dialect import Subject
from bessemer.serve.errors import RequestError, RowFault, bad_rows
from bessemer.serve.infer_request import InferRequest
from bessemer.serve.tensor_values import Tensor, text_of
from bessemer.serve.tensors import bad_shape, datatype_of, to_feed, to_matrix, to_numbers
from bessemer.serve.wire import Array, Batch

#: The name of the matrix that a model of numbers takes in place of its inputs. Any name that is no input's will do.
MATRIX = "input"


class Facts(NamedTuple):
    """Of a model, what every request asks.

    matrix: whether its inputs are all numbers; narrow: some of them whole or boolean; texts: outputs that are text.
    on_request: outputs that are given only where they are named.
    """

    inputs: frozenset[str]
    matrix: bool
    narrow: bool
    outputs: tuple[str, ...]
    texts: frozenset[str]
    explaining: tuple[str, ...]
    on_request: tuple[str, ...]


@lru_cache(maxsize=64)
def facts_of(subject: Subject) -> Facts:
    signature = subject.signature
    return Facts(
        inputs=frozenset(field.name for field in signature.inputs),
        matrix=takes_matrix(signature.inputs),
        narrow=any(field.dtype != "number" for field in signature.inputs),
        outputs=tuple(field.name for field in signature.outputs),
        texts=frozenset(field.name for field in signature.outputs if field.dtype == "string"),
        explaining=("base", *(f"contribution_{group}" for group in subject.groups)),
        on_request=tuple(field.name for field in signature.on_request),
    )


def read_inputs(subject: Subject, asked: InferRequest, *, ignore_extra: bool = False) -> Batch:
    """The batch of a request's tensors.

    Raises:
        RequestError: 400 for inputs the model does not have, or tensors that do not fit it; 413 for too many rows.
    """
    tensors = asked.tensors if asked.raw is None else (_whole_body(subject, asked.raw),)
    return _matrix(subject, tensors) or _columns(subject, tensors, ignore_extra)


def _whole_body(subject: Subject, raw: memoryview) -> Tensor:
    """The tensor of a raw binary request: the model's one input, or all of them in one matrix of FP32."""
    fields = subject.signature.inputs
    if len(fields) > 1:
        if not takes_matrix(fields):
            raise RequestError(
                400,
                "a raw binary request is for models with one input, or with numbers alone",
                fix="send the tensors by name",
            )
        return Tensor(MATRIX, "FP32", (_rows_in(raw, 4 * len(fields)), len(fields)), raw=raw)
    name, datatype = fields[0].name, datatype_of(fields[0])
    if datatype == "BYTES":  # one text, without its length before it
        return Tensor(name, datatype, (1,), [text_of(name, 0, raw)])
    return Tensor(name, datatype, (_rows_in(raw, 4 if datatype == "FP32" else 8),), raw=raw)


def _rows_in(raw: memoryview, size: int) -> int:
    if not len(raw) or len(raw) % size:
        raise RequestError(400, f"the body has {len(raw)} bytes; a row of this model has {size}")
    return len(raw) // size


def _matrix(subject: Subject, tensors: tuple[Tensor, ...]) -> Batch | None:
    """All inputs in one tensor [N, F] that is none of them; None where this is not sent."""
    facts, fields = facts_of(subject), subject.signature.inputs
    if len(tensors) != 1 or len(tensors[0].shape) != 2 or not facts.matrix:
        return None
    tensor = tensors[0]
    if tensor.name in facts.inputs or (tensor.shape[1] == 1 and tensor.name != MATRIX):
        return None
    subject.check_rows(tensor.rows)
    matrix = to_matrix(tensor, fields, narrow=facts.narrow)
    if len(fields) == 1:
        return Batch(tensor.rows, feeds={fields[0].name: matrix})
    return Batch(tensor.rows, matrix=matrix)


def _columns(subject: Subject, tensors: tuple[Tensor, ...], ignore_extra: bool) -> Batch:
    """A tensor for each input."""
    known = _known(subject, tensors, ignore_extra)
    rows = _agreed(known)
    subject.check_rows(rows)
    facts = facts_of(subject)
    if facts.matrix and len(facts.inputs) > 1:
        return Batch(rows, matrix=_stacked(subject, known, rows))
    return Batch(rows, feeds=_feeds(subject, known, rows))


def _known(subject: Subject, tensors: tuple[Tensor, ...], ignore_extra: bool) -> dict[str, Tensor]:
    """The tensors of the model's inputs."""
    names = facts_of(subject).inputs
    for tensor in tensors:
        if tensor.name not in names and not ignore_extra:
            fix = did_you_mean(tensor.name, names)
            raise RequestError(400, f"the model has no input '{tensor.name}'", fix=fix)
    return {tensor.name: tensor for tensor in tensors if tensor.name in names}


def _agreed(tensors: Mapping[str, Tensor]) -> int:
    """How many rows the tensors have, all the same."""
    for tensor in tensors.values():
        if tensor.shape[1:] not in ((), (1,)):
            raise bad_shape(tensor.name, tensor.shape)
    counts = {tensor.rows: name for name, tensor in tensors.items()}
    if not counts:
        raise RequestError(400, "the request has no inputs of this model")
    if len(counts) > 1:
        text = ", ".join(f"'{name}' has {rows}" for rows, name in sorted(counts.items()))
        raise RequestError(400, f"the inputs differ in their rows: {text}")
    return next(iter(counts))


def _feeds(subject: Subject, tensors: Mapping[str, Tensor], rows: int) -> dict[str, Array]:
    """The graph's tensor for each input."""
    found, faults = _each(subject, tensors, to_feed)
    if faults:
        raise bad_rows(faults)
    return {
        field.name: found[i] if i in found else np.repeat(missing_tensor(field), rows, axis=0)
        for i, field in enumerate(subject.signature.inputs)
    }


def _stacked(subject: Subject, tensors: Mapping[str, Tensor], rows: int) -> Array:
    """The columns of a model of numbers as one matrix (N, F)."""
    fields = subject.signature.inputs
    found, faults = _each(subject, tensors, to_numbers)
    wide = np.full((len(fields), rows), np.nan)
    with np.errstate(invalid="ignore"):  # NaN is missing, also one that signals
        for i, array in found.items():
            wide[i] = array
    if facts_of(subject).narrow:
        faults += narrow_faults(wide.T, fields)
    if faults:
        raise bad_rows(faults)
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(wide.T, dtype=np.float32)


def _each(
    subject: Subject, tensors: Mapping[str, Tensor], read: Callable[[Tensor, Field], Array]
) -> tuple[dict[int, Array], list[RowFault]]:
    """What was sent for each input, by its place, and what is wrong; an input that may be absent is left out."""
    found: dict[int, Array] = {}
    faults: list[RowFault] = []
    for i, field in enumerate(subject.signature.inputs):
        if field.name in tensors:
            try:
                found[i] = read(tensors[field.name], field)
            except RequestError as refused:
                if not refused.faults:
                    raise
                faults += refused.faults
        elif not field.nullable:
            faults.append(RowFault(None, field.name, "this input is required and absent"))
    return found, faults
