"""Messages of JSON whose fields are known, as columns at once, by a scanner of our own (`_scanner.c`).

It takes half of the quickest library's time and a fourth of Arrow's (benchmarks/kafka_parts.py), because it decides
little: what is odd in any way it leaves to `json.py`, which then looks closer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def scanned(messages: pa.ChunkedArray, fields: Mapping[str, pa.DataType], *, only: bool) -> pa.Table | None:
    """The columns of messages, a row each; None where it cannot say, or there is no scanner.

    Args:
        messages: of Arrow's binary, none null.
        fields: the columns, of boolean, int64, float64 or string; all of them are in the table.
        only: whether other fields are passed over; else a message that has one is odd.

    >>> import pyarrow as pa
    >>> fields = {"user": pa.string(), "n": pa.int64()}
    >>> found = scanned(pa.chunked_array([[b'{"n":1,"user":"ann"}', b"{}"]]), fields, only=False)
    >>> found is None or found.to_pylist()
    [{'user': 'ann', 'n': 1}, {'user': None, 'n': None}]
    """
    import pyarrow as pa

    letters = {pa.bool_(): b"b", pa.int64(): b"n", pa.float64(): b"n", pa.string(): b"t"}
    try:
        from bessemer.acquire.streams.decoders._scanner import scan
    except ImportError:
        return None
    if not fields or not all(kind in letters for kind in fields.values()):
        return None
    names = tuple(name.encode() for name in fields)
    kinds = b"".join(letters[kind] for kind in fields.values())
    schema, batches = pa.schema(list(fields.items())), []
    for part in filter(len, messages.chunks):
        _, ends, data = part.buffers()
        found = scan(data or b"", memoryview(ends)[4 * part.offset :], len(part), names, kinds, only)
        if found is None:
            return None
        try:
            columns = [_array(*each, len(part)) for each in zip(schema.types, found, strict=True)]
        except pa.ArrowInvalid:  # a number that the column cannot hold
            return None
        batches.append(pa.record_batch(columns, schema=schema))
    return pa.Table.from_batches(batches, schema)


def _array(kind: pa.DataType, buffers: Sequence[bytes], rows: int) -> pa.Array:
    import pyarrow as pa

    given = pa.bool_() if len(buffers) == 2 else pa.string()
    made = pa.Array.from_buffers(given, rows, [pa.py_buffer(each) for each in buffers])
    return made if made.type == kind else made.cast(kind)
