"""The decoders of messages, on bytes that are written down here: no broker, no registry, no network."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessemer.acquire.streams.decoded import Decoded, joined, table_of
from bessemer.acquire.streams.decoders import json as decoders_json
from bessemer.acquire.streams.decoders.avro import AvroDecoder
from bessemer.acquire.streams.decoders.json import TYPES, JsonDecoder
from bessemer.acquire.streams.decoders.protobuf import ProtobufDecoder
from bessemer.acquire.streams.registry import BadSchema, Text
from bessemer.core.errors import DataError


class Kept:
    """Schemas by their ids."""

    def __init__(self, **texts: Text) -> None:
        self.texts = {int(name[1:]): text for name, text in texts.items()}

    def text(self, number: int) -> Text:
        if number not in self.texts:
            raise BadSchema(f"the registry has no schema {number}")
        return self.texts[number]


def framed(number: int, body: bytes) -> bytes:
    return bytes([0]) + number.to_bytes(4, "big") + body


def types(found: Decoded) -> dict[str, str]:
    return {field.name: str(field.type) for field in found.table.schema}


def test_json_without_a_schema_takes_the_type_of_the_first_value() -> None:
    values = [b'{"b":true,"i":1,"f":1.5,"s":"2024-01-01","n":{"x":[1,"y"]},"none":null}', b'{"i":2}']
    found = JsonDecoder().decode(values, {})
    assert types(found) == {"b": "bool", "i": "int64", "f": "double", "s": "string", "n": "string"}
    assert found.table.to_pylist() == [
        {"b": True, "i": 1, "f": 1.5, "s": "2024-01-01", "n": '{"x":[1,"y"]}'},
        {"b": None, "i": 2, "f": None, "s": None, "n": None},
    ]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"nothing", "no JSON"),
        (b"", "no JSON"),
        (b'{"i":1', "no JSON"),
        (b'{"i":1}{"i":2}', "no JSON"),
        (b"[1]", "list instead of an object"),
        (b'{"i":"x"}', "i: 'x' is not an integer"),
        (b'{"i":1.5}', "i: 1.5 is not an integer"),
        (b'{"i":9223372036854775808}', "does not fit 64 bits"),
        (b'{"I":1}', "differs only by case"),
        (b'{"_offset":1}', "a name that is kept"),
        (b'{"s":"\\ud800"}', "surrogate"),
        (b'{"s":"\xff"}', "no JSON"),
        (b"[" * 100_000, "no JSON"),
    ],
)
def test_a_message_that_is_wrong_is_a_fault_and_the_others_are_rows(value: bytes, reason: str) -> None:
    known = {"i": pa.int64(), "s": pa.string()}
    found = JsonDecoder().decode([b'{"i":1}', value, b'{"i":3}'], known)
    assert reason in found.faults[1]
    assert found.table["i"].to_pylist() == [1, 3]
    assert list(found.rows) == [0, 2]


def test_pieces_of_objects_never_make_an_object() -> None:
    """Three messages that are three objects only if one ignores where messages end."""
    found = JsonDecoder().decode([b'{"a":1}\n{"a":2}', b'{"b":{"c":1}', b',"d":{}}'], {})
    assert set(found.faults) == {0, 1, 2}


def test_json_with_a_schema_keeps_its_fields_and_makes_times() -> None:
    decoder = JsonDecoder(
        {"at": "timestamp", "ms": "timestamp_ms", "s": "timestamp_s", "day": "date", "i": "integer"}
    )
    found = decoder.decode(
        [
            b'{"at":"2024-07-01T12:00:00+02:00","ms":1719828000123,"s":1.5,"day":"2024-02-29","i":1,"other":1}',
            b'{"at":"yesterday"}', b'{"ms":99999999999999999}', b'{"day":"2024-02-30"}', b"{}",
        ], {},
    )  # fmt: skip
    utc = dt.UTC
    assert found.table.to_pylist()[0] == {
        "at": dt.datetime(2024, 7, 1, 10, tzinfo=utc),
        "ms": dt.datetime(2024, 7, 1, 10, 0, 0, 123_000, tzinfo=utc),
        "s": dt.datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=utc),
        "day": dt.date(2024, 2, 29),
        "i": 1,
    }
    assert {row: reason.split(":")[0] for row, reason in found.faults.items()} == {1: "at", 2: "ms", 3: "day"}


def test_json_behind_a_registrys_mark() -> None:
    assert JsonDecoder(framed=True).decode([framed(7, b'{"a":1}')], {}).table.to_pylist() == [{"a": 1}]


SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5) | st.sampled_from(["2024-01-01", "2024-01-01 12:00:00", "1.0", "}\n{"])
)  # fmt: skip
VALUES = SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(st.text(max_size=2), SCALARS, max_size=2)
OBJECTS = st.dictionaries(st.sampled_from(["a", "b", "c", "A", "_raw"]), VALUES, max_size=3)
RAW = OBJECTS.map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))
PRETTY = OBJECTS.map(lambda value: json.dumps(value, indent=1).encode())
BAD = st.sampled_from(
    [b"", b"{", b"}", b'{"a":{', b"}}", b"[]", b'{"a":1}{"a":2}', b'{"a":1,"a":"x"}', b"\xff"]
)


SCHEMAS: list[dict[str, str]] = [
    {}, {"a": "string"}, {"a": "string", "c": "string"},
    {"b": "integer", "a": "string"}, {"A": "string", "c": "number"},
]  # fmt: skip


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(
    st.lists(RAW | PRETTY | BAD, max_size=6),
    st.sampled_from([{}, {"a": pa.int64(), "b": pa.string()}]),
    st.sampled_from(SCHEMAS),
    st.sampled_from([(256, 8), (1, 2), (2, 3)]),
)
def test_a_batch_at_once_is_what_its_messages_are_one_by_one(
    values: list[bytes], known: dict[str, Any], schema: dict[str, str], split: tuple[int, int]
) -> None:
    quick, slow = JsonDecoder(schema), JsonDecoder(schema)
    kept = {name: pa.type_for_alias(TYPES[kind][0]) for name, kind in schema.items()} or None
    for _ in range(2):  # a decoder that has learnt which columns are nested decides no other way
        with mock.patch.multiple(decoders_json, _PIECE=split[0], _SPLIT=split[1]):
            found = quick.decode(values, known)
        wanted = slow._one_by_one(values, known, kept)
        assert list(found.rows) == list(wanted.rows)
        assert set(found.faults) == set(wanted.faults)
        there = [
            name for name in wanted.table.column_names if wanted.table[name].null_count < len(wanted.rows)
        ]
        for name in there:
            assert found.table[name].type == wanted.table[name].type
            assert found.table[name].to_pylist() == wanted.table[name].to_pylist()


def test_a_nested_column_of_a_schema_is_in_every_batch() -> None:
    decoder = JsonDecoder({"id": "integer", "tags": "string"})
    for number in range(3):
        values = [b'{"id":%d,"tags":["x"],"other":%d}' % (number, number)] * 2
        row = {"id": number, "tags": '["x"]'}
        assert decoder.decode(values, {}).table.to_pylist() == [row, row]
    without = decoder.decode([b'{"id":7,"other":[]}'], {})
    assert without.table.to_pylist() == [{"id": 7, "tags": None}]


@pytest.mark.parametrize(
    ("parts", "kind"),
    [
        ([b'{"code":12}', b'{"code":"A7"}'], "string"),
        ([b'{"code":9007199254740993}', b'{"code":0.5}', b"oops"], "double"),
    ],
)
def test_a_new_field_of_two_types_has_the_one_that_the_whole_batch_says(
    parts: list[bytes], kind: str
) -> None:
    values = [value for value in parts for _ in range(500)]
    found = JsonDecoder().decode(values, {})
    assert types(found) == {"code": kind}
    assert len(found.rows) == 1000
    assert set(found.faults) == set(range(1000, len(values)))


def test_pieces_without_columns_keep_their_rows() -> None:
    """Whether rows come as a list or as an array, and where no value is in them."""
    bare = Decoded(table_of({}, 2), np.arange(2), {})
    full = Decoded(pa.table({"a": [1]}), [0], {1: "odd"})
    found = joined([(0, bare), (2, full)])
    assert found.table.to_pylist() == [{"a": None}, {"a": None}, {"a": 1}]
    assert (list(found.rows), found.faults) == ([0, 1, 2], {3: "odd"})


USER = json.dumps(
    {
        "type": "record", "name": "Click",
        "fields": [
            {"name": "id", "type": "long"},
            {"name": "user", "type": ["null", "string"], "default": None},
            {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}},
            {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
            {"name": "tags", "type": {"type": "array", "items": "string"}},
        ],
    }
)  # fmt: skip
#: id 7 (zigzag 14), user "ann" (branch 1), price 1.50 (bytes 0x0096), at 1 s (2000 ms zigzag), tags ["x"].
CLICK = (
    bytes([14, 2, 6]) + b"ann" + bytes([4, 0, 0x96]) + bytes([0xD0, 0x0F]) + bytes([2, 2]) + b"x" + bytes([0])
)
ROW = {
    "id": 7, "user": "ann", "price": Decimal("1.50"), "at": dt.datetime(1970, 1, 1, 0, 0, 1, tzinfo=dt.UTC),
    "tags": '["x"]',
}  # fmt: skip


def test_avro_of_a_registry() -> None:
    found = AvroDecoder(Kept(_3=Text(USER))).decode(
        [framed(3, CLICK), CLICK, framed(9, CLICK), framed(3, CLICK[:4])], {}
    )
    assert found.table.to_pylist() == [ROW]
    assert types(found)["price"] == "decimal128(6, 2)"
    assert "registry's mark" in found.faults[1]
    assert "no schema 9" in found.faults[2]
    assert "no Avro" in found.faults[3]


def test_avro_with_bytes_behind_the_record_is_a_fault() -> None:
    assert "1 bytes follow" in AvroDecoder(None, USER).decode([CLICK + b"x"], {}).faults[0]


def test_avro_of_two_writers_gives_the_columns_of_both() -> None:
    old = json.dumps({"type": "record", "name": "R", "fields": [{"name": "id", "type": "long"}]})
    new = json.dumps(
        {
            "type": "record",
            "name": "R",
            "fields": [{"name": "id", "type": "int"}, {"name": "late", "type": "double"}],
        }
    )
    later = bytes([4]) + bytes(7) + b"\x40"  # 2, 2.0
    found = AvroDecoder(Kept(_1=Text(old), _2=Text(new))).decode(
        [framed(1, bytes([2])), framed(2, later)], {}
    )
    assert found.table.to_pylist() == [{"id": 1, "late": None}, {"id": 2, "late": 2.0}]


def test_avro_is_resolved_to_the_readers_schema() -> None:
    reader = json.dumps(
        {
            "type": "record", "name": "Click",
            "fields": [{"name": "id", "type": "double"}, {"name": "shop", "type": "string", "default": "web"}],
        }
    )  # fmt: skip
    found = AvroDecoder(Kept(_3=Text(USER)), reader).decode([framed(3, CLICK)], {})
    assert found.table.to_pylist() == [{"id": 7.0, "shop": "web"}]


@pytest.mark.parametrize("text", ["{", '{"type": "strin"}', '"string"', '{"type": "record"}'])
def test_a_schema_that_is_no_avro_is_refused_in_words(text: str) -> None:
    with pytest.raises(DataError, match="`schema`"):
        AvroDecoder(None, text)


PROTO = """
syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
enum Kind { VIEW = 0; BUY = 1; }
message View { int64 id = 1; message Inner { string a = 1; } }
message Click {
  int64 id = 1; optional string user = 2; Kind kind = 3; repeated int32 seen = 4;
  google.protobuf.Timestamp at = 5; uint64 big = 6; View view = 7; bytes raw = 8; map<string, int32> more = 9;
}
"""
#: id 7, user "ann", kind BUY, seen [1, 2], at 1 s, big 2**64-1, view {id: 3}, raw 0xff.
BUY = (
    bytes([8, 7, 0x12, 3]) + b"ann" + bytes([0x18, 1, 0x22, 2, 1, 2, 0x2A, 2, 8, 1, 0x30]) + b"\xff" * 9 + b"\x01"
    + bytes([0x3A, 2, 8, 3, 0x42, 1, 0xFF])
)  # fmt: skip
BOUGHT = {
    "id": 7, "user": "ann", "kind": "BUY", "seen": "[1,2]", "at": dt.datetime(1970, 1, 1, 0, 0, 1, tzinfo=dt.UTC),
    "big": Decimal(2**64 - 1), "view": '{"id":"3"}', "raw": b"\xff", "more": "[]",
}  # fmt: skip


def test_protobuf_of_a_registry() -> None:
    decoder = ProtobufDecoder(Kept(_5=Text(PROTO)))
    click, inner = bytes([2, 2]), bytes([4, 0, 0])  # [1]: Click; [0, 0]: View.Inner
    found = decoder.decode(
        [framed(5, click + BUY), framed(5, click), framed(5, click + b"\xff"), framed(5, bytes([2, 18]))], {}
    )
    first, second = found.table.to_pylist()
    assert {**first, "more": "[]"} == BOUGHT
    assert {name: second[name] for name in ("user", "id", "kind", "at")} == {
        "user": None, "id": 0, "kind": "VIEW", "at": None,
    }  # fmt: skip
    assert "no Protobuf message shop.Click" in found.faults[2]
    assert "no message at [9]" in found.faults[3]
    nested = decoder.decode([framed(5, inner + bytes([10, 1]) + b"x"), framed(5, bytes([0, 8, 1]))], {})
    assert nested.table.to_pylist() == [{"a": "x", "id": None}, {"a": None, "id": 1}]


def test_protobuf_of_a_given_schema_and_message() -> None:
    found = ProtobufDecoder(None, PROTO, "Click").decode([BUY], {})
    assert found.table["user"].to_pylist() == ["ann"]
    assert ProtobufDecoder(None, PROTO).decode([bytes([8, 5])], {}).table.to_pylist() == [{"id": 5}]


def test_protobuf_with_imports() -> None:
    other = 'syntax = "proto3"; message Place { string town = 1; }'
    text = 'syntax = "proto3"; import "places/place.proto"; message Visit { Place at = 1; }'
    found = ProtobufDecoder(Kept(_1=Text(text, {"places/place.proto": other}))).decode(
        [framed(1, bytes([0, 10, 6, 10, 4]) + b"Rome")], {}
    )
    assert found.table.to_pylist() == [{"at": '{"town":"Rome"}'}]


@pytest.mark.parametrize(
    ("text", "message", "words"),
    [
        ("message {", "", "no Protobuf"),
        (PROTO, "Clik", "no message 'Clik'"),
        ('syntax = "proto3";', "", "no message"),
    ],
)
def test_a_schema_that_is_no_protobuf_is_refused_in_words(text: str, message: str, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        ProtobufDecoder(None, text, message)
    assert caught.value.fix


def test_a_schema_cannot_write_outside_its_folder() -> None:
    found = ProtobufDecoder(Kept(_1=Text(PROTO, {"../../evil.proto": "x"}))).decode([framed(1, b"\0")], {})
    assert "imports '../../evil.proto'" in found.faults[0]


def record(*fields: Any, name: str = "R") -> str:
    return json.dumps({"type": "record", "name": name, "fields": list(fields)})


AVRO = AvroDecoder(Kept(_1=Text(USER), _2=Text('"string"'), _3=Text('{"type": "nothing"}')))
NESTED = """
syntax = "proto3";
import "google/protobuf/any.proto";
message Tree { Tree left = 1; repeated Tree more = 2; google.protobuf.Any any = 3; string s = 4; double d = 5; }
"""
PROTOBUF = ProtobufDecoder(Kept(_1=Text(PROTO), _2=Text(NESTED), _3=Text("message {")))
START = st.sampled_from([framed(number, b"") for number in range(4)] + [b"", b"\0"])
BODY = st.binary(max_size=60) | st.sampled_from([CLICK, bytes([2, 2]) + BUY])


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(START, BODY, st.integers(0, 60), st.binary(max_size=3)), max_size=5))
def test_no_bytes_keep_the_others_from_landing(parts: list[tuple[bytes, bytes, int, bytes]]) -> None:
    """Messages, and messages in which something was changed: each is a row or a fault, and nothing is raised."""
    values = [start + body[:place] + odd + body[place:] for start, body, place, odd in parts]
    for decoder in (AVRO, AvroDecoder(None, USER), PROTOBUF, JsonDecoder(), JsonDecoder({"a": "timestamp"})):
        found = decoder.decode(values, {"id": pa.int64(), "s": pa.string()})
        assert sorted([*found.rows, *found.faults]) == list(range(len(values)))
        assert found.table.num_rows == len(found.rows)


@pytest.mark.parametrize(
    "value",
    [
        b'{"\\ud800":1}', b'{"i":' + b"9" * 400 + b"}", b'{"f":' + b"9" * 400 + b"}", b'{"f":1e999}',
        b'{"new":' + b"9" * 400 + b"}", b'{"s":["\\udfff"]}', b'{"i":' + b"9" * 5000 + b"}",
        b'{"s":' + b'{"a":' * 20_000 + b"1" + b"}" * 20_001, b'{"s":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    ],
    ids=range(9),
)  # fmt: skip
def test_json_that_no_column_holds_is_a_fault_in_any_batch(value: bytes) -> None:
    known = {"i": pa.int64(), "s": pa.string(), "f": pa.float64()}
    assert set(JsonDecoder().decode([value], known).faults) == {0}
    found = JsonDecoder().decode([b'{"i":1}', value], known)
    assert (list(found.rows), set(found.faults)) == ([0], {1})


def test_brackets_count_where_they_are_no_text() -> None:
    wide, text = b'{"s":[' + b"[]," * 600 + b"1]}", b'{"s":"' + b'[\\"{' * 600 + b'"}'
    deep = b'{"s":' + b"[" * 499 + b"]" * 499 + b"}"
    assert list(JsonDecoder().decode([wide, text, deep], {}).rows) == [0, 1, 2]
    deeper = b'{"s":["]",' + b"[" * 499 + b"]" * 499 + b"]}"
    assert "within each other" in JsonDecoder().decode([deeper], {}).faults[0]


def test_a_registrys_schema_that_is_no_records_is_a_fault_of_its_messages_alone() -> None:
    found = AVRO.decode([framed(1, CLICK), framed(2, b"\x02x"), framed(3, b"")], {})
    assert (list(found.rows), set(found.faults)) == ([0], {1, 2})
    assert "schema 2 is no schema of a record" in found.faults[1]
    found = PROTOBUF.decode([framed(1, bytes([2, 2]) + BUY), framed(3, b"\0")], {})
    assert (list(found.rows), set(found.faults)) == ([0], {1})


def test_an_any_of_a_type_that_nobody_knows_is_a_fault() -> None:
    unknown = b"\0" + bytes([0x1A, 7, 0x0A, 5]) + b"a/b.C"
    found = PROTOBUF.decode([framed(2, b"\0"), framed(2, unknown)], {})
    assert (list(found.rows), set(found.faults)) == ([0], {1})


def test_a_schema_that_is_not_there_is_asked_for_once_a_batch() -> None:
    asked = []

    class Asked(Kept):
        def text(self, number: int) -> Text:
            asked.append(number)
            raise BadSchema(f"the registry has no schema {number}")

    for decoder in (AvroDecoder(Asked()), ProtobufDecoder(Asked())):
        for _ in range(2):
            assert len(decoder.decode([framed(7, b"\0")] * 9, {}).faults) == 9
    assert asked == [7] * 4, "the next batch asks again: the schema may be there then"


@pytest.mark.parametrize(
    ("kind", "raw", "text"),
    [
        ({"type": "string", "logicalType": "uuid"}, b"\x48" + b"12345678-1234-5678-1234-567812345678",
         "12345678-1234-5678-1234-567812345678"),
        ({"type": "int", "logicalType": "time-millis"}, bytes([0xD0, 0x0F]), "00:00:01"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 50, "scale": 2}, bytes([4, 0, 0x96]), "1.50"),
    ],
)  # fmt: skip
def test_avro_of_types_without_columns_is_their_plain_text(kind: Any, raw: bytes, text: str) -> None:
    found = AvroDecoder(None, record({"name": "a", "type": kind})).decode([raw], {})
    assert found.table.to_pylist() == [{"a": text}]


@pytest.mark.parametrize("depth", [1500, 20_000])
@pytest.mark.parametrize("kind", ["N", {"type": "array", "items": "N"}])
def test_avro_of_records_within_each_other_ends_somewhere(kind: Any, depth: int) -> None:
    text = record({"name": "v", "type": "int"}, {"name": "next", "type": ["null", kind]}, name="N")
    step = b"\2\2" if kind == "N" else b"\2\2\2"
    few, deep = step * 5 + b"\2\0" + b"\0" * 5 * (kind != "N"), step * depth + b"\2\0"
    for start, decoder in (
        (b"", AvroDecoder(None, text)),
        (framed(1, b""), AvroDecoder(Kept(_1=Text(text)))),
    ):
        found = decoder.decode([start + few, start + deep], {})
        assert (list(found.rows), set(found.faults)) == ([0], {1})


def test_avro_imports_what_is_no_record_and_what_others_import() -> None:
    colour = json.dumps({"type": "enum", "name": "Colour", "symbols": ["RED", "BLUE"]})
    car = record({"name": "colour", "type": "Colour"}, name="Car")
    text = Text(record({"name": "car", "type": "Car"}), {"Colour": colour, "Car": car})
    found = AvroDecoder(Kept(_1=text)).decode([framed(1, b"\x02")], {})
    assert found.table.to_pylist() == [{"car": '{"colour":"BLUE"}'}]


@pytest.mark.parametrize(("name", "words"), [("_offset", "kept for"), ("ID", "only by case from 'id'")])
def test_fields_that_cannot_be_columns_are_refused_by_each_schema(name: str, words: str) -> None:
    avro = record({"name": "id", "type": "long"}, {"name": name, "type": "long"})
    proto = f'syntax = "proto3"; message R {{ int64 id = 1; int64 {name} = 2; }}'
    with pytest.raises(DataError, match=words):
        AvroDecoder(None, avro)
    with pytest.raises(DataError, match=words):
        ProtobufDecoder(None, proto)
    assert words in AvroDecoder(Kept(_1=Text(avro))).decode([framed(1, b"\2\2")], {}).faults[0]
    assert words in ProtobufDecoder(Kept(_1=Text(proto))).decode([framed(1, b"\0")], {}).faults[0]
