"""TensorFlow's TensorProto, which Seldon's `tftensor` is, to numpy and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bessemer.serve.errors import RequestError
from bessemer.serve.tensor_values import text_of
from bessemer.serve.tensors import shape_of
from bessemer.serve.wire import Array

#: For a DataType its numpy type and the field that has its values where `tensor_content` has not.
_KINDS: Mapping[int, tuple[str, str]] = {
    1: ("<f4", "float_val"),
    2: ("<f8", "double_val"),
    3: ("<i4", "int_val"),
    4: ("<u1", "int_val"),
    5: ("<i2", "int_val"),
    6: ("<i1", "int_val"),
    9: ("<i8", "int64_val"),
    10: ("?", "bool_val"),
    17: ("<u2", "int_val"),
    22: ("<u4", "uint32_val"),
    23: ("<u8", "uint64_val"),
}
_FLOAT, _STRING = 1, 7
#: One value may stand for all; so many are made of it at most.
_MOST_REPEATED = 1_000_000


def array_of(proto: Any) -> Array:
    """The array of a TensorProto of one or two sizes: numbers, or texts as objects.

    Raises:
        RequestError: 400 for other types and shapes, and for values that do not fill the shape.
    """
    shape = shape_of("tftensor", tuple(int(dim.size) for dim in proto.tensor_shape.dim))
    size = shape[0] * (shape[1] if len(shape) == 2 else 1)
    if proto.dtype == _STRING:
        values: Array = np.empty(len(proto.string_val), dtype=object)
        values[:] = [text_of("tftensor", i, each) for i, each in enumerate(proto.string_val)]
    elif proto.dtype in _KINDS:
        kind, field = _KINDS[proto.dtype]
        values = _numbers(proto, np.dtype(kind), field)
    else:
        raise RequestError(400, f"a tftensor of the type {proto.dtype} is not taken", fix="send DT_DOUBLE")
    if len(values) == 1 and size <= _MOST_REPEATED:
        values = np.repeat(values, size)
    if len(values) != size:
        raise RequestError(400, f"the tftensor has {len(values)} values; its shape makes {size}")
    return values.reshape(shape)


def _numbers(proto: Any, kind: np.dtype[Any], field: str) -> Array:
    content = proto.tensor_content
    if not content:
        try:
            return np.array(getattr(proto, field), dtype=kind)
        except OverflowError:
            raise RequestError(400, "a value of the tftensor is beyond its type") from None
    if len(content) % kind.itemsize:
        raise RequestError(400, f"the tftensor has {len(content)} bytes for values of {kind.itemsize}")
    return np.frombuffer(content, dtype=kind)


def fill_proto(proto: Any, array: Array) -> None:
    """Make a TensorProto the tensor of some float32."""
    proto.dtype = _FLOAT
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    proto.tensor_content = array.astype("<f4", copy=False).tobytes()
