"""The JSON bodies of TensorFlow Serving's REST API: rows or columns in, rows or columns out.

https://www.tensorflow.org/tfx/serving/api_rest
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bessemer.core.errors import did_you_mean
from bessemer.serve.dialect import Subject
from bessemer.serve.errors import RequestError, RowFault, bad_rows, shown
from bessemer.serve.row_reader import Row
from bessemer.serve.wire import Array, Predictions, to_json


def read_instances(subject: Subject, instances: Any) -> list[Row]:
    """The rows of `instances`: objects, lists in the order of the inputs, or bare values of a model with one input.

    A value may stand alone or in a list of one; text may be {"b64": ...} of its UTF-8.

    Raises:
        RequestError: 400 for what is no list of rows; 413 for too many.
    """
    if not isinstance(instances, list):
        raise RequestError(
            400, f"'instances' is {shown(instances)}, not a list", fix='send {"instances": [{...}]}'
        )
    subject.check_rows(len(instances))
    alone = len(subject.signature.inputs) == 1
    return subject.rows.read([_instance(instance, alone) for instance in instances])


def _instance(instance: Any, alone: bool) -> Any:
    if isinstance(instance, dict) and not _is_b64(instance):
        return {name: _cell(value) for name, value in instance.items()}
    if isinstance(instance, list):
        return [_cell(value) for value in instance]
    return [_cell(instance)] if alone else instance


def _is_b64(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"b64"}


def _cell(value: Any) -> Any:
    """A value: alone, in a list of one, or text as base64."""
    if type(value) is list and len(value) == 1:
        value = value[0]
    if not _is_b64(value):
        return value
    try:
        return base64.b64decode(value["b64"], validate=True).decode("utf-8")
    except (binascii.Error, ValueError, TypeError):
        raise RequestError(400, f"{shown(value)} is no base64 of text in UTF-8") from None


def read_columns(subject: Subject, inputs: Any) -> list[Row]:
    """The rows of `inputs`: a tensor for each input by name, or one tensor of rows.

    Raises:
        RequestError: 400 for names the model does not have and columns that differ in their rows; 413 for too many.
    """
    if not isinstance(inputs, dict):
        return read_instances(subject, inputs)
    fields = subject.signature.inputs
    names = [field.name for field in fields]
    for name in inputs:
        if name not in names:
            raise RequestError(400, f"the model has no input '{name}'", fix=did_you_mean(name, names))
    columns = {name: _column(name, values) for name, values in inputs.items()}
    sizes = {len(column): name for name, column in columns.items()}
    if len(sizes) != 1:
        told = ", ".join(f"'{name}' has {size}" for size, name in sorted(sizes.items()))
        raise RequestError(400, f"the inputs differ in their rows: {told}" if told else "there are no inputs")
    rows = next(iter(sizes))
    subject.check_rows(rows)
    absent = [field.name for field in fields if not field.nullable and field.name not in columns]
    if absent:
        raise bad_rows([RowFault(None, name, "this input is required and absent") for name in absent])
    nothing = [None] * rows
    return list(zip(*(columns.get(name, nothing) for name in names), strict=True))


def _column(name: str, values: Any) -> list[Any]:
    if not isinstance(values, list):
        raise RequestError(
            400, f"input '{name}' is {shown(values)}, not a list", fix="send [v, v, ...] or [[v], ...]"
        )
    return [_cell(value) for value in values]


def read_examples(subject: Subject, content: Mapping[str, Any]) -> list[Row]:
    """The rows of `examples`, each with what stands in `context` added.

    Raises:
        RequestError: 400 for what is no example, or a name that stands in both; 413 for too many.
    """
    examples, context = content.get("examples"), content.get("context", {})
    if not isinstance(examples, list) or not all(isinstance(each, dict) for each in examples):
        raise RequestError(
            400, "the body has no list 'examples' of objects", fix='send {"examples": [{...}]}'
        )
    if not isinstance(context, dict):
        raise RequestError(400, f"'context' is {shown(context)}, no object")
    return read_instances(subject, [merged(example, context) for example in examples])


def merged(example: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
    """An example with its context; what is in both is refused (400)."""
    both = sorted(example.keys() & context.keys())
    if both:
        raise RequestError(400, f"'{both[0]}' stands in the context and in an example")
    return {**context, **example} if context else example


def tensor_json(array: Array) -> bytes:
    """An array as JSON, float32 in its own digits; what is not finite as the bare words NaN, Infinity, -Infinity.

    >>> tensor_json(np.float32([[0.1, np.nan]]))
    b'[[0.1,NaN]]'
    """
    if array.dtype.kind in "OUS":
        return to_json(array.tolist())
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return to_json(np.ascontiguousarray(array))
    plain = np.array([float(str(value)) for value in array.reshape(-1)]).reshape(array.shape)
    return json.dumps(plain.tolist(), separators=(",", ":")).encode()


def write_rows(predictions: Predictions, names: Sequence[str]) -> bytes:
    """A list with an object for each row; with the bare values where there is one output."""
    each = [_texts(predictions, name) for name in names]
    if len(names) == 1:
        return b"[%b]" % b",".join(each[0])
    template = b"{" + b",".join(to_json(name).replace(b"%", b"%%") + b":%b" for name in names) + b"}"
    return b"[%b]" % b",".join([template % row for row in zip(*each, strict=True)])


def _texts(predictions: Predictions, name: str) -> list[bytes]:
    array = predictions.outputs[name]
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return [tensor_json(array[row : row + 1])[1:-1] for row in range(len(array))]
    texts = predictions.texts(name)
    return texts if array.ndim == 1 else [b"[%b]" % text for text in texts]
