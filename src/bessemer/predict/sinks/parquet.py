"""Parquet that grows row group by row group: what was written is never encoded or copied again.

Each batch is encoded as a file in memory. Its row group goes to the end of the growing file, the offsets in its
metadata are moved to where it stands now, and the footer that lists all row groups is written last.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from bessemer.predict.sinks.files import Files
from bessemer.predict.thrift import I64, LIST, STRUCT, Encoded, Reader, Value, encode

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.predict.formats import Format
    from bessemer.predict.protocol import Target

_MAGIC = b"PAR1"
# Field numbers of parquet.thrift. FileMetaData: 3 num_rows, 4 row_groups. RowGroup: 1 columns, 3 num_rows,
# 5 file_offset, 7 ordinal. ColumnChunk: 2 file_offset, 3 meta_data, 4 and 6 the page indexes' offsets.
# ColumnMetaData: 9 data, 10 index and 11 dictionary page, 14 bloom filter.
_IN_CHUNK, _IN_META = (4, 6), (9, 10, 11, 14)


class ParquetFormat:
    """zstd, as everywhere; a row group a batch."""

    def head(self, schema: pa.Schema) -> bytes:
        return _MAGIC

    def block(self, table: pa.Table, at: int) -> tuple[bytes, bytes]:
        data, footer = _written(table)
        groups = footer[4].value[1]
        for group in groups:
            _move(group, at - len(_MAGIC))
        notes = (encode(group) for group in groups)
        return data, b"".join(struct.pack("<QI", table.num_rows, len(note)) + note for note in notes)

    def tail(self, schema: pa.Schema, notes: bytes) -> bytes:
        _, footer = _written(schema.empty_table())
        rows, at, groups = 0, 0, []
        while at < len(notes):
            count, size = struct.unpack_from("<QI", notes, at)
            groups.append(Encoded(notes[at + 12 : at + 12 + size]))
            rows, at = rows + count, at + 12 + size
        footer |= {3: Value(I64, rows), 4: Value(LIST, (STRUCT, groups))}
        data = encode(footer)
        return data + struct.pack("<I", len(data)) + _MAGIC


def _written(table: pa.Table) -> tuple[bytes, dict[int, Any]]:
    """The table as one row group: its bytes without head and footer, and the footer's fields."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer, compression="zstd", row_group_size=max(1, table.num_rows))
    file = memoryview(buffer.getvalue())
    (size,) = struct.unpack("<I", file[-8:-4])
    footer = Reader(bytes(file[-8 - size : -8])).struct()
    return bytes(file[len(_MAGIC) : -8 - size]), footer


def _move(group: dict[int, Any], by: int) -> None:
    group.pop(7, None)  # the ordinal would be that of the file in memory
    if 5 in group:
        group[5].value += by
    for chunk in group[1].value[1]:
        chunk[2].value += by if chunk[2].value else 0
        for number in _IN_CHUNK:
            if number in chunk:
                chunk[number].value += by
        for number in _IN_META:
            if number in chunk[3].value:
                chunk[3].value[number].value += by


class Parquet(Files):
    ending = ".parquet"

    def format(self, target: Target) -> Format:
        return ParquetFormat()
