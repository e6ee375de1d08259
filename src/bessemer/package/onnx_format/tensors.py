"""The constants of a graph as numpy arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bessemer.package.onnx_format import BOOL, DOUBLE, FLOAT, INT64, STRING

#: Element type -> how numbers are kept as raw bytes, and the field they may stand in instead.
_KEPT: Mapping[int, tuple[str, str]] = {
    FLOAT: ("<f4", "float_data"),
    DOUBLE: ("<f8", "double_data"),
    INT64: ("<i8", "int64_data"),
    BOOL: ("|b1", "int32_data"),
    6: ("<i4", "int32_data"),
}


def values_of(tensor: Any) -> np.ndarray | None:
    """The array of a TensorProto; None for an element type that no graph of ours has.

    Returns:
        float32, float64, int32, int64, bool, or `str` objects.

    Raises:
        ValueError: it holds more or fewer values than its shape has.

    >>> from bessemer.package.onnx_format import message
    >>> values_of(message("TensorProto")(data_type=FLOAT, dims=[2], float_data=[1, 2])).tolist()
    [1.0, 2.0]
    """
    shape = tuple(tensor.dims)
    if tensor.data_type == STRING:
        texts = np.empty(len(tensor.string_data), dtype=object)
        texts[:] = [text.decode("utf-8") for text in tensor.string_data]
        return texts.reshape(shape)
    if tensor.data_type not in _KEPT:
        return None
    dtype, field = _KEPT[tensor.data_type]
    native = np.dtype(dtype).newbyteorder("=")
    if tensor.HasField("raw_data"):
        return np.frombuffer(tensor.raw_data, dtype=dtype).astype(native).reshape(shape)
    return np.array(getattr(tensor, field), dtype=native).reshape(shape)


def fill(tensor: Any, name: str, values: np.ndarray) -> None:
    """Make an empty TensorProto hold whole numbers (int64)."""
    tensor.name, tensor.data_type = name, INT64
    tensor.dims.extend(values.shape)
    tensor.raw_data = values.astype("<i8").tobytes()
