"""From a schema of Avro to Arrow's types, and from the values that fastavro gives to values that Arrow takes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bessemer.acquire.widening import text_of

if TYPE_CHECKING:
    import pyarrow as pa

Convert = Callable[[Any], Any]
#: What DuckDB keeps of a decimal's digits.
_DIGITS = 38


@dataclass(frozen=True)
class Column:
    """An Arrow type, and how a value that is not None becomes one of it; None where it is one already."""

    dtype: pa.DataType
    convert: Convert | None = None

    def array(self, values: list[Any]) -> pa.Array:
        import pyarrow as pa

        if self.convert is not None:
            values = [None if value is None else self.convert(value) for value in values]
        return pa.array(values, self.dtype)


def columns_of(schema: Any) -> dict[str, Column]:
    """The columns of a container file; a file of something else than records has the one column `value`.

    >>> fields = [{"name": "id", "type": "long"}, {"name": "tag", "type": ["null", "string"]}]
    >>> {name: str(c.dtype) for name, c in columns_of({"type": "record", "name": "R", "fields": fields}).items()}
    {'id': 'int64', 'tag': 'string'}
    """
    types = _Types()
    if is_record(schema):
        types.note(schema)
        types.open.add(schema["name"])
        return {field["name"]: types.column(field["type"]) for field in schema["fields"]}
    return {"value": types.column(schema)}


def is_record(schema: Any) -> bool:
    """Whether what a file has are records, whose fields are columns."""
    return isinstance(schema, dict) and schema.get("type") == "record"


class _Types:
    """Goes through a schema; a type that has itself as a part becomes JSON text there."""

    def __init__(self) -> None:
        self.named: dict[str, Any] = {}
        self.open: set[str] = set()

    def note(self, schema: Mapping[str, Any]) -> None:
        self.named[schema["name"]] = schema

    def column(self, schema: Any) -> Column:
        import pyarrow as pa

        if isinstance(schema, list):
            return self._union(schema)
        if isinstance(schema, str):
            if schema in self.named:
                return self._record(schema) if schema not in self.open else _json()
            schema = {"type": schema}
        if isinstance(schema["type"], dict | list):
            return self.column(schema["type"])
        kind = schema["type"]
        if kind in ("record", "error", "enum", "fixed"):
            self.note(schema)
            if kind in ("record", "error"):
                return self._record(schema["name"])
        if kind == "array":
            items = self.column(schema["items"])
            return Column(pa.list_(items.dtype), _each(items.convert))
        if kind == "map":
            values = self.column(schema["values"])
            return Column(pa.map_(pa.string(), values.dtype), _pairs(values.convert))
        if kind in self.named:
            return self.column(kind)
        return _simple(kind, schema)

    def _record(self, name: str) -> Column:
        import pyarrow as pa

        schema = self.named[name]
        if schema["type"] in ("enum", "fixed"):
            return _simple(schema["type"], schema)
        self.open.add(name)
        fields = {field["name"]: self.column(field["type"]) for field in schema["fields"]}
        self.open.discard(name)
        if not fields:  # Parquet knows no such thing
            return _json()
        converts = {field: column.convert for field, column in fields.items() if column.convert}
        dtype = pa.struct([(field, column.dtype) for field, column in fields.items()])
        return Column(dtype, _fields(converts) if converts else None)

    def _union(self, branches: list[Any]) -> Column:
        """The one branch beside null, or what holds the values of all: numbers, times, else text."""
        import pyarrow as pa

        columns = [self.column(branch) for branch in branches if branch != "null"]
        if not columns:
            return Column(pa.null())
        if len(columns) == 1:
            return columns[0]
        types = [column.dtype for column in columns]
        if len(set(types)) == 1 and not any(column.convert for column in columns):
            return columns[0]
        if all(pa.types.is_integer(each) for each in types):
            return Column(pa.int64())
        if all(pa.types.is_integer(each) or pa.types.is_floating(each) for each in types):
            return Column(pa.float64(), float)
        return _json()


def _simple(kind: str, schema: Mapping[str, Any]) -> Column:
    import pyarrow as pa

    logical = schema.get("logicalType")
    if logical == "decimal" and kind in ("bytes", "fixed"):
        digits, scale = schema["precision"], schema.get("scale", 0)
        return Column(pa.decimal128(digits, scale)) if digits <= _DIGITS else Column(pa.float64(), float)
    if logical == "uuid":
        return Column(pa.string(), str)
    logicals = {
        ("int", "date"): pa.date32(),
        ("int", "time-millis"): pa.time64("us"),
        ("long", "time-micros"): pa.time64("us"),
        ("long", "timestamp-millis"): pa.timestamp("us", "UTC"),
        ("long", "timestamp-micros"): pa.timestamp("us", "UTC"),
        ("long", "timestamp-nanos"): pa.timestamp("ns", "UTC"),
        ("long", "local-timestamp-millis"): pa.timestamp("us"),
        ("long", "local-timestamp-micros"): pa.timestamp("us"),
        ("long", "local-timestamp-nanos"): pa.timestamp("ns"),
    }
    simple = {
        "null": pa.null(),
        "boolean": pa.bool_(),
        "int": pa.int32(),
        "long": pa.int64(),
        "float": pa.float32(),
        "double": pa.float64(),
        "bytes": pa.binary(),
        "fixed": pa.binary(),
        "string": pa.string(),
        "enum": pa.string(),
    }
    return Column(logicals.get((kind, str(logical)), simple[kind]))


def _json() -> Column:
    import pyarrow as pa

    return Column(pa.string(), lambda value: value if isinstance(value, str) else _dumped(value))


def _dumped(value: Any) -> str:
    return (
        json.dumps(value, ensure_ascii=False, default=text_of)
        if isinstance(value, dict | list)
        else text_of(value)
    )


def _each(convert: Convert | None) -> Convert | None:
    return convert and (lambda values: [None if value is None else convert(value) for value in values])


def _pairs(convert: Convert | None) -> Convert:
    def pairs(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
        return [(key, convert(v) if convert and v is not None else v) for key, v in values.items()]

    return pairs


def _fields(converts: Mapping[str, Convert | None]) -> Convert:
    def fields(value: Mapping[str, Any]) -> dict[str, Any]:
        made = dict(value)
        for name, convert in converts.items():
            if convert and made.get(name) is not None:
                made[name] = convert(made[name])
        return made

    return fields
