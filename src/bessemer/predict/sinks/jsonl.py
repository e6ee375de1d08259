"""JSON lines: one object a row; plain or gzip. NaN and infinity, which JSON does not have, become null."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bessemer.core.errors import DataError
from bessemer.predict.formats import Gzip
from bessemer.predict.sinks.files import Files

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.predict.formats import Format
    from bessemer.predict.protocol import Target


#: What a JSON text cannot have as it is (RFC 8259, section 7).
_ESCAPED = r'["\\\x00-\x1f]'


class JsonFormat:
    def head(self, schema: pa.Schema) -> bytes:
        return b""

    def block(self, table: pa.Table, at: int) -> tuple[bytes, bytes]:
        import orjson
        import pyarrow as pa
        import pyarrow.compute as pc

        pieces: list[Any] = []
        for number, name in enumerate(table.column_names):
            pieces.append(b"{,"[number > 0 :][:1] + orjson.dumps(name) + b":")
            pieces.append(_texts(table.column(number).combine_chunks()))
        pieces = [
            pa.scalar(piece, pa.large_binary()) if isinstance(piece, bytes) else piece for piece in pieces
        ]
        end, nothing = (pa.scalar(text, pa.large_binary()) for text in (b"}\n", b""))
        lines = pc.binary_join_element_wise(*pieces, end, nothing)
        return b"".join(lines.to_pylist()), b""

    def tail(self, schema: pa.Schema, notes: bytes) -> bytes:
        return b""


def _texts(column: pa.Array) -> pa.Array:
    """Each value as JSON text: numbers as the shortest text that means the same, others once for each distinct one."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as pt

    kind = column.type
    if pt.is_float32(kind) or pt.is_float64(kind):
        column = pc.if_else(pc.is_finite(column), column, pa.scalar(None, kind))
    if pt.is_integer(kind) or pt.is_boolean(kind) or pt.is_float32(kind) or pt.is_float64(kind):
        return pc.fill_null(column.cast(pa.string()).cast(pa.large_binary()), b"null")
    if pt.is_string(kind) and not pc.any(pc.match_substring_regex(column, _ESCAPED)).as_py():
        mark = pa.scalar('"')
        quoted = pc.binary_join_element_wise(mark, column, mark, pa.scalar(""))
        return pc.fill_null(quoted.cast(pa.large_binary()), b"null")
    if pt.is_nested(kind):
        return pa.array([_dumped(value) for value in column.to_pylist()], pa.large_binary())
    distinct = column.dictionary_encode(null_encoding="encode")
    return pa.array(map(_dumped, distinct.dictionary.to_pylist()), pa.large_binary()).take(distinct.indices)


def _dumped(value: Any) -> bytes:
    import orjson

    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z)
    except TypeError as error:
        raise DataError(
            f"{value!r} cannot be written as JSON",
            why=str(error),
            fix="leave the column out of what is kept, or write Parquet",
        ) from None


class JsonLines(Files):
    ending = ".jsonl"

    def format(self, target: Target) -> Format:
        name = str(target.options.get("ending") or target.where).lower()
        return Gzip(JsonFormat()) if name.endswith(".gz") else JsonFormat()
