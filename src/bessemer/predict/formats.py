"""What a file format must give to be written piece by piece: tables to bytes, without a file."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pyarrow as pa


class Format(Protocol):
    """A file is head + blocks + tail. A block depends on its table and its place alone, so what is there stays.

    block: the bytes of a table of at least one row at the offset `at`, and what the tail must know of them.
    tail: the end of a file whose blocks left these notes, one after the other.
    """

    def head(self, schema: pa.Schema) -> bytes: ...
    def block(self, table: pa.Table, at: int) -> tuple[bytes, bytes]: ...
    def tail(self, schema: pa.Schema, notes: bytes) -> bytes: ...


class Gzip:
    """Another format with each of its pieces as a gzip member: members in a row are one gzip file (RFC 1952)."""

    def __init__(self, plain: Format) -> None:
        self._plain = plain

    def head(self, schema: pa.Schema) -> bytes:
        return _packed(self._plain.head(schema))  # a member even where it is empty: no bytes are no gzip file

    def block(self, table: pa.Table, at: int) -> tuple[bytes, bytes]:
        data, notes = self._plain.block(table, at)
        return _packed(data), notes

    def tail(self, schema: pa.Schema, notes: bytes) -> bytes:
        data = self._plain.tail(schema, notes)
        return _packed(data) if data else b""


def _packed(data: bytes) -> bytes:
    return gzip.compress(data, compresslevel=6, mtime=0)
