"""Tensors of the Open Inference Protocol: JSON or raw little-endian bytes, to and from numpy.

https://github.com/kserve/open-inference-protocol, and Triton's binary tensor data extension.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bessemer.core.errors import did_you_mean
from bessemer.core.signature import Field
from bessemer.serve.columns import as_feed, impossible, to_feeds, wrong_type
from bessemer.serve.errors import MOST_FAULTS, RequestError, RowFault, bad_rows, shown

Array = np.ndarray[Any, Any]

_WIDTHS = {"UINT8": "u1", "UINT16": "u2", "UINT32": "u4", "UINT64": "u8"}
_WIDTHS |= {"INT8": "i1", "INT16": "i2", "INT32": "i4", "INT64": "i8"}
_WIDTHS |= {"BOOL": "u1", "FP16": "f2", "FP32": "f4", "FP64": "f8"}
DATATYPES = (*_WIDTHS, "BYTES")
_OF_TENSOR = {"float32": "FP32", "float64": "FP64", "int64": "INT64", "string": "BYTES", "bool": "BOOL"}
_OF_KIND = {"f4": "FP32", "f8": "FP64", "i8": "INT64", "b1": "BOOL"}


def datatype_of(field: Field) -> str:
    """The datatype in which a field is described.

    >>> datatype_of(Field("age", "number", "float32"))
    'FP32'
    """
    return _OF_TENSOR[field.tensor]


@dataclass(frozen=True)
class Tensor:
    """One input tensor of a request as it was sent: JSON `data`, or `raw` bytes."""

    name: str
    datatype: str
    rows: int
    data: Any = None
    raw: memoryview | None = None


def rows_of(name: str, shape: Any) -> int:
    """N of a shape [N] or [N, 1].

    Raises:
        RequestError: 400 for any other shape.
    """
    if (
        isinstance(shape, list)
        and len(shape) in (1, 2)
        and all(type(size) is int and size >= 0 for size in shape)
        and shape[1:] in ([], [1])
    ):
        return int(shape[0])
    raise RequestError(
        400, f"input '{name}' has the shape {shown(shape)}", fix="send the shape [N] or [N, 1]"
    )


def to_feed(tensor: Tensor, field: Field) -> Array:
    """The graph's tensor (N, 1) for a field, from what was sent for it.

    Raises:
        RequestError: 400 when the datatype cannot become the field's type, or the data do not fit datatype and shape.
    """
    _check_datatype(tensor, field)
    if tensor.raw is not None and tensor.datatype != "BYTES":
        return _from_raw(tensor, field)
    values = _strings(tensor) if tensor.raw is not None else _values(tensor)
    if len(values) != tensor.rows:
        raise RequestError(400, f"input '{tensor.name}' has {len(values)} values for {tensor.rows} rows")
    if tensor.datatype == "BOOL":
        values = [None if value is None else int(value) for value in values]
    return to_feeds({field.name: values}, [field])[field.name]


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
    if tensor.raw is None and tensor.datatype == "FP16":
        raise RequestError(400, f"input '{tensor.name}' is FP16, which JSON cannot carry", fix="send FP32")


def _values(tensor: Tensor) -> list[Any]:
    """The values of JSON data, flat or nested once, each of the tensor's datatype; null is missing."""
    data = tensor.data
    if not isinstance(data, list):
        raise RequestError(400, f"input '{tensor.name}' has no list 'data'")
    if any(type(value) is list for value in data):
        if not all(type(value) is list and len(value) == 1 for value in data):
            raise RequestError(400, f"input '{tensor.name}' is nested otherwise than [[v], [v], ...]")
        data = [value[0] for value in data]
    allowed, low, high = _allowed(tensor.datatype)
    faults = [
        RowFault(row, tensor.name, f"{shown(value)} is not {tensor.datatype}", shown(value))
        for row, value in enumerate(data)
        if value is not None and (type(value) not in allowed or not low <= _number(value) <= high)
    ]
    if faults:
        raise bad_rows(faults)
    return data


def _number(value: Any) -> float:
    return 0 if isinstance(value, str) else value


def _allowed(datatype: str) -> tuple[tuple[type, ...], float, float]:
    """The JSON types of a datatype and the least and the greatest number it has."""
    if datatype == "BYTES":
        return (str,), 0, 0
    if datatype == "BOOL":
        return (bool,), 0, 1
    if datatype.startswith("FP"):
        return (int, float), -np.inf, np.inf
    limits = np.iinfo(_WIDTHS[datatype])
    return (int,), int(limits.min), int(limits.max)


def _from_raw(tensor: Tensor, field: Field) -> Array:
    assert tensor.raw is not None
    kind = np.dtype("<" + _WIDTHS[tensor.datatype])
    if len(tensor.raw) != tensor.rows * kind.itemsize:
        wanted = tensor.rows * kind.itemsize
        raise RequestError(
            400, f"input '{tensor.name}' has {len(tensor.raw)} bytes; its datatype and shape make {wanted}"
        )
    array = np.frombuffer(tensor.raw, dtype=kind)
    if field.dtype == "timestamp":
        bad = (
            array > np.iinfo(np.int64).max if tensor.datatype == "UINT64" else np.zeros(len(array), np.bool_)
        )
    else:
        wide = array.astype(np.float64)
        bad = impossible(wide, field) | ((array > 1) if tensor.datatype == "BOOL" else False)
    if bad.any():
        raise bad_rows(
            [wrong_type(int(i), field, array[i].item()) for i in np.flatnonzero(bad)[: MOST_FAULTS + 1]]
        )
    return as_feed(array if field.dtype == "timestamp" else wide, field)


def _strings(tensor: Tensor) -> list[str]:
    """The texts of raw BYTES: each a little-endian uint32 length and so many bytes of UTF-8."""
    assert tensor.raw is not None
    found: list[str] = []
    place, end = 0, len(tensor.raw)
    while place < end:
        if place + 4 > end:
            raise _cut_short(tensor.name)
        (size,) = struct.unpack_from("<I", tensor.raw, place)
        place += 4
        if place + size > end:
            raise _cut_short(tensor.name)
        try:
            found.append(str(tensor.raw[place : place + size], "utf-8"))
        except UnicodeDecodeError:
            raise bad_rows([RowFault(len(found), tensor.name, "the bytes are not UTF-8")]) from None
        place += size
    return found


def _cut_short(name: str) -> RequestError:
    return RequestError(400, f"input '{name}' ends in the middle of a value")


def output(name: str, array: Array, *, binary: bool) -> tuple[dict[str, Any], bytes]:
    """An output as its JSON object and, when binary, its bytes.

    >>> output("p", np.array([0.5], dtype=np.float32), binary=True)
    ({'name': 'p', 'datatype': 'FP32', 'shape': [1], 'parameters': {'binary_data_size': 4}}, b'\\x00\\x00\\x00?')
    """
    text = array.dtype.kind in "OUS"
    datatype = "BYTES" if text else _OF_KIND[array.dtype.str[1:]]
    described: dict[str, Any] = {"name": name, "datatype": datatype, "shape": list(array.shape)}
    if not binary:
        flat = np.ascontiguousarray(array).reshape(-1)
        return {**described, "data": flat.tolist() if text else flat}, b""
    raw = (
        _packed(array.reshape(-1).tolist()) if text else array.astype(array.dtype.newbyteorder("<")).tobytes()
    )
    return {**described, "parameters": {"binary_data_size": len(raw)}}, raw


def _packed(texts: Sequence[Any]) -> bytes:
    encoded = [str(text).encode("utf-8") for text in texts]
    return b"".join(struct.pack("<I", len(text)) + text for text in encoded)
