"""JSON objects. Whole batches are parsed at once; where one of them is odd, each message is looked at alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bessemer.acquire.streams.bodies import packed
from bessemer.acquire.streams.decoded import Decoded, joined, refused, table_of, without
from bessemer.acquire.streams.decoders.json_checks import DEEPEST, deep, infinite, objects, utf8, whole
from bessemer.acquire.streams.decoders.scanned import scanned
from bessemer.acquire.streams.values import columns_of, rows_kept
from bessemer.core.sql import quote

if TYPE_CHECKING:
    import pyarrow as pa

_FINITE = "CASE WHEN isfinite({0}) THEN {0} END"
#: Types that `schema` may give, how the value stands in JSON, and the SQL that makes the type of it.
TYPES = {
    "boolean": ("bool", ""),
    "integer": ("int64", ""),
    "number": ("float64", ""),
    "string": ("string", ""),
    "timestamp": ("string", _FINITE.format("TRY_CAST({} AS TIMESTAMPTZ)")),
    "timestamp_s": ("float64", "to_timestamp(CASE WHEN abs({}) < 2.5e11 THEN {} END)"),
    "timestamp_ms": ("int64", "TRY(epoch_ms({}))::TIMESTAMPTZ"),
    "date": ("string", _FINITE.format("TRY_CAST({} AS DATE)")),
}
#: Into how many pieces a batch with odd messages is split, and how small they get.
_SPLIT, _PIECE = 8, 256
#: Messages that say which types new fields seem to have.
_FIRST = 256


class JsonDecoder:
    """A message is one JSON object; its fields are columns, nested values are kept as JSON text.

    Without a schema a field's first value says its type: boolean, integer, number or text. A text column takes any
    value, as JSON; a number column takes integers.

    Args:
        schema: the only fields to keep -> a type of TYPES; all fields where it is empty.
        framed: messages begin with a registry's mark of five bytes, which is skipped.
    """

    def __init__(self, schema: Mapping[str, str] | None = None, *, framed: bool = False) -> None:
        self._schema, self._framed = dict(schema or {}), framed
        self._nested: set[str] = set()  # columns of text in which objects or lists were seen
        self._connection: Any = None

    def decode(self, values: Sequence[bytes], known: Mapping[str, pa.DataType]) -> Decoded:
        import pyarrow as pa

        if self._framed:
            values = [value[5:] if value[:1] == b"\0" else value for value in values]
        wanted = {name: pa.type_for_alias(TYPES[kind][0]) for name, kind in self._schema.items()} or None
        found = self._at_once(values, known, wanted)
        if found is None and len(values) > _PIECE:
            found = self._pieces(values, known, wanted)
        if found is None:
            found = self._one_by_one(values, known, wanted)
        return self._typed(found) if wanted else found

    def _pieces(
        self,
        values: Sequence[bytes],
        known: Mapping[str, pa.DataType],
        wanted: Mapping[str, pa.DataType] | None,
    ) -> Decoded | None:
        """All at once, but for the pieces that have odd messages in them; None where one has a new column.

        The whole batch says the type of a new column, and pieces that disagree about it cannot be joined.
        """
        step = -(-len(values) // _SPLIT)
        pieces: list[tuple[int, Decoded]] = []
        for start in range(0, len(values), step):
            part = values[start : start + step]
            found = self._at_once(part, known, wanted)
            if found is None and len(part) > _PIECE:
                found = self._pieces(part, known, wanted)
            elif found is None:
                found = self._one_by_one(part, known, wanted)
            if found is None or set(found.table.column_names) - set(wanted or known):
                return None
            pieces.append((start, found))
        return joined(pieces)

    def _at_once(
        self,
        values: Sequence[bytes],
        known: Mapping[str, pa.DataType],
        wanted: Mapping[str, pa.DataType] | None,
    ) -> Decoded | None:
        """All messages by a quick parser; None where that would not be one row for each message."""
        import numpy as np

        columns = self._scanned(values, known, wanted)
        if columns is None:
            columns = self._by_arrow(values, known, wanted)
        if columns is None:
            return None
        return Decoded(table_of(columns, len(values)), np.arange(len(values)), {})

    def _scanned(
        self,
        values: Sequence[bytes],
        known: Mapping[str, pa.DataType],
        wanted: Mapping[str, pa.DataType] | None,
    ) -> dict[str, pa.ChunkedArray] | None:
        """By our own scanner, which has to know all fields and their types.

        Where a few messages say a new field's type, and all others keep to it, all of them together would say the same.
        """
        messages = packed(values)
        table = scanned(messages, wanted or known, only=wanted is not None)
        if table is None and wanted is None and len(values) > _FIRST:
            first = self._by_arrow(values[:_FIRST], known, None) or {}
            if new := {name: column.type for name, column in first.items() if name not in known}:
                table = scanned(messages, {**known, **new}, only=False)
        return None if table is None else self._columns(table, values, known, wanted)

    def _by_arrow(
        self,
        values: Sequence[bytes],
        known: Mapping[str, pa.DataType],
        wanted: Mapping[str, pa.DataType] | None,
    ) -> dict[str, pa.ChunkedArray] | None:
        """By one call of Arrow's parser."""
        import pyarrow as pa

        lines = b"\n".join(values)
        flat = lines.count(b"\n") == len(values) - 1
        if not objects(values, lines, flat) or not utf8(lines) or any(map(deep, values)):
            return None
        fields = {k: v for k, v in (wanted or known).items() if k not in self._nested}
        # a field that is not in the schema would be passed over, and its values lost
        only = wanted is not None and len(fields) == len(wanted)
        try:
            table = _parsed(lines, fields, flat, only)
            if times := [field.name for field in table.schema if pa.types.is_timestamp(field.type)]:
                fields |= dict.fromkeys(times, pa.string())  # a text stays what it is
                table = _parsed(lines, fields, flat, only).select(table.column_names)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError):
            return None
        if table.num_rows != len(values):
            return None
        return self._columns(table, values, known, wanted)

    def _columns(
        self,
        table: pa.Table,
        values: Sequence[bytes],
        known: Mapping[str, pa.DataType],
        wanted: Mapping[str, pa.DataType] | None,
    ) -> dict[str, pa.ChunkedArray] | None:
        import pyarrow as pa
        import pyarrow.compute as pc

        columns: dict[str, pa.ChunkedArray] = {}
        names = table.column_names
        if wanted is None and any(
            refused(name, {**known, **dict.fromkeys(names[:n])}) for n, name in enumerate(names)
        ):
            return None
        for name, column in zip(table.column_names, table.columns, strict=True):
            if pa.types.is_null(column.type) or (wanted is not None and name not in wanted):
                continue
            if pa.types.is_nested(column.type):
                self._nested.add(name)
                column = self._text(name, values)
            if pa.types.is_floating(column.type) and pc.any(pc.is_inf(column)).as_py():
                return None
            if column.type != (wanted or known).get(name, column.type):
                return None
            columns[name] = column
        if wanted is None:
            return columns
        return {name: columns[name] for name in wanted} if wanted.keys() <= columns.keys() else None

    def _one_by_one(
        self,
        values: Sequence[bytes],
        known: Mapping[str, pa.DataType],
        wanted: Mapping[str, pa.DataType] | None,
    ) -> Decoded:
        messages: dict[int, Mapping[str, Any]] = {}
        faults: dict[int, str] = {}
        for position, value in enumerate(values):
            if deep(value):
                faults[position] = f"no JSON: more than {DEEPEST} objects and lists within each other"
                continue
            try:
                message = json.loads(value.decode(), parse_int=whole)
            except (ValueError, RecursionError) as error:
                faults[position] = f"no JSON: {error}"
                continue
            if not isinstance(message, dict):
                faults[position] = f"{type(message).__name__} instead of an object"
            elif large := infinite(message, wanted):
                faults[position] = large
            else:
                messages[position] = message
        found = columns_of(messages, faults, known, wanted, _infer)
        nested = {
            name
            for position in found.rows
            for name, value in messages[position].items()
            if isinstance(value, dict | list) and name in found.table.column_names
        }
        self._nested |= nested
        kept = rows_kept(values, found)
        for name in sorted(nested):  # the text as it comes of whole batches
            import pyarrow.compute as pc

            texts = self._text(name, kept)
            mask = [isinstance(messages[position].get(name), dict | list) for position in found.rows]
            mixed = pc.if_else(mask, texts, found.table[name])
            table = found.table.set_column(found.table.column_names.index(name), name, mixed)
            found = Decoded(table, found.rows, found.faults)
        return found

    def _text(self, name: str, values: Sequence[bytes]) -> pa.ChunkedArray:
        """A field of every message as JSON text; NULL where it is not there or null."""
        import pyarrow as pa

        pointer = "/" + name.replace("~", "~0").replace("/", "~1")
        table = pa.table({"v": packed(values).cast(pa.string())})
        sql = "SELECT nullif(CAST(json_extract(v, ?) AS VARCHAR), 'null') AS v FROM messages"
        return self._query(sql, table, [pointer])["v"]

    def _query(self, sql: str, messages: pa.Table, values: Sequence[Any] = ()) -> pa.Table:
        import duckdb

        if self._connection is None:
            self._connection = duckdb.connect(":memory:", config={"threads": 1})
            self._connection.execute("SET TimeZone = 'UTC'")
        self._connection.register("messages", messages)
        try:
            return self._connection.sql(sql, params=list(values)).to_arrow_table()
        finally:
            self._connection.unregister("messages")

    def _typed(self, found: Decoded) -> Decoded:
        """Times and dates made of texts and numbers; a value that is none is a fault."""
        import numpy as np

        names = [name for name in found.table.column_names if TYPES[self._schema[name]][1]]
        if not names or not found.table.num_rows:
            return found
        listed = ", ".join(
            f"{TYPES[self._schema[name]][1].replace('{}', quote(name))} AS {quote(name)}" for name in names
        )
        made = self._query(f"SELECT {listed} FROM messages", found.table.select(names))
        table, faults = found.table, dict[int, str]()
        for name in names:
            before = found.table[name]
            lost = np.asarray(before.is_valid()) & np.asarray(made[name].is_null())
            for row in np.flatnonzero(lost).tolist():
                faults.setdefault(row, f"{name}: {before[row].as_py()!r:.60} is no {self._schema[name]}")
            table = table.set_column(table.column_names.index(name), name, made[name])
        return without(Decoded(table, found.rows, found.faults), faults)


def _parsed(lines: bytes, fields: Mapping[str, pa.DataType], flat: bool, only: bool) -> pa.Table:
    import pyarrow as pa
    from pyarrow.json import ParseOptions, ReadOptions, read_json

    return read_json(
        pa.BufferReader(lines),
        ReadOptions(use_threads=False, block_size=len(lines) + 1),
        ParseOptions(
            explicit_schema=pa.schema(list(fields.items())) if fields else None,
            newlines_in_values=not flat,
            unexpected_field_behavior="ignore" if only else "infer",
        ),
    )


def _infer(values: Iterable[Any]) -> pa.DataType | None:
    import pyarrow as pa

    there = list(values)
    kinds = {type(value) for value in there}
    if not kinds:
        return None
    if kinds == {bool}:
        return pa.bool_()
    if kinds == {int} and all(-(2**63) <= value < 2**63 for value in there):
        return pa.int64()
    return pa.float64() if kinds <= {int, float} else pa.string()
