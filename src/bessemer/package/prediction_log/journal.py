"""Journal segments: records behind one another, each in a frame that shows whether it is whole.

A segment is `MAGIC`, then frames: length and CRC-32 of the payload (two little-endian uint32), then the payload.
A payload is one MessagePack array whose first value is its kind:

    [MODEL,  number, description]      `LoggedModel.to_bytes`; later records name the number
    [ROWS,   number, time, ids, latencies, clients, dialects, rows, outputs]
    [FEEDS,  number, time, ids, latencies, clients, dialects, tensors, outputs]
    [LABELS, number, ids, labels, times, clients, sequence, arrivals]

`rows` has for each row its values as JSON has them, `tensors` is {input: column}, `outputs` {output: column}. `time`,
`times`, `arrivals` and `latencies` are seconds; where a record has no `arrivals`, its labels came at their `times`. A
column is a list of values, or [dtype, bytes] of a little-endian array in C order. One process writes a segment and
appends a frame with one write, so that only its last frame can be torn.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import IO, Any, Literal

from bessemer.core.errors import FormatError, MissingExtra

MAGIC = b"BSMLOG1\n"
MODEL, ROWS, FEEDS, LABELS = range(4)
#: No frame is longer; a longer one is damage.
MOST_BYTES = 2**30

_HEAD = struct.Struct("<II")


def frame(payload: bytes) -> bytes:
    """A payload as it stands in a segment."""
    return _HEAD.pack(len(payload), zlib.crc32(payload)) + payload


class Segment:
    """The whole records of a segment, in order, with their sizes in bytes.

    tail: how it ended, when it was read to its end: `whole`; `torn`, in a frame that its writer did not finish;
    `damaged`, in bytes that are not what was written. Nothing behind that is read.

    >>> import io, msgspec
    >>> whole = MAGIC + frame(msgspec.msgpack.encode([MODEL, 0, b"{}"]))
    >>> segment = Segment(io.BytesIO(whole + b"\\x07"))
    >>> list(segment), segment.tail
    ([(7, [0, 0, b'{}'])], 'torn')
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.tail: Literal["", "whole", "torn", "damaged"] = ""

    def __iter__(self) -> Iterator[tuple[int, list[Any]]]:
        decode = _decoder()
        begin = self._file.read(len(MAGIC))
        if begin != MAGIC:
            if begin[:6] == MAGIC[:6] and len(begin) == len(MAGIC):
                raise FormatError("a journal of a later format", fix="pip install --upgrade bessemer")
            self.tail = "torn" if MAGIC.startswith(begin) else "damaged"
            return
        while payload := self._next():
            yield len(payload), decode(payload)

    def _next(self) -> bytes:
        """The next payload; b'' at the end, after setting `tail`."""
        head = self._file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            self.tail = "torn" if head else "whole"
            return b""
        length, crc = _HEAD.unpack(head)
        if not length or length > MOST_BYTES:
            self.tail = "damaged" if any(head) else "torn"  # zeros: a file system after a loss of power
            return b""
        payload = self._file.read(length)
        if len(payload) < length:
            self.tail = "torn"
        elif zlib.crc32(payload) != crc:
            self.tail = "damaged"
        else:
            return payload
        return b""


def _decoder() -> Any:
    try:
        import msgspec
    except ImportError:
        raise MissingExtra("the prediction log's journal", "msgspec", "serve") from None
    return msgspec.msgpack.Decoder().decode
