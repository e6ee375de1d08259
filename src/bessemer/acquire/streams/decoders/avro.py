"""Avro: messages that name their writer's schema in a registry, or bare ones of a schema that is given."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bessemer.acquire.streams.decoded import Decoded, clash
from bessemer.acquire.streams.registry import BadFrame, BadSchema, Schemas, frame, once
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
        named: dict[str, Any] = {}
        self._reader = _record(reader, "`schema`", named) if reader else None
        #: Schemas in which a record is within itself; -1 is the reader's.
        self._deep = {-1} if reader and _recursive(self._reader, named) else set[int]()
        if self._reader is not None and (reason := clash(_fields(self._reader), {})):
            raise DataError(reason, fix="rename it in `schema`")
        self._writers: dict[int, Any] = {}
        self._kinds: dict[int, dict[str, pa.DataType]] = {}

    def decode(self, values: Sequence[bytes], known: Mapping[str, pa.DataType]) -> Decoded:
        messages: dict[int, Mapping[str, Any]] = {}
        faults: dict[int, str] = {}
        kinds: dict[str, pa.DataType] = _fields(self._reader) if self._reader is not None else {}
        bad: dict[bytes, str] = {}  # schemas that this batch has asked for in vain
        told: dict[int, str] = {}  # whether the fields of a schema can be columns
        for position, value in enumerate(values):
            try:
                number, writer, body = once(bad, value, self._writer)
                record = _read(body, writer, self._reader, number in self._deep)
            except BadFrame as fault:
                faults[position] = str(fault)
                continue
            if self._reader is None and number not in told:
                told[number] = clash(self._kinds[number], {**known, **kinds})
                if not told[number]:
                    kinds.update(self._kinds[number])
            if told.get(number):
                faults[position] = told[number]
            else:
                messages[position] = record
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
            try:
                named: dict[str, Any] = {}
                for imported in text.imports.values():
                    _parsed(imported, "an imported schema", named)
                writer = _record(text.text, f"schema {number}", named)
                if _recursive(writer, named):
                    self._deep.add(number)
                self._kinds[number] = _fields(writer)
            except DataError as error:  # of one message's schema: no fault of the others
                raise BadSchema(f"{error.what}: {error.why or error.fix}") from None
            self._writers[number] = writer
        return number, self._writers[number], body


def _recursive(schema: Any, named: Mapping[str, Any], inside: tuple[str, ...] = ()) -> bool:
    """Whether a record is within itself, so that a message may go down as deep as it likes."""
    if isinstance(schema, list):
        return any(_recursive(branch, named, inside) for branch in schema)
    if isinstance(schema, str):
        return schema in inside or (schema in named and _recursive(named[schema], named, inside))
    within = (*inside, schema["name"]) if "name" in schema else inside
    below = [field["type"] for field in schema.get("fields", ())]
    below += [schema[key] for key in ("items", "values") if key in schema]
    if isinstance(schema["type"], dict | list):
        below.append(schema["type"])
    return any(_recursive(each, named, within) for each in below)


def _read(body: bytes, writer: Any, reader: Any, deep: bool) -> Mapping[str, Any]:
    import fastavro

    stream = io.BytesIO(body)
    try:
        # the compiled reader goes down by the stack, and ends the process where that ends
        read = fastavro._read_py.schemaless_reader if deep else fastavro.schemaless_reader
        record = read(stream, writer, None if reader is writer else reader)
    except fastavro.read.SchemaResolutionError as error:
        raise BadFrame(f"it does not resolve to `schema`: {error}") from None
    except Exception as error:  # noqa: BLE001 - whatever the bytes of others do to the parser is their fault
        raise BadFrame(f"no Avro: {type(error).__name__}: {error!s:.80}") from None
    if stream.tell() != len(body):
        raise BadFrame(f"no Avro: {len(body) - stream.tell()} bytes follow the record")
    if not isinstance(record, dict):
        raise BadFrame(f"{type(record).__name__} instead of a record")
    return record


def _parsed(text: str, what: str, named: dict[str, Any]) -> Any:
    """A schema as fastavro wants it; the types that it names are put into `named`."""
    from fastavro import parse_schema
    from fastavro.schema import SchemaParseException, UnknownType

    try:
        schema = json.loads(text)
        return parse_schema(schema, named_schemas=named)
    except (
        ValueError, SchemaParseException, UnknownType, KeyError, TypeError, AttributeError, RecursionError,
    ) as error:  # fmt: skip
        raise DataError(
            f"{what} is no Avro schema", why=f"{type(error).__name__}: {error}", fix="check its JSON"
        ) from None


def _record(text: str, what: str, named: dict[str, Any]) -> Any:
    parsed = _parsed(text, what, named)
    if not isinstance(parsed, dict) or parsed.get("type") != "record" or "fields" not in parsed:
        raise DataError(
            f"{what} is no schema of a record", fix="messages with columns need a record at the top"
        )
    return parsed


def _fields(schema: Any) -> dict[str, pa.DataType]:
    try:
        return {field["name"]: _kind(field["type"]) for field in schema["fields"]}
    except (KeyError, TypeError, ValueError) as error:  # such as a decimal without a precision
        why = f"{type(error).__name__}: {error}"
        raise DataError("a field of the schema has no type", why=why, fix="check the schema") from None


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
