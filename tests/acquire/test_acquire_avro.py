"""Avro's container files keep what every source must do; every type, codec and union has its place."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pytest

from bessemer.core.errors import DataError
from bessemer.testing.sources import CHECKS, Check, read
from systems.folders import Folders


def schema_of(dtype: pa.DataType, name: str) -> Any:
    """Avro's type for one of Arrow's."""
    simple = {
        "bool": "boolean",
        "int32": "int",
        "int64": "long",
        "double": "double",
        "string": "string",
        "date32[day]": {"type": "int", "logicalType": "date"},
        "timestamp[us]": {"type": "long", "logicalType": "local-timestamp-micros"},
    }
    if str(dtype) in simple:
        return simple[str(dtype)]
    if pa.types.is_timestamp(dtype):
        return {"type": "long", "logicalType": "timestamp-micros"}
    if pa.types.is_decimal(dtype):
        return {
            "type": "bytes",
            "logicalType": "decimal",
            "precision": dtype.precision,
            "scale": dtype.scale,
        }
    if pa.types.is_list(dtype):
        return {"type": "array", "items": ["null", schema_of(dtype.value_type, name + "_item")]}
    fields = [{"name": f.name, "type": ["null", schema_of(f.type, f"{name}_{f.name}")]} for f in dtype]
    return {"type": "record", "name": name, "fields": fields}


class AvroFiles(Folders):
    kind, ending = "avro", ".avro"

    def write(self, file: Path, table: pa.Table) -> None:
        fields = [{"name": f.name, "type": ["null", schema_of(f.type, f"r_{f.name}")]} for f in table.schema]
        with file.open("wb") as out:
            schema = {"type": "record", "name": "row", "fields": fields}
            fastavro.writer(out, schema, table.to_pylist(), codec="deflate")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_avro_files(check: Check, tmp_path: Path) -> None:
    check(AvroFiles(tmp_path / "there"), tmp_path / "here")


def write(file: Path, fields: list[tuple[str, Any]], rows: list[dict[str, Any]], codec: str = "null") -> None:
    listed = [{"name": name, "type": kind} for name, kind in fields]
    with file.open("wb") as out:
        fastavro.writer(out, {"type": "record", "name": "R", "fields": listed}, rows, codec=codec)


def logical(kind: str, logical_type: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "logicalType": logical_type, **more}


def test_every_type(tmp_path: Path) -> None:
    point = {"type": "record", "name": "Point", "fields": [{"name": "x", "type": "int"}]}
    moment = dt.datetime(2024, 7, 1, 12, tzinfo=dt.UTC)
    kinds: list[tuple[str, Any, Any, Any]] = [
        ("whole", "long", 7, 7),
        ("float", "float", 0.5, 0.5),
        ("price", logical("bytes", "decimal", precision=9, scale=2), Decimal("1.25"), 1.25),
        ("huge", logical("bytes", "decimal", precision=50, scale=2), Decimal("1.25"), 1.25),
        (
            "fixed",
            {"name": "F", "size": 8, **logical("fixed", "decimal", precision=9, scale=0)},
            Decimal(5),
            5,
        ),
        ("millis", logical("long", "timestamp-millis"), moment, moment.replace(tzinfo=None)),
        ("nanos", logical("long", "timestamp-nanos"), 1_000, dt.datetime(1970, 1, 1, 0, 0, 0, 1)),
        (
            "local",
            logical("long", "local-timestamp-millis"),
            dt.datetime(2024, 1, 1),
            dt.datetime(2024, 1, 1),
        ),
        ("day", logical("int", "date"), dt.date(2024, 2, 29), dt.datetime(2024, 2, 29)),
        ("clock", logical("int", "time-millis"), dt.time(1, 0, 1), 3601.0),
        ("clocks", logical("long", "time-micros"), dt.time(0, 0, 0, 5), 5e-6),
        (
            "uuid",
            logical("string", "uuid"),
            uuid.UUID(int=5),
            "00000000-0000-0000-0000-000000000005",
        ),
        ("symbol", {"type": "enum", "name": "E", "symbols": ["A", "B"]}, "B", "B"),
        ("again", ["null", "E"], "A", "A"),
        ("map", {"type": "map", "values": ["null", "int"]}, {"k": 1, "j": None}, {"k": 1, "j": None}),
        ("points", {"type": "array", "items": point}, [{"x": 1}], [{"x": 1}]),
        ("point", "Point", {"x": 2}, {"x": 2}),
        ("numbers", ["int", "double"], 1, 1.0),
        ("either", ["null", "int", "string"], 5, "5"),
        ("records", ["string", "Point"], {"x": 3}, {"x": 3}),
        ("next", ["null", "R"], None, None),
    ]
    write(tmp_path / "a.avro", [(n, k) for n, k, _, _ in kinds], [{n: v for n, _, v, _ in kinds}])
    (row,) = read({"avro": "a.avro"}, tmp_path).to_pylist()
    for name, _, _, expected in kinds:
        found = json.loads(row[name]) if isinstance(expected, dict | list) else row[name]
        assert found == expected, name


def test_a_type_that_has_itself_as_a_part_is_json(tmp_path: Path) -> None:
    last = {"id": 2, "next": None}
    write(tmp_path / "a.avro", [("id", "long"), ("next", ["null", "R"])], [{"id": 1, "next": last}, last])
    found = read({"avro": "a.avro"}, tmp_path)
    assert [value and json.loads(value) for value in found["next"].to_pylist()] == [last, None]


@pytest.mark.parametrize("codec", ["null", "deflate", "bzip2", "snappy", "zstandard", "lz4", "xz"])
def test_every_codec(codec: str, tmp_path: Path) -> None:
    rows = [{"id": i, "text": "same"} for i in range(3000)]
    write(tmp_path / "a.avro", [("id", "long"), ("text", "string")], rows, codec)
    assert read({"avro": "a.avro"}, tmp_path)["id"].to_pylist() == list(range(3000))


def test_files_of_several_schemas_become_one_table(tmp_path: Path) -> None:
    write(tmp_path / "1.avro", [("id", "int"), ("x", "int")], [{"id": 0, "x": 1}])
    write(
        tmp_path / "2.avro",
        [("x", "double"), ("id", "long"), ("y", "string")],
        [{"id": 1, "x": 1.5, "y": "z"}],
    )
    found = read({"avro": "*.avro"}, tmp_path)
    assert found.to_pydict() == {"id": [0, 1], "x": [1.0, 1.5], "y": [None, "z"]}


def test_what_is_no_avro_or_was_cut_is_named(tmp_path: Path) -> None:
    write(
        tmp_path / "a.avro", [("id", "long"), ("t", "string")], [{"id": i, "t": "x" * 50} for i in range(999)]
    )
    content = (tmp_path / "a.avro").read_bytes()
    for cut, said in (
        (content[:-30], "cannot be read"),
        (content[:60], "cannot be read"),
        (b"{}", "no Avro"),
    ):
        (tmp_path / "a.avro").write_bytes(cut)
        with pytest.raises(DataError, match=said):
            read({"avro": "a.avro"}, tmp_path)
