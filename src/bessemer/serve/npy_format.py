"""The .npy format of numpy: bytes to an array and back; nothing pickled is read or written.

https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

import ast
import io
import math
import struct
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.lib import format as npy_format

from bessemer.serve.errors import RequestError, shown
from bessemer.serve.wire import Array

_MOST_HEADER = 10_000
#: What reading a header that is none may raise: it is a Python literal, and its dtype may be any text.
_NO_HEADER = (
    *(ValueError, TypeError, LookupError, SyntaxError, RecursionError),
    *(MemoryError, OverflowError, AttributeError),
)


def parse_npy(content: bytes) -> Array:
    """The array of a .npy file: a view of its bytes.

    Raises:
        RequestError: 400 when it is not one, has Python objects, or has other bytes than its shape makes.
    """
    shape, fortran, kind, start = _header(content)
    if kind.hasobject:
        raise RequestError(
            400, "the array has Python objects, which are not read", fix="send numbers or text"
        )
    rest = len(content) - start
    if kind.itemsize == 0 or math.prod(shape) * kind.itemsize != rest:
        raise RequestError(400, f"the array {kind.str}{list(shape)} has {rest} bytes")
    flat: Array = np.frombuffer(content, dtype=kind, offset=start)
    return flat.reshape(shape, order="F" if fortran else "C")


def _header(content: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """The shape of an array, whether it is in Fortran's order, its type, and where its bytes begin."""
    sizes = {b"\x01\x00": "<H", b"\x02\x00": "<I", b"\x03\x00": "<I"}
    size = sizes.get(content[6:8], "") if content.startswith(npy_format.MAGIC_PREFIX) else ""
    start = 8 + struct.calcsize(size or "<I")
    if not size or len(content) < start:
        raise RequestError(400, "the body is no .npy file")
    (length,) = struct.unpack_from(size, content, 8)
    if length > _MOST_HEADER:
        raise RequestError(400, f"the header of the .npy file has {length} bytes")
    shape, fortran, kind = _described(content[start : start + length])
    return shape, fortran, kind, start + length


@lru_cache(maxsize=128)
def _described(header: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """What a header says; the same client sends the same ones again."""
    try:
        about = ast.literal_eval(header.decode("utf-8").strip())
        shape, fortran, kind = about["shape"], about["fortran_order"], about["descr"]
        found = npy_format.descr_to_dtype(kind)
    except _NO_HEADER as error:
        raise RequestError(400, f"the header of the .npy file cannot be read: {error}") from None
    if not (isinstance(shape, tuple) and all(type(size) is int and size >= 0 for size in shape)):
        raise RequestError(400, f"the shape of the .npy file is {shown(shape)}")
    return shape, fortran is True, found


def write_array(array: Array) -> bytes:
    """An array as a .npy file; text that is Python's becomes numpy's."""
    stream = io.BytesIO()
    plain = array.astype(np.str_) if array.dtype.kind == "O" else array
    npy_format.write_array(stream, plain, allow_pickle=False)
    return stream.getvalue()
