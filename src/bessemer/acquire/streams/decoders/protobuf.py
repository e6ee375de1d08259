"""Protobuf: messages that name their writer's schema in a registry, or bare ones of a schema that is given."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.acquire.streams.decoded import Decoded, clash
from bessemer.acquire.streams.registry import BadFrame, BadSchema, Schemas, Text, frame, once, pick_message
from bessemer.acquire.streams.values import columns_of
from bessemer.core.errors import DataError, EnvironmentFault

if TYPE_CHECKING:
    import pyarrow as pa
    from google.protobuf.descriptor import Descriptor, FieldDescriptor
    from google.protobuf.message import Message

_FILE = "message.proto"
_TIMESTAMP = "google.protobuf.Timestamp"
_WRAPPERS = tuple(
    f"google.protobuf.{name}Value"
    for name in ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes")
)


class ProtobufDecoder:
    """A message's fields are columns; nested and repeated ones are kept as JSON text.

    A field that is not set is missing where the schema tells that from its default (`optional`, messages, `oneof`), and
    its default elsewhere. Enumerations are the names of their values.

    Args:
        schemas: where writers' schemas are; None for messages without a registry's mark.
        schema: the text of a .proto file, for messages without one. message: the name of its message; the first one.

    Raises:
        DataError: the schema cannot be compiled, has no such message, or one with fields that cannot be columns.
    """

    def __init__(self, schemas: Schemas | None = None, schema: str = "", message: str = "") -> None:
        self._schemas, self._message = schemas, message
        self._bare = None if schemas else _class(compiled(Text(schema)), message)
        if self._bare and (reason := clash([field.name for field in self._bare.DESCRIPTOR.fields], {})):
            raise DataError(
                reason, fix="rename it in `schema`: the numbers of fields stay, and so do messages"
            )
        self._files: dict[int, Any] = {}
        self._classes: dict[tuple[int, tuple[int, ...]], type[Message]] = {}

    def decode(self, values: Sequence[bytes], known: Mapping[str, pa.DataType]) -> Decoded:
        from google.protobuf.message import DecodeError

        messages: dict[int, Mapping[str, Any]] = {}
        faults: dict[int, str] = {}
        kinds: dict[str, pa.DataType] = {}
        bad: dict[bytes, str] = {}  # schemas that this batch has asked for in vain
        told: dict[type[Message], str] = {}  # whether the fields of a message can be columns
        for position, value in enumerate(values):
            try:
                kind, body = once(bad, value, self._class_of)
                message = kind.FromString(body)
            except BadFrame as fault:
                faults[position] = str(fault)
                continue
            except DecodeError:
                faults[position] = f"no Protobuf message {kind.DESCRIPTOR.full_name}"
                continue
            fields = kind.DESCRIPTOR.fields
            if kind not in told:
                told[kind] = clash([field.name for field in fields], {**known, **kinds})
                if not told[kind]:
                    kinds.update({field.name: _kind(field) for field in fields})
            if told[kind]:
                faults[position] = told[kind]
                continue
            try:
                messages[position] = {field.name: _value(message, field) for field in fields}
            except (TypeError, ValueError, OverflowError, RecursionError, DecodeError) as error:
                # such as an Any of a type that the schema does not have
                faults[position] = f"it has no place as JSON: {error!s:.80}"
        return columns_of(messages, faults, {**kinds, **known}, None, _no_type)

    def _class_of(self, value: bytes) -> tuple[type[Message], bytes]:
        if self._bare is not None:
            return self._bare, value
        assert self._schemas is not None
        number, rest = frame(value)
        path, body = indexes(rest)
        if (number, path) not in self._classes:
            if number not in self._files:
                self._files[number] = _usable(self._schemas.text(number))
            self._classes[number, path] = _at(self._files[number], path)
        return self._classes[number, path], body


def indexes(value: bytes) -> tuple[tuple[int, ...], bytes]:
    """Which message of the schema it is, as positions from the outermost in, and the message itself.

    Varints, zigzag: how many positions there are, then each; one zero stands for the first message.

    Raises:
        BadFrame: they are cut off.

    >>> indexes(bytes([4, 2, 0]) + b"abc"), indexes(bytes([0]) + b"abc")
    (((1, 0), b'abc'), ((0,), b'abc'))
    """
    count, place = _varint(value, 0)
    if count == 0:
        return (0,), value[place:]
    if not 0 < count <= 32:
        raise BadFrame(f"{count} positions of a message in its schema")
    path = []
    for _ in range(count):
        index, place = _varint(value, place)
        path.append(index)
    return tuple(path), value[place:]


def _varint(value: bytes, place: int) -> tuple[int, int]:
    number = shift = 0
    for byte in value[place : place + 5]:
        number |= (byte & 0x7F) << shift
        shift, place = shift + 7, place + 1
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), place
    raise BadFrame("the position of the message in its schema is cut off")


def compiled(schema: Text) -> Any:
    """The descriptor of a .proto text, by the official compiler.

    Raises:
        DataError: the compiler refuses it. EnvironmentFault: it takes too long.
    """
    import grpc_tools
    from google.protobuf import descriptor_pb2, descriptor_pool

    with tempfile.TemporaryDirectory(prefix="bessemer-proto-") as name:
        folder = Path(name).resolve()
        for imported, text in {**schema.imports, _FILE: schema.text}.items():
            try:
                path = (folder / imported).resolve()
                if not path.is_relative_to(folder):
                    outside = "it is outside the folder of schemas"
                    raise DataError(f"the schema imports '{imported}'", why=outside)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, "utf-8")
            except ValueError as error:
                raise DataError("the schema is no Protobuf", why=str(error), fix="check its text") from None
        well_known = Path(grpc_tools.__file__).parent / "_proto"
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{folder}", f"-I{well_known}"]
        command += ["--include_imports", f"--descriptor_set_out={folder / 'out'}", _FILE]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 - no shell
        except subprocess.TimeoutExpired:
            raise EnvironmentFault("protoc takes more than 60 s for a schema", fix="run it again") from None
        if done.returncode:
            why = done.stderr.strip().splitlines()
            raise DataError(
                "the schema is no Protobuf",
                why=why[0] if why else "protoc failed",
                fix="check the .proto text",
            )
        found = descriptor_pb2.FileDescriptorSet.FromString((folder / "out").read_bytes())
    pool = descriptor_pool.DescriptorPool()
    try:
        for file in found.file:
            pool.Add(file)
        return pool.FindFileByName(_FILE)
    except (TypeError, KeyError) as error:
        raise DataError("the schema is no Protobuf", why=str(error), fix="check its text") from None


def _usable(schema: Text) -> Any:
    """The descriptor of a registry's schema; one that is none is no fault of the messages that name others."""
    try:
        return compiled(schema)
    except DataError as error:
        raise BadSchema(f"{error.what}: {error.why}") from None


def _class(file: Any, name: str) -> type[Message]:
    from google.protobuf.message_factory import GetMessageClass

    there = {message.full_name: message for message in file.message_types_by_name.values()}
    found: type[Message] = GetMessageClass(there[pick_message(name, list(there))])
    return found


def _at(file: Any, path: Sequence[int]) -> type[Message]:
    from google.protobuf.message_factory import GetMessageClass

    found: Descriptor | None = None
    for index in path:
        level = list(file.message_types_by_name.values()) if found is None else found.nested_types
        if not 0 <= index < len(level):
            raise BadFrame(f"the schema has no message at {list(path)}")
        found = level[index]
    kind: type[Message] = GetMessageClass(found)
    return kind


def _repeated(field: FieldDescriptor) -> bool:
    return bool(field.is_repeated)


def _kind(field: FieldDescriptor) -> pa.DataType:
    import pyarrow as pa

    if _repeated(field):
        return pa.string()
    if field.message_type is not None:
        name = field.message_type.full_name
        if name == _TIMESTAMP:
            return pa.timestamp("us", "UTC")
        return _kind(field.message_type.fields_by_name["value"]) if name in _WRAPPERS else pa.string()
    if field.cpp_type == field.CPPTYPE_UINT64:
        return pa.decimal128(20, 0)
    if field.type == field.TYPE_BYTES:
        return pa.binary()
    names = {field.CPPTYPE_BOOL: "bool", field.CPPTYPE_DOUBLE: "float64", field.CPPTYPE_FLOAT: "float64"}
    integers = (field.CPPTYPE_INT32, field.CPPTYPE_INT64, field.CPPTYPE_UINT32)
    alias = "int64" if field.cpp_type in integers else names.get(field.cpp_type, "string")
    return pa.type_for_alias(alias)


def _value(message: Message, field: FieldDescriptor) -> Any:
    if _repeated(field):
        return _json(message, field)
    if field.has_presence and not message.HasField(field.name):
        return None
    value = getattr(message, field.name)
    if field.message_type is not None:
        return _whole(value, field.message_type.full_name, lambda: _json(message, field))
    if field.enum_type is not None:
        named = field.enum_type.values_by_number.get(value)
        return named.name if named is not None else str(value)
    return value


def _whole(value: Any, name: str, json: Callable[[], str]) -> Any:
    import datetime as dt

    if name == _TIMESTAMP:
        try:
            return value.ToDatetime(tzinfo=dt.UTC)
        except (ValueError, OverflowError):
            return str(value)  # no time: the column refuses it
    return value.value if name in _WRAPPERS else json()


def _json(message: Message, field: FieldDescriptor) -> str:
    """A field as JSON, with the names of the schema."""
    from google.protobuf.json_format import MessageToDict

    from bessemer.acquire.streams.values import json_text

    alone = type(message)()
    alone.CopyFrom(message)
    for other in message.DESCRIPTOR.fields:
        if other.name != field.name:
            alone.ClearField(other.name)
    pool = message.DESCRIPTOR.file.pool
    told = MessageToDict(alone, preserving_proto_field_name=True, descriptor_pool=pool)
    return json_text(told.get(field.name, [] if _repeated(field) else {}))


def _no_type(values: Iterable[Any]) -> pa.DataType | None:
    return None  # each field has one from its schema
