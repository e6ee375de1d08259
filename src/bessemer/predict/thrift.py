"""Thrift's compact protocol, as far as a Parquet footer needs it: bytes to fields and back, without a schema.

A struct is a dict from field number to `Value`. See "Thrift compact protocol" in the Apache Thrift specification.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)
_INTEGERS = (I16, I32, I64)


@dataclass
class Value:
    """A value with its wire type. A list's value is (type of the elements, elements)."""

    kind: int
    value: Any


@dataclass(frozen=True)
class Encoded:
    """A struct that is encoded already, to be an element of a list."""

    data: bytes


class Reader:
    """Reads values from bytes.

    Raises:
        ValueError: a type that no Parquet footer has. IndexError: the bytes end too early.
    """

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _varint(self) -> int:
        found = shift = 0
        while True:
            byte = self._byte()
            found |= (byte & 0x7F) << shift
            if byte < 0x80:
                return found
            shift += 7

    def _take(self, size: int) -> bytes:
        self._at += size
        if self._at > len(self._data):
            raise IndexError("the footer ends too early")
        return self._data[self._at - size : self._at]

    def _signed(self) -> int:
        raw = self._varint()
        return (raw >> 1) ^ -(raw & 1)

    def struct(self) -> dict[int, Value]:
        fields: dict[int, Value] = {}
        number = 0
        while header := self._byte():
            step, kind = header >> 4, header & 0x0F
            number = number + step if step else self._signed()
            fields[number] = Value(kind, self._value(kind))
        return fields

    def _value(self, kind: int) -> Any:
        if kind in (TRUE, FALSE):
            return None  # a field's boolean is its type
        if kind in _INTEGERS:
            return self._signed()
        if kind in (BYTE, DOUBLE):
            return self._take(1 if kind == BYTE else 8)
        if kind == BINARY:
            return self._take(self._varint())
        if kind in (LIST, SET):
            return self._list()
        if kind == STRUCT:
            return self.struct()
        raise ValueError(f"a footer with thrift type {kind}")

    def _list(self) -> tuple[int, list[Any]]:
        header = self._byte()
        size, kind = header >> 4, header & 0x0F
        size = self._varint() if size == 15 else size
        one = (lambda: self._take(1)) if kind in (TRUE, FALSE) else (lambda: self._value(kind))
        return kind, [one() for _ in range(size)]


def encode(fields: dict[int, Value]) -> bytes:
    """A struct's bytes.

    >>> Reader(encode({1: Value(I64, -5), 20: Value(BINARY, b"x")})).struct()
    {1: Value(kind=6, value=-5), 20: Value(kind=8, value=b'x')}
    """
    out = bytearray()
    last = 0
    for number, field in sorted(fields.items()):
        step = number - last
        out.append((step << 4 | field.kind) if step < 16 else field.kind)
        if step >= 16:
            out += _varint(_zigzag(number))
        out += _encoded(field.kind, field.value)
        last = number
    out.append(0)
    return bytes(out)


def _encoded(kind: int, value: Any) -> bytes:
    if isinstance(value, Encoded):
        return value.data
    if kind in (TRUE, FALSE) and value is None:
        return b""
    if kind in _INTEGERS:
        return _varint(_zigzag(value))
    if kind == BINARY:
        return _varint(len(value)) + bytes(value)
    if kind == STRUCT:
        return encode(value)
    if kind in (LIST, SET):
        inner, items = value
        head = (
            bytes([len(items) << 4 | inner])
            if len(items) < 15
            else bytes([0xF0 | inner]) + _varint(len(items))
        )
        return head + b"".join(_encoded(inner, item) for item in items)
    return bytes(value)


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
