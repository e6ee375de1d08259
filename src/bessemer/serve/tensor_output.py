"""Outputs as tensors of the Open Inference Protocol: JSON, or raw little-endian bytes."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

_OF_KIND = {"f4": "FP32", "f8": "FP64", "i8": "INT64", "b1": "BOOL"}


def described(name: str, array: Array) -> dict[str, Any]:
    """An output's name, datatype and shape.

    >>> described("p", np.array([0.5], dtype=np.float32))
    {'name': 'p', 'datatype': 'FP32', 'shape': [1]}
    """
    datatype = "BYTES" if array.dtype.kind in "OUS" else _OF_KIND[array.dtype.str[1:]]
    return {"name": name, "datatype": datatype, "shape": list(array.shape)}


def to_raw(array: Array) -> bytes:
    """The little-endian bytes of an output.

    >>> to_raw(np.array(["no"]))
    b'\\x02\\x00\\x00\\x00no'
    """
    if array.dtype.kind in "OUS":
        return _packed(array.reshape(-1).tolist())
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def output(name: str, array: Array, *, binary: bool) -> tuple[dict[str, Any], bytes]:
    """An output as its JSON object and, when binary, its bytes.

    >>> output("p", np.array([0.5], dtype=np.float32), binary=True)
    ({'name': 'p', 'datatype': 'FP32', 'shape': [1], 'parameters': {'binary_data_size': 4}}, b'\\x00\\x00\\x00?')
    """
    told = described(name, array)
    if binary:
        raw = to_raw(array)
        return {**told, "parameters": {"binary_data_size": len(raw)}}, raw
    flat = np.ascontiguousarray(array).reshape(-1)
    return {**told, "data": flat.tolist() if told["datatype"] == "BYTES" else flat}, b""


def _packed(texts: Sequence[Any]) -> bytes:
    encoded = [str(text).encode("utf-8") for text in texts]
    return b"".join(struct.pack("<I", len(text)) + text for text in encoded)
