"""V2's gRPC messages by hand (the two that matter), and the headers of their HTTP/2 requests for the load generator.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/open_inference_grpc.proto
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
METHOD = "/inference.GRPCInferenceService/ModelInfer"


def request(model: str, tensors: Mapping[str, Array], outputs: Sequence[str]) -> bytes:
    """A ModelInferRequest: float32 tensors with their data in `raw_input_contents`."""
    made = _text(1, model)
    for name, tensor in tensors.items():
        shape = b"".join(_varint(size) for size in tensor.shape)
        made += _bytes(5, _text(1, name) + _text(2, "FP32") + _bytes(3, shape))
    for name in outputs:
        made += _bytes(6, _text(1, name))
    return made + b"".join(_bytes(7, tensor.astype("<f4").tobytes()) for tensor in tensors.values())


def response(message: bytes) -> Array:
    """The numbers of the first output of a ModelInferResponse: raw, or in `fp32_contents` or `fp64_contents`."""
    for number, value in _fields(message):
        if number == 6:
            return np.frombuffer(value, "<f4")
    tensor = next(value for number, value in _fields(message) if number == 5)
    contents = next(value for number, value in _fields(tensor) if number == 5)
    number, value = next(_fields(contents))
    return np.frombuffer(value, {6: "<f4", 7: "<f8"}[number])


def framed(message: bytes) -> bytes:
    """With gRPC's prefix: not compressed, its length."""
    return struct.pack(">BI", 0, len(message)) + message


def headers(port: int) -> bytes:
    """The HPACK block of a call: literals that are neither indexed nor Huffman coded, so it is the same every time."""
    fields = {
        ":method": "POST", ":scheme": "http", ":path": METHOD, ":authority": f"127.0.0.1:{port}",
        "te": "trailers", "content-type": "application/grpc", "user-agent": "bessemer-benchmark",
    }  # fmt: skip
    return b"".join(
        b"\0" + b"".join(bytes([len(text)]) + text.encode() for text in field) for field in fields.items()
    )


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    return bytes([*made, value])


def _bytes(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _text(number: int, value: str) -> bytes:
    return _bytes(number, value.encode())


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields of a message that have a length; numbers are passed over."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    while at < len(message):
        tag = varint()
        if tag & 7 == 0:
            varint()
        elif tag & 7 == 2:
            size = varint()
            yield tag >> 3, message[at : at + size]
            at += size
        else:
            raise ValueError(f"a field of wire type {tag & 7} is not expected")
