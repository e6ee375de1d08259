"""Avro: messages that name their writer's schema in a registry, or bare ones of a schema that is given."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bessemer.acquire.streams.decoded import Decoded
from bessemer.acquire.streams.registry import BadFrame, Schemas, frame
from bessemer.acquire.streams.values import columns_of
from bessemer.core.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

_PLAIN = {"boolean": "bool", "int": "int64", "long": "int64", "float": "float64", "double": "float64"}


class AvroDecoder:
    """The top of a schema is a record; its fields are columns, nested values are kept as JSON text.

    Args:
        schemas: where writers' schemas are; None for messages without a registry's mark.
        reader: a schema's JSON: records are resolved to it by Avro's rules, and its fields are the columns. Without a
            registry it is the writers' too.

    Raises:
        DataError: the reader's schema is none, or is no record's.
    """

    def __init__(self, schemas: Schemas | None = None, reader: str = "") -> None:
        self._schemas = schemas
        self._reader = _record(reader, "`schema`") if reader else None
        self._writers: dict[int, Any] = {}
        self._kinds: dict[int, dict[str, pa.DataType]] = {}

    def decode(self, values: Sequence[bytes], known: Mapping[str, pa.DataType]) -> Decoded:
        messages: dict[int, Mapping[str, Any]] = {}
        faults: dict[int, str] = {}
        kinds: dict[str, pa.DataType] = _fields(self._reader) if self._reader is not None else {}
        for position, value in enumerate(values):
            try:
                number, writer, body = self._writer(value)
                messages[position] = _read(body, writer, self._reader)
            except BadFrame as fault:
                faults[position] = str(fault)
                continue
            if self._reader is None:
                if number not in self._kinds:
                    self._kinds[number] = _fields(writer)
                kinds.update(self._kinds[number])
        # a schema says a column's type even where all its values are null so far; what the table has comes first
        kinds = {name: known.get(name, kind) for name, kind in kinds.items()}
        wanted = kinds if self._reader is not None else None
        return columns_of(messages, faults, {**kinds, **known}, wanted, _no_type)

    def _writer(self, value: bytes) -> tuple[int, Any, bytes]:
        if self._schemas is None:
            return -1, self._reader, value
        number, body = frame(value)
        if number not in self._writers:
            text = self._schemas.text(number)
            named: dict[str, Any] = {}
            for imported in text.imports.values():
                _record(imported, "an imported schema", named)
            self._writers[number] = _record(text.text, f"schema {number}", named)
        return number, self._writers[number], body


def _read(body: bytes, writer: Any, reader: Any) -> Mapping[str, Any]:
    from fastavro import schemaless_reader
    from fastavro.read import SchemaResolutionError

    stream = io.BytesIO(body)
    try:
        record = schemaless_reader(stream, writer, None if reader is writer else reader)
    except SchemaResolutionError as error:
        raise BadFrame(f"it does not resolve to `schema`: {error}") from None
    except Exception as error:  # noqa: BLE001 - whatever the bytes of others do to the parser is their fault
        raise BadFrame(f"no Avro: {type(error).__name__}: {error!s:.80}") from None
    if stream.tell() != len(body):
        raise BadFrame(f"no Avro: {len(body) - stream.tell()} bytes follow the record")
    if not isinstance(record, dict):
        raise BadFrame(f"{type(record).__name__} instead of a record")
    return record


def _record(text: str, what: str, named: dict[str, Any] | None = None) -> Any:
    """A schema as fastavro wants it."""
    from fastavro import parse_schema
    from fastavro.schema import SchemaParseException, UnknownType

    try:
        schema = json.loads(text)
        parsed = parse_schema(schema, named_schemas={} if named is None else named)
    except (ValueError, SchemaParseException, UnknownType, KeyError, TypeError) as error:
        raise DataError(
            f"{what} is no Avro schema", why=f"{type(error).__name__}: {error}", fix="check its JSON"
        ) from None
    if not isinstance(parsed, dict) or parsed.get("type") != "record" or "fields" not in parsed:
        raise DataError(
            f"{what} is no schema of a record", fix="messages with columns need a record at the top"
        )
    return parsed


def _fields(schema: Any) -> dict[str, pa.DataType]:
    return {field["name"]: _kind(field["type"]) for field in schema["fields"]}


def _kind(schema: Any) -> pa.DataType:
    """The type of a column; text, as JSON, for what has none of its own."""
    import pyarrow as pa

    if isinstance(schema, list):
        branches = {str(kind): kind for branch in schema if branch != "null" for kind in [_kind(branch)]}
        if len(branches) == 1:
            return next(iter(branches.values()))
        return pa.float64() if set(branches) == {"int64", "double"} else pa.string()
    if isinstance(schema, str):
        return pa.binary() if schema == "bytes" else pa.type_for_alias(_PLAIN.get(schema, "string"))
    logical, plain = schema.get("logicalType"), schema["type"]
    if logical == "decimal":
        return (
            pa.decimal128(schema["precision"], schema.get("scale", 0))
            if schema["precision"] <= 38
            else pa.string()
        )
    if logical == "date":
        return pa.date32()
    if str(logical).removeprefix("local-") in ("timestamp-millis", "timestamp-micros"):
        return pa.timestamp("us", "UTC")
    if logical in ("time-millis", "time-micros", "uuid", "duration"):
        return pa.string()
    if plain == "fixed":
        return pa.binary()
    return _kind(plain) if isinstance(plain, str) and plain in (*_PLAIN, "bytes", "string") else pa.string()


def _no_type(values: Iterable[Any]) -> pa.DataType | None:
    return None  # each field has one from its schema
