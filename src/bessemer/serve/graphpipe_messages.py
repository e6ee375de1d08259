"""GraphPipe's messages: requests out of FlatBuffers, responses into them.

graphpipe.fbs of https://github.com/oracle/graphpipe. A slot is a field's number in its table; the union `Req` is two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bessemer.serve.errors import RequestError
from bessemer.serve.flatbuffer import Buffer, Table
from bessemer.serve.tensor_values import Tensor
from bessemer.serve.tensors import shape_of
from bessemer.serve.wire import Array

_NAMES = "UINT8 INT8 UINT16 INT16 UINT32 INT32 UINT64 INT64 FP16 FP32 FP64 BYTES"
#: The numbers of GraphPipe's types, by our datatypes.
TYPES: Mapping[str, int] = {name: number for number, name in enumerate(_NAMES.split(), 1)}
_DATATYPES = {number: datatype for datatype, number in TYPES.items()}
_OF_NUMPY = {"f4": "FP32", "f8": "FP64", "i8": "INT64"}
_INFER, _METADATA = 1, 2
_MOST_TENSORS = 10_000
_MOST_SIZES = 8


@dataclass(frozen=True)
class InferMessage:
    """What a client sent: names may be absent where there are tensors."""

    config: str
    names: tuple[str, ...]
    tensors: tuple[Tensor, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class About:
    """An input or output, as the metadata say it; a size of -1 is any."""

    name: str
    description: str
    shape: tuple[int, ...]
    datatype: str


# requests ------------------------------------------------------------------------------------------
def read_request(body: bytes, max_rows: int) -> InferMessage | None:
    """The request in a body; None where it asks for the metadata.

    Raises:
        RequestError: 400 when it is no request, or one of another kind.
    """
    request = Buffer(body).root()
    kind = request.number(0, "B")
    if kind == _METADATA:
        return None
    inner = request.table(1)
    if kind != _INFER or inner is None:
        raise RequestError(400, f"the request is of the unknown kind {kind}", fix="send an InferRequest")
    tables = inner.tables(2, _MOST_TENSORS)
    names = inner.texts(1, _MOST_TENSORS)
    if names and len(names) != len(tables):
        raise RequestError(400, f"the request has {len(names)} names for {len(tables)} tensors")
    found = [_tensor(table, names[i] if names else str(i), max_rows) for i, table in enumerate(tables)]
    return InferMessage(inner.text(0), tuple(names), tuple(found), tuple(inner.texts(3, _MOST_TENSORS)))


def _tensor(table: Table, name: str, max_rows: int) -> Tensor:
    number = table.number(0, "B")
    datatype = _DATATYPES.get(number)
    if datatype is None:
        raise RequestError(400, f"input '{name}' has the unknown type {number}")
    shape = shape_of(name, table.numbers(1, "q", _MOST_SIZES))
    if datatype == "BYTES":
        return Tensor(name, datatype, shape, table.texts(3, max_rows))
    return Tensor(name, datatype, shape, raw=table.raw(2))


def write_infer_request(message: InferMessage) -> bytes:
    """The body of a request: what `read_request` reads."""
    builder = _builder(1024 + sum(len(tensor.raw or b"") for tensor in message.tensors))
    tensors = [
        _add_tensor(builder, TYPES[tensor.datatype], tensor.shape, tensor.data, tensor.raw or b"")
        for tensor in message.tensors
    ]
    config = builder.CreateString(message.config)
    vectors = [_offsets(builder, tensors)]
    for texts in (message.names, message.outputs):
        vectors.append(_offsets(builder, [builder.CreateString(text) for text in texts]))
    builder.StartObject(4)
    for slot, offset in ((0, config), (1, vectors[1]), (2, vectors[0]), (3, vectors[2])):
        builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
    return _request(builder, _INFER, builder.EndObject())


def write_metadata_request() -> bytes:
    builder = _builder(64)
    builder.StartObject(0)
    return _request(builder, _METADATA, builder.EndObject())


def _request(builder: Any, kind: int, inner: int) -> bytes:
    builder.StartObject(2)
    builder.PrependUint8Slot(0, kind, 0)
    builder.PrependUOffsetTRelativeSlot(1, inner, 0)
    return _finished(builder)


# responses -----------------------------------------------------------------------------------------
def write_infer_response(arrays: Sequence[Array]) -> bytes:
    """The response with some outputs: numbers, or text."""
    builder = _builder(1024 + sum(array.nbytes for array in arrays))
    tensors = _offsets(builder, [_add_array(builder, array) for array in arrays])
    builder.StartObject(2)
    builder.PrependUOffsetTRelativeSlot(0, tensors, 0)
    return _finished(builder)


def write_error(code: int, message: str) -> bytes:
    """The response with an error."""
    builder = _builder(256 + len(message))
    text = builder.CreateString(message)
    builder.StartObject(2)
    builder.PrependInt64Slot(0, code, 0)
    builder.PrependUOffsetTRelativeSlot(1, text, 0)
    errors = _offsets(builder, [builder.EndObject()])
    builder.StartObject(2)
    builder.PrependUOffsetTRelativeSlot(1, errors, 0)
    return _finished(builder)


def write_metadata(facts: Sequence[str], inputs: Sequence[About], outputs: Sequence[About]) -> bytes:
    """The response to a metadata request. facts: name, version, server and description."""
    builder = _builder(4096)
    texts = [builder.CreateString(text) for text in facts]
    vectors = [
        _offsets(builder, [_add_about(builder, each) for each in group]) for group in (inputs, outputs)
    ]
    builder.StartObject(6)
    for slot, offset in enumerate([*texts, *vectors]):
        builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
    return _finished(builder)


def _add_about(builder: Any, about: About) -> int:
    name, description = builder.CreateString(about.name), builder.CreateString(about.description)
    shape = _shape(builder, about.shape)
    builder.StartObject(4)
    builder.PrependUOffsetTRelativeSlot(0, name, 0)
    builder.PrependUOffsetTRelativeSlot(1, description, 0)
    builder.PrependUOffsetTRelativeSlot(2, shape, 0)
    builder.PrependUint8Slot(3, TYPES[about.datatype], 0)
    return int(builder.EndObject())


def _add_array(builder: Any, array: Array) -> int:
    if array.dtype.kind in "OUS":
        return _add_tensor(builder, TYPES["BYTES"], array.shape, array.reshape(-1).tolist(), b"")
    number = TYPES[_OF_NUMPY[array.dtype.str[1:]]]
    raw = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    return _add_tensor(builder, number, array.shape, None, raw)


def _add_tensor(builder: Any, number: int, shape: Sequence[int], texts: Any, raw: bytes | memoryview) -> int:
    sizes = _shape(builder, shape)
    if texts is None:
        content, slot = builder.CreateByteVector(bytes(raw)), 2
    else:
        content, slot = _offsets(builder, [builder.CreateString(str(text)) for text in texts]), 3
    builder.StartObject(4)
    builder.PrependUint8Slot(0, number, 0)
    builder.PrependUOffsetTRelativeSlot(1, sizes, 0)
    builder.PrependUOffsetTRelativeSlot(slot, content, 0)
    return int(builder.EndObject())


# the runtime ---------------------------------------------------------------------------------------
def _builder(size: int) -> Any:
    import flatbuffers

    return flatbuffers.Builder(size)


def _finished(builder: Any) -> bytes:
    builder.Finish(builder.EndObject())
    return bytes(builder.Output())


def _shape(builder: Any, shape: Sequence[int]) -> int:
    return int(builder.CreateNumpyVector(np.array(shape, dtype="<i8")))


def _offsets(builder: Any, offsets: Sequence[int]) -> int:
    """A vector of offsets, in their order."""
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())
