"""A tensor as it was sent, and the values in it: of JSON, or of raw little-endian bytes."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from bessemer.serve.errors import RequestError, RowFault, bad_rows, shown

Array = np.ndarray[Any, Any]

_WIDTHS = {"UINT8": "u1", "UINT16": "u2", "UINT32": "u4", "UINT64": "u8"}
_WIDTHS |= {"INT8": "i1", "INT16": "i2", "INT32": "i4", "INT64": "i8"}
_WIDTHS |= {"BOOL": "u1", "FP16": "f2", "BF16": "u2", "FP32": "f4", "FP64": "f8"}
DATATYPES = (*_WIDTHS, "BYTES")
_NONE = frozenset({type(None)})


@dataclass(frozen=True)
class Tensor:
    """One input tensor of a request as it was sent: `data`, values flat or nested as its shape, or `raw` bytes.

    size: how many bytes it will have, while they are not there.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: Any = None
    raw: memoryview | None = None
    size: int | None = None

    @property
    def rows(self) -> int:
        return self.shape[0]


def values_of(tensor: Tensor) -> list[Any]:
    """The values of `data`, flat or nested once, each of the tensor's datatype; None is missing."""
    data = _flat(tensor)
    allowed, low, high = _allowed(tensor.datatype)
    kinds = set(map(type, data))
    if kinds <= allowed:
        if low == -np.inf or not data:
            return data
        numbers = [value for value in data if value is not None] if None in data else data
        if not numbers or (low <= min(numbers) and max(numbers) <= high):
            return data
    width = tensor.shape[1] if len(tensor.shape) == 2 else 1
    raise bad_rows(
        [
            RowFault(
                place // max(width, 1), tensor.name, f"{shown(value)} is not {tensor.datatype}", shown(value)
            )
            for place, value in enumerate(data)
            if type(value) not in allowed or not low <= _number(value) <= high
        ]
    )


def _flat(tensor: Tensor) -> list[Any]:
    data = tensor.data
    if not isinstance(data, list):
        raise RequestError(400, f"input '{tensor.name}' has no list 'data'")
    if not any(type(value) is list for value in data):
        return data
    width = tensor.shape[1] if len(tensor.shape) == 2 else 1
    if not all(type(value) is list and len(value) == width for value in data):
        wanted = "[[v], [v], ...]" if width == 1 else f"rows of {width} values"
        raise RequestError(400, f"input '{tensor.name}' is nested otherwise than {wanted}")
    return list(chain.from_iterable(data))


def _number(value: Any) -> float:
    return value if isinstance(value, int | float) else 0


def _allowed(datatype: str) -> tuple[frozenset[type], float, float]:
    """The types of a datatype's values, and the least and the greatest number it has (-inf: any)."""
    if datatype == "BYTES":
        return _NONE | {str}, -np.inf, np.inf
    if datatype == "BOOL":
        return _NONE | {bool}, -np.inf, np.inf
    if datatype.startswith("FP"):
        return _NONE | {int, float}, -np.inf, np.inf
    limits = np.iinfo(_WIDTHS[datatype])
    return _NONE | {int}, int(limits.min), int(limits.max)


def numbers_of(tensor: Tensor) -> Array:
    """The numbers of a tensor, flat, in a type of numpy that has them all."""
    size = math.prod(tensor.shape)
    if tensor.raw is None:
        values = values_of(tensor)
        if len(values) != size:
            raise RequestError(400, f"input '{tensor.name}' has {len(values)} values; its shape makes {size}")
        return np.array(values, dtype=np.float64)
    kind = np.dtype("<" + _WIDTHS[tensor.datatype])
    if len(tensor.raw) != size * kind.itemsize:
        wanted = size * kind.itemsize
        raise RequestError(
            400, f"input '{tensor.name}' has {len(tensor.raw)} bytes; its datatype and shape make {wanted}"
        )
    array = np.frombuffer(tensor.raw, dtype=kind)
    if tensor.datatype == "BF16":  # the upper half of a float32
        return (array.astype("<u4") << 16).view("<f4")
    return array if array.flags.aligned else array.copy()


def strings_of(tensor: Tensor) -> list[str]:
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
        found.append(text_of(tensor.name, len(found), tensor.raw[place : place + size]))
        place += size
    return found


def text_of(name: str, row: int, value: bytes | memoryview) -> str:
    """The text of an element of BYTES.

    Raises:
        RequestError: 400 when it is not UTF-8.
    """
    try:
        return str(value, "utf-8")
    except UnicodeDecodeError:
        raise bad_rows([RowFault(row, name, "the bytes are not UTF-8")]) from None


def _cut_short(name: str) -> RequestError:
    return RequestError(400, f"input '{name}' ends in the middle of a value")
