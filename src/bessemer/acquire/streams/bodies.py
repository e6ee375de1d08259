"""The bytes of many messages, side by side in a few pieces instead of an object each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    import pyarrow as pa

#: More bytes than this have no place in one piece, as Arrow says with 32 bits where a value ends.
_MOST = 2**31 - 1


class Bodies(Sequence[bytes]):
    """n messages, none of which is None; a sequence of bytes for those who look at them one by one.

    A batch is larger than what the processor keeps. If each message were an object of Python's, each step would fetch
    all of them from memory, if only to count who refers to them: that takes longer than to parse them.
    """

    def __init__(self, packed: pa.ChunkedArray) -> None:
        self.packed = packed

    def __len__(self) -> int:
        return len(self.packed)

    @overload
    def __getitem__(self, place: int) -> bytes: ...
    @overload
    def __getitem__(self, place: slice) -> Bodies: ...
    def __getitem__(self, place: int | slice) -> bytes | Bodies:
        if isinstance(place, slice):
            start, stop, step = place.indices(len(self))
            assert step == 1, "messages stay in their order"
            return Bodies(self.packed.slice(start, max(stop - start, 0)))
        value: bytes = self.packed[place].as_py()
        return value

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.packed.chunks:
            yield from piece.to_pylist()


def packed(values: Sequence[bytes | None]) -> pa.ChunkedArray:
    """Values as Arrow's binary.

    >>> packed([b"ab", None, b""]).to_pylist()
    [b'ab', None, b'']
    """
    import numpy as np
    import pyarrow as pa

    if isinstance(values, Bodies):
        return values.packed
    try:
        data = b"".join(values)  # type: ignore[arg-type]
    except TypeError:  # a message without a value
        data = None
    if data is None or len(data) > _MOST:
        found = pa.array(values, pa.binary())
        return found if isinstance(found, pa.ChunkedArray) else pa.chunked_array([found])
    ends = np.zeros(len(values) + 1, np.int32)
    np.cumsum(np.fromiter(map(len, values), np.int32, len(values)), out=ends[1:])  # type: ignore[arg-type]
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(data)]
    return pa.chunked_array([pa.Array.from_buffers(pa.binary(), len(values), buffers)])


def joined(parts: Iterable[pa.ChunkedArray]) -> pa.ChunkedArray:
    """Parts behind each other; nothing is copied."""
    import pyarrow as pa

    return pa.chunked_array([piece for part in parts for piece in part.chunks], pa.binary())
