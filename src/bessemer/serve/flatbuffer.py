"""Reading FlatBuffers that nobody vouches for: every offset and length is held against the buffer before it is used.

The layout is that of https://flatbuffers.dev/internals/. Python's own runtime trusts a buffer; this does not.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from bessemer.serve.errors import RequestError

#: The numbers that are read one at a time.
_NUMBERS = {form: struct.Struct("<" + form) for form in "BHIiq"}


class Buffer:
    """The bytes of a message, and how much text has been read from it.

    Texts may lie on top of each other, so that few bytes would make many: together those at different places may be as
    long as the buffer.
    """

    def __init__(self, data: bytes) -> None:
        self.data = memoryview(data)
        self._left = len(data)
        self._texts: dict[int, str] = {}

    def unpack(self, form: str, at: int) -> int:
        """A number in a form of `struct`, little-endian."""
        number = _NUMBERS[form]
        if at < 0 or at + number.size > len(self.data):
            raise broken()
        found: int = number.unpack_from(self.data, at)[0]
        return found

    def follow(self, at: int) -> int:
        """Where an offset leads, which is always further on."""
        return at + self.unpack("I", at)

    def vector(self, at: int, width: int) -> tuple[int, int]:
        """Where the elements of a vector begin, and how many there are."""
        count = self.unpack("I", at)
        if at + 4 + count * width > len(self.data):
            raise broken()
        return at + 4, count

    def text(self, at: int) -> str:
        """A string, by its place."""
        if at in self._texts:
            return self._texts[at]
        start, size = self.vector(at, 1)
        self._left -= size
        if self._left < 0:
            raise broken()
        try:
            found = self._texts[at] = str(self.data[start : start + size], "utf-8")
        except UnicodeDecodeError:
            raise RequestError(400, "a text in the message is not UTF-8") from None
        return found

    def root(self) -> Table:
        """The table that is the message."""
        return Table(self, self.follow(0))


class Table:
    """A table: its fields are numbered in the order of the schema, from 0; a union is two, its type and its value.

    >>> Buffer(bytes.fromhex("0800000004000400" "04000000")).root().number(0, "B")
    0
    """

    def __init__(self, buffer: Buffer, at: int) -> None:
        self._buffer, self._at = buffer, at
        self._fields = at - buffer.unpack("i", at)
        self._known = buffer.unpack("H", self._fields)
        self._size = buffer.unpack("H", self._fields + 2)
        end = max(at + self._size, self._fields + self._known)
        if self._known < 4 or self._size < 4 or end > len(buffer.data):
            raise broken()

    def _place(self, slot: int, width: int) -> int:
        """Where a field stands; 0 where it is absent."""
        entry = 4 + 2 * slot
        if entry + 2 > self._known:
            return 0
        offset = self._buffer.unpack("H", self._fields + entry)
        if not offset:
            return 0
        if offset < 4 or offset + width > self._size:
            raise broken()
        return self._at + offset

    def number(self, slot: int, form: str) -> int:
        """A number in a form of `struct`; 0 where it is absent."""
        at = self._place(slot, _NUMBERS[form].size)
        return self._buffer.unpack(form, at) if at else 0

    def table(self, slot: int) -> Table | None:
        at = self._place(slot, 4)
        return Table(self._buffer, self._buffer.follow(at)) if at else None

    def text(self, slot: int) -> str:
        """A string; '' where it is absent."""
        at = self._place(slot, 4)
        return self._buffer.text(self._buffer.follow(at)) if at else ""

    def raw(self, slot: int) -> memoryview:
        """The elements of a vector of bytes."""
        start, count = self._vector(slot, 1)
        return self._buffer.data[start : start + count]

    def numbers(self, slot: int, form: str, most: int) -> Sequence[int]:
        """The elements of a vector of numbers, of which there may be so many."""
        start, count = self._vector(slot, _NUMBERS[form].size, most)
        return struct.unpack_from(f"<{count}{form}", self._buffer.data, start) if count else ()

    def texts(self, slot: int, most: int) -> list[str]:
        """The elements of a vector of strings."""
        return [self._buffer.text(at) for at in self._offsets(slot, most)]

    def tables(self, slot: int, most: int) -> list[Table]:
        """The elements of a vector of tables."""
        return [Table(self._buffer, at) for at in self._offsets(slot, most)]

    def _offsets(self, slot: int, most: int) -> list[int]:
        start, count = self._vector(slot, 4, most)
        return [self._buffer.follow(start + 4 * i) for i in range(count)]

    def _vector(self, slot: int, width: int, most: int | None = None) -> tuple[int, int]:
        at = self._place(slot, 4)
        if not at:
            return 0, 0
        start, count = self._buffer.vector(self._buffer.follow(at), width)
        if most is not None and count > most:
            raise RequestError(413, f"a list of the message has {count} elements, more than {most}")
        return start, count


def broken() -> RequestError:
    return RequestError(400, "the message is no FlatBuffer: an offset or a length in it leads out of it")
