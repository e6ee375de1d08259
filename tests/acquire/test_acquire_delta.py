"""Delta tables keep what every source must do; versions, moments, deletion vectors, partitions, and what is new."""

from __future__ import annotations

import datetime as dt
import json
import struct
import subprocess
import sys
import time
import uuid
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from pydantic import ValidationError

from bessemer.acquire.sources.delta import Delta, DeltaSource
from bessemer.acquire.spec import AcquireSpec
from bessemer.acquire.stage import fingerprint
from bessemer.core.errors import DataError
from bessemer.core.stage import Context
from bessemer.core.store import Store
from bessemer.testing.sources import CHECKS, Check, Options, read

pytestmark = pytest.mark.slow


class DeltaTables:
    """Tables in a folder."""

    lacks = frozenset({"credentials", "interruption"})

    def __init__(self, folder: Path | str) -> None:
        self.folder = folder

    def put(self, name: str, table: pa.Table) -> Options:
        write_deltalake(f"{self.folder}/{name}", table)
        return {"delta": f"{self.folder}/{name}"}

    def add(self, name: str, table: pa.Table) -> None:
        write_deltalake(f"{self.folder}/{name}", table, mode="append", schema_mode="merge")

    def missing(self, name: str) -> Options:
        return {"delta": f"{self.folder}/{name}"}

    def refused(self, name: str) -> Options:
        raise NotImplementedError

    def interrupted(self) -> AbstractContextManager[None]:
        return nullcontext()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_delta_tables(check: Check, tmp_path: Path) -> None:
    check(DeltaTables(tmp_path / "there"), tmp_path / "here")


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    """Three versions: rows, more rows with another column, and one row less."""
    write_deltalake(tmp_path / "orders", pa.table({"id": [1, 2, 3], "n": [10, 20, 30]}))
    time.sleep(0.02)
    write_deltalake(
        tmp_path / "orders",
        pa.table({"id": [4], "n": [40], "new": ["x"]}),
        mode="append",
        schema_mode="merge",
    )
    time.sleep(0.02)
    DeltaTable(tmp_path / "orders").delete("id = 2")
    return tmp_path


def test_versions(orders: Path) -> None:
    assert read({"delta": "orders"}, orders).to_pydict()["id"] == [1, 3, 4]
    assert read({"delta": "orders", "version": 0}, orders).to_pydict() == {"id": [1, 2, 3], "n": [10, 20, 30]}
    assert read({"delta": "orders", "version": 1}, orders)["new"].to_pylist() == [None, None, None, "x"]
    with pytest.raises(DataError, match="no version 7") as caught:
        read({"delta": "orders", "version": 7}, orders)
    assert "the newest is 2" in str(caught.value)


def test_moments(orders: Path) -> None:
    made = {entry["version"]: entry["timestamp"] / 1000 for entry in DeltaTable(orders / "orders").history()}
    for version, rows in ((0, 3), (1, 4), (2, 3)):
        moment = dt.datetime.fromtimestamp(made[version] + 0.005, dt.UTC)
        assert read({"delta": "orders", "timestamp": moment.isoformat()}, orders).num_rows == rows
    with pytest.raises(DataError, match="was not there at 2001-01-01") as caught:
        read({"delta": "orders", "timestamp": "2001-01-01"}, orders)
    assert "its log begins at" in str(caught.value)


def test_columns_and_faults_of_the_project_file(orders: Path) -> None:
    assert read({"delta": "orders", "columns": ["n", "id"]}, orders).column_names == ["n", "id"]
    with pytest.raises(DataError, match="no column 'm'"):
        read({"delta": "orders", "columns": ["id", "m"]}, orders)
    without_cursor = {"columns": ["n"], "incremental": {"cursor": "id"}}
    both = {"version": 0, "timestamp": "2024-01-01"}
    for bad in (both, {"version": -1}, {"timestamp": "yesterday"}, without_cursor):
        with pytest.raises(ValidationError):
            DeltaSource(delta="orders", **bad)


def test_the_fingerprint_is_the_version_and_no_row_is_read_for_it(orders: Path) -> None:
    def now(**options: Any) -> str:
        spec = AcquireSpec.model_validate({"sources": {"data": {"delta": "orders", **options}}})
        return fingerprint(spec, orders)["source data"]

    newest = now()
    assert now(version=2) == newest
    assert now(version=1) != newest
    for file in (orders / "orders").glob("*.parquet"):
        file.write_bytes(b"")
    assert now() == newest
    write_deltalake(orders / "other", pa.table({"id": [1], "n": [1]}))
    assert now(delta="other") != newest


def test_a_data_file_that_is_gone_is_an_error(orders: Path) -> None:
    for file in (orders / "orders").glob("*.parquet"):
        file.unlink()
    with pytest.raises(DataError, match="'orders' cannot be read"):
        read({"delta": "orders"}, orders)


def test_a_folder_that_is_no_table_says_so(orders: Path) -> None:
    (orders / "plain").mkdir()
    pq.write_table(pa.table({"id": [1]}), orders / "plain" / "a.parquet")
    with pytest.raises(DataError, match="is no Delta table") as caught:
        read({"delta": "plain"}, orders)
    assert "_delta_log" in str(caught.value)
    with pytest.raises(DataError, match="no Delta table 'odrers'") as caught:
        read({"delta": "odrers"}, orders)
    assert "orders" in str(caught.value)


def test_partitions_come_with_their_types_and_in_one_order(tmp_path: Path) -> None:
    day = [dt.date(2024, 1, 1), dt.date(2024, 1, 2), None] * 20
    table = pa.table({"id": range(60), "day": day, "place": ["ä /=%", "b", None, "c"] * 15})
    write_deltalake(tmp_path / "p", table, partition_by=["day", "place"])
    found = read({"delta": "p"}, tmp_path)
    assert found["place"].to_pylist() == table["place"].to_pylist()
    assert found["day"].to_pylist() == [d and dt.datetime(d.year, d.month, d.day) for d in day]
    script = (
        "import sys; from pathlib import Path; from types import SimpleNamespace as Of\n"
        "from bessemer.acquire.sources.delta import Delta, DeltaSource\n"
        "rows = Delta('d', DeltaSource(delta='p')).newer(None, Of(project_dir=Path(sys.argv[1])))\n"
        "print([i for batch in rows for i in batch['id'].to_pylist()])"
    )
    program = [sys.executable, "-c", script, str(tmp_path)]
    orders = {subprocess.run(program, capture_output=True, text=True, check=True).stdout for _ in range(2)}
    assert len(orders) == 1, "another process reads the rows in another order"


def newer(folder: Path, cursor: str, after: Any) -> list[int]:
    options = DeltaSource.model_validate({"delta": str(folder), "incremental": {"cursor": cursor}})
    ctx = Context(Store(folder.parent / "store"), "acquire", {}, 7, folder.parent, folder.parent)
    return sorted(i for batch in Delta("data", options).newer(after, ctx) for i in batch["id"].to_pylist())


def test_what_is_newer_by_each_type_of_cursor(tmp_path: Path) -> None:
    start = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    moments = [start + dt.timedelta(days=i, microseconds=i) for i in range(5)]
    table = pa.table(
        {
            "id": range(5),
            "number": [i / 2 for i in range(5)],
            "word": ["a", "b", "it's", "x", None],
            "zoned": pa.array(moments, pa.timestamp("us", "UTC")),
            "plain": pa.array([m.replace(tzinfo=None) for m in moments], pa.timestamp("us")),
            "day": [m.date() for m in moments],
        }
    )
    write_deltalake(tmp_path / "t", table)
    for cursor, after in (
        ("id", 2),
        ("number", 1.0),
        ("zoned", moments[2]),
        ("plain", moments[2].replace(tzinfo=None)),
        ("day", moments[2].date()),
        ("day", moments[2]),
    ):
        assert newer(tmp_path / "t", cursor, after) == [2, 3, 4], cursor
    assert newer(tmp_path / "t", "word", "it's") == [2, 3]
    assert newer(tmp_path / "t", "word", None) == [0, 1, 2, 3, 4]
    with pytest.raises(DataError, match="no column 'numbre'"):
        newer(tmp_path / "t", "numbre", 1)


def test_files_without_anything_new_are_not_read(tmp_path: Path) -> None:
    for day in range(3):
        write_deltalake(tmp_path / "t", pa.table({"id": range(day * 10, day * 10 + 10)}), mode="append")
    (old,) = [f for f in (tmp_path / "t").glob("*.parquet") if pq.read_table(f)["id"][0].as_py() == 0]
    old.write_bytes(b"")
    assert newer(tmp_path / "t", "id", 15) == list(range(15, 30))


def vector(rows: list[int]) -> tuple[str, int]:
    """An inline deletion vector of Delta's protocol: a roaring bitmap array of row numbers, in Z85; and its bytes."""
    keys = struct.pack("<I", 12346) + struct.pack("<I", 1) + struct.pack("<HH", 0, len(rows) - 1)
    bitmap = keys + struct.pack("<I", 16) + b"".join(struct.pack("<H", row) for row in sorted(rows))
    content = struct.pack("<I", 1681511377) + struct.pack("<Q", 1) + struct.pack("<I", 0) + bitmap
    return z85(content + b"\0" * (-len(content) % 4)), len(content)


def z85(content: bytes) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
    said = ""
    for (number,) in struct.iter_unpack(">I", content):
        said += "".join(digits[number // 85**place % 85] for place in (4, 3, 2, 1, 0))
    return said


def test_rows_that_a_deletion_vector_hides_do_not_come(tmp_path: Path) -> None:
    """Written by hand as Spark and Databricks write them: the log names the rows that are gone, the file stays."""
    write_deltalake(
        tmp_path / "t",
        pa.table({"id": range(10), "x": range(10)}),
        configuration={"delta.enableDeletionVectors": "true"},
    )
    log = tmp_path / "t" / "_delta_log"
    actions = [json.loads(line) for line in (log / f"{0:020}.json").read_text().splitlines()]
    add = next(action["add"] for action in actions if "add" in action)
    said, size = vector([0, 3, 9])
    mark = {"storageType": "i", "pathOrInlineDv": said, "sizeInBytes": size, "cardinality": 3}
    stats = json.loads(add["stats"]) | {"tightBounds": False}
    remove = {"path": add["path"], "deletionTimestamp": 1, "dataChange": True, "extendedFileMetadata": True}
    remove |= {"partitionValues": {}, "size": add["size"]}
    lines = [
        {
            "commitInfo": {
                "timestamp": int(time.time() * 1000),
                "operation": "DELETE",
                "operationParameters": {},
            }
        }
    ]
    lines += [{"remove": remove}, {"add": {**add, "deletionVector": mark, "stats": json.dumps(stats)}}]
    (log / f"{1:020}.json").write_text("\n".join(map(json.dumps, lines)))
    assert read({"delta": "t"}, tmp_path)["id"].to_pylist() == [1, 2, 4, 5, 6, 7, 8]
    assert read({"delta": "t", "version": 0}, tmp_path).num_rows == 10


def test_columns_that_are_mapped_have_their_names(tmp_path: Path) -> None:
    """Column mapping by name, written by hand: the files know the columns by other names than the table."""
    folder = tmp_path / "t"
    (folder / "_delta_log").mkdir(parents=True)
    pq.write_table(pa.table({"col-1": pa.array([1, 2]), "col-2": ["a", "b"]}), folder / "a.parquet")

    def field(name: str, kind: str, number: int) -> dict[str, Any]:
        mapping = {"delta.columnMapping.id": number, "delta.columnMapping.physicalName": f"col-{number}"}
        return {"name": name, "type": kind, "nullable": True, "metadata": mapping}

    schema = {"type": "struct", "fields": [field("id", "long", 1), field("the name", "string", 2)]}
    lines: list[dict[str, Any]] = [
        {
            "protocol": {
                "minReaderVersion": 3,
                "minWriterVersion": 7,
                "readerFeatures": ["columnMapping"],
                "writerFeatures": ["columnMapping"],
            }
        },
        {
            "metaData": {
                "id": str(uuid.uuid4()),
                "format": {"provider": "parquet", "options": {}},
                "schemaString": json.dumps(schema),
                "partitionColumns": [],
                "configuration": {"delta.columnMapping.mode": "name", "delta.columnMapping.maxColumnId": "2"},
                "createdTime": 1,
            }
        },
        {
            "add": {
                "path": "a.parquet",
                "partitionValues": {},
                "size": (folder / "a.parquet").stat().st_size,
                "modificationTime": 1,
                "dataChange": True,
            }
        },
    ]
    (folder / "_delta_log" / f"{0:020}.json").write_text("\n".join(map(json.dumps, lines)))
    assert read({"delta": "t"}, tmp_path).to_pydict() == {"id": [1, 2], "the name": ["a", "b"]}


def test_a_feature_that_no_reader_here_has_is_refused_by_name(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "t", pa.table({"id": [1], "x": [1]}))
    protocol = {
        "minReaderVersion": 3,
        "minWriterVersion": 7,
        "readerFeatures": ["timeMachine"],
        "writerFeatures": ["timeMachine"],
    }
    (tmp_path / "t" / "_delta_log" / f"{1:020}.json").write_text(json.dumps({"protocol": protocol}))
    with pytest.raises(DataError, match="'t' cannot be read") as caught:
        read({"delta": "t"}, tmp_path)
    assert "timeMachine" in str(caught.value)


def test_a_checkpoint_and_a_cleaned_log_are_read(tmp_path: Path) -> None:
    for i in range(12):
        write_deltalake(tmp_path / "t", pa.table({"id": [i], "x": [i]}), mode="append")
    DeltaTable(tmp_path / "t").create_checkpoint()
    for version in range(11):
        (tmp_path / "t" / "_delta_log" / f"{version:020}.json").unlink()
    assert read({"delta": "t"}, tmp_path)["id"].to_pylist() == list(range(12))
