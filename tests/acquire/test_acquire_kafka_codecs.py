"""The decoders of messages, on bytes that are written down here: no broker, no registry, no network."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessemer.acquire.streams.decoded import Decoded
from bessemer.acquire.streams.decoders.avro import AvroDecoder
from bessemer.acquire.streams.decoders.json import JsonDecoder
from bessemer.acquire.streams.decoders.protobuf import ProtobufDecoder
from bessemer.acquire.streams.registry import BadFrame, Text
from bessemer.core.errors import DataError


class Kept:
    """Schemas by their ids."""

    def __init__(self, **texts: Text) -> None:
        self.texts = {int(name[1:]): text for name, text in texts.items()}

    def text(self, number: int) -> Text:
        if number not in self.texts:
            raise BadFrame(f"the registry has no schema {number}")
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


@settings(deadline=None, max_examples=150)
@given(st.lists(RAW | PRETTY | BAD, max_size=6), st.sampled_from([{}, {"a": pa.int64(), "b": pa.string()}]))
def test_a_batch_at_once_is_what_its_messages_are_one_by_one(
    values: list[bytes], known: dict[str, Any]
) -> None:
    quick, slow = JsonDecoder(), JsonDecoder()
    for _ in range(2):  # a decoder that has learnt which columns are nested decides no other way
        found = quick.decode(values, known)
        wanted = slow._one_by_one(values, known, None)
        assert list(found.rows) == list(wanted.rows)
        assert set(found.faults) == set(wanted.faults)
        there = [
            name for name in wanted.table.column_names if wanted.table[name].null_count < len(wanted.rows)
        ]
        for name in there:
            assert found.table[name].type == wanted.table[name].type
            assert found.table[name].to_pylist() == wanted.table[name].to_pylist()


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
    with pytest.raises(DataError, match="imports"):
        ProtobufDecoder(Kept(_1=Text(PROTO, {"../../evil.proto": "x"}))).decode([framed(1, b"\0")], {})
