"""Seldon's payloads: what a SeldonMessage in JSON carries.

prediction.proto, utils.py and flask_utils.py of seldon-core 1.18. REST and gRPC differ in how the message is read
and written, and have this in common.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bessemer.serve.errors import RequestError, shown
from bessemer.serve.tensors import shape_of
from bessemer.serve.wire import Array

#: The kinds of payload: three of an array (in `data`), and three of anything.
ARRAYS = ("ndarray", "tensor", "tftensor")
OTHERS = ("jsonData", "strData", "binData")
_MOST_NAME = 128


@dataclass(frozen=True)
class Payload:
    """What a SeldonMessage carries.

    kind: one of `ARRAYS` or `OTHERS`.
    value: nested lists of an ndarray, a numpy array of a tensor, or what the other kinds have: JSON, text, bytes.
    names: of the columns of an array, where they were sent.
    puid: what the request is called; tags, path: what comes back with the answer.
    """

    kind: str
    value: Any
    names: tuple[str, ...] = ()
    puid: str = ""
    tags: dict[str, Any] = field(default_factory=dict)
    path: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """What an answer needs of its request; alone: whether its one row stood alone."""

    payload: Payload
    puid: str
    alone: bool = False


def read_payload(message: Any) -> Payload:
    """The payload of a SeldonMessage in JSON.

    Raises:
        RequestError: 400 for what is none.
    """
    if not isinstance(message, dict):
        raise RequestError(400, f"Invalid request data type: {shown(message)}", fix='send {"data": {...}}')
    meta = message.get("meta") or {}
    if not isinstance(meta, dict):
        raise RequestError(400, f"'meta' is {shown(meta)}, not an object")
    puid, tags, path = meta.get("puid") or "", meta.get("tags") or {}, meta.get("requestPath") or {}
    if not isinstance(puid, str) or not isinstance(tags, dict) or not isinstance(path, dict):
        raise RequestError(400, "meta.puid must be text, meta.tags and meta.requestPath objects")
    kind, value, names = _content(message)
    return Payload(kind, value, names, checked_name(puid), tags, path)


def checked_name(puid: str) -> str:
    """What a request is called, where that may stand in a header."""
    if len(puid) > _MOST_NAME or not puid.isascii() or not puid.isprintable():
        raise RequestError(
            400, f"the puid {shown(puid)} is not a short name", fix="send at most 128 ASCII characters"
        )
    return puid


def _content(message: dict[str, Any]) -> tuple[str, Any, tuple[str, ...]]:
    """The kind, the value and the names of a message's payload."""
    if "data" in message:
        return _array(message["data"])
    for kind in OTHERS:
        if kind in message:
            value = message[kind]
            if kind != "jsonData" and not isinstance(value, str | bytes):
                raise RequestError(400, f"'{kind}' is {shown(value)}, not text")
            return kind, _decoded(value) if kind == "binData" else value, ()
    raise RequestError(
        400,
        f"Invalid request data type: {shown(message)}",
        fix='send {"data": {"names": [...], "ndarray": [[...]]}}',
    )


def _decoded(value: str | bytes) -> bytes:
    if isinstance(value, bytes):  # of a form, where it is sent as a file
        return value
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise RequestError(400, "'binData' is not base64") from None


def _array(data: Any) -> tuple[str, Any, tuple[str, ...]]:
    if not isinstance(data, dict):
        raise RequestError(400, f"'data' is {shown(data)}, not an object")
    names = data.get("names") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RequestError(400, f"'names' is {shown(names)}, not a list of texts")
    found = [kind for kind in ARRAYS if kind in data]
    if len(found) != 1:
        raise RequestError(400, "'data' must have one of ndarray, tensor and tftensor")
    (kind,) = found
    value = data[kind]
    if kind == "tensor":
        value = _tensor(value)
    elif kind == "tftensor":
        value = _tftensor(value)
    return kind, value, tuple(names)


def _tensor(value: Any) -> Array:
    values = value.get("values") if isinstance(value, dict) else None
    if not isinstance(values, list):
        raise RequestError(400, "'tensor' has no lists 'shape' and 'values'")
    if not {type(each) for each in values} <= {int, float}:
        raise RequestError(400, "the values of a tensor are numbers", fix="send an ndarray")
    return shaped(value.get("shape"), np.array(values, dtype=np.float64))


def shaped(shape: Any, values: Array) -> Array:
    """Values in a shape of one or two sizes.

    Raises:
        RequestError: 400 for another shape, or one that they do not fill.
    """
    sizes = shape_of("tensor", shape)
    wanted = sizes[0] * (sizes[1] if len(sizes) == 2 else 1)
    if wanted != len(values):
        raise RequestError(400, f"the tensor has {len(values)} values; its shape makes {wanted}")
    return values.reshape(sizes)


def _tftensor(value: Any) -> Array:
    from google.protobuf import json_format

    from bessemer.serve.protos import message
    from bessemer.serve.seldon_tensors import array_of

    proto = message("tensorflow.TensorProto")()
    try:
        json_format.ParseDict(value, proto)
    except (json_format.ParseError, TypeError, AttributeError, ValueError) as error:
        raise RequestError(400, f"'tftensor' is no TensorProto: {error}") from None
    return array_of(proto)
