"""Tensors and examples of TensorFlow: messages to the tensors and rows that every dialect reads, and back.

https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/framework/tensor.proto
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bessemer.serve.dialect import Subject
from bessemer.serve.errors import RequestError, RowFault, bad_rows, shown
from bessemer.serve.protos import message
from bessemer.serve.row_reader import Row
from bessemer.serve.tensor_values import Tensor, text_of
from bessemer.serve.tensorflow_json import merged
from bessemer.serve.tensors import bad_shape, shape_of
from bessemer.serve.wire import Array

#: For each number of tensorflow.DataType: the datatype of `serve.tensors`, and the field that has its values.
_TYPES = {
    1: ("FP32", "float_val"),
    2: ("FP64", "double_val"),
    3: ("INT32", "int_val"),
    4: ("UINT8", "int_val"),
    5: ("INT16", "int_val"),
    6: ("INT8", "int_val"),
    7: ("BYTES", "string_val"),
    9: ("INT64", "int64_val"),
    10: ("BOOL", "bool_val"),
    14: ("BF16", "half_val"),
    17: ("UINT16", "int_val"),
    19: ("FP16", "half_val"),
    22: ("UINT32", "uint32_val"),
    23: ("UINT64", "uint64_val"),
}
_WRITTEN = {"f4": (1, "float_val"), "f8": (2, "double_val"), "i8": (9, "int64_val"), "b1": (10, "bool_val")}
_STRING = 7


def read_tensor(subject: Subject, name: str, given: Any) -> Tensor:
    """A TensorProto: its `tensor_content`, or its values. Of fewer values than its shape has, the last is repeated.

    Raises:
        RequestError: 400 for a type or a shape that no input has, or too many values; 413 for too many rows.
    """
    if given.dtype not in _TYPES:
        raise RequestError(
            400, f"input '{name}' has the type {given.dtype}", fix="send DT_FLOAT or DT_STRING"
        )
    datatype, values = _TYPES[given.dtype]
    shape = shape_of(name, [dim.size for dim in given.tensor_shape.dim])
    if given.tensor_content and datatype != "BYTES":
        return Tensor(name, datatype, shape, raw=memoryview(given.tensor_content))
    subject.check_rows(shape[0])
    if math.prod(shape[1:]) > len(subject.signature.inputs):  # before anything is repeated so often
        raise bad_shape(name, shape)
    size, found = math.prod(shape), list(getattr(given, values))
    if len(found) > size:
        raise RequestError(400, f"input '{name}' has {len(found)} values; its shape makes {size}")
    found += found[-1:] * (size - len(found))
    if datatype == "BYTES":
        texts = [text_of(name, row, value) for row, value in enumerate(found)]
        return Tensor(name, datatype, shape, data=texts)
    if values == "half_val":  # the bits, each in an int32
        return Tensor(name, datatype, shape, raw=memoryview(np.array(found).astype("<u2").tobytes()))
    return Tensor(name, datatype, shape, data=found)


def write_tensor(made: Any, array: Array) -> None:
    """Put an array into a TensorProto, in its field of values, as TensorFlow Serving does by default."""
    for size in array.shape:
        made.tensor_shape.dim.add(size=size)
    values = array.reshape(-1).tolist()
    if array.dtype.kind in "OUS":
        made.dtype = _STRING
        made.string_val.extend([str(value).encode() for value in values])
        return
    made.dtype, name = _WRITTEN[array.dtype.str[1:]]
    getattr(made, name).extend(values)


def read_input(subject: Subject, given: Any) -> list[Row]:
    """The rows of an Input: a list of tf.Example, with or without a context that all of them share.

    A feature has one value, or none where it is missing.

    Raises:
        RequestError: 400 for what the model does not take; 413 for too many rows.
    """
    kind = given.WhichOneof("kind")
    if kind is None:
        raise RequestError(400, "Input is empty.", fix="send a list of examples")
    examples = getattr(given, kind)
    subject.check_rows(len(examples.examples))
    context = _features(0, examples.context) if kind == "example_list_with_context" else {}
    rows = [merged(_features(row, each), context) for row, each in enumerate(examples.examples)]
    return subject.rows.read(rows)


def _features(row: int, example: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, feature in example.features.feature.items():
        kind = feature.WhichOneof("kind")
        values: Sequence[Any] = getattr(feature, kind).value if kind else ()
        if len(values) > 1:
            raise bad_rows(
                [RowFault(row, name, f"{len(values)} values where one is wanted", shown(list(values)))]
            )
        value = values[0] if len(values) else None
        found[name] = text_of(name, row, value) if isinstance(value, bytes) else value
    return found


def example_of(row: Mapping[str, Any]) -> Any:
    """A tf.Example of a row of JSON values; None is a feature without a value."""
    made = message("tensorflow.Example")()
    for name, value in row.items():
        feature = made.features.feature[name]
        if isinstance(value, str):
            feature.bytes_list.value.append(value.encode())
        elif isinstance(value, bool | int):
            feature.int64_list.value.append(int(value))
        elif value is not None:
            feature.float_list.value.append(value)
    return made
