"""How much a Parquet file unpacks to, from its page headers, before anything is unpacked.

A page says in a few bytes that it becomes two gigabytes, and the footer may say something else: what Arrow would
allocate is the sum over the headers of the pages it would read. https://parquet.apache.org/docs/file-format/ and the
compact protocol of Thrift, https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

_MAGIC = b"PAR1"
_MOST_NESTED = 16
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)


class Broken(ValueError):
    """The bytes are no Parquet."""


def unpacked_size(body: bytes) -> int:
    """The bytes that all pages of a file become together.

    Raises:
        Broken: the footer or a page header cannot be read.

    >>> unpacked_size(b"PAR1")
    Traceback (most recent call last):
    bessemer.serve.parquet_pages.Broken: there is no footer
    """
    if len(body) < 12 or not body.startswith(_MAGIC) or not body.endswith(_MAGIC):
        raise Broken("there is no footer")
    (length,) = struct.unpack_from("<I", body, len(body) - 8)
    if length > len(body) - 12:
        raise Broken("the footer is longer than the file")
    footer = _Reader(body, len(body) - 8 - length).struct()
    total = 0
    for group in _items(footer, 4):
        for chunk in _items(group, 1):
            total += sum(_pages(body, chunk.get(3, {})))
    return total


def _items(struct_: dict[int, Any], field: int) -> list[dict[int, Any]]:
    found = struct_.get(field, [])
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise Broken("the footer has another form")
    return found


def _pages(body: bytes, about: Any) -> Iterator[int]:
    """What each page of a column becomes, of the pages that stand where the column's metadata says."""
    if not isinstance(about, dict):
        raise Broken("a column has no metadata")
    data, dictionary, size = about.get(9), about.get(11), about.get(7)
    if not isinstance(data, int) or not isinstance(size, int):
        raise Broken("a column does not say where it is")
    start = min(data, dictionary) if isinstance(dictionary, int) and dictionary > 0 else data
    if start < 0 or size < 0 or start + size > len(body):
        raise Broken("a column is outside of the file")
    place, end = start, start + size
    while place < end:
        reader = _Reader(body, place)
        header = reader.struct()
        unpacked, packed = header.get(2), header.get(3)
        if not isinstance(unpacked, int) or not isinstance(packed, int) or unpacked < 0 or packed < 0:
            raise Broken("a page does not say how large it is")
        yield unpacked
        place = reader.place + packed


class _Reader:
    """Reads structs of the compact protocol as {field: value}; values that are not needed are read all the same."""

    def __init__(self, body: bytes, place: int) -> None:
        self._body, self.place = body, place

    def struct(self, depth: int = 0) -> dict[int, Any]:
        if depth > _MOST_NESTED:
            raise Broken("structs are nested too deep")
        found: dict[int, Any] = {}
        field = 0
        while head := self._byte():
            step, kind = head >> 4, head & 15
            field = field + step if step else self._zigzag()
            found[field] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, depth)
        return found

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (_I16, _I32, _I64):
            return self._zigzag()
        if kind == _BINARY:
            return self._take(self._number())
        if kind in (_LIST, _SET):
            return self._list(depth)
        if kind == _STRUCT:
            return self.struct(depth + 1)
        if kind in (_TRUE, _FALSE, _BYTE):  # in a list a boolean is a byte
            return self._byte()
        if kind == _DOUBLE:
            return self._take(8)
        if kind == _MAP:
            return self._map(depth)
        raise Broken(f"there is no type {kind}")

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        count = self._number() if head >> 4 == 15 else head >> 4
        self._check(count)
        return [self._value(head & 15, depth + 1) for _ in range(count)]

    def _map(self, depth: int) -> None:
        count = self._number()
        self._check(count)
        kinds = self._byte() if count else 0
        for _ in range(count):
            self._value(kinds >> 4, depth + 1)
            self._value(kinds & 15, depth + 1)

    def _check(self, count: int) -> None:
        if count > len(self._body) - self.place:  # each item has a byte at least
            raise Broken("a list is longer than the file")

    def _byte(self) -> int:
        if self.place >= len(self._body):
            raise Broken("it ends in the middle of a struct")
        self.place += 1
        return self._body[self.place - 1]

    def _take(self, size: int) -> bytes:
        if size > len(self._body) - self.place:
            raise Broken("a text is longer than the file")
        self.place += size
        return self._body[self.place - size : self.place]

    def _number(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
            if shift > 63:
                raise Broken("a number has more than 64 bits")

    def _zigzag(self) -> int:
        value = self._number()
        return value >> 1 ^ -(value & 1)
