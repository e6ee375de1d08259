"""Tensors of the Open Inference Protocol held against a model's fields: what was sent becomes what the graph takes.

https://github.com/kserve/open-inference-protocol, and Triton's binary tensor data extension.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bessemer.core.errors import did_you_mean
from bessemer.core.signature import Field
from bessemer.serve.columns import as_feed, impossible, narrow_faults, to_feeds, wrong_type
from bessemer.serve.errors import MOST_FAULTS, RequestError, bad_rows, shown
from bessemer.serve.tensor_values import (
    DATATYPES,
    Tensor,
    numbers_of,
    strings_of,
    values_of,
)

Array = np.ndarray[Any, Any]

_OF_TENSOR = {"float32": "FP32", "float64": "FP64", "int64": "INT64", "string": "BYTES", "bool": "BOOL"}


def datatype_of(field: Field) -> str:
    """The datatype in which a field is described.

    >>> datatype_of(Field("age", "number", "float32"))
    'FP32'
    """
    return _OF_TENSOR[field.tensor]


def shape_of(name: str, shape: Any) -> tuple[int, ...]:
    """A shape of one or two sizes.

    Raises:
        RequestError: 400 for any other shape.

    >>> shape_of("age", [3, 1])
    (3, 1)
    """
    if (
        isinstance(shape, list | tuple)
        and len(shape) in (1, 2)
        and all(type(size) is int and size >= 0 for size in shape)
    ):
        return tuple(shape)
    raise bad_shape(name, shape)


def bad_shape(name: str, shape: Any) -> RequestError:
    """The refusal of a shape that a column does not have."""
    text = shown(list(shape) if isinstance(shape, tuple) else shape)
    return RequestError(400, f"input '{name}' has the shape {text}", fix="send the shape [N] or [N, 1]")


def to_feed(tensor: Tensor, field: Field) -> Array:
    """The graph's tensor (N, 1) for a field, from what was sent for it in the shape [N] or [N, 1].

    Raises:
        RequestError: 400 when the datatype cannot become the field's type, or the data do not fit datatype and shape.
    """
    if tensor.shape[1:] not in ((), (1,)):
        raise bad_shape(tensor.name, tensor.shape)
    _check_datatype(tensor, field)
    if tensor.raw is not None and tensor.datatype != "BYTES":
        return _from_raw(tensor, field)
    values = strings_of(tensor) if tensor.raw is not None else values_of(tensor)
    if len(values) != tensor.rows:
        raise RequestError(400, f"input '{tensor.name}' has {len(values)} values for {tensor.rows} rows")
    if tensor.datatype == "BOOL":
        values = [None if value is None else int(value) for value in values]
    return to_feeds({field.name: values}, [field])[field.name]


def to_matrix(tensor: Tensor, fields: Sequence[Field], *, narrow: bool = True) -> Array:
    """One float32 matrix (N, F) for all fields, from a tensor of numbers of the shape [N, F]; NaN is missing.

    Args:
        fields: all numbers (see `columns.takes_matrix`).
        narrow: whether some are whole numbers or booleans.

    Raises:
        RequestError: 400 when it is not of so many columns, not of numbers, or a number is not of its field's type.
    """
    rows, width = tensor.shape
    if width != len(fields):
        names = ", ".join(field.name for field in fields)
        what = f"the matrix '{tensor.name}' has {width} columns for {len(fields)} inputs"
        raise RequestError(400, what, fix=f"send them in this order: {names}")
    _check_datatype(tensor, fields[0])
    array = numbers_of(tensor).reshape(rows, width)
    faults = narrow_faults(array, fields) if narrow else ()
    if faults:
        raise bad_rows(faults)
    if array.dtype == np.float32:
        return array
    with np.errstate(over="ignore", invalid="ignore"):
        return array.astype(np.float32, copy=False)


def to_numbers(tensor: Tensor, field: Field) -> Array:
    """The values of a tensor [N] or [N, 1] for a field that is a number, flat and of any numeric type; NaN is missing.
    That they are whole, or booleans, where the field is, is for `columns.narrow_faults` to say.

    Raises:
        RequestError: 400 when they are no numbers, or do not fit datatype and shape.
    """
    _check_datatype(tensor, field)
    array = numbers_of(tensor)
    if tensor.datatype == "BOOL" and tensor.raw is not None and (array > 1).any():
        raise RequestError(400, f"input '{tensor.name}' has bytes that are no BOOL", fix="send 0 or 1")
    return array


def _check_datatype(tensor: Tensor, field: Field) -> None:
    if tensor.datatype not in DATATYPES:
        fix = did_you_mean(tensor.datatype, DATATYPES)
        raise RequestError(
            400, f"input '{tensor.name}' has the unknown datatype '{tensor.datatype}'", fix=fix
        )
    whole = tensor.datatype.startswith(("INT", "UINT"))
    fits = {
        "string": tensor.datatype == "BYTES",
        "timestamp": whole or tensor.datatype == "BYTES",
    }.get(field.dtype, tensor.datatype != "BYTES")
    if not fits:
        raise RequestError(
            400,
            f"input '{tensor.name}' is a {field.dtype} and cannot be sent as {tensor.datatype}",
            fix=f"send it as {datatype_of(field)}",
        )
    if tensor.raw is None and tensor.datatype in ("FP16", "BF16"):
        what = f"input '{tensor.name}' is {tensor.datatype}, which JSON cannot carry"
        raise RequestError(400, what, fix="send FP32, or raw bytes")


def _from_raw(tensor: Tensor, field: Field) -> Array:
    array = numbers_of(tensor)
    if field.dtype == "timestamp":
        bad = (
            array > np.iinfo(np.int64).max if tensor.datatype == "UINT64" else np.zeros(len(array), np.bool_)
        )
    else:
        with np.errstate(invalid="ignore"):  # NaN is missing, also one that signals
            wide = array.astype(np.float64)
        bad = impossible(wide, field) | ((array > 1) if tensor.datatype == "BOOL" else False)
    if bad.any():
        raise bad_rows(
            [wrong_type(int(i), field, array[i].item()) for i in np.flatnonzero(bad)[: MOST_FAULTS + 1]]
        )
    return as_feed(array if field.dtype == "timestamp" else wide, field)
